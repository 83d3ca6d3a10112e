/** Removes expired records from time to time. */
import type { Logger } from '../lib/logger.ts'
import type { StorageDriver } from './contract.ts'

export interface JanitorOptions {
  /** Seconds from the end of one sweep to the start of the next. */
  everySeconds: number
  log: Logger
  now?: () => Date
}

export interface Janitor {
  /** Starts no further sweep and resolves when the current one is over. */
  close(): Promise<void>
}

/** A sweep that fails is logged and tried again at the next turn. Does not keep the process alive. */
export function startSweeping(driver: StorageDriver, options: JanitorOptions): Janitor {
  const { everySeconds, log, now = () => new Date() } = options
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let sweeping: Promise<void> = Promise.resolve()

  const sweep = async () => {
    try {
      const removed = await driver.sweep(now())
      if (removed > 0) log.debug('removed expired records', { removed })
    } catch (error) {
      log.error('expired records could not be removed', { error })
    }
    plan()
  }
  const plan = () => {
    if (closed) return
    timer = setTimeout(() => {
      sweeping = sweep()
    }, everySeconds * 1000)
    timer.unref()
  }

  plan()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await sweeping
    },
  }
}
