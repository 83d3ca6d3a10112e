import assert from 'node:assert/strict'
import {
  type Authenticator,
  chainOf,
  type FactorOptions,
  mergeFactors,
  methodsOf,
  missingFactors,
  nextStep,
  proofNeeded,
} from '../../../src/login/factors/chain.ts'

const totp = (id: string, connectorTypes: string[] = []): Authenticator => ({
  id,
  type: 'TOTP',
  issuer: 'Acme',
  connectorTypes,
})
const options: FactorOptions = {
  authenticators: [totp('a'), totp('b', ['ldap']), totp('c')],
  defaultChain: ['a', 'b'],
  rememberFor: 0,
}
const done = (...ids: string[]) => ids.map((authenticatorId) => ({ authenticatorId, at: 1, amr: ['otp'] }))
const ids = (list: { id: string }[]) => list.map(({ id }) => id).join('')

describe('the chain of second factors', () => {
  it('is the client’s or the default, in its order, without what is not for the connector', () => {
    const rows: [string[] | undefined, string, string][] = [
      [undefined, 'ldap', 'ab'],
      [undefined, 'oidc', 'a'],
      [[], 'ldap', ''],
      [['b'], 'oidc', ''],
      [['c', 'b', 'a', 'c'], 'ldap', 'cba'],
    ]
    for (const [mfaChain, type, expected] of rows) {
      assert.equal(ids(chainOf(options, mfaChain ? { mfaChain } : {}, type)), expected)
    }
  })

  it('is no chain that leaves out what it cannot find', () => {
    assert.throws(() => chainOf(options, { mfaChain: ['gone'] }, 'ldap'), /does not exist: gone/)
  })

  it('is missing what was not shown, in order', () => {
    const client = { mfaChain: ['a', 'b', 'c'] }
    assert.equal(ids(missingFactors(options, client, 'ldap')), 'abc')
    assert.equal(ids(missingFactors(options, client, 'ldap', done('b'))), 'ac')
    assert.equal(ids(missingFactors(options, client, 'ldap', done('c', 'a', 'b', 'x'))), '')
  })

  it('asks for what a person has before anything is set up', () => {
    const next = (chain: string[], shown: string[], held: string[], type = 'ldap') => {
      const step = nextStep(options, { mfaChain: chain }, type, done(...shown), new Set(held))
      return step && `${step.enrol ? '+' : ''}${step.authenticator.id}`
    }
    const rows: [chain: string[], shown: string[], held: string[], expected: string | undefined][] = [
      [['a', 'b'], [], [], '+a'],
      [['a', 'b'], [], ['b'], 'b'],
      [['a', 'b'], ['b'], ['b'], '+a'],
      [['a'], [], ['c'], 'c'],
      [['a'], ['c'], ['c'], '+a'],
      [['a'], ['c'], ['b', 'c'], '+a'],
      [['a'], ['a'], ['a'], undefined],
      [[], [], ['a'], undefined],
      // Shown, yet no longer there: it proves nothing.
      [['a'], ['b'], ['c'], 'c'],
    ]
    for (const [chain, shown, held, expected] of rows) {
      assert.equal(next(chain, shown, held), expected, JSON.stringify([chain, shown, held]))
    }
    const old = [{ authenticatorId: 'c', remembered: true as const }]
    const client = { mfaChain: ['c', 'a'] }
    assert.equal(nextStep(options, client, 'ldap', old, new Set(['c', 'a']))?.authenticator.id, 'a')
    const again = nextStep(options, client, 'ldap', old, new Set(['c']))
    assert.deepEqual([again?.authenticator.id, again?.enrol], ['c', false], 'what is remembered sets up nothing')
    assert.equal(next(['a'], [], ['b'], 'oidc'), '+a', 'what is not for the connector cannot be asked for')
    assert.equal(proofNeeded(options, 'oidc', [], new Set(['b', 'c']))?.id, 'c')
  })

  it('keeps the newest of each factor', () => {
    const at = (authenticatorId: string, at: number) => ({ authenticatorId, at, amr: [] })
    assert.deepEqual(mergeFactors([at('a', 5), at('b', 1)], [at('a', 3), at('b', 2)]), [at('a', 5), at('b', 2)])
    assert.deepEqual(mergeFactors(undefined, [at('a', 1)]), [at('a', 1)])
  })

  it('tells its methods beside those of the upstream', () => {
    assert.equal(methodsOf(undefined, []), undefined)
    assert.deepEqual(methodsOf(['pwd'], []), ['pwd'])
    assert.deepEqual(methodsOf(['pwd', 'mfa'], done('a')), ['pwd', 'mfa', 'otp'])
    assert.deepEqual(methodsOf(undefined, [...done('a'), { authenticatorId: 'k', at: 1, amr: ['hwk', 'user'] }]), [
      'otp',
      'hwk',
      'user',
      'mfa',
    ])
  })
})
