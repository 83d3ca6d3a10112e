/**
 * A whole server in this process, for tests of journeys: a configuration file is read as `serve` reads it, the application
 * listens on a free port of loopback, and everything that it stores and logs is kept for the test to look at. It is put
 * together as in src/server/server.ts, but with its store in reach.
 *
 *     await using server = await startServer({ connectors: [...], expiry: {...} }, { store: 'lowdb' })
 *     const { tokens, browser } = await logIn(server, { scope: 'openid offline_access' })
 *     const answer = await server.refresh(tokens.refresh_token!)
 *
 * Without more the configuration has the clients `web`, `cli`, `peer` and `device`, the connector `mock` (mockCallback)
 * and no approval page; what a test gives replaces whole members of it. `connectors: [corp()]` brings people that a test
 * changes, see upstream.ts.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { decodeJwt } from 'jose'
import { describeFindings, loadFile } from '../../src/cli/check.ts'
import { type App, openApp } from '../../src/server/app.ts'
import { listen } from '../../src/server/listen.ts'
import { requestAttributes } from '../../src/server/request-context.ts'
import type { Services } from '../../src/server/services.ts'
import type { Change, StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { kinds } from '../../src/storage/kinds.ts'
import { sealerFor } from '../../src/storage/sealing-key.ts'
import { openAudit } from '../../src/telemetry/audit.ts'
import { openLog } from '../../src/telemetry/log.ts'
import { openMetrics } from '../../src/telemetry/metrics.ts'
import { type Browser, type BrowserAnswer, clientOrigin, openBrowser } from './browser.ts'
import { upstreamModule } from './upstream.ts'

export interface Client {
  id: string
  secret?: string
  redirectUri: string
  /** How it says who it is at the token endpoint; default `post`. */
  by?: 'basic' | 'post'
}

/** Confidential. */
export const web: Client = { id: 'web', secret: 'web-secret', redirectUri: `${clientOrigin}web/callback` }
/** Public, at any port of loopback as command lines are. */
export const cli: Client = { id: 'cli', redirectUri: `${clientOrigin}cli/callback` }
/** Confidential; trusts `web`. */
export const peer: Client = { id: 'peer', secret: 'peer-secret', redirectUri: `${clientOrigin}peer/callback` }
/** Public; used by devices. */
export const device: Client = { id: 'device', redirectUri: '/device/callback' }

const clientsOfFile = [
  { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
  { id: cli.id, name: 'Command line', public: true },
  { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri], trustedPeers: [web.id] },
  { id: device.id, name: 'Device', public: true, redirectURIs: ['/device/callback', '/dex/device/callback'] },
]

/** A connector of a configuration that asks `upstream(name)`. */
export const corp = (name: string, config: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
  type: upstreamModule,
  id: 'corp',
  name: 'Corp',
  config: { name, ...config },
  ...more,
})

/** `password`, hashed at the lowest cost that is allowed. */
export const passwordHash = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'

export interface StartOptions {
  /** Default `memory`; `lowdb` keeps its files in `server.folder`. */
  store?: 'memory' | 'lowdb'
  /** Path of the issuer, default `/dex`; empty for a root issuer. */
  path?: string
  /** Of the issuer, such as `localhost`; it is loopback that listens in any case. Default `127.0.0.1`. */
  host?: string
  /** Puts something between the application and its store, such as one that fails. */
  wrap?: (driver: StorageDriver) => StorageDriver
  env?: Record<string, string>
  /** A server that was closed: this one comes back in its place, with its folder and its port. */
  instead?: FlowServer
}

export interface Tokens {
  access_token: string
  id_token: string
  refresh_token?: string
  token_type: string
  expires_in: number
  scope?: string
}

export interface FlowServer extends AsyncDisposable {
  issuer: string
  origin: string
  /** Holds the configuration file and, for lowdb, the store `store.json`. */
  folder: string
  services: Services
  driver: StorageDriver
  /** Every commit since the start that was tried, with whether it was made. */
  commits: { changes: readonly Change[]; ok: boolean }[]
  /** The log, as JSON lines. */
  logged(): string
  /** Attributes of the audit events so far. */
  audited(): Record<string, unknown>[]
  /** The page of metrics. */
  metrics(): Promise<string>
  url(path: string): string
  /** A request outside any browser. */
  request: Browser['request']
  /** Posts a form to an endpoint, with the client's credentials if one is named. */
  post(path: string, fields: Record<string, string>, client?: Client): Promise<BrowserAnswer>
  /** The token endpoint. */
  token(fields: Record<string, string>, client?: Client): Promise<BrowserAnswer>
  redeem(arrival: Arrived, more?: Record<string, string>): Promise<BrowserAnswer>
  refresh(token: string, client?: Client, more?: Record<string, string>): Promise<BrowserAnswer>
  introspect(token: string, client?: Client): Promise<Record<string, unknown>>
  userinfo(token: string): Promise<BrowserAnswer>
  /** Ends the server and leaves its files; disposing of it removes them. */
  close(): Promise<void>
}

