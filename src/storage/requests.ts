/**
 * How a command reaches the server that holds an embedded store, which nobody else may open meanwhile: a file beside the
 * store. The command makes it, the server puts the answer in its place, the command takes it away. Who may write there
 * could write the store itself, so the file needs no further proof; it never holds a secret.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as pauseFor } from 'node:timers/promises'
import type { Json } from '../lib/json.ts'
import type { Logger } from '../lib/logger.ts'
import type { StorageOptions } from './options.ts'

/** Where requests for a store lie; `undefined` for a store that a command can open itself, or that nobody can reach. */
export function requestPath({ type, config }: StorageOptions): string | undefined {
  return type === 'lowdb' ? `${resolve((config as { file: string }).file)}.request` : undefined
}

/** Milliseconds. */
const timing = {
  /** Between two looks of a server. */
  look: 1_000,
  /** Between two looks of a command for its answer. */
  wait: 50,
  /** After which a command gives up. */
  patience: 20_000,
  /** After which a request that nobody took away is a leftover of a command that was killed. */
  leftover: 60_000,
}

/** Bytes; a list of keys is far shorter. */
const longest = 1024 * 1024

interface Exchange {
  id: string
  ask: string
  answer?: Json
  error?: string
}

/** Modes: a server of another user than the command's has to read the request. */
const modes = { request: 0o644, answer: 0o644 } as const

/**
 * Asks the server that holds the store, and resolves with its answer.
 * @throws with a sentence for the operator when it refuses, or does not answer in time
 */
export async function askHolder(path: string, ask: string, patience = timing.patience): Promise<Json> {
  const id = randomUUID()
  await make(path, { id, ask })
  try {
    for (const end = performance.now() + patience; performance.now() < end; await pauseFor(timing.wait)) {
      const found = await readExchange(path)
      if (found?.id !== id) continue
      if (found.error !== undefined) throw new Error(found.error)
      if (found.answer !== undefined) return found.answer
    }
    throw new Error(
      `the server that holds the store did not answer within ${patience / 1000} s: it hangs, or is of an older version. ` +
        'Stop it, and give the command again.',
    )
  } finally {
    if ((await readExchange(path))?.id === id) await rm(path, { force: true })
  }
}

async function make(path: string, request: Exchange): Promise<void> {
  for (let again = false; ; again = true) {
    try {
      await write(path, request, modes.request)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (again || !(await isLeftover(path))) {
        throw new Error(`another command waits for the server already (${path}): give this one again when it has ended`)
      }
      await rm(path, { force: true })
    }
  }
}

async function isLeftover(path: string): Promise<boolean> {
  const found = await readExchange(path)
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  )
  const answered = found?.answer !== undefined || found?.error !== undefined
  return age > (answered ? 10 * timing.wait : timing.leftover)
}

/** What a server does when it is asked. */
export type Handlers = Readonly<Record<string, () => Promise<Json>>>

export interface RequestContext {
  handlers: Handlers
  log: Logger
  lookMs?: number
}

/** Looks for requests until it is closed. Does not keep the process alive. */
export function answerRequests(
  path: string,
  { handlers, log, lookMs = timing.look }: RequestContext,
): { close(): Promise<void> } {
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> = Promise.resolve()

  const look = async (): Promise<void> => {
    const request = await readTrusted(path)
    if (request === 'untrusted') return log.warn('a request beside the store is of somebody else', { path })
    if (!request || request.answer !== undefined || request.error !== undefined) return
    const { id, ask } = request
    const handler = Object.hasOwn(handlers, ask) ? handlers[ask] : undefined
    log.info('asked on the command line', { request: handler ? ask : 'unknown' })
    const answer: Exchange = handler
      ? await handler().then(
          (value) => ({ id, ask, answer: value }),
          (error) => ({ id, ask, error: error instanceof Error ? error.message : String(error) }),
        )
      : { id, ask, error: 'the server is of another version and does not know this command' }
    const temporary = `${path}.tmp`
    await rm(temporary, { force: true })
    await write(temporary, answer, modes.answer)
    // Who asked may have given up meanwhile.
    if ((await readExchange(path))?.id === id) await rename(temporary, path)
    else await rm(temporary, { force: true })
  }
  const next = () => {
    timer = setTimeout(() => {
      looking = look()
        .catch((error) => log.error('a request on the command line could not be answered', { err: error }))
        .finally(() => {
          if (!closed) next()
        })
    }, lookMs)
    timer.unref()
  }
  next()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await looking
    },
  }
}

/** A plain file of this user or of root: in a folder that others may write to, theirs do not count. */
async function readTrusted(path: string): Promise<Exchange | 'untrusted' | undefined> {
  let file: FileHandle
  try {
    // What is looked at is what is read. A pipe must not keep the server waiting.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ELOOP' || code === 'EACCES' ? 'untrusted' : undefined
  }
  try {
    const found = await file.stat()
    const own = process.getuid === undefined || found.uid === process.getuid() || found.uid === 0
    return found.isFile() && own && found.size < longest ? parse(await file.readFile('utf8')) : 'untrusted'
  } finally {
    await file.close()
  }
}

async function write(path: string, exchange: Exchange, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(JSON.stringify(exchange))
  } finally {
    await file.close()
  }
}

/** `undefined` when there is none, or it is not written to its end yet. */
async function readExchange(path: string): Promise<Exchange | undefined> {
  return parse(await readFile(path, 'utf8').catch(() => ''))
}

function parse(text: string): Exchange | undefined {
  try {
    const value = JSON.parse(text) as Exchange
    return typeof value?.id === 'string' && typeof value.ask === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
