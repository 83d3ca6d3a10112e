import assert from 'node:assert/strict'
import { oidc } from '../../connectors/oidc.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { context } from './context.ts'

const everyOption = {
  issuer: 'https://accounts.example.com',
  issuerAlias: 'https://alias.example.com',
  clientID: 'id',
  clientSecret: 'secret',
  redirectURI: 'http://127.0.0.1:5556/callback',
  basicAuthUnsupported: true,
  scopes: ['profile', 'email', 'groups'],
  hostedDomains: [],
  rootCAs: ['/etc/ca.pem'],
  insecureSkipVerify: true,
  insecureSkipEmailVerified: true,
  insecureEnableGroups: true,
  allowedGroups: ['admins'],
  acrValues: ['loa2'],
  getUserInfo: true,
  userIDKey: 'uid',
  userNameKey: 'nickname',
  promptType: '',
  pkceChallenge: 'S256',
  overrideClaimMapping: true,
  claimMapping: { preferred_username: 'other', email: 'mail', groups: 'roles' },
  claimModifications: {
    newGroupFromClaims: [{ claims: ['a'], delimiter: '-', clearDelimiter: true, prefix: 'p' }],
    filterGroupClaims: { groupsFilter: '^a' },
    modifyGroupNames: { prefix: 'p', suffix: 's' },
  },
  providerDiscoveryOverrides: {
    tokenURL: 'https://a/token',
    authURL: 'https://a/auth',
    jwksURL: 'https://a/keys',
    userInfoURL: 'https://a/userinfo',
    deviceAuthURL: 'https://a/device',
    endSessionURL: 'https://a/logout',
  },
}

describe('options of the oidc connector', () => {
  it('takes every option of Dex and names the fault in a bad section', () => {
    const validate = compileSchema(oidc.schema)
    assert.deepEqual(validate(everyOption), [])
    assert.deepEqual(
      validate({ issuer: 'x', scopes: 'email', getUserinfo: true })
        .map(({ path }) => path)
        .sort(),
      ['/getUserinfo', '/scopes'],
    )
    assert.equal(validate({}).length, 1)
  })

  it('says what is doubtful or refused in a configuration', () => {
    const advice = oidc.advise?.({
      issuer: 'x',
      hostedDomains: ['example.com'],
      allowedGroups: ['a'],
      pkceChallenge: 's256',
    })
    const paths = advice?.map(({ path, severity }) => `${path} ${severity ?? 'warning'}`)
    assert.ok(paths?.includes('/hostedDomains error'))
    assert.ok(paths?.includes('/allowedGroups warning'))
    assert.ok(paths?.includes('/pkceChallenge warning'))
    assert.throws(() => oidc.open({ issuer: 'x', hostedDomains: ['example.com'] }, context()), /google/)
  })
})
