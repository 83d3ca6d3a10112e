/** The access token that a program brings. */
import type { Context } from 'koa'
import { PageFailure } from '../login/failures.ts'
import { readForm } from './form.ts'

/** `fault`: the request is malformed, and why. */
export type Bearer = { token: string | undefined } | { fault: string }

/**
 * In the header or in a form (RFC 6750, 2.1 and 2.2), never in the address, which is logged. A form that comes with a token
 * in the header may hold whatever it likes but a second one (3.1, `invalid_request`).
 */
export async function readBearer(ctx: Context): Promise<Bearer> {
  const [, inHeader] = /^bearer +([\w.~+/-]+=*)$/i.exec(ctx.get('Authorization')) ?? []
  if (ctx.method !== 'POST' || !ctx.is('application/x-www-form-urlencoded')) return { token: inHeader }
  try {
    const given = (await readForm(ctx.req)).getAll('access_token').filter((token) => token !== '')
    if (inHeader !== undefined) given.push(inHeader)
    return given.length > 1 ? { fault: 'The access token was sent more than once.' } : { token: given[0] }
  } catch (error) {
    if (error instanceof PageFailure) return { fault: error.message }
    throw error
  }
}
