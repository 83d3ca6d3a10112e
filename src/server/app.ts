/** One running server: everything that it is made of, wired in one place. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { METHODS } from 'node:http'
import Router from '@koa/router'
import type { Context, Next } from 'koa'
import { type ConnectorContext, failure } from '../../connectors/contract.ts'
import { openConnectorData } from '../login/connector-data.ts'
import { openConnectors } from '../login/connectors.ts'
import { openLoginFlow } from '../login/flow.ts'
import { openLimits } from '../login/limits.ts'
import { openPages } from '../login/pages.ts'
import { openStashes } from '../login/stash.ts'
import { openIssuedTokens } from '../oidc/issued.ts'
import { openSigningKeys } from '../oidc/keys.ts'
import { openProvider } from '../oidc/provider.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { ServerLog } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { openUpstream, type Upstream } from '../telemetry/upstream.ts'
import { openAnswers } from './answers.ts'
import { openAssets } from './assets.ts'
import { clientAddress } from './client-address.ts'
import { cors as corsOf } from './cors.ts'
import { openDocuments } from './documents.ts'
import { corsMiddleware } from './middleware/cors.ts'
import { type ServedState, serve } from './middleware/serve.ts'
import type { ServerOptions } from './options.ts'
import { inRequest } from './request-context.ts'
import { labelOf, type Route, routes } from './routes.ts'
import type { Services } from './services.ts'

export interface AppContext {
  options: ServerOptions
  driver: StorageDriver
  sealer: Sealer
  log: ServerLog
  audit: Audit
  metrics: Metrics
  version: string
  env: Readonly<Record<string, string | undefined>>
  now?: () => Date
}

export interface App {
  handler: RequestListener
  services: Services
  close(): Promise<void>
}

/** Builds the application of one configuration; nothing reads the configuration afterwards. */
export async function openApp(context: AppContext): Promise<App> {
  const { options, driver, sealer, log, audit, metrics, version, env, now = () => new Date() } = context
  const { issuer, web, frontend, oidc, login } = options
  const { origin, protocol, pathname, host } = new URL(issuer)
  const mount = pathname.replace(/\/$/, '')
  const upstreams: Upstream[] = []

  const contextFor = (id: string, type: string): ConnectorContext => {
    const connectorLog = log.child({ 'connector.type': type, 'connector.id': id })
    const upstream = openUpstream({
      connector: id,
      metrics,
      log: connectorLog,
      failure,
      env,
      userAgent: `countersign/${version}`,
    })
    upstreams.push(upstream)
    const { http, measure } = upstream
    return { id, issuer, log: connectorLog, http, measure, now }
  }

  const keys = await openSigningKeys({
    driver,
    sealer,
    options: { ...oidc.signer, tokenLifetime: Math.max(0, oidc.lifetimes.tokens) },
    log,
    audit,
    now,
  })
  const connectors = await openConnectors(login.connectors, {
    folder: login.folder,
    contextFor,
    log,
    continueOnFailure: options.continueOnConnectorFailure,
  })
  const pages = openPages(frontend, mount)
  const clients = new Map(oidc.clients.map((client) => [client.id, client]))
  const issued = openIssuedTokens({ keys, driver, issuer, now })
  const connectorData = openConnectorData({ driver, sealer })
  const flow = openLoginFlow({ connectors, connectorData, issuer, mount, audit, metrics, log, now })
  const stashes = openStashes({ sealer, driver, mount, secure: protocol === 'https:', now })
  const addressOf = clientAddress(web.clientAddress)
  const answers = openAnswers({ pages, log })
  const provider = openProvider({
    options: oidc,
    clients,
    keys,
    issued,
    connectors,
    connectorData,
    answers,
    audit,
    metrics,
    log,
  })
  const services: Services = {
    issuer,
    mount,
    origin,
    oidc,
    login,
    clients,
    provider,
    keys,
    issued,
    connectors,
    flow,
    stashes,
    limits: openLimits(),
    pages,
    driver,
    audit,
    log,
    addressOf: (request) => addressOf(request.socket.remoteAddress, request.headers),
    now,
  }

  const cors = corsOf(web.cors)
  const documents = openDocuments({ oidc, keys, mount, cors, headers: web.headers })
  const assets = openAssets({ mount, theme: frontend.theme, ...(frontend.dir !== undefined && { dir: frontend.dir }) })
  provider.use(serve({ driver, pages, log, issuer, headers: web.headers }))
  provider.use(routerOf(services, corsMiddleware(cors)))
  provider.use(onlyWhatWasPassed)
  // The engine logs by itself what it cannot answer.
  provider.silent = true
  const dynamic = provider.callback()

  const account = (request: IncomingMessage, response: ServerResponse, label: () => string): void => {
    const since = performance.now()
    const method = request.method ?? ''
    response.once('close', () => {
      const seconds = (performance.now() - since) / 1000
      const bytes = Number(response.getHeader('content-length') ?? 0)
      const handler = label()
      const code = response.statusCode
      metrics.request({ code, method, handler, seconds, bytes })
      log.info('request', { method, handler, status: code, duration: Math.round(seconds * 1e6) / 1e6 })
    })
  }

  const respond = (request: IncomingMessage, response: ServerResponse): void => {
    const url = request.url ?? '/'
    const end = url.indexOf('?')
    const path = end < 0 ? url : url.slice(0, end)
    const document = documents.labelOf(path)
    if (document !== undefined) {
      account(request, response, () => document)
      void documents.answer(document, request, response)
      return
    }
    const asset = assets(path)
    if (asset) {
      sendAsset(request, response, asset)
      return
    }
    if (path !== mount && !path.startsWith(`${mount}/`)) {
      sendNothing(response)
      return
    }
    request.url = url.slice(mount.length) || '/'
    if (request.url.startsWith('?')) request.url = `/${request.url}`
    // What a caller or a proxy says of addresses decides nothing (rule X-1).
    request.headers.host = host
    request.headers['x-forwarded-proto'] = protocol.slice(0, -1)
    delete request.headers['x-forwarded-host']
    const served: { route?: string } = {}
    Object.assign(request, { served })
    account(request, response, () => served.route ?? 'other')
    void dynamic(request, response)
  }

  return {
    handler: (request, response) => {
      const address = web.clientAddress && services.addressOf(request).address
      inRequest(address, (requestId) => {
        Object.assign(request, { requestId })
        respond(request, response)
      })
    },
    services,
    async close() {
      await connectors.close()
      await Promise.all(upstreams.map((upstream) => upstream.close()))
      await keys.close()
    },
  }
}

