/**
 * What connectors want back at a refresh or a logout (upstream tokens), sealed at rest. It belongs to the login, or to the
 * person where the upstream counts tokens for each of them (GitHub). The refresh tokens that one session leads to share it
 * in a record of its own: an upstream that rotates its token would take a second copy for a thief's.
 */
import { hash } from 'node:crypto'
import type { Connector, Json } from '../../connectors/contract.ts'
import { openTurns } from '../lib/turns.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Unit } from '../storage/unit.ts'
import type { Login } from './identity.ts'
import { randomState } from './random.ts'

interface Owner {
  connector: Connector
  connectorId: string
  userId: string
}

/** A record of its own; who it is of says for what it was sealed. */
type SharedData = Pick<Owner, 'connectorId' | 'userId'> & {
  /** Sealed. */
  data: string
}

/** Where the data of a login is. */
export type DataPlace = Pick<Login, 'sealedData' | 'dataId'>

export interface KeepOwner extends Owner {
  scopes: readonly string[]
  /** A session begins, whose end the connector may want to tell the upstream. */
  session?: boolean
}

export interface ConnectorData {
  /** Seals data for the record of the login, or keeps it where it is shared, when a refresh or a logout will need it. */
  keep(owner: KeepOwner, data: Json): Promise<DataPlace>
  /** What was kept; `undefined` when there is nothing or it cannot be opened any more. */
  open(owner: Owner, place: DataPlace): Promise<Json | undefined>
  /** Stages a record for the data of a login that a session and several refresh tokens will share. */
  share(unit: Pick<Unit, 'create'>, login: Login, expiresAt: number | undefined): Login
  /** Seals data for a record that is another's business. */
  seal(owner: Owner, data: Json): string
  /** What was sealed; `undefined` when it cannot be opened any more. */
  unseal(owner: Owner, sealed: string): Json | undefined
}

/** A person's data is written by all their logins: here one after the other, and the last one wins; replicas try again. */
const tries = 20

export function openConnectorData({ driver, sealer }: { driver: StorageDriver; sealer: Sealer }): ConnectorData {
  const idOf = ({ connectorId, userId }: Owner) => hash('sha256', JSON.stringify([connectorId, userId]), 'base64url')

  const turns = openTurns()

  const store = async (id: string, body: SharedData): Promise<void> => {
    const record = { index: {}, body }
    const done = await turns.take(id)
    try {
      for (let each = 0; each < tries; each++) {
        const before = await driver.get('person', id)
        const change = before
          ? ({ do: 'replace', kind: 'person', id, version: before.version, record } as const)
          : ({ do: 'create', kind: 'person', id, record } as const)
        if ((await driver.commit([change])).ok) return
      }
    } finally {
      done()
    }
    throw new Error('the record of a person is written by too many logins at once')
  }
  const stored = async (kind: 'person' | 'login-data', id: string): Promise<string | undefined> =>
    ((await driver.get(kind, id))?.body as SharedData | undefined)?.data

  return {
    seal: (owner, data) => sealer.seal(data, purposeOf(owner)),
    unseal: (owner, sealed) => sealer.open(sealed, purposeOf(owner)),
    async keep(owner, data) {
      const { connector, scopes, session = false } = owner
      // Nobody will ask for it without a refresh token, and without a session that another client could get one from.
      const wanted = session && (connector.logout !== undefined || connector.style === 'password')
      if (!scopes.includes('offline_access') && !wanted) return {}
      const sealed = sealer.seal(data, purposeOf(owner))
      if (connector.dataPer === 'person') {
        await store(idOf(owner), sharedData(owner, sealed))
        return {}
      }
      return { sealedData: sealed }
    },

    async open(owner, { sealedData, dataId }) {
      const data =
        owner.connector.dataPer === 'person'
          ? await stored('person', idOf(owner))
          : dataId === undefined
            ? sealedData
            : await stored('login-data', dataId)
      return data === undefined ? undefined : sealer.open(data, purposeOf(owner))
    },

    share(unit, login, expiresAt) {
      const { sealedData, ...rest } = login
      if (sealedData === undefined) return login
      const dataId = randomState()
      const lifetime = expiresAt === undefined ? {} : { expiresAt }
      unit.create('login-data', dataId, { ...lifetime, index: {}, body: sharedData(ownerOf(login), sealedData) })
      return { ...rest, dataId }
    },
  }
}

const sharedData = ({ connectorId, userId }: Pick<Owner, 'connectorId' | 'userId'>, data: string): SharedData => ({
  data,
  connectorId,
  userId,
})

const ownerOf = ({ connectorId, identity }: Login) => ({ connectorId, userId: identity.userId })

/** Bound into the seal, so that nobody is given the data of somebody else. */
const purposeOf = ({ connectorId, userId }: Pick<Owner, 'connectorId' | 'userId'>): string =>
  `connector data ${JSON.stringify([connectorId, userId])}`

/** For any record of the store: seals the connector data of a person, or of every login in it, anew. */
export function resealConnectorData(kind: string, body: Json, again: (text: string, purpose: string) => string): Json {
  if (typeof body !== 'object' || body === null) return body
  if (Array.isArray(body)) return body.map((each) => resealConnectorData(kind, each, again))
  const { connectorId, userId, data, identity, sealedData } = body
  const copy = Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, resealConnectorData(kind, value, again)]),
  )
  if (typeof connectorId !== 'string') return copy
  if ((kind === 'person' || kind === 'login-data') && typeof userId === 'string' && typeof data === 'string') {
    return { ...copy, data: again(data, purposeOf({ connectorId, userId })) }
  }
  const owner = (identity as Login['identity'] | undefined)?.userId
  if (typeof sealedData !== 'string' || typeof owner !== 'string') return copy
  return { ...copy, sealedData: again(sealedData, purposeOf({ connectorId, userId: owner })) }
}
