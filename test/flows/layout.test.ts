import assert from 'node:assert/strict'
import { openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  cli,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'

const okta = { layout: 'okta', connectors: [corp('layout')] }

/** Path below the issuer of each endpoint, by its member of the discovery document. */
const endpoints: [member: string, dex: string, okta: string][] = [
  ['authorization_endpoint', '/auth', '/v1/authorize'],
  ['token_endpoint', '/token', '/v1/token'],
  ['jwks_uri', '/keys', '/v1/keys'],
  ['userinfo_endpoint', '/userinfo', '/v1/userinfo'],
  ['device_authorization_endpoint', '/device/code', '/v1/device/authorize'],
  ['introspection_endpoint', '/token/introspect', '/v1/introspect'],
  ['revocation_endpoint', '/token/revoke', '/v1/revoke'],
  ['end_session_endpoint', '/logout', '/v1/logout'],
]

describe('layout: okta', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer(okta, { path: '/oauth2/default' })
  })
  after(() => server[Symbol.asyncDispose]())

  const discovered = async (path: string) => (await server.request(server.url(path))).json()

  it('is what both discovery documents name', async () => {
    const document = await discovered('/.well-known/openid-configuration')
    for (const [member, , path] of endpoints) assert.equal(document[member], `${server.issuer}${path}`)
    assert.equal(document.issuer, server.issuer)
    assert.deepEqual(await discovered('/.well-known/oauth-authorization-server'), document)
  })

  it('serves keys, with their caching, at both paths', async () => {
    const answers = await Promise.all(['/keys', '/v1/keys'].map((path) => server.request(server.url(path))))
    assert.deepEqual(answers[0]!.json(), answers[1]!.json())
    assert.ok((answers[1]!.json().keys as unknown[]).length > 0)
    assert.match(answers[1]!.headers.get('cache-control')!, /max-age/)
  })

  for (const from of ['dex', 'okta'] as const) {
    it(`takes a login that starts at the path of ${from} to tokens at the other`, async () => {
      const started = startLogin(server, { scope: 'openid groups offline_access' })
      const url = from === 'dex' ? started.url : started.url.replace('/auth?', '/v1/authorize?')
      const arrived = arrive(started, await openBrowser().follow(url))
      const [token, userinfo] = from === 'dex' ? ['/v1/token', '/v1/userinfo'] : ['/token', '/userinfo']
      const { code, redirectUri: redirect_uri, verifier: code_verifier } = arrived
      const form = { grant_type: 'authorization_code', code, redirect_uri, code_verifier }
      const answer = await server.post(token, form, web)
      const tokens = tokensOf(answer)
      assert.equal(tokens.token_type, 'Bearer')
      assert.match(answer.headers.get('content-type')!, /^application\/json/)
      const refresh = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token! }
      const next = tokensOf(await server.post(token, refresh, web))
      const told = await server.request(server.url(userinfo), {
        headers: { authorization: `Bearer ${next.access_token}` },
      })
      assert.deepEqual(told.json().groups, ['staff'])
    })
  }

  it('answers a form at the authorization endpoint with the same request as GET', async () => {
    const started = startLogin(server)
    const form = new URLSearchParams(new URL(started.url).search)
    const answer = await openBrowser().follow(server.url('/v1/authorize'), { form })
    assert.ok(arrive(started, answer).code)
  })

  it('sends errors of a request back as at the path of Dex', async () => {
    const url = startLogin(server, { scope: 'email' }).url.replace('/auth?', '/v1/authorize?')
    assert.equal(answerAt(await openBrowser().follow(url)).error, 'invalid_scope')
  })

  it('introspects and revokes by Basic', async () => {
    const { tokens } = await logIn(server)
    const by = { ...web, by: 'basic' as const }
    const token = { token: tokens.access_token, token_type_hint: 'access_token' }
    assert.equal((await server.post('/v1/introspect', token, by)).json().active, true)
    assert.equal((await server.post('/v1/revoke', token, by)).status, 200)
    assert.equal((await server.post('/v1/introspect', token, by)).json().active, false)
    assert.equal(errorOf(await server.post('/v1/introspect', token, { ...by, secret: 'wrong' })), '401 invalid_client')
  })

  it('takes a public client that sends its id alone as Basic, and no other', async () => {
    const { tokens } = await logIn(server, { client: cli, redirectUri: cli.redirectUri })
    const revoke = (path: string, id: string) =>
      server.request(server.url(path), {
        headers: { authorization: `Basic ${Buffer.from(id).toString('base64')}` },
        form: { token: tokens.access_token },
      })
    assert.equal(errorOf(await revoke('/token/revoke', 'cli')), '400 invalid_request')
    assert.equal(errorOf(await revoke('/v1/revoke', 'web')), '401 invalid_client')
    assert.equal((await server.introspect(tokens.access_token)).active, true)
    assert.equal((await revoke('/v1/revoke', 'cli')).status, 200)
    assert.equal((await server.introspect(tokens.access_token)).active, false)
  })

  it('starts a device, whose person goes to the page that there always is', async () => {
    const answer = await server.post('/v1/device/authorize', { scope: 'openid' }, device)
    assert.equal(answer.status, 200)
    assert.equal(answer.json().verification_uri, `${server.issuer}/device`)
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(answer.json().device_code),
    }
    assert.equal(errorOf(await server.post('/v1/token', form, device)), '400 authorization_pending')
  })

  it('logs out, and returns to the client, at the path of the layout', async () => {
    const returnTo = `${web.redirectUri}/bye`
    const entry = { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] }
    await using own = await startServer(
      { ...okta, sessions: {}, staticClients: [{ ...entry, postLogoutRedirectURIs: [returnTo] }] },
      { path: '/oauth2/default' },
    )
    const { browser, tokens } = await logIn(own)
    const query = { id_token_hint: tokens.id_token, post_logout_redirect_uri: returnTo, state: 'bye' }
    const answer = await browser.follow(own.url(`/v1/logout?${new URLSearchParams(query)}`))
    assert.equal(answer.location, `${returnTo}?state=bye`)
    const silent = startLogin(own, { params: { prompt: 'none' } })
    assert.equal(answerAt(await browser.follow(silent.url)).error, 'login_required')
  })

  it('takes other methods as at the path of Dex', async () => {
    for (const [, dex, path] of endpoints.slice(1)) {
      const [one, other] = await Promise.all([dex, path].map((at) => server.request(server.url(at), { method: 'PUT' })))
      assert.equal(other!.status, one!.status, path)
      assert.equal(other!.headers.get('allow'), one!.headers.get('allow'), path)
    }
  })

  it('reads no token from a query string', async () => {
    const { tokens } = await logIn(server, { client: cli })
    const authorization = `Basic ${Buffer.from('web:web-secret').toString('base64')}`
    for (const path of ['/v1/introspect', '/token/introspect']) {
      const query = new URLSearchParams({ token: tokens.access_token })
      const answer = await server.request(server.url(`${path}?${query}`), {
        method: 'POST',
        headers: { authorization },
      })
      assert.equal(errorOf(answer), '400 invalid_request')
    }
  })
})

