/** The table of routes, matched and noted for whoever comes after. */
import { METHODS } from 'node:http'
import Router from '@koa/router'
import type { Context, Middleware, Next } from 'koa'
import type { CorsDecision, CorsRequest } from '../cors.ts'
import { noteRoute } from '../notes.ts'
import { labelOf, type Route, routesOf } from '../routes.ts'
import type { Services } from '../services.ts'
import { corsMiddleware } from './cors.ts'
import type { ServedState } from './serve.ts'

/** Paths match exactly, as in Dex; another method is 405 with `Allow` (RFC 9110, 15.5.6). */
export function routing(services: Services, cors: (request: CorsRequest) => CorsDecision): Middleware {
  const crossOrigin = corsMiddleware(cors)
  const sameOrigin = corsMiddleware(() => ({ headers: {} }))
  const router = new Router({ methods: METHODS, strict: true, sensitive: true })
  const register = (path: string, method: string, ...chain: Middleware[]) =>
    router.register(path, [method], chain as Parameters<typeof router.register>[2])

  for (const route of routesOf(services.oidc)) {
    if (route.served?.(services) === false) continue
    const origins = route.cors ? [crossOrigin] : route.reader === 'program' ? [sameOrigin] : []
    register(route.path, route.method, noting(route), ...origins, passing(route.handler(services)))
    if (route.cors) register(route.path, 'OPTIONS', noting(route), crossOrigin)
  }
  const matched = router.routes() as unknown as Middleware
  const methods = router.allowedMethods() as unknown as Middleware
  return (ctx, next) => matched(ctx, () => methods(ctx, next))
}

const noting =
  (route: Route): Middleware =>
  (ctx, next) => {
    ;(ctx.state as ServedState).route = route
    noteRoute(ctx.req, labelOf(route.path))
    return next()
  }

/** What a handler hands on is for the engine. */
const passing =
  (handler: Middleware): Middleware =>
  (ctx, next) =>
    handler(ctx, () => {
      ;(ctx.state as ServedState).passed = true
      return next()
    })

/** The engine has routes of its own beside those that stand in the table; nobody reaches them from outside. */
export async function onlyWhatWasPassed(ctx: Context, next: Next): Promise<void> {
  if ((ctx.state as ServedState).passed) return next()
  if (ctx.status !== 404 || ctx.body != null) return
  ctx.status = 404
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = '404 page not found\n'
}
