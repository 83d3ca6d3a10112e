/** The lock against a second process on the same file: a file that names its holder. */
import { execFile } from 'node:child_process'
import { open, readFile, readlink, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as pauseFor } from 'node:timers/promises'
import { promisify } from 'node:util'
import { StoreInUse } from '../../contract.ts'

/** Who holds a lock. A pid alone says little: it is given again, and in a container it is always 1. */
export interface Holder {
  pid: number
  /** When the process started, as its system tells it; empty when it does not. */
  started: string
  host: string
  /** Changes with every start of the machine. */
  boot: string
  /** The namespace in which the pid counts. */
  namespace: string
}

export interface Lock {
  release(): Promise<void>
}

export interface LockOptions {
  /** Who asks; this process when absent. */
  holder?: Holder
  pause?: (milliseconds: number) => Promise<unknown>
}

/** Milliseconds between two signs of life in the lock's modification time. */
const beat = 5_000
/** Milliseconds after which a holder whose pid cannot be looked up counts as gone. */
const patience = 15_000

/**
 * Takes the lock `path` for `file`. The lock of a process that is gone (kill -9, power) is taken over.
 * @throws with a sentence that names the pid when another process holds it
 */
export async function takeLock(path: string, file: string, options: LockOptions = {}): Promise<Lock> {
  const holder = options.holder ?? (await thisProcess())
  const pause = options.pause ?? pauseFor
  if (!(await claim(path, holder))) {
    const text = await readText(path)
    if (text !== undefined) {
      if (await isHeld(path, text, holder, pause)) throw inUse(file, path, text)
      await removeStale(path, text, file, holder, pause)
    }
    if (!(await claim(path, holder))) throw inUse(file, path, (await readText(path)) ?? '')
  }
  const timer = setInterval(() => {
    const now = new Date()
    // Without its lock file the process goes on; who removed it by hand wanted that.
    utimes(path, now, now).catch(() => {})
  }, beat)
  timer.unref()
  return {
    async release() {
      clearInterval(timer)
      if ((await readText(path)) === JSON.stringify(holder)) await rm(path, { force: true })
    },
  }
}

/** The running process as a lock names it. */
export async function thisProcess(): Promise<Holder> {
  return {
    pid: process.pid,
    started: (await startOf(process.pid)) ?? '',
    host: hostname(),
    boot: ((await readText('/proc/sys/kernel/random/boot_id')) ?? '').trim(),
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''),
  }
}

/** Makes the lock file; false when there is one. */
async function claim(path: string, holder: Holder): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(JSON.stringify(holder))
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Removes a lock nobody holds. Of several that found it so, one removes it: a lock made meanwhile must not go with it. */
async function removeStale(
  path: string,
  text: string,
  file: string,
  holder: Holder,
  pause: (milliseconds: number) => Promise<unknown>,
): Promise<void> {
  const guard = `${path}-taking`
  if (!(await claim(guard, holder))) {
    const other = (await readText(guard)) ?? ''
    if (await isHeld(guard, other, holder, pause)) throw inUse(file, guard, other)
    await rm(guard, { force: true })
    if (!(await claim(guard, holder))) throw inUse(file, guard, (await readText(guard)) ?? '')
  }
  try {
    if ((await readText(path)) === text) await rm(path, { force: true })
  } finally {
    await rm(guard, { force: true })
  }
}

async function isHeld(
  path: string,
  text: string,
  asking: Holder,
  pause: (milliseconds: number) => Promise<unknown>,
): Promise<boolean> {
  const other = parseHolder(text)
  if (other && other.host === asking.host && other.boot !== asking.boot) return false
  if (other && other.boot === asking.boot && other.namespace === asking.namespace) {
    const started = await startOf(other.pid)
    return started !== undefined && (started === other.started || started === '' || other.started === '')
  }
  // Another container or machine, or a lock half written: only its signs of life can tell.
  const before = await modified(path)
  if (before === undefined || Date.now() - before > patience) return false
  await pause(patience)
  const after = await modified(path)
  return after !== undefined && after !== before
}

/** When a process started; `''` when it runs and the system does not say; `undefined` when it does not run. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readText(`/proc/${pid}/stat`)
  if (text !== undefined) {
    // The name in parentheses may hold anything; state is the 3rd field and starttime the 22nd (proc_pid_stat(5)).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  }
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined
  }
  return promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Holder
    return Number.isSafeInteger(value.pid) && value.pid > 0 ? value : undefined
  } catch {
    return undefined
  }
}

function inUse(file: string, path: string, text: string): Error {
  const other = parseHolder(text)
  const who = other ? `process ${other.pid} on ${other.host}` : 'another process'
  return new StoreInUse(
    `storage: the file ${file} is in use by ${who}, and two processes cannot share it. ` +
      `Stop that process, or give this one a file of its own. (The lock is ${path}.)`,
  )
}

async function modified(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
