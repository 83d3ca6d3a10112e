/** Makes, rotates and drops keys when it is time. Every replica does this; who loses a race takes the winner's keys. */
import type { Logger } from '../../lib/logger.ts'
import type { Audit } from '../../telemetry/audit.ts'
import type { SigningAlgorithm } from './algorithms.ts'
import {
  begin,
  type KeyEntry,
  keyThat,
  type NewKey,
  nextRotation,
  prepare,
  rotate,
  type SigningKeyOptions,
  whatIsDue,
  withoutOver,
} from './life.ts'
import { openQueue } from './queue.ts'
import type { KeyStore, StoredKeys } from './store.ts'

/** Seconds. */
const pause = { longest: 30, shortest: 1, afterFailure: 5 } as const

export interface RotationContext {
  store: KeyStore
  make(algorithm: SigningAlgorithm): Promise<NewKey>
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
  /** The signing key during whose reign we have replaced a next key of another algorithm. */
  let insisted: string | undefined

  async function look() {
    let wait: number = pause.afterFailure
    try {
      let due = 0
      while (!closed) {
        const stored = await store.read()
        due = nextRotation(stored.keys, options)
        if (!(await step(stored))) break
      }
      wait = Math.min(pause.longest, Math.max(pause.shortest, due - seconds()))
    } catch (error) {
      log.error('signing keys could not be kept up', { error })
    }
    if (closed) return
    timer = setTimeout(() => inTurn(look), wait * 1000)
    timer.unref()
  }

  /** Does one thing that is due, if any; afterwards, done or lost to another replica, the list has changed. */
  async function step(stored: StoredKeys): Promise<boolean> {
    const { keys } = stored
    const signing = keyThat('signing', keys)
    // Once a reign, or two replicas with different configurations would replace each other's key for ever.
    const due = whatIsDue(keys, options, seconds(), insisted !== signing?.kid)
    if (due === 'begin') {
      const first = begin(keys, await make(options.algorithm), seconds())
      if (await store.write(first, stored)) tell(first, 'missing signing key')
    } else if (due === 'prepare') {
      const prepared = prepare(keys, await make(options.algorithm), seconds())
      if (await store.write(prepared, stored)) insisted = signing?.kid
    } else if (due === 'rotate') {
      await succeed(stored, 'expired')
    } else if (due === 'drop') {
      await store.write(withoutOver(keys, seconds()), stored)
    }
    return due !== undefined
  }

  /** Lets the next key sign; false when another replica has changed the list meanwhile. */
  async function succeed(stored: StoredKeys, reason: string): Promise<boolean> {
    const signing = keyThat('signing', stored.keys)!
    const next = keyThat('next', stored.keys)!
    const fresh = await make(options.algorithm)
    const rotated = rotate(stored.keys, { signing, next, retired: publicOf(signing), fresh }, options, seconds())
    const won = await store.write(rotated, stored)
    if (won) tell(rotated, reason)
    return won
  }

  async function rotateNow(reason: string) {
    let from: string | undefined
    for (;;) {
      const stored = await store.read()
      const signing = keyThat('signing', stored.keys)
      if (!signing || !keyThat('next', stored.keys)) {
        await step(stored)
        continue
      }
      from ??= signing.kid
      if (signing.kid !== from) return log.debug('keys already rotated by another server instance', { reason })
      if (await succeed(stored, reason)) return
    }
  }

  /** Says it in Dex's words. */
  function tell(keys: readonly KeyEntry[], reason: string) {
    const next = new Date(nextRotation(keys, options) * 1000)
    log.info('keys rotated', { reason, next_rotation: next })
    audit({ type: 'keys_rotated', key_id: keyThat('signing', keys)!.kid, reason, next_rotation: next.toISOString() })
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
