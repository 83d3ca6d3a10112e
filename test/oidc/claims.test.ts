import assert from 'node:assert/strict'
import { errors } from 'oidc-provider'
import { type ClaimsRequest, tokenClaims } from '../../src/oidc/claims.ts'

const clients = new Map([
  ['web', { trustedPeers: [] }],
  ['api', { trustedPeers: ['web'] }],
  ['other', { trustedPeers: ['web'] }],
])

const full = {
  userId: '42',
  username: 'Jane Doe',
  preferredUsername: 'jane',
  email: 'jane@example.com',
  emailVerified: true,
  groups: ['a', 'b'],
}

/** Without what each token has. */
const claimsOf = (scope: string, identity: object = full, more: Partial<ClaimsRequest> = {}) => {
  const { iss, sub, exp, iat, jti, ...rest } = tokenClaims({
    issuer: 'https://issuer.example/dex',
    clientId: 'web',
    clients,
    login: { connectorId: 'corp', identity: identity as typeof full, authTime: 900 },
    scopes: new Set(scope.split(' ')),
    withAuthTime: false,
    lifetime: 60,
    now: 1000,
    ...more,
  })
  assert.deepEqual([iss, sub, exp, iat], ['https://issuer.example/dex', 'CgI0MhIEY29ycA', 1060, 1000])
  assert.match(jti, /^[\da-f-]{36}$/)
  return rest
}

describe('claims', () => {
  const cases: [scope: string, identity: object, claims: object][] = [
    ['openid', full, {}],
    ['openid email', full, { email: 'jane@example.com', email_verified: true }],
    ['openid profile', full, { name: 'Jane Doe', preferred_username: 'jane' }],
    ['openid groups', full, { groups: ['a', 'b'] }],
    ['openid federated:id', full, { federated_claims: { connector_id: 'corp', user_id: '42' } }],
    ['openid email', { userId: '42' }, { email_verified: false }],
    ['openid profile', { userId: '42' }, { name: '42' }],
    ['openid groups', { userId: '42' }, {}],
    ['openid groups', { userId: '42', groups: [] }, {}],
    ['openid offline_access', full, {}],
  ]
  for (const [scope, identity, claims] of cases) {
    const whose = identity === full ? 'a full identity' : JSON.stringify(identity)
    it(`of ${whose} for "${scope}" are ${JSON.stringify(claims)}`, () => {
      assert.deepEqual(claimsOf(scope, identity), { aud: 'web', ...claims })
    })
  }

  it('have groups that are empty for a client that wants them so, and are refused where they are unknown', () => {
    const ruled = (groupsClaim: 'omit' | 'empty' | 'fail') => ({
      clients: new Map([['web', { trustedPeers: [], groupsClaim }]]),
    })
    const none = { userId: '42', groups: [] }
    assert.deepEqual(claimsOf('openid groups', none, ruled('omit')), { aud: 'web' })
    assert.deepEqual(claimsOf('openid groups', none, ruled('empty')), { aud: 'web', groups: [] })
    assert.deepEqual(claimsOf('openid groups', none, ruled('fail')), { aud: 'web', groups: [] })
    const unknown = { userId: '42' }
    assert.deepEqual(claimsOf('openid groups', unknown, ruled('empty')), { aud: 'web' })
    assert.deepEqual(claimsOf('openid', unknown, ruled('fail')), { aud: 'web' })
    assert.throws(() => claimsOf('openid groups', unknown, ruled('fail')), errors.InvalidGrant)
    assert.throws(() => claimsOf('openid', unknown, { ...ruled('fail'), wanted: { groups: {} } }), errors.InvalidGrant)
  })

  it('name what was asked for beside the scopes, and how the person was authenticated', () => {
    const known = { ...full, authentication: { acr: 'urn:two', amr: ['pwd'], time: 7, sid: 's' } }
    const wanted = { email: {}, groups: { values: [['b']] }, name: { values: ['Jane Doe'] }, sub: {}, acr: {} }
    assert.deepEqual(claimsOf('openid', known, { wanted }), {
      aud: 'web',
      acr: 'urn:two',
      amr: ['pwd'],
      email: 'jane@example.com',
      name: 'Jane Doe',
    })
    assert.deepEqual(claimsOf('openid', full, { acrAsked: true }), { aud: 'web', acr: '0' })
    assert.deepEqual(claimsOf('openid', full, { wanted: { auth_time: {} } }), { aud: 'web', auth_time: 900 })
    assert.deepEqual(claimsOf('openid', { ...full, authentication: { amr: [] } }), { aud: 'web' })
  })

  it('have the nonce of the request, and `auth_time` only of a login', () => {
    assert.deepEqual(claimsOf('openid', full, { nonce: 'n', withAuthTime: true }), {
      aud: 'web',
      nonce: 'n',
      auth_time: 900,
    })
  })

  const audiences: [scope: string, aud: object][] = [
    ['openid', { aud: 'web' }],
    ['openid audience:server:client_id:web', { aud: 'web' }],
    ['openid audience:server:client_id:api', { aud: ['api', 'web'], azp: 'web' }],
    [
      'openid audience:server:client_id:web audience:server:client_id:api audience:server:client_id:other',
      { aud: ['web', 'api', 'other'], azp: 'web' },
    ],
  ]
  for (const [scope, aud] of audiences) {
    it(`have ${JSON.stringify(aud)} for "${scope}"`, () => assert.deepEqual(claimsOf(scope), aud))
  }

  it('are not made for an audience that does not trust the client any more', () => {
    assert.throws(() => claimsOf('openid audience:server:client_id:nobody'), errors.InvalidScope)
    assert.throws(
      () => claimsOf('openid audience:server:client_id:web', full, { clientId: 'api' }),
      errors.InvalidScope,
    )
  })
})
