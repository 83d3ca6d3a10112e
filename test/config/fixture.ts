/** Loads a configuration that is written down in a test, with connectors and stores made up for it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TSchema, Type } from 'typebox'
import type { ConfigAdvice, ConnectorType } from '../../connectors/contract.ts'
import { type Fault, type LoadOptions, loadConfiguration, type Settings } from '../../src/config/index.ts'
import type { StorageType } from '../../src/storage/contract.ts'

const connectorType = (schema: TSchema, advise?: (config: { redirectURI?: string; org?: string }) => ConfigAdvice[]) =>
  ({
    schema,
    open: () => assert.fail('reading a file opens nothing'),
    ...(advise && { advise }),
  }) as ConnectorType
const storageType = (schema: TSchema): StorageType => ({
  schema,
  open: () => assert.fail('reading a file opens nothing'),
})

const texts = (...names: string[]) => Object.fromEntries(names.map((name) => [name, Type.Optional(Type.String())]))

export const connectorTypes: Record<string, ConnectorType> = {
  oidc: connectorType(
    Type.Object(
      {
        issuer: Type.String({ minLength: 1 }),
        ...texts('clientID', 'clientSecret', 'redirectURI'),
        scopes: Type.Optional(Type.Array(Type.String())),
        insecureSkipEmailVerified: Type.Optional(Type.Boolean()),
        insecureEnableGroups: Type.Optional(Type.Boolean()),
        claimMapping: Type.Optional(
          Type.Object(texts('preferred_username', 'groups'), { additionalProperties: false }),
        ),
        promptType: Type.Optional(Type.String({ default: 'consent' })),
      },
      { additionalProperties: false },
    ),
  ),
  github: connectorType(
    Type.Object(
      {
        ...texts('clientID', 'clientSecret', 'redirectURI', 'org', 'hostName'),
        orgs: Type.Optional(
          Type.Array(
            Type.Object(
              { name: Type.String({ minLength: 1 }), teams: Type.Optional(Type.Array(Type.String())) },
              { additionalProperties: false },
            ),
          ),
        ),
        teamNameField: Type.Optional(Type.Enum(['name', 'slug', 'both'])),
      },
      { additionalProperties: false },
    ),
    ({ org }) => (org === undefined ? [] : [{ path: '/org', message: 'is old: use orgs' }]),
  ),
  mockCallback: connectorType(Type.Object({})),
  local: connectorType(Type.Object({})),
}
export const storageTypes: Record<string, StorageType> = {
  memory: storageType(Type.Object({}, { additionalProperties: false })),
  lowdb: storageType(Type.Object({ file: Type.String({ minLength: 1 }) }, { additionalProperties: false })),
}

/** What every file needs; `+` adds to it. */
export const BASE = 'issuer: https://dex.example.com/dex\nstorage: {type: memory}\nweb: {http: 127.0.0.1:5556}\n'

type More = Partial<LoadOptions> & { name?: string }

export interface Outcome {
  settings: Settings | undefined
  faults: Fault[]
  warnings: Fault[]
}

/** Reads `content` as a file `config.yaml`; faults and warnings name the file so. */
export const load = async (
  content: string | Uint8Array,
  { name = 'config.yaml', ...more }: More = {},
): Promise<Outcome> => {
  const folder = await mkdtemp(join(tmpdir(), 'config-'))
  try {
    const file = join(folder, name)
    await writeFile(file, content)
    const { settings, faults, warnings } = await loadConfiguration(file, {
      env: {},
      cwd: folder,
      connectorTypes: async (type) => connectorTypes[type],
      connectorTypeNames: Object.keys(connectorTypes),
      storageTypes,
      ...more,
    })
    const short = (fault: Fault): Fault => ({
      ...fault,
      file: fault.file.replace(`${folder}/`, ''),
      message: fault.message.replaceAll(folder, ''),
    })
    return { settings, faults: faults.map(short), warnings: warnings.map(short) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The settings of a file that must have no fault. */
export const settingsOf = async (content: string, more: More = {}): Promise<Settings> => {
  const { settings, faults } = await load(content, more)
  assert.deepEqual(faults, [])
  assert.ok(settings)
  return settings
}

/** `line path` of each, which is what most tests want to know. */
export const places = (faults: Fault[]): string[] => faults.map(({ line, path }) => `${line} ${path}`)

/** The only fault (or warning) at a path. */
export const at = (faults: Fault[], path: string): Fault => {
  const found = faults.filter((fault) => fault.path === path)
  assert.equal(found.length, 1, `one finding at ${path}, of ${JSON.stringify(places(faults))}`)
  return found[0]!
}
