/** The journal: what changed since the snapshot of the same number, one line for each write to the disk. */
import type { Kind } from '../../kinds.ts'
import type { Write } from '../../tables.ts'
import type { Disk } from './disk.ts'
import { damaged, frame, headerLine, readLines } from './lines.ts'
import { writeFromJson, writeToJson } from './rows.ts'

export interface Journal {
  generation: number
  /** Bytes that are safe on the disk. */
  readonly size: number
  /**
   * Appends one line and resolves when it is safe. Several commits share a line, so that a stop in the middle can only
   * ever tear the last one. When the disk refuses, the file is cut back, now or before the next line.
   */
  append(writes: readonly Write[]): Promise<void>
  /** Cuts off what an append that failed, or a process that was killed, left after the last good line. */
  tidy(): Promise<void>
  close(): Promise<void>
}

export function journalPath(file: string, generation: number): string {
  return `${file}.journal-${generation}`
}

/** The numbers of the journals that lie beside `file`, ascending, among the `names` of its folder. */
export function journalNumbers(name: string, names: readonly string[]): number[] {
  const prefix = journalPath(name, 0).slice(0, -1)
  return names
    .filter((one) => one.startsWith(prefix) && /^[1-9]\d*$/.test(one.slice(prefix.length)))
    .map((one) => Number(one.slice(prefix.length)))
    .sort((a, b) => a - b)
}

/** Makes an empty journal. */
export async function createJournal(disk: Disk, file: string, generation: number): Promise<Journal> {
  const path = journalPath(file, generation)
  const header = headerLine({ content: 'journal', generation })
  await disk.replace(path, [header])
  return openJournal(disk, path, generation, Buffer.byteLength(header))
}

/**
 * Reads a journal that must exist, changing nothing.
 * @throws DamagedFileError, naming the file
 */
export async function readJournal(
  disk: Disk,
  file: string,
  generation: number,
  kinds: Readonly<Record<string, Kind>>,
): Promise<{ writes: Write[]; length: number; torn: number }> {
  const path = journalPath(file, generation)
  const { header, values, length, torn } = readLines(path, (await disk.read(path)) ?? Buffer.alloc(0), 'journal')
  if (header.generation !== generation) throw damaged(path, `it is journal ${header.generation} by its first line`)
  const writes: Write[] = []
  for (const [position, value] of values.entries()) {
    if (!Array.isArray(value)) throw damaged(path, `line ${position + 2} holds no records`)
    for (const one of value) writes.push(writeFromJson(one, kinds, path, position + 2))
  }
  return { writes, length, torn }
}

/** Goes on with a journal of `length` good bytes; what lies after them is cut off before the first line is written. */
export async function openJournal(disk: Disk, path: string, generation: number, length: number): Promise<Journal> {
  const file = await disk.openAppend(path)
  let size = length
  let clean = false

  const tidy = async () => {
    if (clean) return
    await file.truncate(size)
    clean = true
  }
  return {
    generation,
    get size() {
      return size
    },
    async append(writes) {
      const bytes = Buffer.from(frame(`[${writes.map(writeToJson).join(',')}]`))
      await tidy()
      clean = false
      try {
        await file.write(bytes, size)
      } catch (error) {
        // Whether this succeeds or not, the caller needs to hear of the first failure.
        await tidy().catch(() => {})
        throw error
      }
      clean = true
      size += bytes.length
    },
    tidy,
    close: () => file.close(),
  }
}
