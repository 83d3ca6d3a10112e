/** The listener for those who run this server (`telemetry.http`): health, metrics, profile. Nothing here needs a password. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../lib/logger.ts'
import { takeCpuProfile } from './cpu-profile.ts'
import { type BoundAddress, listen } from './listen.ts'
import { type CheckResult, openReadiness, type ReadinessOptions } from './readiness.ts'

export interface TelemetryServerOptions extends ReadinessOptions {
  /** `host:port` */
  http: string
  enableProfiling: boolean
  metrics: { render(): Promise<string>; contentType: string }
  log: Logger
}

export interface TelemetryServer {
  addresses: BoundAddress[]
  /** `ready(false)` before a stop. */
  ready(on: boolean): void
  close(): Promise<void>
}

interface Answer {
  status: number
  type: string
  body: string
}

const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body })

const shortResults = (results: Record<string, CheckResult>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(results).map(([name, { contiguousFailures }]) => [name, contiguousFailures === 0 ? 'PASS' : 'FAIL']),
  )

const longestProfile = 120

/** Opens the listener. @throws Error that names the option and the reason */
export const openTelemetryServer = async (options: TelemetryServerOptions): Promise<TelemetryServer> => {
  const { metrics, log } = options
  const readiness = openReadiness(options)

  const health = async (query: URLSearchParams): Promise<Answer> => {
    const { ready, results } = await readiness.report()
    const shown = query.get('type') === 'short' ? shortResults(results) : results
    return { status: ready ? 200 : 503, type: 'application/json', body: `${JSON.stringify(shown, null, '\t')}\n` }
  }

  const profile = async (path: string, query: URLSearchParams): Promise<Answer> => {
    if (!options.enableProfiling) return text(404, 'Profiling is off; telemetry.enableProfiling turns it on.\n')
    if (path !== '/debug/pprof/profile') {
      return text(
        404,
        'There is one profile here: /debug/pprof/profile?seconds=10, of the processor, as .cpuprofile.\n',
      )
    }
    const seconds = Number(query.get('seconds') ?? 10)
    if (!(seconds > 0 && seconds <= longestProfile)) {
      return text(400, `seconds must be a number up to ${longestProfile}.\n`)
    }
    const taken = await takeCpuProfile(seconds)
    if (taken === undefined) return text(409, 'A profile is being taken already.\n')
    return { status: 200, type: 'application/json', body: taken }
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const [path = '', query] = (request.url ?? '').split('?', 2)
    if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'Only GET.\n')
    const params = new URLSearchParams(query)
    switch (path) {
      case '/healthz/live':
        return text(200, 'ok')
      case '/healthz':
      case '/healthz/ready':
        return health(params)
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.render() }
    }
    return path.startsWith('/debug/pprof') ? profile(path, params) : text(404, '404 page not found\n')
  }

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request)
      .catch((error: unknown) => {
        log.error('telemetry request failed', { err: error })
        return text(500, 'Internal error; the log says why.\n')
      })
      .then(({ status, type, body }) => {
        response.writeHead(status, {
          'Content-Type': type,
          'Content-Length': Buffer.byteLength(body),
          'Cache-Control': 'no-store',
          'X-Content-Type-Options': 'nosniff',
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      })
  }

  const { addresses, close } = await listen({ http: options.http, handler, log, section: 'telemetry' })
  return { addresses, ready: readiness.switch, close: () => close(5_000) }
}
