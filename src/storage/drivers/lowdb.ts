/**
 * The embedded store: records in memory, a snapshot of them in one file, and a journal of what changed since beside it.
 * For one process and up to some ten thousand live records.
 */
import { basename, dirname, resolve } from 'node:path'
import { Type } from 'typebox'
import type { StorageContext, StorageDriver, StorageType } from '../contract.ts'
import { type Kind, kinds } from '../kinds.ts'
import { makeSealingKey, sealingKeyPath } from '../sealing-key.ts'
import { openTables, type Tables } from '../tables.ts'
import { readerOf, sweepTables } from '../tables-driver.ts'
import { openCommitter } from './lowdb/committer.ts'
import { type Disk, disk as realDisk } from './lowdb/disk.ts'
import { openFolding } from './lowdb/folding.ts'
import { createJournal, type Journal, journalNumbers, journalPath, openJournal, readJournal } from './lowdb/journal.ts'
import { damaged } from './lowdb/lines.ts'
import { takeLock } from './lowdb/lock.ts'
import { readSnapshot, writeSnapshot } from './lowdb/snapshot.ts'

export interface LowdbConfig {
  /** Path of the snapshot, relative to the working directory; the names of all other files begin with it. */
  file: string
}

export const lowdb: StorageType<LowdbConfig> = {
  schema: Type.Object({ file: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
  open: (config, context) => openLowdb(config, context),
}

export interface LowdbTuning {
  disk?: Disk
  /** Bytes of journal from which the snapshot is written anew, once the journal is as large as the snapshot, too. */
  foldAt?: number
}

const declared: Readonly<Record<string, Kind>> = kinds

/** Opens the store in `config.file`, or makes it. */
export async function openLowdb(
  config: LowdbConfig,
  context: StorageContext,
  tuning: LowdbTuning = {},
): Promise<StorageDriver> {
  const { disk = realDisk, foldAt = 4 * 1024 * 1024 } = tuning
  const { log, now } = context
  const file = resolve(config.file)
  await disk.makeFolder(dirname(file))
  const lock = await takeLock(`${file}.lock`, file)
  try {
    const tables = openTables(declared)
    const { journal, snapshot, journalled } = await load(disk, file, tables, context)
    const folding = openFolding({ disk, file, foldAt, tables, kinds: declared, log, now, snapshot, journalled })
    const committer = openCommitter({ tables, kinds: declared, journal, now, folding })
    return {
      ...readerOf(tables, now),
      commit: committer.commit,
      async sweep(time) {
        const removed = await sweepTables(tables, time)
        if (removed > 0 && folding.isMostlyGarbage()) committer.fold()
        return removed
      },
      ready: committer.probe,
      async close() {
        await committer.close()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

interface Loaded {
  journal: Journal
  snapshot: { generation: number; bytes: number; records: number }
  /** Records written in the journals since. */
  journalled: number
}

async function load(disk: Disk, file: string, tables: Tables, { log }: StorageContext): Promise<Loaded> {
  const journals = journalNumbers(basename(file), await disk.list(dirname(file)))
  const found = await readSnapshot(disk, file, declared)
  if (!found) return create(disk, file, journals)

  let records = 0
  tables.lastVersion = found.lastVersion
  for (const [kind, rows] of Object.entries(found.kinds)) {
    tables.apply(rows.map(([id, row]) => ({ kind, id, row })))
    records += rows.length
  }
  const snapshot = { generation: found.generation, bytes: found.bytes, records }
  const due = journals.filter((number) => number >= found.generation)
  // The first snapshot is empty and is there before its journal.
  if (due.length === 0 && found.generation === 1)
    return { journal: await createJournal(disk, file, 1), snapshot, journalled: 0 }

  let journalled = 0
  let length = 0
  const last = Math.max(found.generation, due.at(-1) ?? 0)
  for (let generation = found.generation; generation <= last; generation += 1) {
    const path = journalPath(file, generation)
    if (!due.includes(generation)) throw missing(path, file)
    const journal = await readJournal(disk, file, generation, declared)
    // Only the newest is written to, so an older one that ends in the middle of a line was damaged later.
    if (journal.torn > 0 && generation < last) throw damaged(path, 'it is cut off')
    if (journal.torn > 0)
      log.warn('the last line of the journal was not complete and is dropped; nobody was told that it was stored', {
        file: path,
        bytes: journal.torn,
      })
    for (const { row } of journal.writes) if (row && row.version > tables.lastVersion) tables.lastVersion = row.version
    tables.apply(journal.writes)
    journalled += journal.writes.length
    length = journal.length
  }
  log.debug('the store is read', { file, records, journalled })
  const journal = await openJournal(disk, journalPath(file, last), last, length)
  return { journal, snapshot, journalled }
}

async function create(disk: Disk, file: string, journals: readonly number[]): Promise<Loaded> {
  const left = journals.at(-1)
  if (left !== undefined) throw missing(file, journalPath(file, left))
  await makeSealingKey(sealingKeyPath(file))
  const bytes = await writeSnapshot(disk, file, { generation: 1, lastVersion: 0, kinds: {} })
  const journal = await createJournal(disk, file, 1)
  return { journal, snapshot: { generation: 1, bytes, records: 0 }, journalled: 0 }
}

function missing(path: string, beside: string): Error {
  return new Error(
    `storage: the file ${path} is missing, although ${beside} is there; nothing was changed. ` +
      'Restore the files of the store from a backup, or move them all away to start with an empty store.',
  )
}
