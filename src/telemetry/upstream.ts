/**
 * How this server calls upstreams: over connections that stay open, limited in time and in the size of answers,
 * through the proxy of the environment, each call measured. One of these a connector.
 */
import type { Dispatcher } from 'undici'
import type { Attributes } from '../lib/logger.ts'
import type { Metrics } from './metrics.ts'
import type { Environment } from './proxy.ts'
import { type HttpTrust, type Lookup, openConnections, undici } from './upstream-connections.ts'

/** Makes the error that callers know; the connectors' own `failure`, which this room cannot import. */
export type UpstreamFailure = (
  code: 'upstream_unavailable' | 'upstream_invalid_response',
  message: string,
  details: { cause?: unknown },
) => Error

export interface UpstreamOptions {
  /** The connector's id, for the metrics. */
  connector: string
  metrics: Pick<Metrics, 'upstreamCall' | 'connectorUp'>
  log: { debug(message: string, attributes?: Attributes): void }
  failure: UpstreamFailure
  /** For a whole call, from the connection to the last byte. */
  timeoutMs?: number
  /** Of an answer's body. */
  maxBytes?: number
  /** Where the proxy variables stand. */
  env?: Environment
  /** How hosts are looked up where no proxy does it; the system's way. */
  lookup?: Lookup
  /** Sent with each call; some upstreams refuse calls without. */
  userAgent?: string
}

