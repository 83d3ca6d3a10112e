/** Every place of the store that holds sealed text, so that all of it can be sealed anew with another key. */
import type { Json } from '../lib/json.ts'
import { resealConnectorData } from '../login/connector-data.ts'
import { resealSigningKeys } from '../oidc/keys/sealed-key.ts'
import type { StorageDriver, StoredRecord } from '../storage/contract.ts'
import { kinds } from '../storage/kinds.ts'
import type { Sealer } from '../storage/seal.ts'

/** Gives the body with its sealed texts made new; those of other parts stay as they are. */
export type Reseal = (kind: string, body: Json, again: (text: string, purpose: string) => string) => Json

/** A part that seals something in the store has its line here. */
const parts: readonly Reseal[] = [resealSigningKeys, resealConnectorData]

/** Records that are written in one commit. */
const batch = 200

export interface Resealed {
  /** Texts that were sealed anew. */
  texts: number
  /** Kinds with texts that are still sealed with one of the former keys, and how many: nobody knows what they are for. */
  left: Map<string, number>
}

/**
 * Seals everything in the store with the sealer's first key.
 * @param former ids of the keys that are to be done without afterwards
 */
export async function resealStore(driver: StorageDriver, sealer: Sealer, former: readonly string[]): Promise<Resealed> {
  const result: Resealed = { texts: 0, left: new Map() }
  const again = (text: string, purpose: string): string => {
    const value = sealer.open(text, purpose)
    if (value === undefined) return text
    result.texts += 1
    return sealer.seal(value, purpose)
  }
  for (const kind of Object.keys(kinds)) {
    let changed: [id: string, before: StoredRecord, body: Json][] = []
    const write = async () => {
      const changes = changed.map(
        ([id, { version, ...record }, body]) =>
          ({ do: 'replace', kind, id, version, record: { ...record, body } }) as const,
      )
      changed = []
      if (changes.length > 0 && !(await driver.commit(changes)).ok) throw new Error('somebody else writes to the store')
    }
    const found: [id: string, record: StoredRecord][] = []
    for await (const each of driver.find(kind, {})) found.push(each)
    for (const [id, record] of found) {
      const before = result.texts
      const body = parts.reduce((value, part) => part(kind, value, again), record.body)
      const left = sealedWith(body, former)
      if (left > 0) result.left.set(kind, (result.left.get(kind) ?? 0) + left)
      if (result.texts > before) changed.push([id, record, body])
      if (changed.length >= batch) await write()
    }
    await write()
  }
  return result
}

/** How many texts in a value are sealed with one of these keys. */
function sealedWith(value: Json, keys: readonly string[]): number {
  if (typeof value === 'string') return keys.some((key) => value.startsWith(`${key}.`)) ? 1 : 0
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>((count, each) => count + sealedWith(each, keys), 0)
}
