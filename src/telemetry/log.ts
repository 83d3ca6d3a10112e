/** The log of the server: levels, formats and attributes as Dex's, to standard error. */
import { pino } from 'pino'
import type { Attributes, Logger } from '../lib/logger.ts'
import { formats } from './log-format.ts'
import type { LogOptions } from './options.ts'

/** As slog counts them; audit events are of level info and pass whatever the configured level. */
export const levels = { debug: -4, info: 0, warn: 4, error: 8 } as const

export interface Destination {
  write(text: string): void
}

export interface LogContext {
  /** Attributes of the request being served, such as its id; asked for each record that is written. */
  attributes?: () => Attributes | undefined
  now?: () => Date
}

/** A logger that can be emptied; `audit` writes a record that no level silences. */
export interface ServerLog extends Logger {
  audit(message: string, attributes: Attributes): void
  /** Writes out what is held back. Runs by itself shortly after a record, at an error, and when the process ends. */
  flush(): void
}

/** Characters held back before they are written, and milliseconds that a record waits at most. */
const fullBuffer = 8192
const longestWait = 50

const standardError = (): Destination & { flushSync(): void } => {
  // Synchronous: several lines go in one call, in order, and none is lost when the process ends.
  const stream = pino.destination({ fd: 2, sync: true })
  // Whoever read our output has gone (EPIPE): no reason to end the server.
  stream.on('error', () => {})
  return {
    write: (text) => void stream.write(text),
    flushSync: () => stream.flushSync(),
  }
}

interface Buffer {
  add(line: string, urgent: boolean): void
  flush(): void
}

const openBuffer = (destination: Destination & { flushSync?(): void }): Buffer => {
  let held = ''
  let timer: NodeJS.Timeout | undefined
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (held !== '') {
      const text = held
      held = ''
      destination.write(text)
    }
  }
  return {
    add: (line, urgent) => {
      held += line
      if (urgent || held.length >= fullBuffer) flush()
      else timer ??= setTimeout(flush, longestWait).unref()
    },
    flush: () => {
      flush()
      try {
        destination.flushSync?.()
      } catch {
        // Standard error is gone: there is nowhere to say so.
      }
    },
  }
}

/**
 * Opens the log. Without `destination` it writes to standard error.
 * An attribute in `options.excludeFields` is left out wherever it stands at the top of a record.
 */
export const openLog = (
  options: LogOptions,
  destination?: Destination,
  { attributes: contextAttributes, now = () => new Date() }: LogContext = {},
): ServerLog => {
  const buffer = openBuffer(destination ?? standardError())
  const format = formats[options.format]
  const excluded = options.excludeFields
  // Once a log, not once a child: a process has one log, tests bring their own destination.
  if (destination === undefined) process.once('exit', buffer.flush)

  const write = (level: number, message: string, bound: Attributes, given: Attributes | undefined): void => {
    const attributes: Attributes = { ...bound, ...given, ...contextAttributes?.() }
    for (const name of excluded) delete attributes[name]
    buffer.add(format({ time: now(), level, message, attributes }), level >= levels.error)
  }
  const loggerOf = (bound: Attributes): ServerLog => {
    const at =
      (level: number) =>
      (message: string, attributes?: Attributes): void => {
        if (level >= options.level) write(level, message, bound, attributes)
      }
    return {
      debug: at(levels.debug),
      info: at(levels.info),
      warn: at(levels.warn),
      error: at(levels.error),
      audit: (message, attributes) => write(levels.info, message, bound, attributes),
      child: (attributes) => loggerOf({ ...bound, ...attributes }),
      flush: buffer.flush,
    }
  }
  return loggerOf({})
}
