/** What is counted, in Prometheus' text format: Dex's metrics under their names and labels, and ours beside them. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { registerProcessMetrics } from './process-metrics.ts'

/** Live and expired records of one kind, counted when somebody scrapes. */
export interface RecordCount {
  kind: string
  state: string
  count: number
}

export interface RequestMeasure {
  /** HTTP status. */
  code: number
  method: string
  /** The route's pattern without the issuer's path, such as `/auth/{connector}`. */
  handler: string
  seconds: number
  /** Of the body. */
  bytes: number
}

export interface UpstreamMeasure {
  connector: string
  /** From a small closed set: no path, id or query. */
  call: string
  outcome: string
  seconds: number
}

export interface Metrics {
  request(measure: RequestMeasure): void
  upstreamCall(measure: UpstreamMeasure): void
  login(connector: string, outcome: string): void
  tokensIssued(grantType: string): void
  refresh(connector: string, outcome: string): void
  /** How old what the upstream said was when a refresh was answered, and why that was good enough. Seconds. */
  checkAge(connector: string, answer: 'success' | 'kept' | 'stale', seconds: number): void
  connectorUp(connector: string, up: boolean): void
  /** `outcome`: delivered, retried, refused or failed. */
  logoutNotice(outcome: string): void
  /** Asked at each scrape; its failure leaves the gauge empty and the rest of the page whole. */
  countRecords(count: () => Promise<RecordCount[]>): void
  /** Likewise: for each connector the seconds since the upstream was asked about the login that it was asked about least lately. */
  oldestChecks(look: () => Promise<{ connector: string; seconds: number }[]>): void
  /** The page. */
  render(): Promise<string>
  contentType: string
}

// As net/http's instrumentation in Go: whatever a caller makes up is one label.
const knownMethods = new Set([
  'get',
  'put',
  'head',
  'post',
  'delete',
  'connect',
  'options',
  'notify',
  'trace',
  'patch',
  'query',
])
const methodLabel = (method: string): string => {
  const lower = method.toLowerCase()
  return knownMethods.has(lower) ? lower : 'unknown'
}

const goArchitectures: Record<string, string> = { x64: 'amd64', ia32: '386' }

/** `linux/amd64`, as dashboards of Dex group by. */
const platformName = (): string => `${process.platform}/${goArchitectures[process.arch] ?? process.arch}`

/** A page of its own: a reload or a test may open several. */
export const openMetrics = ({ version }: { version: string }): Metrics => {
  const register = new Registry()
  const registers = [register]
  const requestLabels = ['code', 'method', 'handler'] as const

  const requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests answered.',
    labelNames: requestLabels,
    registers,
  })
  const durations = new Histogram({
    name: 'request_duration_seconds',
    help: 'How long requests took.',
    labelNames: requestLabels,
    buckets: [0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const sizes = new Histogram({
    name: 'response_size_bytes',
    help: 'How large answers were.',
    labelNames: requestLabels,
    buckets: [200, 500, 900, 1500],
    registers,
  })
  new Gauge({
    name: 'dex_build_info',
    help: 'The running version; always 1. Named as in Dex.',
    labelNames: ['version', 'go_version', 'platform'],
    registers,
  }).set({ version, go_version: process.version, platform: platformName() }, 1)

  const upstreamCalls = new Counter({
    name: 'countersign_upstream_calls_total',
    help: 'Calls to upstreams.',
    labelNames: ['connector', 'call', 'outcome'],
    registers,
  })
  const upstreamDurations = new Histogram({
    name: 'countersign_upstream_call_duration_seconds',
    help: 'How long calls to upstreams took.',
    labelNames: ['connector', 'call'],
    buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const logins = new Counter({
    name: 'countersign_logins_total',
    help: 'Logins that ended.',
    labelNames: ['connector', 'outcome'],
    registers,
  })
  const tokens = new Counter({
    name: 'countersign_tokens_issued_total',
    help: 'Successful answers of the token endpoint, and of the authorization endpoint with tokens.',
    labelNames: ['grant_type'],
    registers,
  })
  const refreshes = new Counter({
    name: 'countersign_refreshes_total',
    help: 'Refreshes by the connector of the login.',
    labelNames: ['connector', 'outcome'],
    registers,
  })
  const checkAges = new Histogram({
    name: 'countersign_refresh_check_age_seconds',
    help: 'How old what the upstream said was when a refresh was answered.',
    labelNames: ['connector', 'answer'],
    buckets: [1, 60, 300, 900, 3600, 14_400, 86_400, 604_800],
    registers,
  })
  const logoutNotices = new Counter({
    name: 'countersign_logout_notices_total',
    help: 'Logout tokens sent to clients (back-channel logout).',
    labelNames: ['outcome'],
    registers,
  })
  const up = new Gauge({
    name: 'countersign_connector_up',
    help: '1 if the last call to the upstream of the connector was answered.',
    labelNames: ['connector'],
    registers,
  })
  let count: (() => Promise<RecordCount[]>) | undefined
  new Gauge({
    name: 'countersign_records',
    help: 'Records kept.',
    labelNames: ['kind', 'state'],
    registers,
    async collect() {
      this.reset()
      try {
        for (const entry of (await count?.()) ?? []) this.set({ kind: entry.kind, state: entry.state }, entry.count)
      } catch {
        // The store does not answer: readiness says so, and the other metrics are wanted now more than ever.
      }
    },
  })
  let look: (() => Promise<{ connector: string; seconds: number }[]>) | undefined
  new Gauge({
    name: 'countersign_refresh_oldest_check_age_seconds',
    help: 'Time since the upstream was asked about the refresh token that it was asked about least lately.',
    labelNames: ['connector'],
    registers,
    async collect() {
      this.reset()
      try {
        for (const { connector, seconds } of (await look?.()) ?? []) this.set({ connector }, seconds)
      } catch {
        // As above.
      }
    },
  })
  registerProcessMetrics(register)

  return {
    request: ({ code, method, handler, seconds, bytes }) => {
      const labels = { code, method: methodLabel(method), handler }
      requests.inc(labels)
      durations.observe(labels, seconds)
      sizes.observe(labels, bytes)
    },
    upstreamCall: ({ connector, call, outcome, seconds }) => {
      upstreamCalls.inc({ connector, call, outcome })
      upstreamDurations.observe({ connector, call }, seconds)
    },
    login: (connector, outcome) => logins.inc({ connector, outcome }),
    tokensIssued: (grantType) => tokens.inc({ grant_type: grantType }),
    refresh: (connector, outcome) => refreshes.inc({ connector, outcome }),
    logoutNotice: (outcome) => logoutNotices.inc({ outcome }),
    checkAge: (connector, answer, seconds) => checkAges.observe({ connector, answer }, seconds),
    connectorUp: (connector, isUp) => up.set({ connector }, isUp ? 1 : 0),
    countRecords: (callback) => {
      count = callback
    },
    oldestChecks: (callback) => {
      look = callback
    },
    render: () => register.metrics(),
    contentType: register.contentType,
  }
}