/** The table of routes, matched. */
function routerOf(services: Services, crossOrigin: ReturnType<typeof corsMiddleware>) {
  const sameOrigin = corsMiddleware(() => ({ headers: {} }))
  const router = new Router({ methods: METHODS, strict: true, sensitive: true })
  for (const route of routes) {
    const handler = route.handler(services)
    router.register(route.path, [route.method], [
      (ctx: Context, next: Next) => note(ctx, route, next),
      ...(route.cors ? [crossOrigin] : route.reader === 'program' ? [sameOrigin] : []),
      (ctx: Context, next: Next) =>
        handler(ctx as never, () => {
          ;(ctx.state as ServedState).passed = true
          return next()
        }),
    ] as never)
    if (route.cors) router.register(route.path, ['OPTIONS'], [crossOrigin] as never)
  }
  const matched = router.routes()
  const methods = router.allowedMethods()
  return (ctx: Context, next: Next) => matched(ctx as never, () => methods(ctx as never, next))
}

function note(ctx: Context, route: Route, next: Next): Promise<unknown> {
  ;(ctx.state as ServedState).route = route
  ;(ctx.req as unknown as { served: { route?: string } }).served.route = labelOf(route.path)
  return next()
}

/** The engine has routes of its own beside those that stand in the table; nobody reaches them from outside. */
async function onlyWhatWasPassed(ctx: Context, next: Next): Promise<void> {
  if ((ctx.state as ServedState).passed) return next()
  if (ctx.status !== 404 || ctx.body != null) return
  ctx.status = 404
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = '404 page not found\n'
}

function sendAsset(
  request: IncomingMessage,
  response: ServerResponse,
  asset: ReturnType<ReturnType<typeof openAssets>>,
): void {
  const { body, type, etag, cacheControl } = asset!
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end()
    return
  }
  const headers = { ETag: etag, 'Cache-Control': cacheControl, 'X-Content-Type-Options': 'nosniff' }
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function sendNothing(response: ServerResponse): void {
  const body = '404 page not found\n'
  response.writeHead(404, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(body)
}
