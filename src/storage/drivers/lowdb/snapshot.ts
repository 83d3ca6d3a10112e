/** The snapshot: one file, in it a `Low` for each kind, written and replaced as one. */
import { type Adapter, Low } from 'lowdb'
import type { Kind } from '../../kinds.ts'
import type { Row } from '../../tables.ts'
import type { Disk } from './disk.ts'
import { damaged, frame, type Header, headerLine, readLines } from './lines.ts'
import { writeFromJson, writeToJson } from './rows.ts'

export type KindRows = [id: string, row: Row][]

export interface Snapshot {
  generation: number
  lastVersion: number
  kinds: Record<string, KindRows>
}

/** Characters of lines gathered before they go to the file; between two pieces other work gets its turn. */
const piece = 256 * 1024

/**
 * Reads the snapshot; `undefined` when there is no file.
 * @throws DamagedFileError, naming the file
 */
export async function readSnapshot(
  disk: Disk,
  path: string,
  kinds: Readonly<Record<string, Kind>>,
): Promise<(Snapshot & { bytes: number }) | undefined> {
  const bytes = await disk.read(path)
  if (!bytes) return undefined
  const { header, values, torn } = readLines(path, bytes, 'snapshot')
  // The last line says how many there were: a snapshot is in place whole or not at all, so a shorter one was cut off.
  const end = values.pop() as { records?: number } | undefined
  if (torn > 0 || end?.records !== values.length || !Number.isSafeInteger(header.lastVersion))
    throw damaged(path, 'it is cut off')

  const sections = new Map<string, KindRows>()
  for (const [position, value] of values.entries()) {
    const write = writeFromJson(value, kinds, path, position + 2)
    if (!write.row) throw damaged(path, `line ${position + 2} holds no record`)
    const section = sections.get(write.kind)
    if (section) section.push([write.id, write.row])
    else sections.set(write.kind, [[write.id, write.row]])
  }
  const snapshot: Snapshot = { generation: header.generation, lastVersion: header.lastVersion ?? 0, kinds: {} }
  for (const kind of Object.keys(kinds)) {
    const low = new Low<KindRows>({ read: async () => sections.get(kind) ?? null, write: async () => {} }, [])
    await low.read()
    snapshot.kinds[kind] = low.data
  }
  return { ...snapshot, bytes: bytes.length }
}

/**
 * Writes the snapshot in one step: whoever looks sees the old one or the new one, whole. All kinds share the file,
 * because a commit may concern several, and only one rename can make them change together. Resolves with its bytes.
 */
export async function writeSnapshot(disk: Disk, path: string, snapshot: Snapshot): Promise<number> {
  const { generation, lastVersion, kinds } = snapshot
  let size = 0
  async function* text() {
    const header: Omit<Header, 'format' | 'formatVersion'> = { content: 'snapshot', generation, lastVersion }
    yield headerLine(header)
    let records = 0
    for (const [kind, rows] of Object.entries(kinds)) {
      const section = openSection(kind)
      const low = new Low<KindRows>(section.adapter, rows)
      const written = low.write()
      yield* section.pieces()
      await written
      records += rows.length
    }
    yield frame(JSON.stringify({ records }))
  }
  async function* measured() {
    for await (const chunk of text()) {
      size += Buffer.byteLength(chunk)
      yield chunk
    }
  }
  await disk.replace(path, measured())
  return size
}

/** The part of the file that one kind fills: what its `Low` writes comes out in pieces. */
function openSection(kind: string): { adapter: Adapter<KindRows>; pieces(): Iterable<string> } {
  let rows: KindRows = []
  return {
    adapter: {
      read: async () => rows,
      write: async (data) => {
        rows = data
      },
    },
    *pieces() {
      let text = ''
      for (const [id, row] of rows) {
        text += frame(writeToJson({ kind, id, row }))
        if (text.length < piece) continue
        yield text
        text = ''
      }
      if (text) yield text
    },
  }
}
