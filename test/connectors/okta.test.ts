import assert from 'node:assert/strict'
import { okta } from '../../connectors/okta.ts'
import { type OktaOptions, type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { context, type TestContext } from './context.ts'
import { browser, callbackUrl, depart, failsWith, logIn } from './oidc-login.ts'

describe('okta connector', () => {
  let up: OktaStandIn
  let test: TestContext
  afterEach(() => up.close())

  const start = async (config: Record<string, unknown> = {}, options: OktaOptions = {}) => {
    up = await startOkta({ redirectUris: [callbackUrl.href], servers: ['default', 'aus1x'], ...options })
    return open(config)
  }
  const open = async (config: Record<string, unknown> = {}) => {
    test = context()
    const whole = {
      domain: up.url,
      clientID: up.clientId,
      clientSecret: up.clientSecret,
      redirectURI: callbackUrl.href,
      ...config,
    }
    return browser(await okta.open(whole, test))
  }
  const called = () => up.calls.map(({ path }) => path.split('/').at(-1))

  describe('issuer (OK-1)', () => {
    const issuers: [string, string | undefined, string][] = [
      ['acme.okta.com', undefined, 'https://acme.okta.com'],
      ['https://acme.okta.com/', undefined, 'https://acme.okta.com'],
      [' ACME.oktapreview.com ', 'default', 'https://acme.oktapreview.com/oauth2/default'],
      ['login.example.com', 'aus1x', 'https://login.example.com/oauth2/aus1x'],
    ]
    for (const [domain, serverId, issuer] of issuers) {
      it(`of ${domain.trim()} with ${serverId ?? 'the org server'} is ${issuer}`, async () => {
        up = await startOkta()
        const asked: string[] = []
        const recording: typeof fetch = (input) => {
          asked.push(String(input))
          return Promise.reject(new TypeError('fetch failed'))
        }
        const connector = okta.open({ domain, ...(serverId && { serverId }) }, context({ http: () => recording }))
        await failsWith('upstream_unavailable', depart(browser(await connector)))
        assert.deepEqual(asked, [`${issuer}/.well-known/openid-configuration`])
      })
    }

    for (const [domain, advice] of [
      ['acme-admin.okta.com', /admin console.*use acme\.okta\.com/],
      ['http://acme.okta.com', /https/],
      ['acme.okta.com/oauth2/default', /serverId/],
      ['user@acme.okta.com', /no host name/],
      ['ftp://acme.okta.com', /https/],
    ] as const) {
      it(`is not made of ${domain}`, async () => {
        up = await startOkta()
        assert.throws(() => okta.open({ domain }, context()), advice)
        const [first] = okta.advise?.({ domain, clientID: 'x', redirectURI: 'y' }) ?? []
        assert.equal(first?.severity, 'error')
        assert.match(first?.message ?? '', advice)
      })
    }
  })

  it('logs in at the org server with groups, the state in its alphabet and the secret in the body (OK-3, OK-4)', async () => {
    const identity = await logIn(await start({}, { pkceRequired: true }), up)
    assert.equal(identity.userId, '00u8x7EXAMPLE')
    assert.deepEqual(identity.groups, ['Everyone', 'devops'])
    assert.equal(identity.emailVerified, true)
    assert.deepEqual(identity.authentication?.amr, ['pwd', 'mfa'])
    const token = up.calls.find(({ path }) => path.endsWith('/token'))
    assert.equal(token?.authorization, undefined)
  })

  it('logs in at a custom server, whose groups have no scope of that name (OK-4)', async () => {
    for (const serverId of ['default', 'aus1x']) {
      const identity = await logIn(await start({ serverId }), up)
      assert.deepEqual(identity.groups, ['Everyone', 'devops'])
      const scope = up.calls.find(({ path }) => path.endsWith('/authorize'))?.query.get('scope')
      assert.equal(scope, 'openid profile email')
      await up.close()
    }
    up = await startOkta()
  })

  describe('email_verified (OK-5)', () => {
    it('is looked for in userinfo, where Okta has it', async () => {
      const connector = await start()
      up.org.user.email_verified = false
      assert.equal((await logIn(connector, up)).emailVerified, false)
      assert.ok(called().includes('userinfo'))
    })

    it('counts as true with insecureSkipEmailVerified, without a call', async () => {
      const connector = await start({ insecureSkipEmailVerified: true })
      assert.equal((await logIn(connector, up)).emailVerified, true)
      assert.equal(called().includes('userinfo'), false)
    })
  })

  describe('groups', () => {
    it('and profile come from userinfo where the ID token is thin (OK-6)', async () => {
      const identity = await logIn(await start({ insecureSkipEmailVerified: true }, { thinIdToken: true }), up)
      assert.equal(identity.username, 'Jane Doe')
      assert.deepEqual(identity.groups, ['Everyone', 'devops'])
    })

    it('restrict who may log in', async () => {
      assert.deepEqual((await logIn(await start({ allowedGroups: ['devops'] }), up)).groups, ['devops'])
      await failsWith('not_in_required_groups', logIn(await open({ allowedGroups: ['admins'] }), up))
    })

    it('of exactly a hundred are suspected to be cut (OK-7)', async () => {
      const connector = await start()
      up.org.user.groups = Array.from({ length: 99 }, (_, index) => `g${index}`)
      await logIn(connector, up)
      assert.deepEqual(test.warnings, [])
      up.org.user.groups.push('g99')
      assert.equal((await logIn(connector, up)).groups?.length, 100)
      assert.match(test.warnings.join(), /as many groups as a claim can hold/)
    })

    it('of more than a hundred fail the login, and the person is told why (OK-7)', async () => {
      const connector = await start()
      up.org.user.groups = Array.from({ length: 101 }, (_, index) => `g${index}`)
      await assert.rejects(logIn(connector, up), (error: { code?: string; details?: { safe?: string } }) => {
        assert.equal(error.code, 'groups_incomplete')
        assert.match(error.details?.safe ?? '', /narrow that filter/)
        return true
      })
    })
  })

  describe('refresh', () => {
    const scopes = { groups: true, offlineAccess: true }
    const refresh = (connector: Awaited<ReturnType<typeof start>>, identity: Awaited<ReturnType<typeof logIn>>) => {
      assert.ok(connector.refresh)
      return connector.refresh(identity, scopes)
    }

    it('gets offline_access by itself, new groups, and follows the rotation (OK-8, OK-9)', async () => {
      const connector = await start({ scopes: ['openid', 'profile', 'email', 'groups'] })
      let identity = await logIn(connector, up, { scopes })
      up.org.user.groups = ['ops']
      identity = await refresh(connector, identity)
      assert.deepEqual(identity.groups, ['ops'])
      const old = identity
      up.advance(60_000)
      identity = await refresh(connector, identity)
      up.advance(60_000)
      await failsWith('identity_gone', refresh(connector, old))
      await failsWith('identity_gone', refresh(connector, identity))
    })

    it('ends for somebody who was suspended or removed from the app (OK-8)', async () => {
      for (const status of ['suspended', 'unassigned'] as const) {
        const connector = await start()
        const identity = await logIn(connector, up, { scopes })
        up.org.status = status
        await failsWith('identity_gone', refresh(connector, identity))
        await up.close()
      }
      up = await startOkta()
    })

    it('drops the groups of somebody who is in none any more', async () => {
      const connector = await start()
      const identity = await logIn(connector, up, { scopes })
      up.org.user.groups = []
      assert.deepEqual((await refresh(connector, identity)).groups, [])
    })
  })

  it('waits as long as Okta says when it limits us (OK-10)', async () => {
    for (const path of ['token', 'userinfo'] as const) {
      const connector = await start()
      up.limit(path, 1)
      await assert.rejects(logIn(connector, up), (error: { code?: string; details?: { retryAfter?: number } }) => {
        assert.equal(error.code, 'rate_limited')
        const wait = error.details?.retryAfter ?? 0
        assert.ok(wait > 17 && wait <= 20, String(wait))
        return true
      })
      await up.close()
    }
    up = await startOkta()
  })

  it('says that somebody is not assigned to the application (OK-11)', async () => {
    const connector = await start()
    up.org.status = 'unassigned'
    await assert.rejects(logIn(connector, up), (error: { code?: string; details?: { upstreamCode?: string } }) => {
      assert.equal(error.code, 'login_refused')
      assert.equal(error.details?.upstreamCode, 'access_denied')
      return true
    })
  })

  it('goes on after a key rollover (OK-16)', async () => {
    const connector = await start()
    await logIn(connector, up)
    await up.rotateKeys()
    await logIn(connector, up)
    await logIn(connector, up)
    assert.equal(called().filter((name) => name === 'keys').length, 2)
  })
})
