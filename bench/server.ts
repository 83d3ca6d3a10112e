/** A program under test: starts it with `serve FILE` and reads what it costs from /proc. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { send } from './agent.ts'

export interface Program {
  name: string
  command: string
  args: string[]
}

export interface Server {
  issuer: string
  /** Milliseconds from the start of the process to the first answer of discovery. */
  startedIn: number
  /** Milliseconds of processor time, user and system, of the process and its descendants since the start. */
  cpu(): number
  /** Resident memory in bytes, descendants included. */
  memory(): number
  stop(): Promise<void>
}

/** Clock ticks of /proc/PID/stat are hundredths of a second on every Linux that Node runs on. */
const TICK = 10

function processTree(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = statOf(Number(name))
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]))
  }
  const tree = [pid]
  for (const each of tree) for (const [child, parent] of parents) if (parent === each) tree.push(child)
  return tree
}

/** Fields of /proc/PID/stat from the third on; the second, the name, may hold blanks. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function cpuOf(pid: number): number {
  // utime, stime, cutime, cstime: fields 14 to 17.
  return (statOf(pid)?.slice(11, 15) ?? []).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK
}

function memoryOf(pid: number): number {
  const path = `/proc/${pid}/status`
  const line = existsSync(path) ? /VmRSS:\s+(\d+) kB/.exec(readFileSync(path, 'utf8')) : undefined
  return Number(line?.[1] ?? 0) * 1024
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

/** Starts `program` with the configuration that `write` makes of its issuer and a folder for its files. */
export async function serve(
  program: Program,
  write: (issuer: string, listen: string, folder: string) => object,
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}/dex`
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify(write(issuer, `127.0.0.1:${port}`, folder)))
  const started = performance.now()
  const child = spawn(program.command, [...program.args, 'serve', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-4000)
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), 3000)
    await ended
    clearTimeout(force)
    rmSync(folder, { recursive: true, force: true })
  }
  for (;;) {
    const answer = await send(`${issuer}/.well-known/openid-configuration`).catch(() => undefined)
    if (answer?.status === 200) break
    if (child.exitCode !== null || performance.now() - started > 20_000) {
      await stop()
      throw new Error(`${program.name} did not start: ${said}`)
    }
    await pause(5)
  }
  const pid = child.pid ?? 0
  return {
    issuer,
    startedIn: performance.now() - started,
    cpu: () => processTree(pid).reduce((sum, each) => sum + cpuOf(each), 0),
    memory: () => processTree(pid).reduce((sum, each) => sum + memoryOf(each), 0),
    stop,
  }
}
