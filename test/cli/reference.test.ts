import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { reference, writeReference } from '../../src/cli/reference.ts'
import { editorSchema } from '../../src/cli/schema.ts'
import { connectorTypes, storageTypes } from '../config/fixture.ts'

const registries = { connectorTypes, storageTypes }

describe('docs/configuration.md', () => {
  it('is not stale (npm run docs)', async () => {
    let printed = ''
    await writeReference(true, { write: (text) => (printed += text) })
    assert.equal(printed, '')
  })
  it('has every key with its type, default and meaning', () => {
    const text = reference(registries)
    assert.match(text, /\| `issuer` \| text \| required \| Public address/)
    assert.match(text, /\| `refreshTokens\.reuseInterval` \| duration \| 3s \|/)
    assert.match(text, /### `github`\n\n\| Key /)
    assert.match(text, /\| `orgs\[\]\.name` \| text \| required \|/)
    assert.match(text, /\| `mfaChain` \| list of text \| `mfa\.defaultMFAChain` \| Authenticators/)
    assert.doesNotMatch(text, /### `local`\n\n(Has no settings|\| `users)/)
  })
})

describe('the JSON Schema for editors', () => {
  const schema = editorSchema(registries)
  const check = new Ajv2020({ strict: false }).compile(schema)
  const file = (connector: object) => ({
    issuer: 'https://a.example',
    connectors: [{ id: 'a', name: 'A', ...connector }],
    'x-anchor': 1,
  })

  it('is a schema of draft 2020-12', () => assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema'))
  it('knows the settings of each connector type', () => {
    assert.equal(check(file({ type: 'oidc', config: { issuer: 'https://i.example' } })), true)
    assert.equal(check(file({ type: 'oidc', config: { isuer: 'https://i.example' } })), false)
    assert.equal(check(file({ type: './mine.ts', config: { anything: 1 } })), true)
  })
  it('marks unknown keys', () => assert.equal(check({ issuer: 'https://a.example', wbe: {} }), false))
  it('holds no annotations that only we read', () =>
    assert.doesNotMatch(JSON.stringify(schema), /"x-(default|type|own)"/))
})