export interface Upstream {
  /**
   * A `fetch` that follows no redirect, whatever `redirect` says: a 3xx answer is returned as it came.
   * Rejects with `failure('upstream_unavailable')` when no whole answer arrived in time.
   */
  http(trust?: HttpTrust): typeof fetch
  /** Accounts for work that is no HTTP under the name `call`, one of a closed set. */
  measure<T>(call: string, work: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

type Fetch = typeof fetch
type FetchInput = Parameters<Fetch>[0]
type FetchInit = NonNullable<Parameters<Fetch>[1]>

interface Call {
  url: URL
  method: string
  headers: Record<string, string>
  body: string | Uint8Array | null
  signal: AbortSignal | undefined
}

const bodyless = new Set([101, 103, 204, 205, 304])

const headersOf = (given: FetchInit['headers']): Record<string, string> => {
  const headers: Record<string, string> = {}
  if (given !== undefined) {
    for (const [name, value] of given instanceof Headers ? given : new Headers(given)) headers[name] = value
  }
  return headers
}

/** Reads what `fetch` may be given; the rare forms (streams, forms with files, a `Request`) by way of a `Request`. */
const readCall = async (input: FetchInput, init: FetchInit = {}): Promise<Call> => {
  const { body = null } = init
  const signal = init.signal ?? undefined
  const simple =
    body === null || typeof body === 'string' || body instanceof URLSearchParams || body instanceof Uint8Array
  if (input instanceof Request || !simple) {
    const whole = new Request(input, init)
    const bytes = new Uint8Array(await whole.arrayBuffer())
    return {
      url: new URL(whole.url),
      method: whole.method,
      headers: headersOf(whole.headers),
      body: bytes.length === 0 ? null : bytes,
      signal: whole.signal,
    }
  }
  const headers = headersOf(init.headers)
  if (body instanceof URLSearchParams) headers['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8'
  if (typeof body === 'string') headers['content-type'] ??= 'text/plain;charset=UTF-8'
  return {
    url: input instanceof URL ? input : new URL(input),
    method: init.method?.toUpperCase() ?? 'GET',
    headers,
    body: body instanceof URLSearchParams ? body.toString() : body,
    signal,
  }
}

const responseOf = (url: URL, answer: Dispatcher.ResponseData, bytes: Uint8Array<ArrayBuffer>): Response => {
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    if (Array.isArray(value)) for (const entry of value) headers.append(name, entry)
    else if (value !== undefined) headers.append(name, value)
  }
  const body = bodyless.has(answer.statusCode) || bytes.length === 0 ? null : bytes
  const response = new Response(body, { status: answer.statusCode, headers })
  // A made-up Response has no address; libraries put it into their messages.
  return Object.defineProperty(response, 'url', { value: url.href })
}

const outcomeOf = (status: number): string => {
  if (status >= 500) return 'server_error'
  if (status === 429) return 'rate_limited'
  return status >= 400 ? 'client_error' : 'ok'
}

const codeOf = (error: unknown): string | undefined => {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Failed connections to several addresses have a code and no message. */
const reasonOf = (error: unknown): string => (error instanceof Error && error.message) || codeOf(error) || 'no answer'

/** Errors of ours carry codes of a closed set; those of the system are written in capitals. */
const outcomeOfError = (error: unknown): string => {
  const code = codeOf(error)
  return code !== undefined && /^[a-z_]{1,40}$/.test(code) ? code : 'error'
}

/** The connection had been closed at the other end while it lay idle: nothing of the request was answered. */
const wasStale = (error: unknown): boolean => ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '')

const now = (): number => performance.now()

/** Opens no connection before the first call. */
export const openUpstream = (options: UpstreamOptions): Upstream => {
  const { connector, metrics, log, failure, lookup, timeoutMs = 10_000, maxBytes = 8 * 1024 * 1024 } = options
  const userAgent = options.userAgent ?? 'countersign'
  const connections = openConnections({ env: options.env ?? {}, timeoutMs, maxBytes, ...(lookup && { lookup }) })

  const account = (call: string, outcome: string, since: number): void => {
    const seconds = (now() - since) / 1000
    metrics.upstreamCall({ connector, call, outcome, seconds })
    metrics.connectorUp(connector, outcome !== 'upstream_unavailable' && outcome !== 'server_error')
    log.debug('upstream call', { call, outcome, duration: Math.round(seconds * 1e6) / 1e6 })
  }

  const failed = (call: Call, error: unknown, limit: AbortSignal): Error => {
    const where = `${call.method} ${call.url.origin}${call.url.pathname}`
    if (limit.aborted) {
      return failure('upstream_unavailable', `${where}: no answer within ${timeoutMs / 1000} s`, { cause: error })
    }
    if (codeOf(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
      return failure('upstream_invalid_response', `${where}: the answer is larger than ${maxBytes} bytes`, {
        cause: error,
      })
    }
    return failure('upstream_unavailable', `${where}: ${reasonOf(error)}`, {
      cause: error,
    })
  }

  const exchange = async (call: Call, dispatcher: Dispatcher, signal: AbortSignal): Promise<Response> => {
    const { errors, request } = await undici()
    const answer = await request(call.url, {
      method: call.method as Dispatcher.HttpMethod,
      headers: call.headers,
      body: call.body,
      signal,
      dispatcher,
      // The time limit of ours is over the whole call and fires first.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const bytes = new Uint8Array(await answer.body.arrayBuffer())
    // The connection refuses larger ones while they arrive, but not if a proxy passes on a plain call.
    if (bytes.length > maxBytes) throw new errors.ResponseExceededMaxSizeError('answer too large')
    return responseOf(call.url, answer, bytes)
  }

  const send = async (call: Call, dispatcher: Dispatcher): Promise<Response> => {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(new Error('time limit passed')), timeoutMs)
    const signal = call.signal === undefined ? limit.signal : AbortSignal.any([limit.signal, call.signal])
    try {
      try {
        return await exchange(call, dispatcher, signal)
      } catch (error) {
        const repeatable = call.method === 'GET' || call.method === 'HEAD'
        if (!repeatable || !wasStale(error) || signal.aborted) throw error
        return await exchange(call, dispatcher, signal)
      }
    } catch (error) {
      if (call.signal?.aborted && !limit.signal.aborted) throw call.signal.reason
      // A call that could not be made at all, such as one with a broken header, is a defect and no outage.
      if (codeOf(error) === 'UND_ERR_INVALID_ARG') throw error
      throw failed(call, error, limit.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  const http = (trust: HttpTrust = {}): Fetch => {
    const dispatcherOf = connections.trusting(trust)
    const fetchUpstream = async (input: FetchInput, init?: FetchInit): Promise<Response> => {
      const call = await readCall(input, init)
      call.signal?.throwIfAborted()
      call.headers['user-agent'] ??= userAgent
      call.headers.accept ??= '*/*'
      // Hosts come from the configuration, so that they are few; paths may carry names of people.
      const name = `${call.method} ${call.url.host}`
      const since = now()
      try {
        const response = await send(call, await dispatcherOf(call.url))
        account(name, outcomeOf(response.status), since)
        return response
      } catch (error) {
        account(name, outcomeOfError(error), since)
        throw error
      }
    }
    return fetchUpstream
  }

  return {
    http,
    measure: async (call, work) => {
      const since = now()
      try {
        const result = await work()
        account(call, 'ok', since)
        return result
      } catch (error) {
        account(call, outcomeOfError(error), since)
        throw error
      }
    },
    close: connections.close,
  }
}
