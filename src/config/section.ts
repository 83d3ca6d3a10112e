/** A `config:` block: environment expanded, keys matched, checked against the schema of its type. */
import type { TSchema } from 'typebox'
import { nearest } from '../lib/nearest.ts'
import { compileSchema, type SchemaProblem } from '../lib/schema.ts'
import { expand } from './environment.ts'
import type { Reading } from './reading.ts'
import { child, type Report } from './report.ts'
import { shape } from './shape.ts'
import type { Node } from './source.ts'

/** The checked value of the block at `pointer`; `undefined` when it has faults, which are reported. */
export const readSection = (pointer: string, schema: TSchema, reading: Reading): unknown => {
  const { report } = reading
  const node = report.node(pointer)
  if (node && node.kind !== 'map') {
    report.fault(pointer, 'must be a group of keys')
    return undefined
  }
  const unknown = node && reading.expandEnv ? expandTexts(node, pointer, reading) : []
  const value = node ? shape(node, schema, pointer, report) : {}
  const problems = compileSchema(schema)(value)
  for (const problem of problems) {
    const at = report.node(pointer + problem.path)
    if (!at || !unknown.includes(at)) reportProblem(problem, pointer, report)
  }
  return problems.length > 0 || report.broken(pointer) ? undefined : value
}

/** Reports what the schema check found, in the words of the file. */
export const reportProblem = (
  { path, message, nearest: near, wanted }: SchemaProblem,
  prefix: string,
  report: Report,
): void => {
  const pointer = prefix + path
  const node = report.node(pointer)
  if (
    wanted?.includes('string') &&
    node?.kind === 'scalar' &&
    (typeof node.value === 'number' || typeof node.value === 'boolean')
  ) {
    const read = typeof node.value === 'number' ? `the number ${node.value}` : String(node.value)
    report.fault(pointer, `must be text, but ${node.text} without quotes means ${read}: write "${node.text}"`)
    return
  }
  report.fault(pointer, message, { nearest: near })
}

/**
 * In place, in texts of groups and lists; a list directly inside a list is left as it is, as in Dex. Returns the texts that
 * name a variable which is not set: nothing more can be said of them.
 */
const expandTexts = (node: Node, pointer: string, reading: Reading): Node[] => {
  const { report } = reading
  if (node.kind === 'map') {
    return node.entries.flatMap(({ key, place, value }) => {
      const at = child(pointer, key)
      report.locate(at, place, value)
      return expandTexts(value, at, reading)
    })
  }
  if (node.kind === 'list') {
    return node.items.flatMap((item, index) => {
      const at = child(pointer, index)
      report.locate(at, item.place, item)
      return item.kind === 'list' ? [] : expandTexts(item, at, reading)
    })
  }
  if (typeof node.value !== 'string' || !node.value.includes('$')) return []
  const { text, unset, malformed } = expand(node.value, reading.env)
  for (const name of new Set(unset)) reportUnset(name, pointer, reading)
  if (malformed) report.warn(pointer, 'has a "${" that names no variable, which is left out')
  node.value = text
  return unset.length > 0 ? [node] : []
}

const reportUnset = (name: string, pointer: string, { report, env }: Reading): void => {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    report.fault(pointer, `names the environment variable ${name}, which is not set`, {
      nearest: nearest(name, Object.keys(env)),
    })
    return
  }
  const why = 'a "$" starts the name of an environment variable here'
  report.fault(
    pointer,
    `names the environment variable "${name}", which cannot be set: ${why}; DEX_EXPAND_ENV=false takes all texts literally`,
  )
}
