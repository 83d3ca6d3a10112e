import assert from 'node:assert/strict'
import {
  expiryOf,
  type Family,
  familyRecord,
  hashOf,
  newFamilyId,
  newSecret,
  parseToken,
  rotated,
  standingOf,
  tokenOf,
} from '../../src/oidc/family.ts'

const id = newFamilyId()

const familyOf = (secret: string): Family => ({
  clientId: 'web',
  accountId: 'sub',
  grantId: 'grant',
  source: { kind: 'refresh', login: { connectorId: 'corp', identity: { userId: '42' }, authTime: 0 }, scopes: [] },
  current: hashOf(secret),
  spent: [],
  issuedAt: 1_000_000,
  usedAt: 1_000_000,
})

const within = (reuseInterval: number) => ({ rotate: true, reuseInterval })

const rotate = (family: Family, secret: string, now = 2_000_000, keepSuccessor = true) => {
  const next = newSecret()
  return { next, family: rotated(family, { id, secret, next, keepSuccessor, now }) }
}

describe('a refresh token', () => {
  it('is an id and a secret of 256 bits', () => {
    const secret = newSecret()
    assert.deepEqual(parseToken(tokenOf(id, secret)), { id, secret })
    assert.equal(Buffer.from(secret, 'base64url').length, 32)
  })

  for (const token of ['', 'x', `${tokenOf(id, newSecret())}A`, tokenOf(id, newSecret()).slice(1), ' '.repeat(65)]) {
    it(`is not ${JSON.stringify(token)}`, () => assert.equal(parseToken(token), undefined))
  }
})

describe('a family of refresh tokens', () => {
  it('knows its current token and no other', () => {
    const secret = newSecret()
    assert.deepEqual(standingOf(familyOf(secret), secret, within(10), 0), { is: 'current', again: false })
    assert.deepEqual(standingOf(familyOf(secret), newSecret(), within(10), 0), { is: 'unknown' })
  })

  it('answers the token before with its successor within the interval, and not a millisecond longer', () => {
    const secret = newSecret()
    const { next, family } = rotate(familyOf(secret), secret)
    const at = (now: number) => standingOf(family, secret, within(10), now)
    assert.deepEqual(at(2_000_000), { is: 'repeated', token: tokenOf(id, next) })
    assert.deepEqual(at(2_010_000), { is: 'repeated', token: tokenOf(id, next) })
    assert.deepEqual(at(2_010_001), { is: 'spent', since: 10_001 })
    assert.deepEqual(standingOf(family, next, within(10), 2_000_000), { is: 'current', again: false })
  })

  it('answers nothing again without an interval', () => {
    const secret = newSecret()
    const { family } = rotate(familyOf(secret), secret, 2_000_000, false)
    assert.deepEqual(standingOf(family, secret, within(0), 2_000_000), { is: 'spent', since: 0 })
    assert.equal(family.successor, undefined)
  })

  it('that does not rotate knows whether it was used within the interval', () => {
    const secret = newSecret()
    const unused = familyOf(secret)
    const again = (family: Family, rules: { rotate: boolean; reuseInterval: number }, now: number) => {
      const standing = standingOf(family, secret, rules, now)
      return standing.is === 'current' && standing.again
    }
    const rules = { rotate: false, reuseInterval: 10 }
    assert.equal(again(unused, rules, unused.issuedAt + 1), false, 'the login is no use')
    const used = { ...unused, usedAt: 2_000_000 }
    assert.deepEqual([again(used, rules, 2_010_000), again(used, rules, 2_010_001)], [true, false])
    assert.equal(again(used, { rotate: false, reuseInterval: 0 }, 2_000_000), false)
    assert.equal(again(used, within(10), 2_000_000), false)
  })

  it('answers only the token that was used last', () => {
    const first = newSecret()
    const one = rotate(familyOf(first), first)
    const two = rotate(one.family, one.next)
    assert.deepEqual(standingOf(two.family, first, within(10), 2_000_000), { is: 'spent', since: 0 })
    assert.equal(standingOf(two.family, one.next, within(10), 2_000_000).is, 'repeated')
  })

  it('remembers the last ten that were used', () => {
    const secrets = [newSecret()]
    let family = familyOf(secrets[0]!)
    for (let i = 0; i < 12; i++) {
      const step = rotate(family, secrets[0]!)
      family = step.family
      secrets.unshift(step.next)
    }
    assert.deepEqual(
      secrets.map((secret) => standingOf(family, secret, within(0), 2_000_001).is),
      ['current', ...Array(10).fill('spent'), 'unknown', 'unknown'],
    )
  })

  it('holds no token, secret or successor in clear', () => {
    const secret = newSecret()
    const { next, family } = rotate(familyOf(secret), secret)
    const text = JSON.stringify(familyRecord(family, { rotate: true, reuseInterval: 10 }))
    for (const clear of [secret, next]) assert.equal(text.includes(clear), false)
  })

  const rules: [rules: { absoluteLifetime?: number; validIfNotUsedFor?: number }, expiry: number | undefined][] = [
    [{}, undefined],
    [{ absoluteLifetime: 100 }, 1100],
    [{ validIfNotUsedFor: 100 }, 1600],
    [{ absoluteLifetime: 100, validIfNotUsedFor: 100 }, 1100],
    [{ absoluteLifetime: 1000, validIfNotUsedFor: 100 }, 1600],
  ]
  for (const [rule, expiry] of rules) {
    it(`ends at ${expiry} by ${JSON.stringify(rule)}`, () => {
      const times = { issuedAt: 1_000_000, usedAt: 1_500_000 }
      assert.equal(expiryOf(times, { rotate: true, reuseInterval: 0, ...rule }), expiry)
    })
  }
})
