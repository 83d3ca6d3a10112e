/** What every storage driver does, whatever engine is below it. `test/storage/contract.ts` holds a driver to it. */
import type { TSchema } from 'typebox'
import type { Json } from '../lib/json.ts'
import type { Logger } from '../lib/logger.ts'

/** One kind of store, such as `lowdb`. */
export interface StorageType<Config = unknown> {
  /** JSON Schema (TypeBox) of `storage.config`. */
  schema: TSchema
  /** Opens the store; rejects with a sentence for the operator when it is damaged, locked or out of reach. */
  open(config: Config, context: StorageContext): Promise<StorageDriver>
}

export interface StorageContext {
  log: Logger
  now(): Date
}

/** A store that one process at a time may open is open in another one. */
export class StoreInUse extends Error {}

export interface NewRecord {
  /** Unix seconds; from then on the record is not found any more. Absent: never. */
  expiresAt?: number
  /** Values of the indexes that `kinds.ts` declares for this kind. */
  index: Record<string, string>
  body: Json
}
export interface StoredRecord extends NewRecord {
  /** Changes with every write of the record. */
  version: string
}

export type Change =
  /** The id must be free (an expired record leaves it free). */
  | { do: 'create'; kind: string; id: string; record: NewRecord }
  /** The record must be as it was read. */
  | { do: 'replace'; kind: string; id: string; version: string; record: NewRecord }
  /** With a version the record must be as it was read; without one a missing record is no conflict. */
  | { do: 'delete'; kind: string; id: string; version?: string }

export type CommitResult = { ok: true } | { ok: false; conflict: number }

export interface StorageDriver {
  /** A record that exists and has not expired. */
  get(kind: string, id: string): Promise<StoredRecord | undefined>
  /** By declared indexes only; `{}` is all records of the kind. */
  find(kind: string, by: Record<string, string>): AsyncIterable<[id: string, record: StoredRecord]>
  /**
   * Of the values that a declared index has among live records, the first in the order of their UTF-16 units that starts with
   * `prefix`; `undefined` when there is none. Must not look at every record.
   */
  first(kind: string, index: string, prefix: string): Promise<string | undefined>
  /**
   * All or nothing, resolves when it is durable. A condition that fails refuses the whole; `conflict` is the position of
   * the first change that could not be made. Records of volatile kinds need not survive a restart and touch no disk.
   */
  commit(changes: readonly Change[]): Promise<CommitResult>
  count(kind: string): Promise<{ live: number; expired: number }>
  /** Removes what has expired, in bounded batches; returns how many. */
  sweep(now: Date): Promise<number>
  /** Resolves when the store can be used; rejects with the reason when not. */
  ready(): Promise<void>
  close(): Promise<void>
}