/** @param config members of the configuration, over those that the harness brings */
export async function startServer(
  config: Record<string, unknown> = {},
  {
    store = 'memory',
    path = '/dex',
    host = '127.0.0.1',
    wrap = (driver) => driver,
    env = {},
    instead,
  }: StartOptions = {},
): Promise<FlowServer> {
  await using started = new AsyncDisposableStack()
  const folder = instead?.folder ?? (await mkdtemp(join(tmpdir(), 'countersign-flow-')))
  let written = ''
  const log = openLog(
    { level: -4, format: 'json', excludeFields: [] },
    {
      write(text) {
        written += text
      },
    },
    { attributes: requestAttributes },
  )
  let app: App | undefined
  let driver: StorageDriver | undefined
  // The issuer names the port, so that comes first.
  const http = `127.0.0.1:${instead ? new URL(instead.origin).port : 0}`
  const web = await listen({ http, handler: (...both) => app?.handler(...both), log })
  started.defer(async () => {
    await web.close(0)
    await app?.close()
    await driver?.close()
  })
  const origin = `http://${host}:${web.addresses[0]!.port}`
  const issuer = `${origin}${path}`
  const file = join(folder, 'config.json')
  await writeFile(file, JSON.stringify({ ...baseOf(issuer, store, folder), ...config }))
  const { settings, faults } = await loadFile(file, { strict: false, env })
  if (!settings) throw new Error(describeFindings(faults, []).join('\n'))

  const now = () => new Date()
  const commits: FlowServer['commits'] = []
  driver = await openStorage(settings.storage, { log, now })
  const sealer = await sealerFor(settings.storage)
  const seen = wrap(watched(driver, commits))
  const metrics = openMetrics({ version: 'test' })
  const parts = {
    options: settings,
    driver: seen,
    sealer,
    log,
    audit: openAudit(log),
    metrics,
    version: 'test',
    env,
    now,
  }
  app = await openApp(parts)
  const running = started.move()

  const outside = openBrowser()
  const logged = () => {
    log.flush()
    return written
  }
  const server: FlowServer = {
    issuer,
    origin,
    folder,
    services: app.services,
    driver,
    commits,
    logged,
    audited: () =>
      logged()
        .split('\n')
        .filter((line) => line.includes('"msg":"audit"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    metrics: () => metrics.render(),
    url: (below) => `${issuer.replace(/\/$/, '')}${below}`,
    request: outside.request,
    post(below, fields, client) {
      const { headers, form } = credentials(client)
      return outside.request(server.url(below), { headers, form: { ...fields, ...form } })
    },
    token: (fields, client) => server.post('/token', fields, client),
    redeem({ code, redirectUri, verifier, client }, more = {}) {
      const fields = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
      return server.token({ ...fields, ...more }, client)
    },
    refresh: (token, client = webClient, more = {}) =>
      server.token({ grant_type: 'refresh_token', refresh_token: token, ...more }, client),
    introspect: async (token, client = webClient) => (await server.post('/token/introspect', { token }, client)).json(),
    userinfo: (token) => outside.request(server.url('/userinfo'), { headers: { authorization: `Bearer ${token}` } }),
    close: () => running.disposeAsync(),
    async [Symbol.asyncDispose]() {
      await running.disposeAsync()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return server
}

const webClient = web

function baseOf(issuer: string, store: 'memory' | 'lowdb', folder: string) {
  return {
    issuer,
    storage: store === 'memory' ? { type: 'memory' } : { type: 'lowdb', config: { file: join(folder, 'store.json') } },
    web: { http: '127.0.0.1:0' },
    oauth2: { skipApprovalScreen: true },
    connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock' }],
    staticClients: clientsOfFile,
  }
}

/** Keeps what is committed; keys are the server's own business and are left out. */
function watched(driver: StorageDriver, commits: FlowServer['commits']): StorageDriver {
  return {
    ...driver,
    async commit(changes) {
      const result = await driver.commit(changes)
      if (changes.some(({ kind }) => kind !== 'keys')) commits.push({ changes, ok: result.ok })
      return result
    },
  }
}

/** Of what was committed: the changes that a disk is asked for. */
export const durable = (commits: FlowServer['commits']): Change[] =>
  commits.flatMap(({ changes }) =>
    changes.filter(({ kind }) => kinds[kind as keyof typeof kinds].durability === 'durable'),
  )

function credentials(client: Client | undefined): { headers: Record<string, string>; form: Record<string, string> } {
  if (!client) return { headers: {}, form: {} }
  const { id, secret, by = 'post' } = client
  if (by === 'post')
    return { headers: {}, form: { client_id: id, ...(secret !== undefined && { client_secret: secret }) } }
  const pair = [id, secret ?? ''].map(encodeURIComponent).join(':')
  return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, form: {} }
}

/** An authorization request, as a client sends it. */
export interface AuthRequest {
  client?: Client
  scope?: string
  /** Chosen by the client; absent: the only one, or the person chooses. */
  connector?: string
  redirectUri?: string
  /** Over what the harness sends; an empty text leaves a parameter out. */
  params?: Record<string, string>
}

export interface Started {
  url: string
  client: Client
  redirectUri: string
  state: string
  nonce: string
  verifier: string
}

/** Came back to the client with a code. */
export interface Arrived extends Started {
  code: string
  location: string
}

export const challengeOf = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')

/** A fresh request with PKCE, state and nonce. */
export function startLogin(server: Pick<FlowServer, 'url'>, request: AuthRequest = {}): Started {
  const { client = web, scope = 'openid profile email groups', connector, redirectUri = client.redirectUri } = request
  const [state, nonce, verifier] = [random(), random(), random()]
  const params = Object.entries({
    client_id: client.id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope,
    state,
    nonce,
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
    connector_id: connector ?? '',
    ...request.params,
  }).filter(([, value]) => value !== '')
  return { url: server.url(`/auth?${new URLSearchParams(params)}`), client, redirectUri, state, nonce, verifier }
}

const random = (): string => randomBytes(32).toString('base64url')

/** The parameters that a client gets at its redirect URI: of the query, the fragment or the form. */
export function answerAt(answer: BrowserAnswer): Record<string, string> {
  const { location } = answer
  if (location === undefined) {
    const form = answer.page().forms[0]
    if (!form) throw new Error(`nothing came back to the client: ${answer.status} ${answer.text.slice(0, 500)}`)
    return Object.fromEntries(form.inputs.flatMap(({ name, value = '' }) => (name ? [[name, value]] : [])))
  }
  const at = location.search(/[?#]/)
  return Object.fromEntries(new URLSearchParams(at < 0 ? '' : location.slice(at + 1)))
}

/** The client takes the answer and looks at its state, as it must. */
export function arrive(started: Started, answer: BrowserAnswer): Arrived {
  const { code, state } = answerAt(answer)
  if (code === undefined || state !== started.state) {
    throw new Error(`no code came back: ${answer.status} ${answer.location ?? answer.text.slice(0, 500)}`)
  }
  return { ...started, code, location: answer.location ?? '' }
}

export interface LoggedIn extends Arrived {
  browser: Browser
  tokens: Tokens
  /** Of the ID token. */
  claims: Record<string, unknown>
}

/** Up to the code: for connectors that ask the person nothing. */
export async function authorize(
  server: FlowServer,
  request: AuthRequest & { browser?: Browser } = {},
): Promise<Arrived & { browser: Browser }> {
  const { browser = openBrowser() } = request
  const started = startLogin(server, request)
  return { ...arrive(started, await browser.follow(started.url)), browser }
}

/** The whole way to tokens: for connectors that ask the person nothing. */
export async function logIn(server: FlowServer, request: AuthRequest & { browser?: Browser } = {}): Promise<LoggedIn> {
  const arrived = await authorize(server, request)
  const tokens = tokensOf(await server.redeem(arrived))
  return { ...arrived, tokens, claims: claimsOf(tokens.id_token) }
}

/** @throws Error unless the token endpoint gave tokens */
export function tokensOf(answer: BrowserAnswer): Tokens {
  if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${answer.text}`)
  return answer.json() as unknown as Tokens
}

/** Of a JWT, unverified. */
export const claimsOf = (token: string): Record<string, unknown> => decodeJwt(token)

/** `error` of a refusal, with its status. */
export const errorOf = (answer: BrowserAnswer): string => `${answer.status} ${String(answer.json().error)}`

/** Time that only a test moves, for everything in this process. */
export function stopClock(): Disposable & { advance(seconds: number): void } {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  return {
    advance: (seconds) => mock.timers.setTime(Date.now() + seconds * 1000),
    [Symbol.dispose]: () => mock.timers.reset(),
  }
}
