/** The stores that can be configured. A driver is one file and one line here. */
import type { StorageContext, StorageDriver, StorageType } from './contract.ts'
import { lowdb } from './drivers/lowdb.ts'
import { memory } from './drivers/memory.ts'
import type { StorageOptions } from './options.ts'

/** By the name that `storage.type` has in the operator's file. */
export const storageTypes: Readonly<Record<string, StorageType>> = { lowdb, memory }

/**
 * Opens the configured store. `options.config` has been checked against the type's schema before.
 * @throws with a sentence for the operator when the type is unknown or the store is damaged, locked or out of reach
 */
export async function openStorage(options: StorageOptions, context: StorageContext): Promise<StorageDriver> {
  const type = Object.hasOwn(storageTypes, options.type) ? storageTypes[options.type] : undefined
  if (!type) {
    const known = Object.keys(storageTypes).join(', ')
    throw new Error(`storage.type "${options.type}" is not known; there are: ${known}`)
  }
  return type.open(options.config, context)
}
