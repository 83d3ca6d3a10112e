/** Endpoints for programs that the engine does not serve here: userinfo and health. */
import type { Context, Next } from 'koa'
import { thumbprintOf } from '../../oidc/certificates.ts'
import type { IssuedClaims } from '../../oidc/issued.ts'
import { readable } from '../../oidc/judge.ts'
import { stateOf } from '../../oidc/state.ts'
import { signedUserinfo } from '../../oidc/userinfo.ts'
import { readBearer } from '../bearer.ts'
import type { Services } from '../services.ts'

/**
 * Userinfo (OpenID Connect Core, 5.3): the claims of the presented token itself, as in Dex, so that no record is asked for
 * but the list of revoked ones.
 */
export const userinfo = (services: Services) => async (ctx: Context, next: Next) => {
  const { issued, policy, clients } = services
  ctx.set('Cache-Control', 'no-store')
  const [, scheme, inHeader] = /^(bearer|dpop) +([\w.~+/-]+=*)$/i.exec(ctx.get('Authorization')) ?? []
  if (scheme?.toLowerCase() === 'dpop' || ctx.get('DPoP') !== '') return proven(ctx, next, services, inHeader)
  const bearer = await readBearer(ctx)
  if ('fault' in bearer) {
    ctx.status = 400
    ctx.set('WWW-Authenticate', 'Bearer error="invalid_request"')
    ctx.body = { error: 'invalid_request', error_description: bearer.fault }
    return
  }
  const { token } = bearer
  if (token === undefined) {
    ctx.status = 401
    ctx.set('WWW-Authenticate', 'Bearer')
    ctx.body = { error: 'access_denied', error_description: 'Invalid bearer token.' }
    return
  }
  const claims = await issued.read(token)
  if (!claims || !(await readable('userinfo', claims, { ...policy, clients }))) {
    ctx.status = 401
    ctx.set('WWW-Authenticate', 'Bearer error="invalid_token", error_description="unknown, expired or revoked"')
    ctx.body = { error: 'invalid_token', error_description: 'The token is unknown, has expired or was revoked.' }
    return
  }
  if (!isBearer(claims, ctx)) {
    ctx.status = 401
    ctx.set('WWW-Authenticate', 'Bearer error="invalid_token", error_description="bound to another certificate"')
    ctx.body = { error: 'invalid_token', error_description: 'The token is bound to a certificate that did not come.' }
    return
  }
  // A thief has the token, and not the key that it is bound to.
  if ((claims.cnf as { jkt?: string } | undefined)?.jkt !== undefined) {
    if (inHeader !== undefined) return proven(ctx, next, services, token)
    ctx.status = 401
    ctx.set('WWW-Authenticate', 'DPoP error="invalid_token", error_description="bound to a key"')
    ctx.body = { error: 'invalid_token', error_description: 'The token has to come in the header, with a proof.' }
    return
  }
  await tell(ctx, services, claims)
}

async function tell(ctx: Context, services: Services, claims: IssuedClaims): Promise<void> {
  const signed = await signedUserinfo(claims, services)
  if (signed !== undefined) ctx.type = 'application/jwt'
  ctx.body = signed ?? claims
}

/** The engine looks at the proof (RFC 9449, 7.1), and sees that none comes twice. */
async function proven(ctx: Context, next: Next, services: Services, token: string | undefined): Promise<void> {
  const { issued, policy, clients } = services
  await next()
  if (ctx.status !== 200) return
  const claims = token === undefined ? undefined : await issued.read(token)
  if (claims && (await readable('userinfo', claims, { ...policy, clients }))) {
    await tell(ctx, services, claims)
    return
  }
  ctx.status = 401
  ctx.set('WWW-Authenticate', 'DPoP error="invalid_token", error_description="unknown, expired or revoked"')
  ctx.body = { error: 'invalid_token', error_description: 'The token is unknown, has expired or was revoked.' }
}

/** A token that is bound to a certificate is good only with it (RFC 8705, 3). */
function isBearer({ cnf }: Record<string, unknown>, ctx: Context): boolean {
  const { 'x5t#S256': bound } = (cnf ?? {}) as Record<string, unknown>
  if (bound === undefined) return true
  const { certificate } = stateOf(ctx).certificate?.() ?? {}
  return certificate !== undefined && thumbprintOf(certificate) === bound
}

export const health =
  ({ driver }: Services) =>
  async (ctx: Context) => {
    await driver.ready()
    ctx.type = 'text/plain; charset=utf-8'
    ctx.body = 'Health check passed'
  }
