/** The program as an operator starts it: a configuration file, flags, environment. */
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, waitUntil } from '../../clients/lib/program.ts'

/** What `serve FILE` is called with. */
export const countersign = join(import.meta.dirname, '..', '..', '..', 'bin', 'countersign.js')

export interface Serving extends AsyncDisposable {
  /** Everything that it wrote so far. */
  output(): string
  /** A line of the log that matches. */
  logged(pattern: RegExp): Promise<string>
}

export interface ServeOptions {
  args?: string[]
  env?: Record<string, string>
  cwd?: string
  /** Instead of this checkout's entry: a command in the path of `env`. */
  command?: string
}

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that goes away with the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-integration-'))
  folders.push(folder)
  return folder
}

/**
 * A port that nobody uses and that the system gives to nobody by itself, as it does with those from 32768 on: between
 * this look and the start of the server a moment passes.
 */
export async function quietPort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(12_000, 32_000)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error('no port is free')
}

/** A configuration as text or object (JSON is YAML) in a file of its own. */
export function configurationFile(configuration: string | object, folder = temporaryFolder()): string {
  const file = join(folder, 'config.yaml')
  writeFileSync(file, typeof configuration === 'string' ? configuration : JSON.stringify(configuration))
  return file
}

/** Runs `serve FILE` until it says that it has started. @throws when it ends instead */
export async function serve(file: string, { args = [], env = {}, cwd, command }: ServeOptions = {}): Promise<Serving> {
  const whole = { ...process.env, ...env }
  const [program, first] = command === undefined ? [process.execPath, [countersign]] : [command, []]
  const running = start(program, [...first, 'serve', file, ...args], {
    env: whole,
    cwd: cwd ?? temporaryFolder(),
  })
  let ended = false
  running.child.once('exit', () => {
    ended = true
  })
  const started = async () => (ended || /\btype=started\b|"type":"started"/.test(running.output()) ? true : undefined)
  await waitUntil('The server', started, running.output)
  if (ended) throw new Error(`The server ended at its start:\n${running.output()}`)
  const line = (pattern: RegExp): string | undefined =>
    running
      .output()
      .split('\n')
      .find((each) => pattern.test(each))
  return {
    output: running.output,
    logged: (pattern) => waitUntil(`A line like ${pattern}`, async () => line(pattern), running.output),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
