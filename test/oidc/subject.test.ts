import assert from 'node:assert/strict'
import { decodeSubject, encodeSubject } from '../../src/oidc/subject.ts'

describe('sub', () => {
  const vectors: [userId: string, connectorId: string, sub: string][] = [
    ['00u1abcdEFGhIJKLm5d7', 'okta', 'ChQwMHUxYWJjZEVGR2hJSktMbTVkNxIEb2t0YQ'],
    ['0-385-28089-0', 'mock', 'Cg0wLTM4NS0yODA4OS0wEgRtb2Nr'],
    ['2342749', 'github', 'CgcyMzQyNzQ5EgZnaXRodWI'],
    ['08a8684b-db88-4b73-90a9-3cd1661f5466', 'local', 'CiQwOGE4Njg0Yi1kYjg4LTRiNzMtOTBhOS0zY2QxNjYxZjU0NjYSBWxvY2Fs'],
    ['cn=Zoë', 'ldap', 'Cgdjbj1ab8OrEgRsZGFw'],
    ['my-ci-client', '', 'CgxteS1jaS1jbGllbnQ'],
    ['', 'local', 'EgVsb2NhbA'],
    ['', '', ''],
  ]
  for (const [userId, connectorId, sub] of vectors) {
    it(`of "${userId}" at "${connectorId}" has Dex's bytes`, () => {
      assert.equal(encodeSubject(userId, connectorId), sub)
      assert.deepEqual(decodeSubject(sub), { userId, connectorId })
    })
  }

  it('writes lengths from 128 on in more bytes than one', () => {
    const sub = encodeSubject('u'.repeat(130), 'ldap')
    assert.equal(sub.length, 186)
    assert.ok(sub.startsWith('CoIB'))
    const bytes = Buffer.from(encodeSubject('u'.repeat(20_000), ''), 'base64url')
    assert.deepEqual([...bytes.subarray(0, 4)], [0x0a, 0xa0, 0x9c, 0x01])
    for (const length of [127, 128, 16_383, 16_384, 20_000]) {
      const parts = { userId: 'u'.repeat(length), connectorId: 'c'.repeat(length) }
      assert.deepEqual(decodeSubject(encodeSubject(parts.userId, parts.connectorId)), parts)
    }
  })

  it('is another one for each pair of parts, however they are cut', () => {
    const subs = [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc', ''],
      ['', 'abc'],
      ['a\u0012\u0001c', ''],
    ].map(([userId, connectorId]) => encodeSubject(userId!, connectorId!))
    assert.equal(new Set(subs).size, subs.length)
  })

  it('is not read from any other text', () => {
    const good = encodeSubject('jane', 'okta')
    const others = [
      'jane',
      'alice@example.com',
      `${good}A`,
      good.slice(0, -1),
      `${good}==`,
      '____',
      'CgD_',
      'Cv____8P',
      '0',
    ]
    for (const text of others) assert.equal(decodeSubject(text), undefined, text)
    // The parts the wrong way round.
    const swapped = Buffer.from([0x12, 1, 0x61, 0x0a, 1, 0x62]).toString('base64url')
    assert.equal(decodeSubject(swapped), undefined)
  })
})
