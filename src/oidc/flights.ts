/**
 * One refresh at a time of what must not be used twice at once: a refresh token, or an upstream token that several of them
 * share. Who waited while the upstream did not answer is told the same, instead of waiting for it once more.
 */
import { openTurns } from '../lib/turns.ts'

export interface Flights {
  /** Resolves when it is this caller's turn. */
  take(key: string): Promise<Flight>
}

export interface Flight {
  /** How somebody's question failed that was under way when this caller came. */
  readonly failed: Error | undefined
  /** Tells those who wait that the upstream cannot be asked. */
  fail(error: Error): void
  /** Work that belongs to the turn and is done before the next one has it. It must not reject. */
  before(work: () => Promise<void>): void
  end(): void
}

export function openFlights(): Flights {
  const turns = openTurns()
  /** By key; `upTo` is the number of the last caller who had come when it failed. */
  const failures = new Map<string, { error: Error; upTo: number }>()
  let callers = 0

  return {
    async take(key) {
      callers += 1
      const number = callers
      const finish = await turns.take(key)
      const known = failures.get(key)
      const work: (() => Promise<void>)[] = []
      const end = (): void => {
        finish()
        if (!turns.taken(key)) failures.delete(key)
      }
      return {
        failed: known && number <= known.upTo ? known.error : undefined,
        fail: (error) => void failures.set(key, { error, upTo: callers }),
        before: (each) => void work.push(each),
        end: () => (work.length === 0 ? end() : void Promise.allSettled(work.map((each) => each())).then(end)),
      }
    },
  }
}
