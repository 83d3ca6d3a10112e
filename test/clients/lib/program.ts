import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const root = join(import.meta.dirname, '..', '..', '..')

/** A port of 127.0.0.1 that nobody uses now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Waits until `look` finds something; fails with what the process said. */
export async function waitUntil<T>(what: string, look: () => Promise<T | undefined>, output: () => string): Promise<T> {
  const limit = Date.now() + 20_000
  while (Date.now() < limit) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    await pause(50)
  }
  throw new Error(`${what} did not come up within 20 seconds:\n${output()}`)
}

export interface RunningProcess extends AsyncDisposable {
  child: ChildProcess
  output(): string
}

/** Starts a program in the background; disposing of it ends it. */
export function start(
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): RunningProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  const keep = (chunk: Buffer) => {
    output += chunk
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.on('error', (error) => keep(Buffer.from(error.message)))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    child,
    output: () => output,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 3_000)
      await ended
      clearTimeout(force)
    },
  }
}

/** `admin@example.com` and `viewer@example.com`, both with this password. */
export const PASSWORD = 'password'
const HASH = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'

export interface RunningProvider extends AsyncDisposable {
  issuer: string
  output(): string
}

/**
 * The server as an operator starts it, `serve FILE`, with a mock connector, two local users and what the test adds;
 * `origins` may call it from a browser, `path` is that of the issuer, `web` goes into the key of that name.
 * `COUNTERSIGN_PROGRAM` names another program that takes `serve FILE`.
 */
export async function startProvider(
  more: Record<string, unknown>,
  origins: string[] = [],
  { path = '/dex', web = {}, env = {} }: { path?: string; web?: Record<string, unknown>; env?: NodeJS.ProcessEnv } = {},
): Promise<RunningProvider> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-client-'))
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}${path}`
  const file = join(folder, 'config.json')
  const user = (name: string, groups: string[]) => ({
    email: `${name}@example.com`,
    hash: HASH,
    username: name,
    userID: `id-of-${name}`,
    groups,
  })
  await writeFile(
    file,
    JSON.stringify({
      issuer,
      storage: { type: 'memory' },
      web: { http: `127.0.0.1:${port}`, allowedOrigins: origins, ...web, ...(more.web as object | undefined) },
      oauth2: { skipApprovalScreen: true },
      enablePasswordDB: true,
      connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock' }],
      staticPasswords: [user('admin', ['admins', 'staff']), user('viewer', ['staff'])],
      ...withoutWeb(more),
    }),
  )
  const program = process.env.COUNTERSIGN_PROGRAM ?? join(root, 'bin', 'countersign.js')
  const [command, args] = /\.[jt]s$/.test(program) ? [process.execPath, [program]] : [program, []]
  const running = start(command, [...args, 'serve', file], { cwd: folder, env: { ...process.env, ...env } })
  const answers = async () => (await fetch(`${issuer}/.well-known/openid-configuration`)).ok || undefined
  try {
    await waitUntil('The server', answers, running.output)
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
  return {
    issuer,
    output: running.output,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Skips when a program is not on this machine, saying what to install; where CI=true that is a failure. */
export function needs(context: Mocha.Context, paths: string[], install: string): void {
  const absent = paths.filter((path) => !existsSync(path))
  if (absent.length > 0) missing(context, absent.join(', '), install)
}

function missing(context: Mocha.Context, what: string, install: string): void {
  const message = `needs ${what}: ${install}`
  assert.notEqual(process.env.CI, 'true', message)
  console.log(`  ${message}`)
  context.skip()
}

/** Likewise for a command in the path. */
export function needsCommand(
  context: Mocha.Context,
  command: string,
  args: string[],
  install: string,
  path = process.env.PATH,
): void {
  const { status } = spawnSync(command, args, { env: { ...process.env, PATH: path }, stdio: 'ignore' })
  if (status !== 0) missing(context, command, install)
}

const withoutWeb = ({ web: _, ...rest }: Record<string, unknown>) => rest
