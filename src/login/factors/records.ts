/**
 * What is kept of second factors: with the person for good (secrets, keys, counters), and with a login while it lasts (a
 * secret that is not confirmed, a challenge). All of it is sealed at rest and never travels with a browser.
 */
import { hash } from 'node:crypto'
import type { Json } from '../../lib/json.ts'
import type { Change, StorageDriver } from '../../storage/contract.ts'
import type { Sealer } from '../../storage/seal.ts'
import { openWaiting } from '../waiting.ts'

export interface HeldCodes {
  type: 'TOTP'
  /** base32 */
  secret: string
  /** Time step of the last code that was taken: none before it and not itself is taken again. */
  lastStep: number
  /** Unix seconds. */
  since: number
}

export interface HeldKey {
  /** Credential id, base64url. */
  id: string
  /** COSE, base64url. */
  publicKey: string
  /** Signature counter of the last use. */
  counter: number
  transports?: string[]
  deviceType: 'singleDevice' | 'multiDevice'
  backedUp: boolean
  /** Model of the authenticator. */
  aaguid: string
  /** Unix seconds. */
  since: number
}

export interface HeldKeys {
  type: 'WebAuthn'
  keys: HeldKey[]
}

/** By authenticator id. */
export type Held = Record<string, HeldCodes | HeldKeys>

export interface FactorOwner {
  connectorId: string
  userId: string
}

/** A person's factors as they were read. */
export interface FactorRecord {
  held: Held
  ids: ReadonlySet<string>
  /** Absent: there is no record yet. */
  version?: string
}

export interface FactorRecords {
  /** @throws Error when a record cannot be opened: a login must not go on as if the person had nothing */
  read(owner: FactorOwner): Promise<FactorRecord>
  /** Writes `held` if the record is as it was read, with further changes; `false`: somebody else was faster. */
  write(owner: FactorOwner, before: FactorRecord, held: Held, more?: Change[]): Promise<boolean>
  /** Takes one factor away, or all; returns the ids of their authenticators. A record that cannot be opened goes whole. */
  reset(owner: FactorOwner, authenticatorId?: string): Promise<string[]>
  /** What the login of that state was given, such as a challenge; one of each name. */
  waiting(state: string, name: string): Promise<{ value: Json; taken: Change } | undefined>
  /**
   * Gives a login something, in the place of what it had by that name, or with `once` only if it had nothing.
   * @returns what is kept now
   * @throws PageFailure 503 when too much waits
   */
  keep(state: string, name: string, value: Json, seconds: number, how?: { once: boolean }): Promise<Json>
  /** Takes it back, once: `undefined` for all but one. */
  take(state: string, name: string): Promise<Json | undefined>
}

const kind = 'factors'
const tries = 5

/** Names the record of a person. */
export const factorRecordId = ({ connectorId, userId }: FactorOwner): string =>
  hash('sha256', `factors ${JSON.stringify([connectorId, userId])}`, 'base64url')

export interface RecordsContext {
  driver: Pick<StorageDriver, 'get' | 'commit'>
  sealer: Sealer
  now(): Date
}

export function openFactorRecords({ driver, sealer, now }: RecordsContext): FactorRecords {
  const purposeOf = ({ connectorId, userId }: FactorOwner) => `factors ${JSON.stringify([connectorId, userId])}`
  /** The state goes round in clear; what it stands for in the store does not follow from a look at the store. */
  const placeOf = (state: string, name: string) => hash('sha256', `factor ${name} ${state}`, 'base64url')
  const waitingPurpose = (state: string, name: string) => `factor ${name} of login ${state}`
  const waiting = openWaiting({ driver, now })

  const find = async (state: string, name: string) => {
    const id = placeOf(state, name)
    const stored = await driver.get('login', id)
    const { sealed } = (stored?.body ?? {}) as { sealed?: string }
    const value = sealed === undefined ? undefined : sealer.open(sealed, waitingPurpose(state, name))
    if (!stored || value === undefined) return undefined
    return {
      value,
      version: stored.version,
      taken: { do: 'delete', kind: 'login', id, version: stored.version } as const,
    }
  }

  return {
    async read(owner) {
      const stored = await driver.get(kind, factorRecordId(owner))
      if (!stored) return { held: {}, ids: new Set() }
      const held = sealer.open((stored.body as { sealed: string }).sealed, purposeOf(owner)) as Held | undefined
      if (!held) throw new Error('the second factors of a person cannot be opened: they were sealed with another key')
      return { held, ids: new Set(Object.keys(held)), version: stored.version }
    },

    async write(owner, { version }, held, more = []) {
      const id = factorRecordId(owner)
      const record = { index: {}, body: { sealed: sealer.seal(held as unknown as Json, purposeOf(owner)) } }
      const change: Change =
        version === undefined ? { do: 'create', kind, id, record } : { do: 'replace', kind, id, version, record }
      return (await driver.commit([change, ...more])).ok
    },

    async reset(owner, authenticatorId) {
      const id = factorRecordId(owner)
      const stored = await driver.get(kind, id)
      if (!stored) return []
      const held = sealer.open((stored.body as { sealed: string }).sealed, purposeOf(owner)) as Held | undefined
      const { version } = stored
      if (held && authenticatorId !== undefined) {
        if (!Object.hasOwn(held, authenticatorId)) return []
        const { [authenticatorId]: _, ...rest } = held
        const record = { index: {}, body: { sealed: sealer.seal(rest as unknown as Json, purposeOf(owner)) } }
        const done = await driver.commit([{ do: 'replace', kind, id, version, record }])
        return done.ok ? [authenticatorId] : this.reset(owner, authenticatorId)
      }
      const done = await driver.commit([{ do: 'delete', kind, id, version }])
      return done.ok ? Object.keys(held ?? { unreadable: true }) : this.reset(owner, authenticatorId)
    },

    waiting: find,

    async keep(state, name, value, seconds, { once } = { once: false }) {
      const id = placeOf(state, name)
      const body = { sealed: sealer.seal(value, waitingPurpose(state, name)) }
      // Two tabs of one login may come at the same moment.
      for (let each = 0; each < tries; each++) {
        const before = await find(state, name)
        if (before && once) return before.value
        if (!before) {
          const kept = await waiting.keep(id, body, seconds).then(
            () => true,
            async (error) => {
              if (await find(state, name)) return false
              throw error
            },
          )
          if (kept) return value
          continue
        }
        const expiresAt = Math.floor(now().getTime() / 1000) + seconds
        const record = { expiresAt, index: {}, body }
        const { version } = before
        if ((await driver.commit([{ do: 'replace', kind: 'login', id, version, record }])).ok) return value
      }
      throw new Error('a login is asked for the same thing too often at once')
    },

    async take(state, name) {
      const found = await find(state, name)
      return found && (await driver.commit([found.taken])).ok ? found.value : undefined
    },
  }
}
