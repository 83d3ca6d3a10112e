/**
 * What every request meets first: its number, its measure, and whatever is answered from memory. The rest goes to the
 * application, with the issuer's address in the place of what the caller or a proxy claims (rule X-1).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Asset, sendAsset } from './assets.ts'
import type { Documents } from './documents.ts'
import { noted, noteRoute } from './notes.ts'
import { inRequest } from './request-context.ts'

export interface FrontContext {
  documents: Documents
  assets: (path: string) => Asset | undefined
  /** Koa's listener. */
  application: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  issuer: URL
  /** Path of the issuer without a trailing slash. */
  mount: string
  /** Headers of the operator. */
  headers: Readonly<Record<string, string>>
  /** Takes away headers that this caller may not send. */
  strip(request: IncomingMessage): void
  addressOf(request: IncomingMessage): string | undefined
  metrics: Pick<Metrics, 'request'>
  log: Logger
}

export function openFront(context: FrontContext): RequestListener {
  const { documents, assets, application, issuer, mount, headers, strip, addressOf, log } = context
  const scheme = issuer.protocol.slice(0, -1)

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const url = request.url ?? '/'
    const [path = ''] = url.split('?', 1)
    const asset = assets(path)
    // As in Dex, files are not measured.
    if (asset) {
      sendAsset(request, response, asset)
      return
    }
    account(request, response, context)

    const document = documents.labelOf(path)
    if (document !== undefined) {
      noteRoute(request, document)
      documents.answer(document, request, response).catch((error: unknown) => {
        log.error('request failed', { err: error })
        sendText(response, 503, 'try again later\n', headers)
      })
      return
    }
    if (path !== mount && !path.startsWith(`${mount}/`)) {
      sendText(response, 404, '404 page not found\n', headers)
      return
    }
    const rest = url.slice(mount.length)
    request.url = rest.startsWith('/') ? rest : `/${rest}`
    request.headers.host = issuer.host
    request.headers['x-forwarded-proto'] = scheme
    delete request.headers['x-forwarded-host']
    strip(request)
    void application(request, response)
  }

  return (request, response) => {
    inRequest(addressOf(request), (requestId) => {
      noted.set(request, { requestId, route: 'other' })
      serve(request, response)
    })
  }
}

/** One line and one measure a request, when its answer has left or its caller has gone. */
function account(request: IncomingMessage, response: ServerResponse, { metrics, log }: FrontContext): void {
  const since = performance.now()
  const method = request.method ?? ''
  response.once('close', () => {
    const seconds = (performance.now() - since) / 1000
    const { route: handler, bytes = Number(response.getHeader('content-length') ?? 0) } = noted.get(request)!
    const code = response.statusCode
    metrics.request({ code, method, handler, seconds, bytes })
    log.info('request', { method, handler, status: code, duration: Math.round(seconds * 1e6) / 1e6 })
  })
}

function sendText(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': body.length,
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  })
  response.end(body)
}
