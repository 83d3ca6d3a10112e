/** Where state is kept: `storage`. */
import { resolve } from 'node:path'
import { nearest } from '../../lib/nearest.ts'
import type { StorageType } from '../../storage/contract.ts'
import type { StorageOptions } from '../../storage/options.ts'
import type { Part, Reading } from '../reading.ts'
import { readSection } from '../section.ts'
import { DEX_STORAGE_TYPES, unbuiltType } from '../unbuilt.ts'

/** What a file without a `storage` block gets, in the current folder. */
export const DEFAULT_STORE = 'countersign.db.json'

export const readStorage = (
  storage: Part<'storage'> | undefined,
  storageTypes: Record<string, StorageType>,
  reading: Reading,
): StorageOptions => {
  const { report } = reading
  if (!storage) {
    const file = resolve(reading.cwd, DEFAULT_STORE)
    reading.notes.push(`No storage block: state is kept in ${file}.`)
    return { type: 'lowdb', config: { file } }
  }
  const { type } = storage
  if (type === undefined) return { type: '', config: {} }
  const known = Object.hasOwn(storageTypes, type) ? storageTypes[type] : undefined
  if (!known) {
    const names = Object.keys(storageTypes)
    if (DEX_STORAGE_TYPES.includes(type)) report.fault('/storage/type', unbuiltType(names))
    else
      report.fault('/storage/type', `names no store; there is ${names.join(', ')}`, { nearest: nearest(type, names) })
    return { type, config: {} }
  }
  return { type, config: readSection('/storage/config', known.schema, reading) }
}
