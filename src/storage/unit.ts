/** A unit of work: what one request reads and writes. Reads happen once, writes gather and become one commit. */
import type { Change, CommitResult, NewRecord, StorageDriver, StoredRecord } from './contract.ts'

export interface Unit {
  /** Reads a record once; afterwards the same answer, with the unit's own writes. */
  get(kind: string, id: string): Promise<StoredRecord | undefined>
  /** Records by declared indexes, with the unit's own writes. */
  find(kind: string, by: Record<string, string>): AsyncIterable<[id: string, record: StoredRecord]>
  /** Stages a record whose id must be free when the unit is committed. */
  create(kind: string, id: string, record: NewRecord): void
  /**
   * Stages a compare-and-set: at the commit the record must still be as this unit read it (or be at `version`).
   * @throws {TypeError} when the unit has not read the record and no version is given
   */
  replace(kind: string, id: string, record: NewRecord, version?: string): void
  /** Stages a removal. With `version` the record must still be at it, without one it may even be missing. */
  delete(kind: string, id: string, version?: string): void
  /** How many changes wait for the commit. */
  readonly staged: number
  /**
   * Commits what is staged, all or nothing, and resolves when it is durable. Without staged changes the store is not
   * asked. Whatever the outcome, the unit is empty afterwards and reads anew.
   */
  commit(): Promise<CommitResult>
}

/** The version that a record has in the unit that created it, until it is committed. */
const uncommitted = ''

export function openUnit(driver: StorageDriver): Unit {
  let read = new Map<string, StoredRecord | undefined>()
  let reading = new Map<string, Promise<StoredRecord | undefined>>()
  let changes = new Map<string, Change>()

  const stage = (change: Change) => {
    changes.set(keyOf(change.kind, change.id), change)
  }

  return {
    get staged() {
      return changes.size
    },

    async get(kind, id) {
      const key = keyOf(kind, id)
      const change = changes.get(key)
      if (change) return own(change)
      if (read.has(key)) return read.get(key)
      let pending = reading.get(key)
      if (!pending) {
        pending = driver.get(kind, id)
        reading.set(key, pending)
      }
      const [into, flying] = [read, reading]
      try {
        const record = await pending
        into.set(key, record)
        return changes.has(key) ? own(changes.get(key)!) : record
      } finally {
        flying.delete(key)
      }
    },

    async *find(kind, by) {
      for await (const [id, record] of driver.find(kind, by)) {
        const key = keyOf(kind, id)
        if (changes.has(key)) continue
        if (!read.has(key)) read.set(key, record)
        const first = read.get(key)
        if (first && matches(first, by)) yield [id, first]
      }
      for (const change of [...changes.values()]) {
        const record = change.kind === kind ? own(change) : undefined
        if (record && matches(record, by)) yield [change.id, record]
      }
    },

    create(kind, id, record) {
      const key = keyOf(kind, id)
      const before = changes.get(key)
      if (before && before.do !== 'delete') throw new TypeError(`${kind} is written already in this unit of work`)
      if (!before) return stage({ do: 'create', kind, id, record })
      // Removed and made anew in one unit is a replacement, and a replacement needs to know what was there.
      const version = before.version ?? read.get(key)?.version
      if (version !== undefined) stage({ do: 'replace', kind, id, version, record })
      else if (read.has(key)) stage({ do: 'create', kind, id, record })
      else throw new TypeError(`${kind} is removed and made anew without having been read`)
    },

    replace(kind, id, record, version) {
      const key = keyOf(kind, id)
      const before = changes.get(key)
      if (before?.do === 'create') return stage({ ...before, record })
      if (before?.do === 'delete') throw new TypeError(`${kind} is removed already in this unit of work`)
      const at = before?.version ?? version ?? read.get(key)?.version
      if (at === undefined) throw new TypeError(`${kind} is replaced without having been read`)
      stage({ do: 'replace', kind, id, version: at, record })
    },

    delete(kind, id, version) {
      const key = keyOf(kind, id)
      const before = changes.get(key)
      if (before?.do === 'create') {
        changes.delete(key)
        read.set(key, undefined)
        return
      }
      const at = before?.version ?? version
      stage(at === undefined ? { do: 'delete', kind, id } : { do: 'delete', kind, id, version: at })
    },

    async commit() {
      const due = [...changes.values()]
      changes = new Map()
      read = new Map()
      reading = new Map()
      return due.length === 0 ? { ok: true } : driver.commit(due)
    },
  }
}

/** What a staged change makes of the record, for the unit that staged it. */
function own(change: Change): StoredRecord | undefined {
  if (change.do === 'delete') return undefined
  return { ...change.record, version: change.do === 'replace' ? change.version : uncommitted }
}

function matches(record: NewRecord, by: Record<string, string>): boolean {
  return Object.entries(by).every(([name, value]) => record.index[name] === value)
}

/** Kinds have no space in their names. */
function keyOf(kind: string, id: string): string {
  return `${kind} ${id}`
}
