/**
 * What has to wait in the store although nobody has signed in yet: logins that are too large for a cookie, answers of
 * upstreams that come by POST. Anybody can make us keep such things, so they are bounded in bytes and live briefly.
 */
import type { Json } from '../lib/json.ts'
import type { StorageDriver } from '../storage/contract.ts'
import { PageFailure } from './failures.ts'

export interface Waiting {
  /** Keeps `body` under `id` for `seconds`. @throws PageFailure 503 when too much is kept already */
  keep(id: string, body: Json, seconds: number): Promise<void>
}

export interface WaitingContext {
  driver: Pick<StorageDriver, 'commit'>
  now(): Date
  /** Bytes of all that waits. */
  limit?: number
}

export function openWaiting({ driver, now, limit = 32 * 1024 * 1024 }: WaitingContext): Waiting {
  let total = 0
  /** In the order of their ends, roughly: what is kept longer lets others wait behind it, on the safe side. */
  const kept: { bytes: number; endsAt: number }[] = []

  return {
    async keep(id, body, seconds) {
      const time = Math.floor(now().getTime() / 1000)
      while (kept.length > 0 && kept[0]!.endsAt <= time) total -= kept.shift()!.bytes
      const bytes = JSON.stringify(body).length
      if (total + bytes > limit) {
        throw new PageFailure(503, 'Too many logins are in progress at the moment.', {
          next: 'Wait a minute, then go back to the application and log in again.',
          retryAfter: 60,
        })
      }
      const endsAt = time + seconds
      const { ok } = await driver.commit([
        { do: 'create', kind: 'login', id, record: { expiresAt: endsAt, index: {}, body } },
      ])
      if (!ok) throw new Error('a new random handle was taken already')
      total += bytes
      kept.push({ bytes, endsAt })
    },
  }
}
