/** The part of a driver that reads tables in memory; the same in every embedded driver. */
import type { StorageDriver } from './contract.ts'
import { secondsOf, type Tables, toRecord } from './tables.ts'

/** Records removed in one go; at 2 µs each a request waits 2 ms at most. */
const batch = 1000

export function readerOf(tables: Tables, now: () => Date): Pick<StorageDriver, 'get' | 'find' | 'first' | 'count'> {
  return {
    async get(kind, id) {
      const row = tables.read(kind, id, secondsOf(now()))
      return row && toRecord(row)
    },
    async *find(kind, by) {
      for (const [id, row] of tables.find(kind, by, secondsOf(now()))) yield [id, toRecord(row)]
    },
    first: async (kind, index, prefix) => tables.first(kind, index, prefix, secondsOf(now())),
    count: async (kind) => tables.count(kind, secondsOf(now())),
  }
}

/** Removes what has expired, letting requests pass between two batches. */
export async function sweepTables(tables: Tables, now: Date): Promise<number> {
  let total = 0
  for (;;) {
    const removed = tables.removeExpired(secondsOf(now), batch)
    total += removed
    if (removed < batch) return total
    await new Promise((resolve) => setImmediate(resolve))
  }
}
