/** Reads the text of a YAML or JSON file into a tree that knows its lines, with the effect of Dex's library. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  type Scalar as YamlScalar,
} from 'yaml'
import { resolvePlain, resolveTagged, type Scalar } from './scalars.ts'

/** Both count from 1; 0 where no place in a file is meant. */
export interface Place {
  line: number
  column: number
}
export interface MapNode {
  kind: 'map'
  place: Place
  entries: Entry[]
}
export interface Entry {
  key: string
  /** Of the key. */
  place: Place
  value: Node
}
export interface ListNode {
  kind: 'list'
  place: Place
  items: Node[]
}
export interface ScalarNode {
  kind: 'scalar'
  place: Place
  value: Scalar
  /** As written, without quotes. */
  text: string
}
export type Node = MapNode | ListNode | ScalarNode

export interface Remark {
  place: Place
  /** Dotted, such as `web.http`. */
  path: string
  message: string
}
export interface Source {
  /** Absent when there are faults. */
  root?: Node
  faults: Remark[]
  warnings: Remark[]
}

/** More nodes than this come only from aliases that multiply. */
const MOST_NODES = 100_000

/** Decodes a file as the library does: UTF-8, or UTF-16 with a byte order mark. Throws TypeError for anything else. */
export const decodeText = (bytes: Uint8Array): string => {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}

/** Reads the first document of `text`; an empty text is an empty tree. */
export const readSource = (text: string): Source => {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
    schema: 'failsafe',
    version: '1.1',
    uniqueKeys: false,
    strict: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  })
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const document = 'empty' in documents ? undefined : documents[0]
  if (!document) return { root: { kind: 'map', place: { line: 1, column: 1 }, entries: [] }, faults: [], warnings: [] }
  const [error] = document.errors
  if (error) {
    // Only the first: what the parser says after it is mostly a consequence.
    const at = place(error.pos[0])
    return {
      faults: [{ place: at, path: '', message: `is no valid YAML: ${error.message}${templateHint(text, at)}` }],
      warnings: [],
    }
  }
  const warnings: Remark[] = []
  const second = 'empty' in documents ? undefined : documents[1]
  if (second?.contents) {
    warnings.push({
      place: place(second.range[0]),
      path: '',
      message: 'a second document starts here; only the first one is read',
    })
  }
  try {
    return { root: walkDocument(document, place, warnings), faults: [], warnings }
  } catch (error) {
    if (error instanceof Unreadable) {
      const { place: at, path, message } = error.remark
      return { faults: [{ place: at, path, message: `${message}${templateHint(text, at)}` }], warnings }
    }
    throw error
  }
}

const templateHint = (text: string, { line }: Place): string =>
  text.split('\n')[line - 1]?.includes('{{')
    ? " (this looks like a template, which Dex's container image fills in with gomplate before it reads the file)"
    : ''

class Unreadable extends Error {
  readonly remark: Remark
  constructor(place: Place, path: string, message: string) {
    super(message)
    this.remark = { place, path, message }
  }
}

const walkDocument = (document: Document.Parsed, place: (offset: number) => Place, warnings: Remark[]): Node => {
  let nodes = 0
  /** Nodes that are being walked; one that meets itself is a cycle. */
  const open = new Set<ParsedNode>()

  const walk = (node: ParsedNode | null, path: string, fallback: Place): Node => {
    if (node === null) return { kind: 'scalar', place: fallback, value: null, text: '' }
    const here = place(node.range[0])
    if (++nodes > MOST_NODES)
      throw new Unreadable(here, path, 'the aliases of this file expand to more than 100,000 values')
    if (isAlias(node)) {
      const target = node.resolve(document) as ParsedNode | undefined
      if (!target) throw new Unreadable(here, path, `"*${node.source}" names no anchor`)
      if (open.has(target)) throw new Unreadable(here, path, `the anchor "${node.source}" contains itself`)
      return walk(target, path, here)
    }
    if (isScalar(node)) return scalar(node, path, here)
    open.add(node)
    const value: Node = isSeq(node)
      ? {
          kind: 'list',
          place: here,
          items: node.items.map((item, index) => walk(item as ParsedNode | null, `${path}[${index}]`, here)),
        }
      : { kind: 'map', place: here, entries: isMap(node) ? mapEntries(node.items as Pair[], path, here) : [] }
    open.delete(node)
    return value
  }

  const scalar = (node: YamlScalar & ParsedNode, path: string, here: Place): ScalarNode => {
    const text = String(node.value ?? '')
    const plain = node.type === 'PLAIN' || node.type === undefined || node.type === null
    try {
      const value = node.tag ? resolveTagged(node.tag, text) : plain ? resolvePlain(text) : text
      if (typeof value === 'number' && !Number.isFinite(value))
        throw new SyntaxError(`"${text}" is no number that JSON can hold`)
      return { kind: 'scalar', place: here, value, text: plain ? (node.source ?? text) : text }
    } catch (error) {
      if (error instanceof SyntaxError) throw new Unreadable(here, path, error.message)
      throw error
    }
  }

  /** In the order of the file, each overwriting what was there: so does Dex's library, merge keys included. */
  const mapEntries = (pairs: Pair[], path: string, parent: Place): Entry[] => {
    const entries = new Map<string, { entry: Entry; merged: boolean }>()
    const put = (entry: Entry, merged: boolean) => {
      const before = entries.get(entry.key)
      if (before && !before.merged) {
        const first = `line ${before.entry.place.line}`
        const message = merged
          ? `the merged value replaces the one of ${first}`
          : `stands twice, also in ${first}; the last one counts`
        warnings.push({ place: entry.place, path: join(path, entry.key), message })
        entries.delete(entry.key)
      }
      entries.set(entry.key, { entry, merged })
    }
    for (const { key, value } of pairs) {
      const place_ = key ? place(key.range[0]) : parent
      if (isScalar(key) && key.value === '<<' && key.type === 'PLAIN') {
        for (const entry of mergedEntries(walk(value, path, place_), path, place_)) put(entry, true)
        continue
      }
      const name = keyName(key, path, place_)
      put({ key: name, place: place_, value: walk(value, join(path, name), place_) }, false)
    }
    return [...entries.values()].map(({ entry }) => entry)
  }

  const keyName = (key: ParsedNode | null, path: string, here: Place): string => {
    const node = walk(key, path, here)
    if (node.kind !== 'scalar' || node.value === null) throw new Unreadable(here, path, 'a key must be a word')
    return String(node.value)
  }

  return walk(document.contents, '', { line: 1, column: 1 })
}

interface Pair {
  key: ParsedNode | null
  value: ParsedNode | null
}

/** Of a list of maps to merge, the earlier one wins. */
const mergedEntries = (node: Node, path: string, place: Place): Entry[] => {
  if (node.kind === 'map') return node.entries
  if (node.kind === 'list' && node.items.every(({ kind }) => kind === 'map')) {
    return node.items.toReversed().flatMap((item) => (item.kind === 'map' ? item.entries : []))
  }
  throw new Unreadable(place, path, '"<<" must name a group of keys, or a list of such')
}

const join = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)
