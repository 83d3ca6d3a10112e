/** Cross-origin answers of the routes that other origins may call. */
import type { Context, Next } from 'koa'
import { closeJar } from '../cookies.ts'
import { type CorsDecision, type CorsRequest, proofAnswers } from '../cors.ts'

const header = (ctx: Context, name: string): string | undefined => ctx.get(name) || undefined

/** Decides for the engine as well, which has rules of its own: it is shown no origin, and what it says of them is dropped. */
export const corsMiddleware =
  (cors: (request: CorsRequest) => CorsDecision) =>
  async (ctx: Context, next: Next): Promise<void> => {
    const { preflight, headers } = cors({
      method: ctx.method,
      origin: header(ctx, 'Origin'),
      requestMethod: header(ctx, 'Access-Control-Request-Method'),
      requestHeaders: header(ctx, 'Access-Control-Request-Headers'),
    })
    if (preflight) {
      ctx.status = preflight.status
      ctx.set(preflight.headers)
      ctx.body = ''
      return
    }
    if (ctx.method === 'OPTIONS') {
      ctx.status = 405
      ctx.set('Allow', 'GET, HEAD, POST')
      return
    }
    const proves = ctx.get('DPoP') !== ''
    delete ctx.req.headers.origin
    // Endpoints for programs know their caller by the request alone, so that scripts of other sites may send credentials.
    closeJar(ctx)
    await next()
    for (const name of Object.keys(ctx.response.headers)) {
      if (name.startsWith('access-control-') || name === 'vary') ctx.remove(name)
    }
    ctx.set(headers)
    if (proves && headers['Access-Control-Allow-Origin']) ctx.set('Access-Control-Expose-Headers', proofAnswers)
  }
