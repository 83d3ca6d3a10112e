/**
 * What the upstream gave a connector for the next refresh (its own refresh token), from one refresh to the next. Upstreams
 * that rotate their token take the former one for a thief's, so that a new one must not get lost on our side:
 *
 * 1. One refresh at a time has it (`flights.ts`), and uses what was given last.
 * 2. What the upstream gives is remembered here before anything else happens.
 * 3. It is stored by the one commit of the refresh, by compare-and-set, with the rotation of our own token.
 * 4. Where that commit was not made, it is stored alone, by compare-and-set, before the next refresh has its turn.
 * 5. Where that fails too, it stays remembered, and the next refresh uses it.
 *
 * A process that dies between the upstream's answer and the commit loses it: the next refresh presents the former token,
 * and if the upstream refuses that one, the person logs in again.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Connector } from '../../connectors/contract.ts'
import type { Json } from '../lib/json.ts'
import type { Logger } from '../lib/logger.ts'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Login } from '../login/identity.ts'
import type { StorageDriver, StoredRecord } from '../storage/contract.ts'
import type { Unit } from '../storage/unit.ts'
import type { Family } from './family.ts'

export interface DataOwner {
  connector: Connector
  connectorId: string
  userId: string
}

/** The data of one login, during one refresh. */
export interface HeldData {
  /** It was shared, and the upstream took it back from one of those who share it. */
  readonly gone: boolean
  open(owner: DataOwner): Promise<Json | undefined>
  /** Stages what the upstream gave now. @returns the members of the login that change with it */
  keep(owner: DataOwner, data: Json): Promise<Pick<Login, 'sealedData'>>
  /** When the commit of the refresh was made, or was not. Never rejects. */
  settle(stored: boolean): Promise<void>
}

export interface UpstreamData {
  /** @param familyId of the refresh token that is used */
  at(familyId: string, login: Login, unit: Unit): Promise<HeldData>
}

export interface UpstreamDataContext {
  connectorData: Pick<ConnectorData, 'open' | 'keep' | 'seal' | 'unseal'>
  driver: StorageDriver
  log: Logger
}

interface Unstored {
  /** What the store has in its place, sealed. */
  replaced: string | undefined
  sealed: string
}

/** Of data that could not be stored, which takes a store that is away; the oldest are forgotten first. */
const mostUnstored = 10_000
/** To store data alone while others write the same record. */
const tries = 5

export function openUpstreamData({ connectorData, driver, log }: UpstreamDataContext): UpstreamData {
  const unstored = new Map<string, Unstored>()

  return {
    async at(familyId, login, unit) {
      const { dataId } = login
      const place = dataId === undefined ? placeInFamily(familyId) : placeOfItsOwn(dataId)
      const record = dataId === undefined ? undefined : await unit.get(place.kind, place.id)
      const stored = dataId === undefined ? login.sealedData : record && place.read(record)
      const known = unstored.get(place.id)
      const newest = known && known.replaced === stored ? known.sealed : stored
      let opened: Json | undefined
      let given: string | undefined

      return {
        gone: dataId !== undefined && !record,

        async open(owner) {
          if (isOfPerson(owner)) opened = await connectorData.open(owner, {})
          else opened = newest === undefined ? undefined : connectorData.unseal(owner, newest)
          return opened
        },

        async keep(owner, data) {
          const same = isDeepStrictEqual(opened, data)
          if (isOfPerson(owner)) {
            if (!same) await connectorData.keep({ ...owner, scopes: ['offline_access'] }, data)
            return {}
          }
          if (dataId !== undefined && !record) return {}
          const sealed = same && newest !== undefined ? newest : connectorData.seal(owner, data)
          if (sealed === stored) return {}
          given = sealed
          remember(place.id, { replaced: stored, sealed })
          if (!record) return { sealedData: sealed }
          unit.replace(place.kind, place.id, place.write(record, sealed))
          return {}
        },

        async settle(done) {
          if (given === undefined) return
          try {
            if (!done) await storeAlone(place, stored, given)
            if (unstored.get(place.id)?.sealed === given) unstored.delete(place.id)
          } catch (error) {
            log.error('a token of the upstream could not be stored; it is kept in memory for the next refresh', {
              connector_id: login.connectorId,
              err: error,
            })
          }
        },
      }
    },
  }

  function remember(key: string, entry: Unstored): void {
    unstored.delete(key)
    unstored.set(key, entry)
    if (unstored.size > mostUnstored) unstored.delete(unstored.keys().next().value!)
  }

  /** Whoever has put something else there since, or has removed the record, knows better. */
  async function storeAlone(place: Place, replaced: string | undefined, sealed: string): Promise<void> {
    for (let each = 0; each < tries; each++) {
      const record = await driver.get(place.kind, place.id)
      if (!record || place.read(record) !== replaced) return
      const { version } = record
      const { kind, id } = place
      const change = { do: 'replace', kind, id, version, record: place.write(record, sealed) } as const
      if ((await driver.commit([change])).ok) return
    }
    throw new Error('the record is written by too many at once')
  }
}

const isOfPerson = ({ connector }: DataOwner): boolean => connector.dataPer === 'person'

interface Place {
  kind: 'refresh-family' | 'login-data'
  id: string
  read(record: StoredRecord): string | undefined
  write(record: StoredRecord, sealed: string): Omit<StoredRecord, 'version'>
}

const placeInFamily = (id: string): Place => ({
  kind: 'refresh-family',
  id,
  read: ({ body }) => (body as unknown as Family).source.login.sealedData,
  write({ version: _, ...record }, sealed) {
    const family = record.body as unknown as Family
    const { source } = family
    const body = { ...family, source: { ...source, login: { ...source.login, sealedData: sealed } } }
    return { ...record, body: body as unknown as Json }
  },
})

const placeOfItsOwn = (id: string): Place => ({
  kind: 'login-data',
  id,
  read: ({ body }) => (body as { data?: string }).data,
  write: ({ version: _, ...record }, sealed) => ({ ...record, body: { data: sealed } }),
})