describe('layout: okta with introspectionQuery', () => {
  it('MI-4: takes the parameters from the query too, at its own path alone, and each once', async () => {
    await using server = await startServer(
      { ...okta, oauth2: { skipApprovalScreen: true, introspectionQuery: true } },
      { path: '/oauth2/default' },
    )
    const { tokens } = await logIn(server)
    const authorization = `Basic ${Buffer.from('web:web-secret').toString('base64')}`
    const ask = (path: string, query: string, form?: Record<string, string>) =>
      server.request(server.url(`${path}?${query}`), {
        method: 'POST',
        headers: { authorization },
        ...(form && { form }),
      })
    const query = `${new URLSearchParams({ token: tokens.access_token, token_type_hint: 'access_token' })}`
    const answer = await ask('/v1/introspect', query)
    assert.deepEqual([answer.status, answer.json().active], [200, true])
    const other = await ask('/v1/introspect', '', { token: tokens.access_token })
    assert.equal(other.json().active, true)
    assert.equal(errorOf(await ask('/v1/introspect', query, { token: tokens.access_token })), '400 invalid_request')
    assert.equal(errorOf(await ask('/v1/introspect', `${query}&${query}`)), '400 invalid_request')
    assert.equal(errorOf(await ask('/token/introspect', query)), '400 invalid_request')
    // Credentials are never taken from there.
    const bare = await server.request(server.url(`/v1/introspect?${query}&client_id=web&client_secret=web-secret`), {
      method: 'POST',
    })
    assert.equal(bare.json().active, undefined)
    assert.ok(bare.status >= 400)
    assert.equal(server.logged().includes(tokens.access_token), false)
  })
})

describe('layout: okta below other issuers', () => {
  it('puts the paths where an Okta without an authorization server of its own has them', async () => {
    await using server = await startServer(okta, { path: '' })
    const document = (await server.request(server.url('/.well-known/openid-configuration'))).json()
    assert.equal(document.token_endpoint, `${server.issuer}/oauth2/v1/token`)
    assert.equal((await server.request(String(document.jwks_uri))).status, 200)
    assert.equal(errorOf(await server.post('/oauth2/v1/token', { grant_type: 'x' }, web)), '400 unsupported_grant_type')
  })

  it('is off by default: nobody answers there', async () => {
    await using server = await startServer({}, { path: '/oauth2/default' })
    for (const [, , path] of endpoints) assert.equal((await server.request(server.url(path))).status, 404, path)
    assert.equal((await server.request(server.url('/.well-known/oauth-authorization-server'))).status, 404)
  })
})
