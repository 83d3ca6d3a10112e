/** Starts and stops the program under test with one configuration of a scenario file. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../../clients/lib/program.ts'
import { send } from './exchange.ts'
import { type DexFile, fill, type Names } from './scenarios.ts'

const STARTING_MS = 20_000
const STOPPING_MS = 5_000

/** The command line of a program; `serve FILE` is added to it. */
export type Program = readonly [command: string, ...args: string[]]

/** This checkout, on the Node that runs here. */
export const countersign: Program = [
  process.execPath,
  join(import.meta.dirname, '..', '..', '..', 'bin', 'countersign.js'),
]

export interface Server {
  /** `port`, `origin` and `issuer`. */
  names: Names
  /** Without a slash at its end. */
  issuer: string
  stop(): Promise<void>
}

/** The address of a server on `port`, as scenarios name it. */
export function namesAt(port: number, { issuer = '{origin}/dex' }: DexFile): Names & { issuer: string } {
  const origin = `http://127.0.0.1:${port}`
  return { port: String(port), origin, issuer: fill(issuer, { origin }) }
}

/** The configuration as the program gets it. JSON is YAML. */
export const configurationText = (file: DexFile, names: Names): string =>
  JSON.stringify(
    {
      storage: { type: 'memory' },
      logger: { level: 'error' },
      ...fill(file, names),
      issuer: names.issuer,
      web: { http: `127.0.0.1:${names.port}`, ...file.web },
    },
    null,
    2,
  )

/** Resolves when the discovery document is there. */
export async function startServer(program: Program, file: DexFile, upstreams: Names): Promise<Server> {
  const names = namesAt(await freePort(), file)
  const text = configurationText(file, { ...upstreams, ...names })
  const folder = mkdtempSync(join(tmpdir(), 'recorded-answers-'))
  const configFile = join(folder, 'config.yaml')
  writeFileSync(configFile, text)
  const child = launch(program, configFile)
  const tidy = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', tidy) // when the run is cut short
  const stop = async () => {
    await child.end()
    process.off('exit', tidy)
    tidy()
  }
  const issuer = names.issuer.replace(/\/$/, '')
  try {
    await answering(`${issuer}/.well-known/openid-configuration`, child)
  } catch (error) {
    await stop()
    throw error
  }
  return { names, issuer, stop }
}

interface Child {
  /** The last that it printed. */
  output(): string
  isGone(): boolean
  end(): Promise<void>
}

/** Runs in a process group of its own, so that a wrapper such as npx takes its children along when it ends. */
function launch([command, ...args]: Program, configFile: string): Child {
  const running = spawn(command, [...args, 'serve', configFile], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  let gone = false
  const keep = (data: unknown) => {
    output = (output + data).slice(-4000)
  }
  running.stdout.on('data', keep)
  running.stderr.on('data', keep)
  const end = new Promise<void>((resolve) => {
    running.on('error', (error) => {
      keep(error.message)
      resolve()
    })
    running.on('exit', () => resolve())
  }).then(() => {
    gone = true
  })
  const signal = (name: NodeJS.Signals) => {
    if (gone || running.pid === undefined) return
    try {
      process.kill(-running.pid, name)
    } catch {
      // it ended by itself in this moment
    }
  }
  const kill = () => signal('SIGKILL')
  process.once('exit', kill)
  return {
    output: () => output,
    isGone: () => gone,
    async end() {
      signal('SIGTERM')
      await Promise.race([end, pause(STOPPING_MS, undefined, { ref: false })])
      kill()
      await end
      process.off('exit', kill)
    },
  }
}

async function answering(url: string, child: Child): Promise<void> {
  for (const limit = Date.now() + STARTING_MS; Date.now() < limit; await pause(40)) {
    if (child.isGone()) throw new Error(`the server ended at once: ${lastWords(child)}`)
    const answer = await send(url).catch(() => undefined)
    if (answer?.status === 200) return
  }
  throw new Error(`no discovery document at ${url} within ${STARTING_MS / 1000} s: ${lastWords(child)}`)
}

const lastWords = (child: Child): string => child.output().trim().slice(-600)
