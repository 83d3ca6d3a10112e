/** The list of keys in the store: one record, changed by compare-and-set, so that all replicas have the same. */
import type { Json } from '../../lib/json.ts'
import type { StorageDriver } from '../../storage/contract.ts'
import type { KeyEntry } from './life.ts'
import { openQueue } from './queue.ts'

/** The record of kind `keys` that holds the list. */
export const keysRecord = { kind: 'keys', id: 'signing' } as const

export interface StoredKeys {
  keys: KeyEntry[]
  /** Of the record; absent as long as there is none. */
  version?: string
}

export interface KeyStore {
  read(): Promise<StoredKeys>
  /** False when somebody else has written since `before` was read. */
  write(keys: KeyEntry[], before: StoredKeys): Promise<boolean>
}

/** `adopt` is shown whatever was read or written, in this order: reads and writes pass one after the other. */
export function openKeyStore(driver: StorageDriver, adopt: (keys: KeyEntry[]) => void): KeyStore {
  const inTurn = openQueue()
  const { kind, id } = keysRecord

  return {
    read: () =>
      inTurn(async () => {
        const record = await driver.get(kind, id)
        if (!record) return { keys: [] }
        const { keys } = record.body as { keys: KeyEntry[] }
        adopt(keys)
        return { keys, version: record.version }
      }),

    write: (keys, { version }) =>
      inTurn(async () => {
        const record = { index: {}, body: { keys } satisfies Json }
        const { ok } = await driver.commit([
          version === undefined ? { do: 'create', kind, id, record } : { do: 'replace', kind, id, version, record },
        ])
        if (ok) adopt(keys)
        return ok
      }),
  }
}
