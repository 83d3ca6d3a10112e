/** Files of checked lines: a CRC-32 in hexadecimal, a space, JSON text, a line feed. */
import { crc32 } from 'node:zlib'

/** Which format the lines of a file have, in its first line. Raised when an older program could not read a file. */
export const formatVersion = 1

/** The first line of every file of the store. */
export interface Header {
  format: 'countersign'
  formatVersion: number
  content: 'snapshot' | 'journal'
  /** Counts snapshots; a journal has the number of the snapshot that it continues. */
  generation: number
  /** Of a snapshot: the last version that was given. */
  lastVersion?: number
}

/** A sentence for the operator that names the file. */
export class DamagedFileError extends Error {
  override name = 'DamagedFileError'
}

export interface Lines {
  header: Header
  /** JSON values of the lines after the header. */
  values: unknown[]
  /** Bytes up to the end of the last whole line. */
  length: number
  /** Bytes after that: a line that was being written when the process or the machine stopped. */
  torn: number
}

/** One line for JSON text that holds no line feed, as `JSON.stringify` makes it. */
export function frame(json: string): string {
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

export function headerLine(header: Omit<Header, 'format' | 'formatVersion'>): string {
  return frame(JSON.stringify({ format: 'countersign', formatVersion, ...header } satisfies Header))
}

const lineFeed = 10

/**
 * Reads all lines. A last line without its line feed, or with a hole of NUL bytes, counts as torn: that is what a stop in
 * the middle of a write leaves behind.
 * @throws {DamagedFileError} for anything else that is not as it was written, with the number of the line
 */
export function readLines(path: string, bytes: Buffer, content: Header['content']): Lines {
  const values: unknown[] = []
  let header: Header | undefined
  let at = 0
  for (let number = 1; at < bytes.length; number += 1) {
    const end = bytes.indexOf(lineFeed, at)
    if (end === -1) break
    const value = unframe(bytes.subarray(at, end))
    if (value === undefined) {
      if (end === bytes.length - 1 && bytes.subarray(at, end).includes(0)) break
      throw damaged(path, `line ${number} is not as it was written`)
    }
    if (header) values.push(value)
    else header = checkHeader(path, value, content)
    at = end + 1
  }
  if (!header) throw damaged(path, bytes.length === 0 ? 'it is empty' : 'its first line is incomplete')
  return { header, values, length: at, torn: bytes.length - at }
}

/** The error for a file that is not as it was written. */
export function damaged(path: string, what: string): DamagedFileError {
  return new DamagedFileError(
    `storage: the file ${path} is damaged (${what}); it was left untouched. ` +
      'Restore the files that begin with its name from a backup, or move them away to start with an empty store.',
  )
}

function unframe(line: Buffer): unknown {
  if (line.length < 10 || line[8] !== 0x20) return undefined
  const json = line.subarray(9)
  const sum = line.toString('latin1', 0, 8)
  if (!/^[0-9a-f]{8}$/.test(sum) || crc32(json) !== Number.parseInt(sum, 16)) return undefined
  try {
    return JSON.parse(json.toString('utf8'))
  } catch {
    return undefined
  }
}

function checkHeader(path: string, value: unknown, content: Header['content']): Header {
  const header = value as Partial<Header> | null
  if (header?.format !== 'countersign' || header.content !== content || !Number.isSafeInteger(header.generation))
    throw damaged(path, `it is no ${content} of this program`)
  if (header.formatVersion !== formatVersion)
    throw new Error(
      `storage: the file ${path} has format ${header.formatVersion}, this version reads format ${formatVersion}; ` +
        'it was written by a newer version, which has to be used',
    )
  return header as Header
}
