/**
 * The program as an operator runs it, watched from outside: its exit code, its files, what it prints. Beside it a client in
 * few words.
 *
 *     await using place = await openPlace()
 *     await using server = await place.serve({ storage: place.lowdb })
 *     const { refresh_token } = await logIn(server.issuer)
 *
 * `COUNTERSIGN_PROGRAM` names another build of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, browse, send } from '../../bench/agent.ts'
import { freePort } from '../clients/lib/program.ts'

export { type Answer, freePort, send }

const root = join(import.meta.dirname, '..', '..')
const startLimit = 20_000
/** The sources start in half the time. */
const compiled = join(root, 'node_modules', '.cache', 'countersign')

export interface Launched extends AsyncDisposable {
  child: ChildProcess
  stdout(): string
  stderr(): string
  /** Waits until the log says something. */
  printed(what: RegExp): Promise<void>
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

export interface LaunchOptions {
  cwd?: string
  env?: Record<string, string>
  /** Modules that are loaded before the program. */
  preload?: string[]
  /** For Node. */
  flags?: string[]
  /** Instead of `bin/countersign.js` on this Node: a command and its first arguments. */
  command?: [string, ...string[]]
}

/** Runs `countersign ARGS`. Disposing of it kills it. */
export function launch(args: string[], options: LaunchOptions = {}): Launched {
  const program = process.env.COUNTERSIGN_PROGRAM ?? join(root, 'bin', 'countersign.js')
  const preload = (options.preload ?? []).flatMap((file) => ['--import', file])
  const [command, ...first] = options.command ?? [process.execPath, ...(options.flags ?? []), ...preload, program]
  const child = spawn(command, [...first, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(!options.command && { NODE_COMPILE_CACHE: compiled }), ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      said[name] += chunk
    })
  }
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal!))
  })
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return ended
  }
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    async printed(what) {
      await eventually(`${what} in the log`, async () => what.test(said.stderr) || undefined)
    },
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
    },
  }
}

/** Runs `countersign ARGS` to its end. */
export async function run(args: string[], options: LaunchOptions = {}) {
  await using launched = launch(args, options)
  const code = await launched.ended
  return { code, stdout: launched.stdout(), stderr: launched.stderr() }
}

export interface Served extends Launched {
  issuer: string
  telemetry: string
  /** Milliseconds from the start of the process to the first answer of discovery. */
  startedIn: number
}

/** A folder with a configuration file, whose server keeps its addresses from one start to the next. */
export interface Place extends AsyncDisposable {
  folder: string
  file: string
  /** For `storage:`, in `folder/state/store`. */
  lowdb: { type: 'lowdb'; config: { file: string } }
  issuer: string
  telemetry: string
  /** Writes the file: what every test needs, and `more` over it. */
  configure(more?: Record<string, unknown>): Promise<void>
  /** Starts without waiting, with the file as it is. */
  launch(options?: LaunchOptions): Launched
  /** Writes the file if there is `more`, starts, and waits for the discovery document. */
  serve(more?: Record<string, unknown>, options?: LaunchOptions): Promise<Served>
}

export const client = { id: 'web', secret: 'secret-of-the-client-web', callback: 'http://127.0.0.1:9/callback' }

/** Of `password`, at the lowest cost that is allowed. */
export const passwordHash = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'

