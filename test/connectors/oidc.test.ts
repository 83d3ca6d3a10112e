import assert from 'node:assert/strict'
import { type OidcUpstream, startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { context } from './context.ts'
import { callbackUrl, depart, failsWith, logIn, openOidc } from './oidc-login.ts'

describe('oidc connector', () => {
  let up: OidcUpstream
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  const open = (config: Record<string, unknown> = {}) => openOidc({ issuer: up.issuer, ...config }, context())
  const withGroups = { insecureEnableGroups: true, scopes: ['profile', 'email', 'groups'] }
  const tokenRequest = () => up.asked.findLast(({ path }) => path === '/token')
  const scopeOf = async (config: Record<string, unknown>, scopes = {}) =>
    (await depart(await open(config), { scopes })).url.searchParams.get('scope')

  describe('authentication request', () => {
    it('carries the state as given, a nonce and an S256 challenge (OK-3)', async () => {
      const state = 'Aa0-_'.repeat(9).slice(0, 43)
      const { url, memo } = await depart(await open(), { state })
      const query = Object.fromEntries(url.searchParams)
      assert.equal(query.state, state)
      assert.equal(query.response_type, 'code')
      assert.equal(query.client_id, upstreamClient.clientID)
      assert.equal(query.redirect_uri, callbackUrl.href)
      assert.equal(query.code_challenge_method, 'S256')
      const { nonce, verifier } = memo as { nonce: string; verifier: string }
      assert.equal(query.nonce, nonce)
      assert.match(nonce, /^[\w-]{43}$/)
      assert.match(verifier, /^[\w-]{43}$/)
    })

    it('draws a fresh nonce and verifier for each login', async () => {
      const connector = await open()
      const memos = await Promise.all([depart(connector), depart(connector)])
      assert.notDeepEqual(memos[0]?.memo, memos[1]?.memo)
    })

    it('sends no challenge to an upstream that lists no method, and what is configured in any case', async () => {
      up.bends.discovery = { code_challenge_methods_supported: undefined }
      assert.equal((await depart(await open())).url.searchParams.has('code_challenge'), false)
      const forced = await depart(await open({ pkceChallenge: 'S256' }))
      assert.equal(forced.url.searchParams.get('code_challenge_method'), 'S256')
      await failsWith('misconfigured', depart(await open({ pkceChallenge: 's256' })), /s256/)
    })

    it('never sends a scope twice', async () => {
      assert.equal(
        await scopeOf({ scopes: ['openid', 'profile', 'email', 'groups', 'email'] }),
        'openid profile email groups',
      )
    })

    it('passes groups on when the client asks and the upstream lists it, but keeps explicit scopes (OK-4)', async () => {
      assert.equal(await scopeOf({}, { groups: true }), 'openid profile email groups')
      assert.equal(await scopeOf({}, { groups: false }), 'openid profile email')
      assert.equal(await scopeOf({ addScopes: false }), 'openid profile email')
      assert.equal(await scopeOf({ scopes: ['email'] }), 'openid email')
      up.bends.discovery = { scopes_supported: ['openid'] }
      assert.equal(await scopeOf({}), 'openid profile email')
    })

    it('adds offline_access when the client asked for it and the upstream lists it (OK-9)', async () => {
      assert.equal(await scopeOf({ scopes: ['email'] }, { offlineAccess: true }), 'openid email offline_access')
      up.bends.discovery = { scopes_supported: ['openid'] }
      assert.equal(await scopeOf({ scopes: ['email'] }, { offlineAccess: true }), 'openid email')
    })

    it('sends prompt and access_type with offline access only', async () => {
      const query = async (config: Record<string, unknown>, offlineAccess: boolean) => {
        const { searchParams } = (await depart(await open(config), { scopes: { offlineAccess } })).url
        return [searchParams.get('prompt'), searchParams.get('access_type')]
      }
      assert.deepEqual(await query({}, false), [null, null])
      assert.deepEqual(await query({}, true), ['consent', 'offline'])
      assert.deepEqual(await query({ promptType: 'login' }, true), ['login', 'offline'])
      assert.deepEqual(await query({ promptType: '' }, true), [null, 'offline'])
    })

    it('passes the wishes of the client on', async () => {
      const wishes = {
        prompt: 'login',
        maxAge: 60,
        acrValues: ['mfa'],
        uiLocales: ['de', 'en'],
        loginHint: 'jane@example.com',
      }
      const { searchParams } = (await depart(await open({ acrValues: ['loa2'] }), { wishes })).url
      assert.equal(searchParams.get('prompt'), 'login')
      assert.equal(searchParams.get('max_age'), '60')
      assert.equal(searchParams.get('acr_values'), 'loa2 mfa')
      assert.equal(searchParams.get('ui_locales'), 'de en')
      assert.equal(searchParams.get('login_hint'), 'jane@example.com')
      const silent = await depart(await open(), { wishes: { prompt: 'none' }, scopes: { offlineAccess: true } })
      assert.equal(silent.url.searchParams.get('prompt'), 'none')
    })

    it('is not made when the redirect URI leads elsewhere', async () => {
      await failsWith(
        'misconfigured',
        depart(await open({ redirectURI: 'https://other.example.com/callback' })),
        /redirectURI/,
      )
    })
  })

  describe('login', () => {
    it('reads the identity from a judged ID token', async () => {
      const identity = await logIn(await open(withGroups), up)
      assert.deepEqual(identity, {
        userId: '00u1jane',
        username: 'Jane Doe',
        preferredUsername: 'jane',
        email: 'jane@example.com',
        emailVerified: true,
        groups: ['Everyone', 'devops'],
        connectorData: { sub: '00u1jane' },
      })
      assert.deepEqual(up.calls().slice(1), ['GET /authorize', 'POST /token', 'GET /keys'])
    })

    it('keeps discovery and keys: the second login asks for neither', async () => {
      const connector = await open()
      await logIn(connector, up)
      const before = up.asked.length
      await logIn(connector, up)
      assert.deepEqual(up.calls().slice(before), ['GET /authorize', 'POST /token'])
    })

    it('tells what the upstream said of the login itself', async () => {
      up.bends.claims = { acr: 'mfa', amr: ['pwd', 'otp'], auth_time: 1790000000, sid: 's1' }
      const { authentication } = await logIn(await open(), up)
      assert.deepEqual(authentication, { acr: 'mfa', amr: ['pwd', 'otp'], time: 1790000000, sid: 's1' })
    })
  })

  describe('client authentication', () => {
    it('uses Basic, with id and secret form-encoded', async () => {
      await logIn(await open(), up)
      assert.match(tokenRequest()?.authorization ?? '', /^Basic /)
      assert.equal(tokenRequest()?.form.has('client_secret'), false)
    })

    it('uses the body when configured, and when discovery lists nothing else (KS-9)', async () => {
      await logIn(await open({ basicAuthUnsupported: true }), up)
      assert.equal(tokenRequest()?.authorization, undefined)
      up.bends.discovery = { token_endpoint_auth_methods_supported: ['client_secret_post'] }
      await logIn(await open(), up)
      assert.equal(tokenRequest()?.authorization, undefined)
      assert.equal(tokenRequest()?.form.get('client_secret'), upstreamClient.clientSecret)
    })

    it('finds out that an upstream knows no Basic, and remembers it', async () => {
      up.bends.answers = {
        '/token': ({ authorization }) =>
          authorization ? { status: 401, body: { error: 'invalid_client' } } : undefined,
      }
      const connector = await open()
      await logIn(connector, up)
      await logIn(connector, up)
      assert.equal(up.calls().filter((call) => call === 'POST /token').length, 3)
    })

    it('says misconfigured for a wrong secret', async () => {
      await failsWith('misconfigured', logIn(await open({ clientSecret: 'wrong' }), up), /invalid_client/)
    })
  })

  describe('what the upstream may answer instead', () => {
    const callback = async (params: Record<string, string>) =>
      logIn(await open(), up, {
        bring: (query) => {
          query.delete('code')
          for (const [name, value] of Object.entries(params)) query.set(name, value)
        },
      })

    it('refuses with the code of the upstream from the closed list only (OK-11)', async () => {
      for (const [error, code, told] of [
        ['access_denied', 'login_refused', 'access_denied'],
        ['login_required', 'login_refused', 'login_required'],
        ['server_error', 'upstream_unavailable', 'server_error'],
        ['temporarily_unavailable', 'upstream_unavailable', 'temporarily_unavailable'],
        ['invalid_scope', 'misconfigured', 'invalid_scope'],
        ['<script>', 'login_refused', undefined],
      ] as const) {
        await assert.rejects(
          callback({ error, error_description: 'why' }),
          (thrown: { code?: string; details?: { upstreamCode?: string } }) => {
            assert.equal(thrown.code, code)
            assert.equal(thrown.details?.upstreamCode, told)
            return true
          },
        )
      }
      assert.equal(up.calls().includes('POST /token'), false)
    })

    it('does not take status 200 for success (CVE-2021-41580)', async () => {
      const answers: [unknown, Record<string, string>?][] = [
        [{ error: 'bad_verification_code', error_description: 'x' }],
        [{}],
        [''],
        ['<html></html>', { 'content-type': 'text/html' }],
        [[]],
        [{ access_token: 'a', token_type: 'Bearer' }],
      ]
      for (const [body, headers] of answers) {
        up.bends.answers = { '/token': () => ({ status: 200, body, ...(headers && { headers }) }) }
        await failsWith('upstream_invalid_response', logIn(await open(), up))
      }
    })

    it('tells outage, refusal and limit apart at the token endpoint (OK-10)', async () => {
      const cases = [
        [{ status: 503, body: {} }, 'upstream_unavailable'],
        [{ status: 400, body: { error: 'invalid_grant' } }, 'upstream_invalid_response'],
        [{ status: 403, body: { error: 'access_denied' } }, 'login_refused'],
        [{ status: 400, body: { error: 'unauthorized_client' } }, 'misconfigured'],
        [{ status: 429, body: {} }, 'rate_limited'],
      ] as const
      for (const [answer, code] of cases) {
        up.bends.answers = { '/token': () => answer }
        await failsWith(code, logIn(await open(), up))
      }
    })

    it('gives up on an upstream that hangs', async () => {
      up.bends.hanging = ['/token']
      const connector = await openOidc({ issuer: up.issuer }, context({ timeout: 100 }))
      await failsWith('upstream_unavailable', logIn(connector, up))
    })

    it('refuses a callback without state, nonce or verifier, and one of another login', async () => {
      const connector = await open()
      await failsWith('upstream_invalid_response', logIn(connector, up, { bring: (query) => query.delete('state') }))
      await failsWith(
        'upstream_invalid_response',
        logIn(connector, up, { bring: (query) => query.set('state', 'other') }),
      )
      await failsWith('login_refused', logIn(connector, up, { memo: () => undefined }))
      const change = (changes: Record<string, string | undefined>) => (memo: unknown) =>
        JSON.parse(JSON.stringify({ ...(memo as object), ...changes }))
      await failsWith('upstream_invalid_response', logIn(connector, up, { memo: change({ nonce: 'other' }) }))
      await failsWith('login_refused', logIn(connector, up, { memo: change({ nonce: undefined }) }))
      await failsWith('upstream_invalid_response', logIn(connector, up, { memo: change({ verifier: undefined }) }))
      assert.equal(up.calls().includes('GET /userinfo'), false)
    })

    it('checks iss of the callback when it comes, and wants it when it is announced (RFC 9207)', async () => {
      const connector = await open()
      await failsWith(
        'upstream_invalid_response',
        logIn(connector, up, { bring: (query) => query.set('iss', 'https://evil.example.com') }),
      )
      await logIn(connector, up, { bring: (query) => query.set('iss', up.issuer) })
      up.bends.discovery = { authorization_response_iss_parameter_supported: true }
      await failsWith('upstream_invalid_response', logIn(await open(), up))
    })
  })

  it('takes the body for the client authentication of Okta hosts', async () => {
    const requests: { url: string; authorization: string | null; body: string }[] = []
    const issuer = 'https://acme.okta.com'
    const moved: typeof fetch = (input, init) => {
      const url = String(input).replace(issuer, up.issuer)
      requests.push({ url, authorization: new Headers(init?.headers).get('authorization'), body: String(init?.body) })
      return fetch(url, init)
    }
    up.bends.discovery = { issuer, token_endpoint: `${issuer}/token` }
    up.bends.idTokenClaims = (claims) => ({ ...claims, iss: issuer })
    await logIn(await openOidc({ issuer }, context({ http: () => moved })), up)
    const token = requests.find(({ url }) => url.endsWith('/token'))
    assert.equal(token?.authorization, null)
    assert.match(token?.body ?? '', /client_secret=/)
  })
})
