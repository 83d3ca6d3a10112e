/** Rows as JSON: how the snapshot and the journal write a record, and what a line must look like to be taken back. */
import type { Kind } from '../../kinds.ts'
import type { Row, Write } from '../../tables.ts'
import { damaged } from './lines.ts'

/** JSON text `[kind, id, version, expiresAt, index, body]`, or `[kind, id]` for a record that was removed. */
export function writeToJson({ kind, id, row }: Write): string {
  const key = `[${JSON.stringify(kind)},${JSON.stringify(id)}`
  return row ? `${key},${row.version},${row.expiresAt},${JSON.stringify(row.index)},${row.text}]` : `${key}]`
}

/**
 * Takes back what `writeToJson` wrote.
 * @throws {DamagedFileError} when the value in that line is no record
 * @throws {Error} when a newer version wrote a kind or an index that this one does not have
 */
export function writeFromJson(
  value: unknown,
  kinds: Readonly<Record<string, Kind>>,
  path: string,
  line: number,
): Write {
  const [kind, id, version, expiresAt, index, body] = Array.isArray(value) ? (value as unknown[]) : []
  if (typeof kind !== 'string' || typeof id !== 'string') throw damaged(path, `line ${line} holds no record`)
  const declared = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (!declared) throw newer(path, line, `records of kind "${kind}"`)
  if ((value as unknown[]).length === 2) return { kind, id, row: undefined }
  if (body === undefined || !isCount(version) || !isCount(expiresAt) || !isIndex(index))
    throw damaged(path, `line ${line} holds no record`)
  for (const name in index)
    if (!declared.indexes.includes(name)) throw newer(path, line, `an index "${name}" of "${kind}"`)
  const row: Row = { version, expiresAt, index, text: JSON.stringify(body) }
  return { kind, id, row }
}

function newer(path: string, line: number, what: string): Error {
  return new Error(
    `storage: line ${line} of ${path} holds ${what}, which this version does not know; ` +
      'a newer version wrote it and has to be used',
  )
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value)
}

function isIndex(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string')
}
