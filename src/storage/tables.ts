/** The records of a store in memory: one table a kind, its indexes and an order by expiry. Shared by the embedded drivers. */
import type { Json } from '../lib/json.ts'
import type { Change, NewRecord, StoredRecord } from './contract.ts'
import { type Expiries, openExpiries } from './expiries.ts'
import { type Kind, kinds } from './kinds.ts'

/**
 * A record as it is kept. Rows are never changed, only replaced, so whoever holds one has a consistent copy. The body is
 * JSON text: a third of the memory of the parsed value, and nobody can change what is stored by changing what was read.
 */
export interface Row {
  readonly version: number
  /** Unix seconds; 0 is never. */
  readonly expiresAt: number
  readonly index: Readonly<Record<string, string>>
  readonly text: string
}

/** What a change comes down to once its condition held: the row that is there afterwards, or none. */
export interface Write {
  readonly kind: string
  readonly id: string
  readonly row: Row | undefined
}

/** Writes that were decided and are not in the tables yet, by kind and id. */
export type Ahead = Map<string, Map<string, Row | undefined>>

export type Plan = { ok: true; writes: Write[] } | { ok: false; conflict: number }

export interface Tables {
  read(kind: string, id: string, now: number): Row | undefined
  find(kind: string, by: Record<string, string>, now: number): Iterable<[id: string, row: Row]>
  /** The smallest live value of an index that starts with `prefix`; looks at each value once, not at each record. */
  first(kind: string, index: string, prefix: string, now: number): string | undefined
  /** Checks the conditions of `changes` in order, on the tables and what is `ahead` of them. Touches neither. */
  plan(changes: readonly Change[], now: number, ahead?: Ahead): Plan
  apply(writes: Iterable<Write>): void
  count(kind: string, now: number): { live: number; expired: number }
  /** Removes at most `limit` expired records, returns how many. */
  removeExpired(now: number, limit: number): number
  /** Rows of a kind, expired ones included. */
  rows(kind: string): ReadonlyMap<string, Row>
  /** The version that was given last; a store that is read back sets it, so that none is given twice. */
  lastVersion: number
}

interface Table {
  rows: Map<string, Row>
  /** By index name and value: the id, or several. Most values belong to one record, and a set costs 200 bytes. */
  indexes: Map<string, Map<string, string | Set<string>>>
  expiries: Expiries
}

const noIndex: Readonly<Record<string, string>> = Object.freeze({})

