/**
 * Brings a part of the file into the shape of its schema: keys as the schema spells them whatever their case, unknown ones
 * reported and left out, nulls left out. Types are left for the schema check.
 */
import type { TSchema } from 'typebox'
import type { Json } from '../lib/json.ts'
import { nearest } from '../lib/nearest.ts'
import { child, type Report } from './report.ts'
import type { Entry, MapNode, Node } from './source.ts'

/** What of JSON Schema is looked at; TypeBox' types do not tell. */
interface SchemaView {
  type?: string | string[]
  enum?: unknown[]
  properties?: Record<string, SchemaView>
  patternProperties?: Record<string, SchemaView>
  additionalProperties?: boolean | SchemaView
  items?: SchemaView
  anyOf?: SchemaView[]
  oneOf?: SchemaView[]
  allOf?: SchemaView[]
}

/** Says more of an unknown key, such as where it belongs. */
export type Hint = (key: string, pointer: string) => string | undefined

export const shape = (node: Node, schema: TSchema, pointer: string, report: Report, hint?: Hint): Json => {
  return walk(node, schema as SchemaView, pointer)

  function walk(node: Node, schema: SchemaView, pointer: string): Json {
    if (report.node(pointer) === undefined) report.locate(pointer, node.place, node)
    if (node.kind === 'scalar') return node.value
    const fitting = branchFor(schema, node)
    if (node.kind === 'map') return group(node, fitting, pointer)
    const items: Json[] = []
    for (const item of node.items) {
      const at = child(pointer, items.length)
      if (item.kind === 'scalar' && item.value === null) {
        report.locate(at, item.place)
        report.warn(at, 'is empty and is left out')
        continue
      }
      report.locate(at, item.place, item)
      items.push(walk(item, fitting.items ?? {}, at))
    }
    return items
  }

  function group(node: MapNode, schema: SchemaView, pointer: string): Json {
    const known = schema.properties ?? {}
    const names = new Map(Object.keys(known).map((name) => [name.toLowerCase(), name]))
    const value: { [key: string]: Json } = {}
    const open = isOpen(schema)
    for (const entry of inOrder(node.entries, names)) {
      const name = Object.hasOwn(known, entry.key) ? entry.key : names.get(entry.key.toLowerCase())
      const at = child(pointer, name ?? entry.key)
      if (name === undefined && !open) {
        report.locate(at, entry.place, entry.value)
        unknown(entry.key, at, Object.keys(known))
        continue
      }
      if (entry.value.kind === 'scalar' && entry.value.value === null) continue
      const inner = name === undefined ? openSchema(schema) : known[name]!
      // An empty word is Go's way to say "not set" where only certain words are allowed.
      if (inner.enum && !inner.enum.includes('') && entry.value.kind === 'scalar' && entry.value.value === '') continue
      const key = name ?? entry.key
      if (Object.hasOwn(value, key)) {
        report.warn(
          at,
          `stands twice, in different spelling, also in line ${report.node(at)?.place.line}; the one spelt "${entry.key}" counts`,
        )
      }
      report.locate(at, entry.place, entry.value)
      Object.defineProperty(value, key, {
        value: walk(entry.value, inner, at),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
    return value
  }

  function unknown(key: string, at: string, names: string[]): void {
    const more = hint?.(key, at)
    const near = more === undefined ? nearest(key, names) : undefined
    report.warn(at, `is no known key and has no effect${more === undefined ? '' : `: ${more}`}`, {
      nearest: near,
      unknownKey: true,
    })
  }
}

/**
 * Dex sorts keys by their bytes before it matches them, so of two spellings of one key the last in that order counts.
 * Other keys stay in the order of the file.
 */
const inOrder = (entries: Entry[], names: Map<string, string>): Entry[] => {
  const spellings = Object.groupBy(entries, ({ key }) =>
    names.has(key.toLowerCase()) ? key.toLowerCase() : `\0${key}`,
  )
  return Object.values(spellings).flatMap((same) => same!.toSorted((a, b) => (a.key < b.key ? -1 : 1)))
}

const isOpen = (schema: SchemaView): boolean =>
  schema.patternProperties !== undefined ||
  schema.additionalProperties === true ||
  typeof schema.additionalProperties === 'object' ||
  (schema.properties === undefined && schema.additionalProperties !== false)

const openSchema = ({ patternProperties, additionalProperties }: SchemaView): SchemaView =>
  typeof additionalProperties === 'object' ? additionalProperties : (Object.values(patternProperties ?? {})[0] ?? {})

/** The branch of a union that a node of this kind can be; branches of groups are looked at together. */
const branchFor = (schema: SchemaView, node: Node): SchemaView => {
  if (schema.allOf) return merge([schema, ...schema.allOf.map((part) => branchFor(part, node))])
  const branches = schema.anyOf ?? schema.oneOf
  if (!branches) return schema
  const wanted = node.kind === 'map' ? 'object' : 'array'
  const fitting = branches
    .map((branch) => branchFor(branch, node))
    .filter(({ type }) => type === undefined || [type].flat().includes(wanted))
  return merge(fitting)
}

const merge = (schemas: SchemaView[]): SchemaView => {
  const [first, ...others] = schemas
  if (first === undefined) return {}
  if (others.length === 0) return first
  return {
    ...Object.assign({}, ...schemas.toReversed()),
    properties: Object.assign({}, ...schemas.map(({ properties }) => properties ?? {})),
  }
}
