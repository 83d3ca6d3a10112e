/** Makes, rotates and drops keys when it is time. Every replica does this; who loses a race takes the winner's keys. */
import type { Logger } from '../../lib/logger.ts'
import type { Audit } from '../../telemetry/audit.ts'
import type { LocalAlgorithm } from './algorithms.ts'
import {
  apply,
  type KeyEntry,
  type NewKey,
  nextDue,
  nextRotation,
  replacing,
  type SigningKeyOptions,
  type Step,
  whatIsDue,
} from './life.ts'
import { openQueue } from './queue.ts'
import type { KeyStore, StoredKeys } from './store.ts'

/** Seconds. */
const pause = { longest: 30, shortest: 1, afterFailure: 5 } as const

export interface RotationContext {
  store: KeyStore
  make(algorithm: LocalAlgorithm): Promise<NewKey>
  /** The public half of a key, sealed. */
  publicOf(key: KeyEntry): string
  options: SigningKeyOptions
  log: Logger
  audit: Audit
  /** Unix seconds. */
  seconds(): number
}

export interface Rotation {
  rotate(reason: string): Promise<void>
  /** Looks no more, and resolves when what is under way is over. */
  close(): Promise<void>
}

/** Looks now and then every half minute, or when a rotation is due. Does not keep the process alive. */
export function startRotation(context: RotationContext): Rotation {
  const { store, make, publicOf, options, log, audit, seconds } = context
  const inTurn = openQueue()
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function look() {
    let wait: number = pause.afterFailure
    try {
      let due: number | undefined
      while (!closed) {
        const stored = await store.read()
        due = nextDue(stored.keys, options)
        const step = whatIsDue(stored.keys, options, seconds())
        if (!step) break
        // Done or lost to another replica: the list has changed.
        await take(step, stored)
      }
      wait = Math.min(pause.longest, Math.max(pause.shortest, (due ?? 0) - seconds()))
    } catch (error) {
      log.error('signing keys could not be kept up', { error })
    }
    if (closed) return
    timer = setTimeout(() => inTurn(look), wait * 1000)
    timer.unref()
  }

  /** False when another replica has changed the list meanwhile. */
  async function take(step: Step, stored: StoredKeys, reason = step.reason): Promise<boolean> {
    const wanted = step.moves.flatMap((move) => (move.do === 'make' ? [move.algorithm] : []))
    const made = await Promise.all(wanted.map(make))
    const keys = apply(stored.keys, step, { made, publicOf }, options, seconds())
    const won = await store.write(keys, stored)
    if (won && reason !== undefined) tell(stored.keys, keys, reason)
    return won
  }

  async function rotateNow(reason: string) {
    let from: Set<string> | undefined
    for (;;) {
      const stored = await store.read()
      const missing = whatIsDue(stored.keys, options, Number.NEGATIVE_INFINITY)
      if (missing) {
        await take(missing, stored)
        continue
      }
      from ??= new Set(stored.keys.flatMap(({ state, kid }) => (state === 'signing' ? [kid] : [])))
      const steps = replacing(from, stored.keys, options)
      if (steps.length === 0) return log.debug('keys already rotated by another server instance', { reason })
      if (await take(together(steps), stored, reason)) return
    }
  }

  /** Says it in Dex's words, and of each key that begins to sign to the auditor. */
  function tell(before: readonly KeyEntry[], keys: readonly KeyEntry[], reason: string) {
    const next = new Date(nextRotation(keys, options) * 1000)
    log.info('keys rotated', { reason, next_rotation: next })
    const signed = new Set(before.filter(({ state }) => state === 'signing').map(({ kid }) => kid))
    for (const { kid, state } of keys) {
      if (state !== 'signing' || signed.has(kid)) continue
      audit({ type: 'keys_rotated', key_id: kid, reason, next_rotation: next.toISOString() })
    }
  }

  void inTurn(look)
  return {
    rotate: (reason) => inTurn(() => rotateNow(reason)),
    async close() {
      closed = true
      clearTimeout(timer)
      await inTurn(async () => {})
    },
  }
}

/** Steps of different chains as one. */
function together(steps: readonly Step[]): Step {
  const first = steps.find((step) => step.first !== undefined)?.first
  return { moves: steps.flatMap(({ moves }) => moves), ...(first !== undefined && { first }) }
}
