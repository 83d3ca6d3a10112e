/** Our cookies of one request; the engine sets some of its own, which bind nothing here and are not sent. */
import type { Context } from 'koa'
import type { CookieJar } from '../login/stash.ts'

const jars = new WeakMap<Context, CookieJar & { lines: string[] }>()

/** Opened when the request arrives, before anything rewrites its headers. */
export function openJar(ctx: Context): void {
  const lines: string[] = []
  jars.set(ctx, { header: ctx.req.headers.cookie, append: (line) => void lines.push(line), lines })
}

export const jarOf = (ctx: Context): CookieJar => jars.get(ctx)!

/** For the rest of this request there is none: whoever handles it knows its caller by something else. */
export function closeJar(ctx: Context): void {
  delete ctx.req.headers.cookie
  jarOf(ctx).header = undefined
}

/** Puts what was gathered into the answer, and nothing else. */
export function sendCookies(ctx: Context): void {
  const { lines } = jars.get(ctx)!
  if (lines.length > 0) ctx.res.setHeader('Set-Cookie', lines)
  else ctx.res.removeHeader('Set-Cookie')
}

/** Of an answer that came to nothing: what its cookies speak of was not stored. */
export function dropCookies(ctx: Context): void {
  jars.get(ctx)!.lines.length = 0
}
