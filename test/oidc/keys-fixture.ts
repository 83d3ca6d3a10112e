/** Servers that share a store, in a time that only the test moves. */
import type { Logger } from '../../src/lib/logger.ts'
import { openSigningKeys, type SigningKeyOptions, type SigningKeys } from '../../src/oidc/keys.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { newSealingKey, type Sealer, sealerOf } from '../../src/storage/seal.ts'
import type { AuditEvent } from '../../src/telemetry/audit.ts'
import { silent, start, testClock } from '../storage/contract.ts'

export { start }

/** P-256 keys are made in no time. */
export const standard: SigningKeyOptions = { algorithm: 'ES256', rotationPeriod: 6 * 3600, tokenLifetime: 24 * 3600 }

export interface World {
  driver: StorageDriver
  sealer: Sealer
  readonly seconds: number
  /** All that was logged, `level: message`. */
  logged: string[]
  logs: { level: string; message: string; attributes: Record<string, unknown> }[]
  audited: AuditEvent[]
  /** Opens one more server. */
  open(more?: Partial<SigningKeyOptions>, other?: { driver?: StorageDriver; sealer?: Sealer }): Promise<SigningKeys>
  /** Opens one more server and waits until it has nothing left to do. */
  settled(more?: Partial<SigningKeyOptions>, other?: { driver?: StorageDriver; sealer?: Sealer }): Promise<SigningKeys>
  /** Lets so many seconds pass; every look that a server has planned takes place at its time. */
  pass(seconds: number): Promise<void>
  /** Waits until no server has anything left to do. */
  settle(): Promise<void>
  close(): Promise<void>
}

export async function openWorld(): Promise<World> {
  const clock = testClock()
  const now = () => clock.now()
  const servers = new Set<SigningKeys>()
  /** Every open server that is not at work has planned one look. */
  const planned = new Set<{ at: number; look: () => unknown }>()
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout }
  globalThis.setTimeout = ((look: () => unknown, milliseconds: number) => {
    const timer = { at: clock.seconds + milliseconds / 1000, look, unref() {} }
    planned.add(timer)
    return timer
  }) as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: never) => planned.delete(timer)) as unknown as typeof clearTimeout

  const logs: World['logs'] = []
  const at =
    (level: string) =>
    (message: string, attributes: Record<string, unknown> = {}) =>
      logs.push({ level, message, attributes })
  const log: Logger = { ...silent, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }

  const world: World = {
    driver: await openStorage({ type: 'memory', config: {} }, { log: silent, now }),
    sealer: sealerOf([newSealingKey()]),
    get seconds() {
      return clock.seconds
    },
    get logged() {
      return logs.map(({ level, message }) => `${level}: ${message}`)
    },
    logs,
    audited: [],

    async open(more = {}, { driver = world.driver, sealer = world.sealer } = {}) {
      const options = { ...standard, ...more }
      const audit = (event: AuditEvent) => void world.audited.push(event)
      const keys = await openSigningKeys({ driver, sealer, options, log, audit, now })
      const { close } = keys
      keys.close = () => {
        servers.delete(keys)
        return close()
      }
      servers.add(keys)
      return keys
    },

    async settled(more, other) {
      const keys = await world.open(more, other)
      await world.settle()
      return keys
    },

    async settle() {
      while (planned.size < servers.size) await new Promise((resolve) => setImmediate(resolve))
    },

    async pass(seconds) {
      const end = clock.seconds + seconds
      await world.settle()
      for (;;) {
        const [next] = [...planned].sort((a, b) => a.at - b.at)
        if (!next || next.at > end) break
        clock.seconds = Math.max(clock.seconds, next.at)
        planned.delete(next)
        await next.look()
      }
      clock.seconds = end
    },

    async close() {
      await Promise.all([...servers].map((keys) => keys.close()))
      Object.assign(globalThis, real)
    },
  }
  return world
}

/** Ids of the published keys, in their order. */
export const kids = (keys: SigningKeys): string[] => keys.jwks().keys.map(({ kid }) => kid!)

/** A part of a token as JSON. */
export const partOf = (token: string, part: 0 | 1): unknown =>
  JSON.parse(Buffer.from(token.split('.')[part]!, 'base64url').toString())

export const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
