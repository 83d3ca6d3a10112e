import assert from 'node:assert/strict'
import { formatFault } from '../../src/config/index.ts'
import { BASE, load, settingsOf } from './fixture.ts'

const faultsOf = async (sessions: string): Promise<string[]> =>
  (await load(`${BASE}\nsessions: ${sessions}\n`)).faults.map(formatFault)

describe('the block sessions', () => {
  it('is off without the block, and on with defaults in an empty one or by the switch of Dex', async () => {
    const defaults = {
      absoluteLifetime: 86_400,
      validIfNotUsedFor: 3600,
      rememberByDefault: true,
      cookieKeys: [],
      shareByDefault: false,
    }
    assert.equal((await settingsOf(BASE)).login.sessions, undefined)
    assert.deepEqual((await settingsOf(`${BASE}\nsessions: {}\n`)).login.sessions, defaults)
    const env = { DEX_SESSIONS_ENABLED: 'true' }
    assert.deepEqual((await settingsOf(BASE, { env })).login.sessions, defaults)
  })

  it('takes all keys of Dex', async () => {
    const text = `{cookieName: c, absoluteLifetime: 2h, validIfNotUsedFor: 30m, rememberMeCheckedByDefault: false,
      cookieEncryptionKey: 0123456789abcdef, formerCookieEncryptionKeys: [fedcba98765432100123456789abcdef], ssoSharedWithDefault: all}`
    assert.deepEqual((await settingsOf(`${BASE}\nsessions: ${text}\n`)).login.sessions, {
      cookieName: 'c',
      absoluteLifetime: 7200,
      validIfNotUsedFor: 1800,
      rememberByDefault: false,
      cookieKeys: ['0123456789abcdef', 'fedcba98765432100123456789abcdef'],
      shareByDefault: true,
    })
  })

  for (const [text, reason] of [
    ['{absoluteLifetime: 1h, validIfNotUsedFor: 2h}', /must not be longer than absoluteLifetime/],
    ['{absoluteLifetime: -1h}', /must be positive/],
    ['{absoluteLifetime: 1d}', /1d/],
    ['{cookieEncryptionKey: short}', /must have 16, 24 or 32 bytes, not 5/],
    ['{formerCookieEncryptionKeys: [0123456789abcdef]}', /needs a cookieEncryptionKey/],
    ['{cookieName: "a b"}', /the name of a cookie/],
    ['{ssoSharedWithDefault: some}', /none/],
  ] as const) {
    it(`refuses ${text}`, async () => {
      assert.match((await faultsOf(text)).join('\n'), reason)
    })
  }

  it('is missed by a client whose refresh tokens are to end with the session', async () => {
    const client = 'staticClients: [{id: a, public: true, name: A, refreshTokenLifetime: session}]'
    const { warnings } = await load(`${BASE}\n${client}\n`)
    assert.match(warnings.map(formatFault).join('\n'), /refreshTokenLifetime: has no effect without a sessions block/)
  })
})
