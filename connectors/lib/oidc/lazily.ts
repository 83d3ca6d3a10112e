/** A value that is fetched when it is first needed, kept, and fetched anew when it has aged or the fetch failed. */
import { ownFailure } from './failures.ts'

export interface Lazily<T> {
  /** @throws what the last try threw, at once, while it is too early for another */
  get(): Promise<T>
}

/** Milliseconds before the next try after so many failures in a row: at once after the first, never more than four seconds. */
const pause = (failures: number): number => (failures < 2 ? 0 : Math.min(250 * 2 ** (failures - 2), 4000))

/**
 * One `load` at a time. A value older than `maxAge` (milliseconds) is loaded anew; where that fails, the old one serves on.
 * A fault of the configuration is not kept, so that it ends as soon as the upstream is repaired.
 */
export function lazily<T>(load: () => Promise<T>, { now, maxAge }: { now: () => Date; maxAge: number }): Lazily<T> {
  let kept: { value: T; at: number } | undefined
  let running: Promise<T> | undefined
  let failures = 0
  let failed: { error: unknown; until: number } | undefined

  const attempt = async (): Promise<T> => {
    try {
      const value = await load()
      kept = { value, at: now().getTime() }
      failures = 0
      failed = undefined
      return value
    } catch (error) {
      failures += 1
      failed = { error, until: now().getTime() + pause(failures) }
      if (kept && isOutage(error)) return kept.value
      throw error
    } finally {
      running = undefined
    }
  }

  return {
    async get() {
      const time = now().getTime()
      if (kept && time - kept.at < maxAge) return kept.value
      if (failed && time < failed.until) {
        if (kept && isOutage(failed.error)) return kept.value
        throw failed.error
      }
      running ??= attempt()
      return running
    },
  }
}

const isOutage = (error: unknown): boolean => ownFailure(error)?.code === 'upstream_unavailable'
