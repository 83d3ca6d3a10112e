/** Everything in the memory of this process: for trials and tests, and the fastest there is. Nothing survives a restart. */
import { Type } from 'typebox'
import type { StorageContext, StorageDriver, StorageType } from '../contract.ts'
import { openTables, secondsOf } from '../tables.ts'
import { readerOf, sweepTables } from '../tables-driver.ts'

export const memory: StorageType = {
  schema: Type.Object({}, { additionalProperties: false }),
  open: async (_config, context) => openMemory(context),
}

function openMemory(context: StorageContext): StorageDriver {
  const tables = openTables()
  return {
    ...readerOf(tables, context.now),
    async commit(changes) {
      const plan = tables.plan(changes, secondsOf(context.now()))
      if (!plan.ok) return plan
      tables.apply(plan.writes)
      return { ok: true }
    },
    sweep: (now) => sweepTables(tables, now),
    ready: async () => {},
    close: async () => {},
  }
}
