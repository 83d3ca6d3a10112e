/**
 * `npm run docs`: writes docs/configuration.md from the schemas that a file is checked against. With `--check` it writes
 * nothing and exits with 1 when the file is stale.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { connectorTypes } from '../../connectors/index.ts'
import { SWITCHES } from '../config/environment.ts'
import { configuration } from '../config/keys/index.ts'
import { localSigner, vaultSigner } from '../config/keys/signer.ts'
import { DEX_CONNECTOR_TYPES, DEX_STORAGE_TYPES, unbuilt } from '../config/unbuilt.ts'
import { storageTypes } from '../storage/index.ts'
import type { Registries } from './check.ts'
import { introduction, SWITCH_EFFECTS } from './reference-text.ts'

interface View {
  type?: string | string[]
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  items?: View
  anyOf?: View[]
  properties?: Record<string, View>
  required?: string[]
  additionalProperties?: boolean | View
  patternProperties?: Record<string, View>
  'x-default'?: string
  'x-type'?: string
  'x-own'?: true
}

/** The text of docs/configuration.md. */
export const reference = (registries: Registries = { connectorTypes, storageTypes }): string => {
  const { local: _, ...written } = registries.connectorTypes
  const root = configuration as object as View
  const missing = (types: string[], built: object) =>
    types.filter((name) => !Object.hasOwn(built, name)).map((name) => `\`${name}\``)
  const missingConnectors = missing(DEX_CONNECTOR_TYPES, registries.connectorTypes)
  const missingStores = missing(DEX_STORAGE_TYPES, registries.storageTypes)
  return [
    introduction,
    '## Keys',
    '',
    ...table(simpleKeys(root), ''),
    ...Object.entries(root.properties!).flatMap(([name, view]) => section(name, view)),
    '## Signers',
    '',
    '### `local`',
    '',
    ...table(rows(localSigner as View), ''),
    '### `vault`',
    '',
    ...table(rows(vaultSigner as View), ''),
    '## Connectors',
    '',
    ...(missingConnectors.length > 0 ? [`Known to Dex and not built yet: ${missingConnectors.join(', ')}.`, ''] : []),
    ...types(written),
    '## Stores',
    '',
    ...(missingStores.length > 0 ? [`Known to Dex and not built yet: ${missingStores.join(', ')}.`, ''] : []),
    ...types(registries.storageTypes),
    '## Environment',
    '',
    '| Variable | Default | Effect |',
    '| --- | --- | --- |',
    ...Object.entries(SWITCHES).map(
      ([name, on]) => `| \`${name}\` | \`${on}\` | ${SWITCH_EFFECTS[name as keyof typeof SWITCHES]} |`,
    ),
    '',
  ].join('\n')
}

const isGroup = (view: View): boolean => view.properties !== undefined || view.items?.properties !== undefined

const simpleKeys = (root: View): Row[] =>
  rows({
    ...root,
    properties: Object.fromEntries(Object.entries(root.properties!).filter(([, view]) => !isGroup(view))),
  })

const section = (name: string, view: View): string[] => {
  if (!isGroup(view)) return []
  const list = view.items !== undefined
  return [
    `### \`${name}\``,
    '',
    `${view.description ?? ''}${list ? ' A list; each entry has:' : ''}`,
    '',
    ...table(rows(view.items ?? view), list ? `${name}[]` : name),
  ]
}

const types = (registry: Readonly<Record<string, { schema: object }>>): string[] =>
  Object.entries(registry).flatMap(([name, { schema }]) => {
    const view = schema as View
    const keys = rows(view)
    return [
      `### \`${name}\``,
      '',
      ...(view.description ? [view.description, ''] : []),
      ...(keys.length > 0 ? table(keys, '') : ['Has no settings.', '']),
    ]
  })

interface Row {
  key: string
  view: View
  required: boolean
}

/** Keys of a group, those of inner groups beside them with their path. */
const rows = (view: View, prefix = ''): Row[] =>
  Object.entries(view.properties ?? {}).flatMap(([name, inner]) => {
    const key = `${prefix}${name}`
    const row = { key, view: inner, required: view.required?.includes(name) ?? false }
    if (inner.properties) return [row, ...rows(inner, `${key}.`)]
    if (inner.items?.properties) return [row, ...rows(inner.items, `${key}[].`)]
    return [row]
  })

const table = (keys: Row[], place: string): string[] => [
  '| Key | Type | Default | Meaning |',
  '| --- | --- | --- | --- |',
  ...keys.map(({ key, view, required }) => {
    const marks = [
      view['x-own'] && '**Ours**, stock Dex passes over it.',
      isUnbuilt(place, key) && '*Not built yet.*',
    ].filter(Boolean)
    return `| \`${key}\` | ${cell(typeName(view))} | ${required && view.default === undefined ? 'required' : cell(defaultOf(view))} | ${cell([...marks, view.description ?? ''].join(' '))} |`
  }),
  '',
]

const isUnbuilt = (place: string, key: string): boolean =>
  unbuilt.some(({ path, when }) => when === undefined && path === (place === '' ? key : `${place}.${key}`)) ||
  unbuilt.some(({ path }) => path === place)

const typeName = (view: View): string => {
  if (view['x-type']) return view['x-type']
  if (view.enum)
    return view.enum
      .filter((word) => word !== '')
      .map((word) => `\`${word}\``)
      .join(', ')
  if (view.const !== undefined) return `\`${view.const}\``
  if (view.anyOf) return [...new Set(view.anyOf.map(typeName))].join(' or ')
  if (view.items) return `list of ${view.items.properties ? 'groups' : typeName(view.items)}`
  const open =
    Object.values(view.patternProperties ?? {})[0] ??
    (typeof view.additionalProperties === 'object' ? view.additionalProperties : undefined)
  if (open) return `group of ${typeName(open)}`
  return [view.type ?? 'any']
    .flat()
    .map((type) => TYPE_NAMES[type] ?? type)
    .join(' or ')
}

const TYPE_NAMES: Record<string, string | undefined> = {
  string: 'text',
  object: 'group',
  array: 'list',
  integer: 'number',
}

const defaultOf = (view: View): string => {
  if (view['x-default'] !== undefined) return view['x-default']
  return view.default === undefined ? '' : `\`${JSON.stringify(view.default)}\``
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim()

const file = join(dirname(dirname(import.meta.dirname)), 'docs', 'configuration.md')

/** Writes the file, or with `checkOnly` says whether it is up to date. Resolves to the exit code. */
export const writeReference = async (checkOnly: boolean, stdout: { write(text: string): unknown }): Promise<0 | 1> => {
  const text = reference()
  if (!checkOnly) {
    await writeFile(file, text)
    return 0
  }
  if ((await readFile(file, 'utf8').catch(() => '')) === text) return 0
  stdout.write('docs/configuration.md is stale: run "npm run docs".\n')
  return 1
}

if (process.argv[1] === import.meta.filename) {
  process.exitCode = await writeReference(process.argv.includes('--check'), process.stdout)
}
