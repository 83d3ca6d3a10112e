/** Commits of the embedded store: checked in order, written together, visible when they are safe. */
import type { Change, CommitResult } from '../../contract.ts'
import type { Kind } from '../../kinds.ts'
import { type Ahead, note, secondsOf, type Tables, type Write } from '../../tables.ts'
import type { Folding } from './folding.ts'
import type { Journal } from './journal.ts'

export interface CommitterOptions {
  tables: Tables
  kinds: Readonly<Record<string, Kind>>
  journal: Journal
  folding: Folding
  now(): Date
}

export interface Committer {
  commit(changes: readonly Change[]): Promise<CommitResult>
  /** Writes a new snapshot soon. */
  fold(): void
  /** Rejects when the disk refuses to write. Writes only when the last write failed. */
  probe(): Promise<void>
  /** Resolves when all that was asked for is written. */
  close(): Promise<void>
}

interface Waiting {
  changes: readonly Change[]
  resolve(result: CommitResult): void
  reject(error: unknown): void
}

export function openCommitter(options: CommitterOptions): Committer {
  const { tables, kinds, folding, now } = options
  let { journal } = options
  let queue: Waiting[] = []
  let running: Promise<void> | undefined
  let ahead: Ahead = new Map()
  let foldWanted = false
  let failing = false
  let closed = false

  const isDurable = ({ kind }: { kind: string }) => kinds[kind]?.durability !== 'volatile'
  const isAhead = ({ kind, id }: Change) => ahead.get(kind)?.has(id) === true

  const append = async (writes: readonly Write[]) => {
    try {
      await journal.append(writes)
      failing = false
    } catch (error) {
      failing = true
      throw new Error('storage: the disk refused a write', { cause: error })
    }
    folding.appended(writes.length)
  }

  /** Decides the commits of a batch in order and writes all that hold as one line. */
  const write = async (batch: readonly Waiting[]) => {
    const settle: (() => void)[] = []
    const writes: Write[] = []
    const time = secondsOf(now())
    for (const { changes, resolve, reject } of batch) {
      try {
        const plan = tables.plan(changes, time, ahead)
        settle.push(() => resolve(plan.ok ? { ok: true } : plan))
        if (!plan.ok) continue
        for (const one of plan.writes) {
          writes.push(one)
          note(ahead, one.kind, one.id, one.row)
        }
      } catch (error) {
        settle.push(() => reject(error))
      }
    }
    try {
      const durable = writes.filter(isDurable)
      if (durable.length > 0 || failing) await append(durable)
      // Only now: what others read must not be lost afterwards.
      tables.apply(writes)
      for (const one of settle) one()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      ahead = new Map()
    }
  }

  const run = async () => {
    // Requests that are answered in the same turn of the loop share the first write, too.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      while (queue.length > 0 || foldWanted) {
        const batch = queue
        queue = []
        if (batch.length > 0) await write(batch)
        if (foldWanted || folding.isDue(journal)) {
          foldWanted = false
          journal = await folding.start(journal)
        }
      }
    } finally {
      running = undefined
    }
  }
  const start = () => {
    running ??= run()
  }

  const enqueue = (changes: readonly Change[]) =>
    new Promise<CommitResult>((resolve, reject) => {
      queue.push({ changes, resolve, reject })
      start()
    })

  return {
    async commit(changes) {
      if (closed) throw new Error('storage: the store is closed')
      if (!changes.some(isDurable) && !changes.some(isAhead)) {
        const plan = tables.plan(changes, secondsOf(now()))
        if (!plan.ok) return plan
        tables.apply(plan.writes)
        return { ok: true }
      }
      return enqueue(changes)
    },

    fold() {
      foldWanted = true
      start()
    },

    async probe() {
      if (closed) throw new Error('storage: the store is closed')
      if (!failing) return
      // Any write shows whether the disk works again, even one of nothing.
      await enqueue([])
    },

    async close() {
      closed = true
      await running
      await folding.settled()
      await journal.close()
    },
  }
}
