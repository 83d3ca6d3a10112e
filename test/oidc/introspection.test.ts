import assert from 'node:assert/strict'
import { introspectionAnswer } from '../../src/oidc/introspection.ts'

const body = { active: true, client_id: 'web', sub: 's', exp: 2, iat: 1, iss: 'i', token_type: 'x' }

const familyWith = (scopes: string[], identity: object = {}) => ({
  RefreshToken: {
    family: {
      source: {
        scopes,
        login: {
          connectorId: 'corp',
          identity: {
            userId: '42',
            username: 'Jane',
            preferredUsername: 'jane',
            email: 'j@example.com',
            groups: ['a'],
            ...identity,
          },
        },
      },
    },
  },
})

describe('the answer of introspection', () => {
  it('tells of an access token its claims that Dex shows, and no other', () => {
    const extra = { azp: 'web', email: 'e', groups: ['a'], preferred_username: 'jane', nonce: 'n', at_hash: 'h' }
    const answer = introspectionAnswer({ ...body, aud: ['api', 'web'] }, { AccessToken: { extra } }, new Map())
    assert.deepEqual(answer, {
      active: true,
      client_id: 'web',
      sub: 's',
      exp: 2,
      iat: 1,
      nbf: 1,
      username: 'jane',
      aud: ['api', 'web'],
      iss: 'i',
      token_type: 'Bearer',
      token_use: 'access_token',
      ext: { azp: 'web', email: 'e', groups: ['a'], preferred_username: 'jane' },
    })
  })

  it('gives the client as audience where there is no other, and no end where there is none', () => {
    const { exp: _, ...endless } = body
    const answer = introspectionAnswer(endless, familyWith(['openid']), new Map())
    assert.equal(answer.aud, 'web')
    assert.equal('exp' in answer, false)
    assert.equal(answer.token_use, 'refresh_token')
  })

  const cases: [scopes: string[], ext: object, identity?: object][] = [
    [['openid'], {}],
    [['openid', 'email'], { email: 'j@example.com', email_verified: false }],
    [['openid', 'groups'], { groups: ['a'] }],
    [['openid', 'groups'], {}, { groups: [] }],
    [['openid', 'profile'], { name: 'Jane', preferred_username: 'jane' }],
    [['openid', 'profile'], { name: '42' }, { username: undefined, preferredUsername: undefined }],
    [['openid', 'federated:id'], { federated_claims: { connector_id: 'corp', user_id: '42' } }],
  ]
  for (const [scopes, ext, identity] of cases) {
    it(`tells ${JSON.stringify(ext)} of a refresh token for "${scopes.join(' ')}"`, () => {
      assert.deepEqual(introspectionAnswer(body, familyWith(scopes, identity), new Map()).ext, ext)
    })
  }
})
