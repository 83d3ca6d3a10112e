import assert from 'node:assert/strict'
import { Type } from 'typebox'
import { connectorTypes } from '../../connectors/index.ts'
import { configuration } from '../../src/config/keys/index.ts'
import { localSigner, vaultSigner } from '../../src/config/keys/signer.ts'
import { compileSchema, schemaFault } from '../../src/lib/schema.ts'
import { storageTypes } from '../../src/storage/index.ts'

describe('a schema check', () => {
  const schema = Type.Object(
    {
      name: Type.String({ minLength: 1 }),
      field: Type.Optional(Type.Enum(['name', 'slug', 'both'])),
      count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
      address: Type.Optional(Type.String({ format: 'uri' })),
      list: Type.Optional(Type.Array(Type.Object({ 'a/b': Type.String() }))),
      either: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
      word: Type.Optional(Type.Union([Type.Literal('on'), Type.Literal('off')])),
      shaped: Type.Optional(
        Type.Union([Type.Boolean(), Type.Object({ size: Type.Integer() }, { additionalProperties: false })]),
      ),
      filled: Type.Optional(Type.String({ default: 'by default' })),
    },
    { additionalProperties: false },
  )
  const check = (value: object) => compileSchema(schema)({ name: 'x', ...value })

  it('finds nothing in what fits', () => assert.deepEqual(check({ field: 'slug', count: 3, either: ['a'] }), []))

  it('fills in defaults', () => {
    const value: { name: string; filled?: string } = { name: 'x' }
    compileSchema(schema)(value)
    assert.equal(value.filled, 'by default')
  })

  it('names a missing key at the place where it would stand', () => {
    assert.deepEqual(compileSchema(schema)({}), [{ path: '/name', message: 'is missing' }])
  })

  it('says one thing of one wrong word, with the nearest valid one', () => {
    assert.deepEqual(check({ field: 'slugs' }), [
      { path: '/field', message: 'must be "name", "slug" or "both", not "slugs"', nearest: 'slug' },
    ])
    assert.deepEqual(check({ word: 'offf' }), [
      { path: '/word', message: 'must be "on" or "off", not "offf"', nearest: 'off' },
    ])
  })

  it('names the nearest key for an unknown one', () => {
    assert.deepEqual(check({ cuont: 1 }), [{ path: '/cuont', message: 'is no known key', nearest: 'count' }])
  })

  it('says what is wanted instead of the wrong type', () => {
    assert.deepEqual(check({ name: 5 }), [{ path: '/name', message: 'must be text, not a number', wanted: ['string'] }])
    assert.equal(check({ list: {} })[0]?.message, 'must be a list, not a group of keys')
  })

  it('folds the branches of a union into one sentence', () => {
    assert.deepEqual(check({ either: 5 }), [
      { path: '/either', message: 'must be text or a list, not a number', wanted: ['string', 'array'] },
    ])
  })

  it('tells the faults of the branch that was meant', () => {
    assert.deepEqual(check({ shaped: { size: 'big' } }), [
      { path: '/shaped/size', message: 'must be a whole number, not text', wanted: ['integer'] },
    ])
  })

  it('finds everything at once, with pointers that are escaped (RFC 6901)', () => {
    const paths = check({ name: '', count: 10, address: 'nowhere', list: [{}] }).map(({ path }) => path)
    assert.deepEqual(paths.toSorted(), ['/address', '/count', '/list/0/a~1b', '/name'])
  })

  it('finds out what is no schema, and no fault in those that this program brings', () => {
    assert.match(schemaFault({ type: 'strng' })!, /type/)
    assert.match(schemaFault({ type: 'object', properties: 5 } as never)!, /properties must be object/)
    const types = [...Object.values(connectorTypes), ...Object.values(storageTypes)]
    for (const schema of [configuration, localSigner, vaultSigner, ...types.map((type) => type.schema)])
      assert.equal(schemaFault(schema), undefined)
  })

  it('is compiled once', () => assert.equal(compileSchema(schema), compileSchema(schema)))
})
