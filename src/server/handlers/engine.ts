/** Endpoints that the engine serves, and what Dex's clients expect of its answers beyond the standards. */
import type { Context, Next } from 'koa'
import { introspectionAnswer } from '../../oidc/introspection.ts'
import { stateOf } from '../../oidc/state.ts'
import type { Services } from '../services.ts'

type Body = Record<string, unknown>

/** `/token` (RFC 6749, 3.2). */
export const token = () => async (ctx: Context, next: Next) => {
  await next()
  ctx.set('Pragma', 'no-cache')
}

/** `/token/introspect` (RFC 7662). */
export const introspection =
  ({ clients }: Services) =>
  async (ctx: Context, next: Next) => {
    await next()
    const body = ctx.body as Body | undefined
    if (ctx.status === 200 && body?.active === true) ctx.body = introspectionAnswer(body, entitiesOf(ctx), clients)
  }

/** `/token/revoke` (RFC 7009). */
export const revocation =
  ({ audit }: Services) =>
  async (ctx: Context, next: Next) => {
    await next()
    const { AccessToken, RefreshToken } = entitiesOf(ctx) as Record<string, Revoked | undefined>
    const token = AccessToken ?? RefreshToken
    if (ctx.status !== 200 || !token) return
    audit({ type: 'token_revoked', client_id: token.clientId, by: 'client', sub: token.accountId })
  }

interface Revoked {
  clientId: string
  accountId: string
}

const entitiesOf = (ctx: Context): Record<string, object | undefined> =>
  (ctx as unknown as { oidc?: { entities: Record<string, object | undefined> } }).oidc?.entities ?? {}

/** `/device/code` (RFC 8628, 3.1): anybody can start one, so it is limited. */
export const deviceAuthorization =
  ({ limits, addressOf, audit }: Services) =>
  async (ctx: Context, next: Next) => {
    const limited = await limits.deviceStart(addressOf(ctx.req))
    if (limited) {
      audit({ type: 'rate_limited', what: 'device_code', key: limited.key })
      ctx.status = 429
      ctx.set('Retry-After', String(limited.retryAfter))
      ctx.body = { error: 'slow_down', error_description: 'too many device logins were started; try again later' }
      return
    }
    await next()
    if (ctx.status === 200) ctx.body = { ...(ctx.body as Body), interval: 5 }
  }

/** RFC 6749, 5.2: a client that used Basic is told so when it is refused. */
export function challengeBasic(ctx: Context, issuer: string): void {
  if (ctx.status === 401 && stateOf(ctx).usedBasic) ctx.set('WWW-Authenticate', `Basic realm="${issuer}"`)
}
