/** Discovery and keys: made when they change, answered from memory in front of everything else. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { discoveryDocument, layoutAliases, oktaDiscovery, paths } from '../oidc/discovery.ts'
import { jwksMaxAge, type SigningKeys } from '../oidc/keys.ts'
import type { OidcOptions } from '../oidc/options.ts'
import type { CorsDecision, CorsRequest } from './cors.ts'
import { noteSize } from './notes.ts'

export interface DocumentContext {
  oidc: OidcOptions
  keys: SigningKeys
  /** Path of the issuer without a trailing slash. */
  mount: string
  cors: (request: CorsRequest) => CorsDecision
  /** Headers of the operator. */
  headers: Readonly<Record<string, string>>
}

interface Prepared {
  body: Buffer
  headers: Record<string, string | number>
}

export interface Documents {
  /** Whether this path is one of them: its label for metrics. */
  labelOf(path: string): string | undefined
  /** Answers; resolves when the answer is made. */
  answer(label: string, request: IncomingMessage, response: ServerResponse): Promise<void>
}

/** Seconds that discovery may be kept: its algorithm changes with a rotation at the earliest. */
const discoveryMaxAge = 600

export function openDocuments({ oidc, keys, mount, cors, headers }: DocumentContext): Documents {
  const keysAlias = layoutAliases(oidc).get(paths.keys)
  const labels = new Map<string, string>([
    [`${mount}${paths.discovery}`, paths.discovery],
    [`${mount}${paths.keys}`, paths.keys],
    ...(oidc.layout === 'okta' ? [[`${mount}${oktaDiscovery}`, paths.discovery] as const] : []),
    ...(keysAlias === undefined ? [] : [[`${mount}${keysAlias}`, paths.keys] as const]),
  ])
  const prepared = new Map<string, Prepared>()

  const prepare = (label: string, content: object, cacheControl: string): void => {
    const body = Buffer.from(JSON.stringify(content, null, 2))
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    prepared.set(label, {
      body,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        'Cache-Control': cacheControl,
        ETag: etag,
        'X-Content-Type-Options': 'nosniff',
        ...headers,
      },
    })
  }
  const refresh = (): void => {
    prepare(paths.discovery, discoveryDocument(oidc, keys.algorithms), `max-age=${discoveryMaxAge}`)
    prepare(paths.keys, keys.jwks(), `max-age=${jwksMaxAge}, must-revalidate`)
  }
  keys.onChange(refresh)
  refresh()

  const headerOf = (request: IncomingMessage, name: string): string | undefined => {
    const value = request.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  return {
    labelOf: (path) => labels.get(path),

    async answer(label, request, response) {
      const method = request.method ?? 'GET'
      const { preflight, headers: crossOrigin } = cors({
        method,
        origin: headerOf(request, 'origin'),
        requestMethod: headerOf(request, 'access-control-request-method'),
        requestHeaders: headerOf(request, 'access-control-request-headers'),
      })
      if (preflight) {
        response.writeHead(preflight.status, preflight.headers).end()
        return
      }
      if (method !== 'GET' && method !== 'HEAD') {
        response.writeHead(405, { Allow: 'GET, HEAD, OPTIONS', 'Content-Length': 0, ...crossOrigin }).end()
        return
      }
      // Only right after the first start of all: the key is still being made.
      if (label === paths.keys && keys.jwks().keys.length === 0) await keys.ready()
      const { body, headers: fixed } = prepared.get(label)!
      if (headerOf(request, 'if-none-match') === fixed.ETag) {
        const { 'Content-Length': _length, 'Content-Type': _type, ...kept } = fixed
        response.writeHead(304, { ...kept, ...crossOrigin }).end()
        return
      }
      response.writeHead(200, { ...fixed, ...crossOrigin })
      if (method === 'HEAD') {
        response.end()
        return
      }
      noteSize(request, body.length)
      response.end(body)
    },
  }
}
