/** Folding: when the journal has grown, a new snapshot takes its place, while commits go on in a new journal. */
import { basename, dirname } from 'node:path'
import type { Logger } from '../../../lib/logger.ts'
import type { Kind } from '../../kinds.ts'
import { isLive, secondsOf, type Tables } from '../../tables.ts'
import type { Disk } from './disk.ts'
import { createJournal, type Journal, journalNumbers, journalPath } from './journal.ts'
import { type Snapshot, writeSnapshot } from './snapshot.ts'

export interface FoldingOptions {
  disk: Disk
  file: string
  /** Bytes of journal. */
  foldAt: number
  tables: Tables
  kinds: Readonly<Record<string, Kind>>
  log: Logger
  now(): Date
  /** What is on the disk already. */
  snapshot: { generation: number; bytes: number; records: number }
  journalled: number
}

export interface Folding {
  /** Takes note of what a commit appended. */
  appended(records: number): void
  isDue(journal: Journal): boolean
  /** Whether most of what the files hold is outdated or expired. */
  isMostlyGarbage(): boolean
  /**
   * Opens the next journal, for the commits from now on, and starts writing the snapshot. Must be called while nothing
   * is being appended. A failure is logged: the old snapshot and all journals since stay, so nothing is lost.
   */
  start(journal: Journal): Promise<Journal>
  /** Resolves when no snapshot is being written any more. */
  settled(): Promise<void>
}

/** Fewer outdated records than this are not worth a new snapshot before the journal has grown. */
const litter = 1000

export function openFolding(options: FoldingOptions): Folding {
  const { disk, file, foldAt, tables, kinds, log, now } = options
  const durable = Object.keys(kinds).filter((kind) => kinds[kind]?.durability === 'durable')
  let { generation, bytes, records } = options.snapshot
  let { journalled } = options
  let running: Promise<void> | undefined
  /** After a failure: the journal must grow by as much again before the next attempt. */
  let notBefore = 0

  /** The rows as they are now: rows never change, so the copy stays consistent while it is written. */
  const copy = (next: number): Snapshot => {
    const time = secondsOf(now())
    const live = durable.map((kind) => [kind, [...tables.rows(kind)].filter(([, row]) => isLive(row, time))] as const)
    return { generation: next, lastVersion: tables.lastVersion, kinds: Object.fromEntries(live) }
  }

  const write = async (snapshot: Snapshot) => {
    try {
      await disk.keep(file, `${file}.previous`)
      const kept = generation
      bytes = await writeSnapshot(disk, file, snapshot)
      generation = snapshot.generation
      records = Object.values(snapshot.kinds).reduce((sum, rows) => sum + rows.length, 0)
      notBefore = 0
      // The journals of the kept snapshot stay with it: together they are the store as it was at this fold.
      const outdated = journalNumbers(basename(file), await disk.list(dirname(file))).filter((one) => one < kept)
      for (const one of outdated) await disk.remove(journalPath(file, one))
    } catch (error) {
      failed(error, 0)
    }
  }

  const failed = (error: unknown, size: number) => {
    notBefore = size + foldAt
    log.error('the snapshot of the store could not be written; commits go on in the journal', { file, error })
  }

  return {
    appended(count) {
      journalled += count
    },
    isDue: (journal) => !running && journal.size > Math.max(foldAt, bytes, notBefore),
    isMostlyGarbage() {
      const live = durable.reduce((sum, kind) => sum + tables.rows(kind).size, 0)
      const outdated = records + journalled - live
      return !running && outdated > Math.max(litter, live)
    },
    async start(journal) {
      if (running) return journal
      let next: Journal
      try {
        // Only the newest journal may end in the middle of a line.
        await journal.tidy()
        next = await createJournal(disk, file, journal.generation + 1)
      } catch (error) {
        failed(error, journal.size)
        await disk.remove(journalPath(file, journal.generation + 1)).catch(() => {})
        return journal
      }
      journalled = 0
      running = write(copy(next.generation)).finally(() => {
        running = undefined
      })
      await journal.close().catch(() => {})
      return next
    },
    settled: async () => running,
  }
}
