/**
 * What connectors want back at a refresh (upstream tokens), sealed at rest. It belongs to the login, or to the person where
 * the upstream counts tokens for each of them (GitHub).
 */
import { hash } from 'node:crypto'
import type { Connector, Json } from '../../connectors/contract.ts'
import { openTurns } from '../lib/turns.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'

interface Owner {
  connector: Connector
  connectorId: string
  userId: string
}

export interface ConnectorData {
  /** Seals data for the record of the login, or keeps it with the person when a refresh will need it. */
  keep(owner: Owner & { scopes: readonly string[] }, data: Json): Promise<{ sealedData?: string }>
  /** What was kept; `undefined` when there is nothing or it cannot be opened any more. */
  open(owner: Owner, sealedData: string | undefined): Promise<Json | undefined>
}

/** A person's data is written by all their logins: here one after the other, and the last one wins; replicas try again. */
const tries = 20

export function openConnectorData({ driver, sealer }: { driver: StorageDriver; sealer: Sealer }): ConnectorData {
  const purposeOf = ({ connectorId, userId }: Owner) => `connector data ${JSON.stringify([connectorId, userId])}`
  const idOf = ({ connectorId, userId }: Owner) => hash('sha256', JSON.stringify([connectorId, userId]), 'base64url')

  const turns = openTurns()

  const store = async (owner: Owner, sealed: string): Promise<void> => {
    const id = idOf(owner)
    const record = { index: {}, body: { data: sealed } }
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

  return {
    async keep(owner, data) {
      // Without a refresh token nobody will ask for it.
      if (!owner.scopes.includes('offline_access')) return {}
      const sealed = sealer.seal(data, purposeOf(owner))
      if (owner.connector.dataPer !== 'person') return { sealedData: sealed }
      await store(owner, sealed)
      return {}
    },
    async open(owner, sealedData) {
      if (owner.connector.dataPer !== 'person') {
        return sealedData === undefined ? undefined : sealer.open(sealedData, purposeOf(owner))
      }
      const stored = await driver.get('person', idOf(owner))
      const { data } = (stored?.body ?? {}) as { data?: string }
      return data === undefined ? undefined : sealer.open(data, purposeOf(owner))
    },
  }
}