export function openTables(declared: Readonly<Record<string, Kind>> = kinds): Tables {
  const tables = new Map<string, Table>()
  for (const [kind, { indexes }] of Object.entries(declared))
    tables.set(kind, {
      rows: new Map(),
      indexes: new Map(indexes.map((name) => [name, new Map()])),
      expiries: openExpiries(),
    })

  const tableOf = (kind: string): Table => {
    const table = tables.get(kind)
    if (!table) throw new TypeError(`storage has no kind "${kind}"`)
    return table
  }
  const indexOf = (table: Table, kind: string, name: string) => {
    const index = table.indexes.get(name)
    if (!index) throw new TypeError(`kind "${kind}" declares no index "${name}"`)
    return index
  }

  const newRow = (kind: string, table: Table, record: NewRecord): Row => {
    let index = noIndex
    for (const name in record.index) {
      indexOf(table, kind, name)
      if (index === noIndex) index = { ...record.index }
    }
    const text: string | undefined = JSON.stringify(record.body)
    if (text === undefined) throw new TypeError(`a record of kind "${kind}" has no body`)
    self.lastVersion += 1
    return { version: self.lastVersion, expiresAt: record.expiresAt ?? 0, index, text }
  }

  const put = (table: Table, id: string, row: Row | undefined) => {
    const old = table.rows.get(id)
    if (old) {
      for (const name in old.index)
        if (old.index[name] !== row?.index[name]) unlist(table.indexes.get(name)!, old.index[name]!, id)
      if (old.expiresAt && old.expiresAt !== row?.expiresAt) table.expiries.remove(id, old.expiresAt)
    }
    if (!row) {
      table.rows.delete(id)
      return
    }
    table.rows.set(id, row)
    for (const name in row.index)
      if (old?.index[name] !== row.index[name]) list(table.indexes.get(name)!, row.index[name]!, id)
    if (row.expiresAt && old?.expiresAt !== row.expiresAt) table.expiries.add(id, row.expiresAt)
  }

  const self: Tables = {
    lastVersion: 0,
    rows: (kind) => tableOf(kind).rows,

    read(kind, id, now) {
      const row = tableOf(kind).rows.get(id)
      return row && isLive(row, now) ? row : undefined
    },

    find(kind, by, now) {
      const table = tableOf(kind)
      const wanted = Object.entries(by)
      let ids: Iterable<string> = table.rows.keys()
      let fewest = Number.POSITIVE_INFINITY
      for (const [name, value] of wanted) {
        const found = indexOf(table, kind, name).get(value)
        if (found === undefined) return []
        const size = typeof found === 'string' ? 1 : found.size
        if (size >= fewest) continue
        fewest = size
        ids = typeof found === 'string' ? [found] : found
      }
      return matching(table.rows, ids, wanted, now)
    },

    first(kind, name, prefix, now) {
      const table = tableOf(kind)
      const live = (id: string) => isLive(table.rows.get(id)!, now)
      let first: string | undefined
      for (const [value, ids] of indexOf(table, kind, name)) {
        if (!value.startsWith(prefix) || (first !== undefined && value >= first)) continue
        if (typeof ids === 'string' ? live(ids) : some(ids, live)) first = value
      }
      return first
    },

    plan(changes, now, ahead) {
      const own: Ahead = new Map()
      const writes: Write[] = []
      for (const [position, change] of changes.entries()) {
        const { kind, id } = change
        const table = tableOf(kind)
        let current = own.get(kind)?.has(id)
          ? own.get(kind)?.get(id)
          : ahead?.get(kind)?.has(id)
            ? ahead.get(kind)?.get(id)
            : table.rows.get(id)
        if (current && !isLive(current, now)) current = undefined
        if (!holds(change, current)) return { ok: false, conflict: position }
        if (change.do === 'delete' && !current) continue
        const row = change.do === 'delete' ? undefined : newRow(kind, table, change.record)
        writes.push({ kind, id, row })
        if (changes.length > 1) note(own, kind, id, row)
      }
      return { ok: true, writes }
    },

    apply(writes) {
      for (const { kind, id, row } of writes) put(tableOf(kind), id, row)
    },

    count(kind, now) {
      const { rows } = tableOf(kind)
      let live = 0
      for (const row of rows.values()) if (isLive(row, now)) live += 1
      return { live, expired: rows.size - live }
    },

    removeExpired(now, limit) {
      let removed = 0
      for (const table of tables.values()) {
        if (removed >= limit) break
        for (const id of table.expiries.due(now, limit - removed)) {
          put(table, id, undefined)
          removed += 1
        }
      }
      return removed
    },
  }
  return self
}

/** Adds a write to what is ahead of the tables. */
export function note(ahead: Ahead, kind: string, id: string, row: Row | undefined): void {
  const ofKind = ahead.get(kind)
  if (ofKind) ofKind.set(id, row)
  else ahead.set(kind, new Map([[id, row]]))
}

/** The record that a caller of the driver gets. */
export function toRecord(row: Row): StoredRecord {
  const record: StoredRecord = {
    version: String(row.version),
    index: { ...row.index },
    body: JSON.parse(row.text) as Json,
  }
  if (row.expiresAt) record.expiresAt = row.expiresAt
  return record
}

/** Whole seconds since 1970, as `expiresAt` counts. */
export function secondsOf(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

export function isLive(row: Row, now: number): boolean {
  return row.expiresAt === 0 || row.expiresAt > now
}

function holds(change: Change, current: Row | undefined): boolean {
  if (change.do === 'create') return current === undefined
  if (change.version === undefined) return true
  return current !== undefined && String(current.version) === change.version
}

function* matching(rows: Map<string, Row>, ids: Iterable<string>, wanted: [string, string][], now: number) {
  for (const id of ids) {
    const row = rows.get(id)
    if (!row || !isLive(row, now)) continue
    if (wanted.every(([name, value]) => row.index[name] === value)) yield [id, row] as [string, Row]
  }
}

function some(ids: Iterable<string>, wanted: (id: string) => boolean): boolean {
  for (const id of ids) if (wanted(id)) return true
  return false
}

function list(index: Map<string, string | Set<string>>, value: string, id: string): void {
  const found = index.get(value)
  if (found === undefined) index.set(value, id)
  else if (typeof found === 'string') index.set(value, new Set([found, id]))
  else found.add(id)
}

function unlist(index: Map<string, string | Set<string>>, value: string, id: string): void {
  const found = index.get(value)
  if (found === id) index.delete(value)
  else if (found instanceof Set && found.delete(id) && found.size === 0) index.delete(value)
}
