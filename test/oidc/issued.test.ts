import assert from 'node:assert/strict'
import { idOf } from '../../src/oidc/ids.ts'
import { openIssuedTokens } from '../../src/oidc/issued.ts'
import type { SigningKeys } from '../../src/oidc/keys.ts'
import type { StoredRecord } from '../../src/storage/contract.ts'

const issuer = 'https://issuer.example'
const good = { iss: issuer, sub: 's', jti: 'j', iat: 1000, exp: 2000 }

/** A token is the JSON of its claims, and good when the signer would say so. */
const opened = (now = 1500, revoked: string[] = []) => {
  const verified: string[] = []
  let changed: () => void = () => {}
  const keys: Pick<SigningKeys, 'verify' | 'onChange'> = {
    onChange(listener) {
      changed = listener
    },
    async verify(token) {
      verified.push(token)
      return token.startsWith('{') ? (JSON.parse(token) as Record<string, unknown>) : undefined
    },
  }
  const driver = {
    get: async (_kind: string, id: string) => (revoked.map(idOf).includes(id) ? ({} as StoredRecord) : undefined),
  }
  const time = { now }
  const issued = openIssuedTokens({
    keys: keys as SigningKeys,
    driver,
    hasEnded: async () => false,
    issuer,
    now: () => new Date(time.now * 1000),
  })
  const changeKeys = () => changed()
  return { verified, time, revoked, changeKeys, read: (claims: unknown) => issued.read(JSON.stringify(claims)), issued }
}

describe('a token of ours', () => {
  it('is read back with its claims', async () => {
    assert.deepEqual(await opened().read(good), good)
  })

  const strangers: [what: string, claims: object][] = [
    ['of another issuer', { ...good, iss: 'https://other.example' }],
    ['without a subject', { ...good, sub: undefined }],
    ['without an id', { ...good, jti: undefined }],
    ['without an end', { ...good, exp: undefined }],
    ['whose end is text', { ...good, exp: '9999999999' }],
    ['without a beginning', { ...good, iat: undefined }],
    ['that has just expired', { ...good, exp: 1500 }],
  ]
  for (const [what, claims] of strangers) {
    it(`is not one ${what}`, async () => assert.equal(await opened().read(claims), undefined))
  }

  it('is not one with a signature that is not ours, nor one of absurd length, which nobody verifies', async () => {
    const { issued, verified } = opened()
    assert.equal(await issued.read('x.y.z'), undefined)
    const length = verified.length
    assert.equal(await issued.read('{'.repeat(70_000)), undefined)
    assert.equal(verified.length, length)
  })

  it('is none any more when it was revoked or has expired, although it was read before', async () => {
    const { read, time, revoked } = opened()
    assert.ok(await read(good))
    time.now = 2000
    assert.equal(await read(good), undefined)
    time.now = 1500
    assert.ok(await read(good))
    revoked.push('j')
    assert.equal(await read(good), undefined)
  })

  it('is verified once, until the keys change', async () => {
    const { read, verified, changeKeys } = opened()
    for (let i = 0; i < 3; i++) assert.ok(await read(good))
    assert.equal(verified.length, 1)
    changeKeys()
    assert.ok(await read(good))
    assert.equal(verified.length, 2)
  })
})
