import { once } from 'node:events'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { rootCertificates } from 'node:tls'

/** How long one request may take, in milliseconds. */
const TIME_LIMIT = 30_000

/** What is used of `fetch`'s second argument. */
export interface FetchOptions {
  method?: string
  headers?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | null
}

/** A `fetch` that trusts the certificates in `pem` beside the usual ones. Redirects are not followed. */
export function fetchTrusting(pem: string) {
  const ca = [...rootCertificates, pem]
  return async (url: string, { method = 'GET', headers = {}, body, signal }: FetchOptions): Promise<Response> => {
    const target = new URL(url)
    const send = target.protocol === 'https:' ? requestHttps : requestHttp
    const limit = AbortSignal.timeout(TIME_LIMIT)
    const request = send(target, { method, headers, ca, signal: signal ? AbortSignal.any([signal, limit]) : limit })
    request.end(body === undefined || body === null ? undefined : String(body))
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    const status = answer.statusCode ?? 500
    const received = new Headers()
    for (const [name, value] of Object.entries(answer.headers)) {
      for (const each of [value ?? []].flat()) received.append(name, each)
    }
    // `Response` refuses a body for these.
    const hasBody = status !== 204 && status !== 205 && status !== 304
    return new Response(hasBody ? (Readable.toWeb(answer) as ReadableStream) : null, { status, headers: received })
  }
}
