/** Endpoints for programs that the engine does not serve here: userinfo and health. */
import type { Context } from 'koa'
import type { Services } from '../services.ts'

/**
 * Userinfo (OpenID Connect Core, 5.3): the claims of the presented token itself, as in Dex, so that no record is asked for
 * but the list of revoked ones. Only the Authorization header counts (RFC 6750, 2.1).
 */
export const userinfo =
  ({ issued }: Services) =>
  async (ctx: Context) => {
    const [, token] = /^bearer +([\w.~+/-]+=*)$/i.exec(ctx.get('Authorization')) ?? []
    ctx.set('Cache-Control', 'no-store')
    if (token === undefined) {
      ctx.status = 401
      ctx.set('WWW-Authenticate', 'Bearer')
      ctx.body = { error: 'access_denied', error_description: 'Invalid bearer token.' }
      return
    }
    const claims = await issued.read(token)
    if (!claims) {
      ctx.status = 401
      ctx.set('WWW-Authenticate', 'Bearer error="invalid_token", error_description="unknown, expired or revoked"')
      ctx.body = { error: 'invalid_token', error_description: 'The token is unknown, has expired or was revoked.' }
      return
    }
    ctx.body = claims
  }

export const health =
  ({ driver }: Services) =>
  async (ctx: Context) => {
    await driver.ready()
    ctx.type = 'text/plain; charset=utf-8'
    ctx.body = 'Health check passed'
  }
