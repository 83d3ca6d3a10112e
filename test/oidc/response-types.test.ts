import assert from 'node:assert/strict'
import {
  bringsCode,
  bringsIdToken,
  bringsTokens,
  engineResponseTypes,
  grantTypeOf,
  servedResponseTypes,
  spelledOut,
} from '../../src/oidc/response-types.ts'

const combinations = ['code', 'id_token', 'code id_token', 'code token', 'id_token token', 'code id_token token']

describe('response types', () => {
  it('have one spelling, whatever the order of their words and the space between', () => {
    assert.equal(spelledOut('token  id_token\tcode token'), 'code id_token token')
    assert.equal(spelledOut(' '), '')
  })

  const served: [configured: string[], types: string[]][] = [
    [['code'], ['code']],
    [['code', 'token', 'id_token'], combinations],
    [
      ['code', 'id_token'],
      ['code', 'id_token', 'code id_token'],
    ],
    [
      ['code', 'token'],
      ['code', 'code token'],
    ],
    [['token id_token'], ['id_token token']],
    [
      ['code', 'id_token token'],
      ['code', 'id_token token'],
    ],
    [['token'], []],
  ]
  for (const [configured, types] of served) {
    it(`that can be asked for where ${JSON.stringify(configured)} are listed: ${types.join(', ') || 'none'}`, () => {
      assert.deepEqual(servedResponseTypes(configured).toSorted(), types.toSorted())
      // The engine can issue codes in any case, else it would not redeem those that are out.
      assert.deepEqual(engineResponseTypes(configured).toSorted(), [...new Set(['code', ...types])].sort())
    })
  }

  it('say what their answer brings', () => {
    const brings = (type: string) =>
      [bringsCode(type) && 'code', bringsTokens(type) && 'tokens', bringsIdToken(type) && 'an ID token'].filter(Boolean)
    assert.deepEqual(brings('code'), ['code'])
    assert.deepEqual(brings('code token'), ['code', 'tokens'])
    assert.deepEqual(brings('id_token'), ['tokens', 'an ID token'])
    assert.deepEqual(brings('code id_token token'), ['code', 'tokens', 'an ID token'])
  })

  it('are `implicit` to a connector as soon as they bring tokens, as in Dex', () => {
    assert.equal(grantTypeOf('code'), 'authorization_code')
    for (const type of combinations.slice(1)) assert.equal(grantTypeOf(type), 'implicit')
  })
})
