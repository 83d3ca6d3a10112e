import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectorType } from '../../connectors/contract.ts'
import { connectorTypes } from '../../connectors/index.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { findConnectorType, knownTypes } from '../../src/login/load-connector.ts'

const folder = join(import.meta.dirname, '..', '..', 'connectors')

/** Files that are no connector. */
const others = new Set(['contract.ts', 'index.ts', 'presets.ts'])

/** A connector is a file, or a folder with an `index.ts`. */
const files = readdirSync(folder, { withFileTypes: true })
  .filter(({ name }) => name !== 'lib' && !others.has(name))
  .map((entry) => (entry.isDirectory() ? `${entry.name}/index.ts` : entry.name))

describe('connector types', () => {
  it('are all that the folder has', async () => {
    const modules = await Promise.all(files.map((file) => import(join(folder, file)) as Promise<object>))
    const exported = modules.flatMap((module, i) => {
      const types = Object.values(module).filter(
        (value) => typeof value === 'object' && value !== null && 'schema' in value,
      )
      assert.ok(types.length > 0, `${files[i]} exports no connector type`)
      return types as ConnectorType[]
    })
    const listed = new Set(Object.values(connectorTypes))
    assert.deepEqual(
      exported.filter((type) => !listed.has(type)),
      [],
    )
    assert.equal(listed.size, new Set(exported).size)
  })

  it('are written as Dex writes them', () => {
    assert.deepEqual(
      knownTypes.filter((type) => !/^[a-z][a-zA-Z-]*$/.test(type)),
      [],
    )
    for (const type of ['github', 'local', 'mockCallback', 'mockPassword', 'oidc', 'okta'])
      assert.ok(knownTypes.includes(type))
  })

  it('are found by their word alone', async () => {
    for (const type of knownTypes) assert.equal(await findConnectorType(type, folder), connectorTypes[type])
    for (const word of ['GitHub', 'constructor', '__proto__', ''])
      assert.equal(await findConnectorType(word, folder), undefined)
  })

  for (const [name, type] of Object.entries(connectorTypes)) {
    it(`${name} describes each key of its section`, () => {
      compileSchema(type.schema)
      const { properties = {} } = type.schema as { properties?: Record<string, { description?: string }> }
      const silent = Object.keys(properties).filter((key) => !properties[key]?.description)
      assert.deepEqual(silent, [])
    })
  }
})
