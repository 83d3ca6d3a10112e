import assert from 'node:assert/strict'
import { type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { context } from './context.ts'
import { failsWith, logIn, openOidc } from './oidc-login.ts'

describe('claims of an OpenID provider', () => {
  let up: OidcUpstream
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  const groupScopes = { insecureEnableGroups: true, scopes: ['profile', 'email', 'groups'] }
  const logInWith = async (claims: Record<string, unknown>, config: Record<string, unknown> = {}) => {
    up.bends.claims = claims
    return logIn(await openOidc({ issuer: up.issuer, ...config }, context()), up)
  }

  describe('email_verified', () => {
    const missing = { email_verified: undefined }

    it('must come with the e-mail address, unless the option says otherwise', async () => {
      await failsWith('upstream_invalid_response', logInWith(missing), /missing "email_verified" claim/)
      assert.equal((await logInWith(missing, { insecureSkipEmailVerified: true })).emailVerified, true)
      assert.equal((await logInWith(missing, { scopes: ['profile'] })).emailVerified, undefined)
    })

    it('stays false with the option', async () => {
      for (const value of [false, 'false']) {
        const identity = await logInWith({ email_verified: value }, { insecureSkipEmailVerified: true })
        assert.equal(identity.emailVerified, false)
      }
    })

    it('may be a string', async () => {
      assert.equal((await logInWith({ email_verified: 'true' })).emailVerified, true)
      await failsWith('upstream_invalid_response', logInWith({ email_verified: 'yes' }))
    })
  })

  it('need an e-mail address only with the scope', async () => {
    await failsWith(
      'upstream_invalid_response',
      logInWith({ email: undefined }),
      /missing email claim, not found "email" key/,
    )
    assert.equal((await logInWith({ email: undefined }, { scopes: ['profile'] })).email, undefined)
  })

  it('need a name', async () => {
    await failsWith('upstream_invalid_response', logInWith({ name: undefined }), /missing "name" claim/)
    assert.equal((await logInWith({ name: undefined }, { userNameKey: 'preferred_username' })).username, 'jane')
  })

  it('name the person by userIDKey', async () => {
    assert.equal((await logInWith({ uid: '7' }, { userIDKey: 'uid' })).userId, '7')
    await failsWith('upstream_invalid_response', logInWith({ uid: 7 }, { userIDKey: 'uid' }), /not found uid claim/)
  })

  it('are mapped where the standard one is missing, or always with overrideClaimMapping', async () => {
    const claims = { mail: 'j@example.com', nickname: 'jd', roles: ['r'] }
    const config = { ...groupScopes, claimMapping: { email: 'mail', preferred_username: 'nickname', groups: 'roles' } }
    const kept = await logInWith(claims, config)
    assert.deepEqual(
      [kept.email, kept.preferredUsername, kept.groups],
      ['jane@example.com', 'jane', ['Everyone', 'devops']],
    )
    const fallen = await logInWith(
      { ...claims, email: undefined, preferred_username: undefined, groups: undefined },
      config,
    )
    assert.deepEqual([fallen.email, fallen.preferredUsername, fallen.groups], ['j@example.com', 'jd', ['r']])
    const forced = await logInWith(claims, { ...config, overrideClaimMapping: true })
    assert.deepEqual([forced.email, forced.preferredUsername, forced.groups], ['j@example.com', 'jd', ['r']])
    await failsWith(
      'upstream_invalid_response',
      logInWith({ mail: undefined }, { ...config, overrideClaimMapping: true }),
      /"mail" key/,
    )
  })

  describe('groups', () => {
    it('are read only with insecureEnableGroups', async () => {
      assert.equal((await logInWith({}, { scopes: groupScopes.scopes })).groups, undefined)
      assert.deepEqual((await logInWith({}, groupScopes)).groups, ['Everyone', 'devops'])
    })

    it('may be strings, objects with a name, or one string; nothing else (OK-6)', async () => {
      assert.deepEqual((await logInWith({ groups: ['a', { name: 'b' }, { id: 1 }] }, groupScopes)).groups, ['a', 'b'])
      assert.deepEqual((await logInWith({ groups: 'a' }, groupScopes)).groups, ['a'])
      assert.deepEqual((await logInWith({ groups: [] }, groupScopes)).groups, [])
      await failsWith('upstream_invalid_response', logInWith({ groups: [7] }, groupScopes), /malformed "groups" claim/)
    })

    it('stay unknown where the upstream says nothing of them: only an empty claim means none (MI-5)', async () => {
      assert.equal((await logInWith({ groups: undefined }, groupScopes)).groups, undefined)
    })

    it('are restricted to the allowed ones, and an outsider is refused', async () => {
      const allowed = { ...groupScopes, allowedGroups: ['devops', 'admins'] }
      assert.deepEqual((await logInWith({}, allowed)).groups, ['devops'])
      for (const groups of [['Everyone'], [], undefined, 'Everyone', ['DEVOPS'], ['devops ']]) {
        await failsWith('not_in_required_groups', logInWith({ groups }, allowed))
      }
    })

    it('are filtered, restricted, renamed and made of other claims, in this order', async () => {
      const identity = await logInWith(
        { groups: ['dev-a', 'dev-b', 'ops', 'x-dev'], locale: 'en-US', number: 7 },
        {
          ...groupScopes,
          allowedGroups: ['dev-a', 'ops'],
          claimModifications: {
            filterGroupClaims: { groupsFilter: '^dev' },
            modifyGroupNames: { prefix: 'okta:', suffix: '@corp' },
            newGroupFromClaims: [
              { claims: ['locale', 'sub', 'number'], delimiter: '-', prefix: 'made' },
              { claims: ['locale'], delimiter: '-', clearDelimiter: true, prefix: 'made' },
              { claims: ['number', 'absent'], delimiter: '-', prefix: 'none' },
            ],
          },
        },
      )
      assert.deepEqual(identity.groups, ['okta:dev-a@corp', 'made-en-US-00u1jane', 'made-enUS'])
    })

    it('made of claims come also when the claim is not read', async () => {
      const claimModifications = { newGroupFromClaims: [{ claims: ['sub'], delimiter: ':', prefix: 'p' }] }
      assert.deepEqual((await logInWith({}, { claimModifications })).groups, ['p:00u1jane'])
    })

    it('are filtered in linear time, and an invalid filter is ignored as in Dex', async () => {
      const filter = (groupsFilter: string) => ({
        ...groupScopes,
        claimModifications: { filterGroupClaims: { groupsFilter } },
      })
      assert.deepEqual((await logInWith({}, filter('('))).groups, ['Everyone', 'devops'])
      assert.deepEqual((await logInWith({ groups: [`${'a'.repeat(5000)}b`, 'aa'] }, filter('^(a+)+$'))).groups, ['aa'])
    })
  })

  it('of userinfo win over those of the ID token with getUserInfo', async () => {
    up.bends.userinfo = { sub: '00u1jane', name: 'Info', groups: ['info'], email_verified: false }
    const identity = await logInWith({}, { ...groupScopes, getUserInfo: true })
    assert.deepEqual([identity.username, identity.groups, identity.emailVerified], ['Info', ['info'], false])
    assert.equal(identity.email, 'jane@example.com')
  })

  it('of a signed userinfo answer are verified', async () => {
    const answer = (jwt: string) => {
      up.bends.answers = {
        '/userinfo': () => ({ status: 200, body: jwt, headers: { 'content-type': 'application/jwt' } }),
      }
      return logInWith({}, { getUserInfo: true })
    }
    assert.equal((await answer(await up.sign({ sub: '00u1jane', name: 'Signed', iss: up.issuer }))).username, 'Signed')
    await failsWith('upstream_invalid_response', answer(`${(await up.sign({ sub: '00u1jane' })).slice(0, -8)}AAAAAAAA`))
  })
})
