/** Endpoints for programs that the engine does not serve here: userinfo and health. */
import type { Context } from 'koa'
import { readBearer } from '../bearer.ts'
import type { Services } from '../services.ts'

/**
 * Userinfo (OpenID Connect Core, 5.3): the claims of the presented token itself, as in Dex, so that no record is asked for
 * but the list of revoked ones.
 */
export const userinfo =
  ({ issued }: Services) =>
  async (ctx: Context) => {
    ctx.set('Cache-Control', 'no-store')
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