export async function openPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-place-'))
  const file = join(folder, 'config.json')
  const [port, telemetryPort] = [await freePort(), await freePort()]
  const issuer = `http://127.0.0.1:${port}/dex`
  const telemetry = `http://127.0.0.1:${telemetryPort}`
  const base = {
    issuer,
    storage: { type: 'memory' },
    web: { http: `127.0.0.1:${port}` },
    telemetry: { http: `127.0.0.1:${telemetryPort}` },
    oauth2: { skipApprovalScreen: true },
    connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock' }],
    staticClients: [
      { id: client.id, secret: client.secret, name: 'Web', redirectURIs: [client.callback] },
      { id: 'device', name: 'Device', public: true, redirectURIs: ['/device/callback', '/dex/device/callback'] },
    ],
  }
  const place: Place = {
    folder,
    file,
    lowdb: { type: 'lowdb', config: { file: join(folder, 'state', 'store') } },
    issuer,
    telemetry,
    configure: (more = {}) => writeFile(file, JSON.stringify({ ...base, ...more })),
    launch: (options) => launch(['serve', file], { cwd: folder, ...options }),
    async serve(more, options) {
      if (more) await place.configure(more)
      const started = performance.now()
      const launched = place.launch(options)
      try {
        await answering(`${issuer}/.well-known/openid-configuration`, launched)
      } catch (error) {
        await launched[Symbol.asyncDispose]()
        throw error
      }
      return { ...launched, issuer, telemetry, startedIn: performance.now() - started }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  await place.configure()
  return place
}

/** Waits until an address answers 200; fails with what the program printed. */
export async function answering(url: string, launched: Launched): Promise<void> {
  let gone = false
  void launched.ended.then(() => {
    gone = true
  })
  for (const limit = performance.now() + startLimit; performance.now() < limit; await pause(5)) {
    const answer = await send(url).catch(() => undefined)
    if (answer?.status === 200) return
    if (gone) break
  }
  throw new Error(`${url} does not answer:\n${launched.stdout()}${launched.stderr()}`)
}

/** Waits until `look` finds something. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, limitMs = 20_000): Promise<T> {
  for (const limit = performance.now() + limitMs; performance.now() < limit; await pause(20)) {
    const found = await look()
    if (found !== undefined) return found
  }
  throw new Error(`${what}: not within ${limitMs / 1000} s`)
}

export interface Tokens {
  access_token: string
  id_token: string
  refresh_token?: string
}

export interface LoginRequest {
  connector?: string
  scope?: string
}

const verifier = randomBytes(32).toString('base64url')
const challenge = createHash('sha256').update(verifier).digest('base64url')

export const authorizationUrl = (issuer: string, { connector = 'mock', scope = everything }: LoginRequest = {}) =>
  `${issuer}/auth/${connector}?${new URLSearchParams({
    client_id: client.id,
    redirect_uri: client.callback,
    response_type: 'code',
    scope,
    state: randomBytes(16).toString('base64url'),
    nonce: randomBytes(16).toString('base64url'),
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })}`

const everything = 'openid profile email groups offline_access'

/** Walks a login up to the code. */
export async function authorize(issuer: string, request: LoginRequest = {}): Promise<string> {
  const arrived = await browse(authorizationUrl(issuer, request), client.callback)
  const code = arrived.get('code')
  if (code === null) throw new Error(`no code came back: ${arrived}`)
  return code
}

const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`

/** The token endpoint, as the client `web`. */
export const token = (issuer: string, fields: Record<string, string>): Promise<Answer> =>
  send(`${issuer}/token`, {
    method: 'POST',
    headers: { Authorization: basic },
    body: new URLSearchParams(fields).toString(),
  })

export const redeem = (issuer: string, code: string): Promise<Answer> =>
  token(issuer, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: client.callback,
    code_verifier: verifier,
  })

export const refresh = (issuer: string, refreshToken: string): Promise<Answer> =>
  token(issuer, { grant_type: 'refresh_token', refresh_token: refreshToken })

/** @throws Error unless it is an answer with tokens */
export function tokensOf({ status, body }: Answer): Tokens {
  if (status !== 200) throw new Error(`no tokens: ${status} ${body}`)
  return JSON.parse(body) as Tokens
}

/** A whole login of somebody who is asked nothing. */
export async function logIn(issuer: string, request: LoginRequest = {}): Promise<Tokens> {
  return tokensOf(await redeem(issuer, await authorize(issuer, request)))
}
