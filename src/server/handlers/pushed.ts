/** `/par`: pushed authorization requests (RFC 9126). */
import type { Context, Next } from 'koa'
import { judgeAuthorization } from '../../oidc/authorize.ts'
import { pushedKind } from '../../oidc/pushed.ts'
import { stateOf } from '../../oidc/state.ts'
import type { Services } from '../services.ts'
import { judgeContext } from './authorize.ts'

/** The engine knows who asks and what a request object says; what may be asked is judged as at the authorization endpoint. */
export const pushedAuthorization = (services: Services) => async (ctx: Context, next: Next) => {
  await next()
  const { pushed, unit } = stateOf(ctx)
  if (ctx.status !== 201 || !pushed) return
  const drop = () => unit.delete(pushedKind, pushed.id)
  const client = services.clients.get(String(pushed.params.client_id))
  // Anybody can name a public client.
  const limited = client?.public ? await services.limits.pushed(services.addressOf(ctx.req)) : undefined
  if (limited) {
    drop()
    services.audit({ type: 'rate_limited', what: 'pushed_request', key: limited.key })
    ctx.status = 429
    ctx.set('Retry-After', String(limited.retryAfter))
    ctx.body = { error: 'slow_down', error_description: 'too many requests were pushed; try again later' }
    return
  }
  const judgement = await judgeAuthorization(pushed.params, { ...judgeContext(services), via: 'pushed' })
  if (judgement.accepted) return
  drop()
  const { error, description } =
    'status' in judgement ? { error: 'invalid_request', description: judgement.message } : judgement
  services.log.info('pushed authorization request refused', { client_id: client?.id, error, reason: description })
  ctx.status = 400
  ctx.body = { error, error_description: description }
}
