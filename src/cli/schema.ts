/** `countersign schema`: a JSON Schema of the configuration file, for editors. */
import { connectorTypes } from '../../connectors/index.ts'
import { configuration } from '../config/keys/index.ts'
import { localSigner, vaultSigner } from '../config/keys/signer.ts'
import { storageTypes } from '../storage/index.ts'
import type { Registries } from './check.ts'

type Schema = { [key: string]: unknown }

/** The whole vocabulary (draft 2020-12), with the `config:` of each connector, store and signer by its `type`. */
export const editorSchema = (registries: Registries = { connectorTypes, storageTypes }): Schema => {
  const root = forEditors(configuration) as Schema & { properties: Record<string, Schema> }
  const properties = root.properties
  const { local: _, ...written } = registries.connectorTypes
  const connectors = properties.connectors as { items: Schema }
  connectors.items = withTypes(connectors.items, schemas(written))
  properties.storage = withTypes(properties.storage!, schemas(registries.storageTypes))
  properties.signer = withTypes(properties.signer!, { local: localSigner, vault: vaultSigner })
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Countersign configuration', ...root }
}

/** Prints the schema. */
export const printSchema = (stdout: { write(text: string): unknown }): void => {
  stdout.write(`${JSON.stringify(editorSchema(), null, 2)}\n`)
}

const schemas = (types: Readonly<Record<string, { schema: object }>>): Record<string, object> =>
  Object.fromEntries(Object.entries(types).map(([name, { schema }]) => [name, schema]))

/** `config` is what the schema of its `type` says; types that are no word of ours (modules) stay free. */
const withTypes = (entry: Schema, configs: Record<string, object>): Schema => {
  const type = (entry.properties as Record<string, Schema>).type!
  type.examples = Object.keys(configs)
  return {
    ...entry,
    allOf: Object.entries(configs).map(([name, schema]) => ({
      if: { properties: { type: { const: name } }, required: ['type'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { properties: { config: forEditors(schema) } },
    })),
  }
}

/**
 * A plain copy: annotations of ours become part of the description, and unknown keys are marked, except for `x-…`, which hold
 * anchors.
 */
const forEditors = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(forEditors)
  if (typeof value !== 'object' || value === null) return value
  const source = value as Schema
  const copy: Schema = {}
  for (const [key, inner] of Object.entries(source)) {
    if (key === 'properties') {
      copy[key] = Object.fromEntries(
        Object.entries(inner as Schema).map(([name, schema]) => [name, forEditors(schema)]),
      )
    } else if (!key.startsWith('x-')) copy[key] = forEditors(inner)
  }
  if (source['x-default'] !== undefined) copy.description = `${source.description} Default: ${source['x-default']}.`
  if (source.type === 'object' && source.properties && (source.additionalProperties ?? false) === false) {
    copy.additionalProperties = false
    copy.patternProperties = { '^x-': true }
  }
  return copy
}
