/** Lessons, row 14: a parameter that comes twice is a fault, so that no two readers of it see different values. */
import assert from 'node:assert/strict'
import { codeOf, secretOn, wrongCode } from '../flows/authenticator.ts'
import { openBrowser } from '../flows/browser.ts'
import {
  answerAt,
  authorize,
  challengeOf,
  type FlowServer,
  logIn,
  passwordHash,
  startLogin,
  startServer,
  web,
} from '../flows/server.ts'
import { startOidcUpstream } from '../upstreams/oidc.ts'
import { assertNoCode, oidcConnector, queryOf } from './attack.ts'
import { parameters } from './garbage.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'

const grantTypes = ['authorization_code', 'refresh_token', deviceGrant, exchangeGrant, 'password', 'client_credentials']
const connectors = [
  { type: 'mockCallback', id: 'mock', name: 'Mock' },
  { type: 'mockPassword', id: 'pw', name: 'Password', config: { username: 'u', password: 'p' } },
]

describe('parameters that come twice', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({
      connectors,
      oauth2: {
        skipApprovalScreen: true,
        passwordConnector: 'pw',
        responseTypes: ['code', 'id_token', 'token'],
        grantTypes,
      },
    })
  })
  after(() => server[Symbol.asyncDispose]())

  for (const type of ['code', 'id_token token', 'code id_token']) {
    it(`at the authorization endpoint, equal or not, by GET and by POST, for "${type}"`, async () => {
      for (const name of Object.keys(parameters)) {
        for (const second of [parameters[name]!, 'other', '']) {
          const { url } = startLogin(server, { connector: 'mock', params: { prompt: 'login', response_type: type } })
          const query = queryOf(url)
          if (!query.has(name)) query.append(name, parameters[name]!)
          query.append(name, second)
          for (const request of [{}, { form: query }]) {
            const target = 'form' in request ? server.url('/auth') : `${server.url('/auth')}?${query}`
            const answer = await openBrowser().follow(target, request)
            assertNoCode(answer)
            if (answer.location === undefined) assert.equal(answer.status, 400, name)
            else assert.equal(answerAt(answer).error, 'invalid_request', name)
          }
        }
      }
    })
  }

  /** A request that works, then with each of its parameters twice. */
  async function check(path: string, fields: () => Promise<Record<string, string>> | Record<string, string>) {
    const names = Object.keys(await fields())
    for (const name of names) {
      const given = await fields()
      for (const second of [given[name]!, 'other', '']) {
        const form = new URLSearchParams(given)
        form.append(name, second)
        const answer = await server.request(server.url(path), { form })
        const what = `${path} ${name}: ${answer.status} ${answer.text}`
        assert.ok(answer.status === 400 || answer.status === 401, what)
        assert.match(String(answer.json().error), /^(invalid_request|invalid_client|unsupported_grant_type)$/, what)
      }
    }
    const answer = await server.request(server.url(path), { form: await fields() })
    assert.ok(answer.status < 300 || answer.json().error === 'authorization_pending', `${path}: ${answer.text}`)
  }
  const credentials = { client_id: web.id, client_secret: web.secret! }

  it('at the token endpoint with a code', () =>
    check('/token', async () => {
      const { code, verifier, redirectUri } = await authorize(server, { connector: 'mock' })
      const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri }
      return { ...grant, ...credentials }
    }))

  it('with a refresh token', async () => {
    const { tokens } = await logIn(server, { connector: 'mock', scope: 'openid offline_access' })
    const grant = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, scope: 'openid' }
    await check('/token', () => ({ ...grant, ...credentials }))
  })

  it('with a device code', async () => {
    const started = await server.post('/device/code', { scope: 'openid' }, web)
    const grant = { grant_type: deviceGrant, device_code: String(started.json().device_code) }
    await check('/token', () => ({ ...grant, ...credentials }))
  })

  it('with a token to exchange', () =>
    check('/token', () => ({
      grant_type: exchangeGrant,
      connector_id: 'mock',
      subject_token: 'x',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'openid',
      ...credentials,
    })))

  it('with a password', () =>
    check('/token', () => ({
      grant_type: 'password',
      username: 'u',
      password: 'p',
      scope: 'openid',
      nonce: 'n',
      ...credentials,
    })))

  it('with the credentials of the client alone', () =>
    check('/token', () => ({ grant_type: 'client_credentials', scope: 'openid', nonce: 'n', ...credentials })))

  it('at the device endpoint, PKCE among them', () =>
    check('/device/code', () => ({
      scope: 'openid',
      code_challenge: challengeOf('x'.repeat(43)),
      code_challenge_method: 'S256',
      ...credentials,
    })))

  it('at the endpoint for pushed requests', () =>
    check('/par', () => ({
      response_type: 'code',
      redirect_uri: web.redirectUri,
      scope: 'openid',
      state: 's',
      nonce: 'n',
      dpop_jkt: 'x'.repeat(43),
      connector_id: 'mock',
      code_challenge: challengeOf('x'.repeat(43)),
      code_challenge_method: 'S256',
      ...credentials,
    })))

  it('at introspection and revocation', async () => {
    const { tokens } = await logIn(server, { connector: 'mock', scope: 'openid offline_access' })
    const fields = { token: tokens.access_token, token_type_hint: 'access_token', ...credentials }
    await check('/token/introspect', () => fields)
    await check('/token/revoke', () => fields)
  })

  it('are not made whole by the query: the token endpoint reads the body only', async () => {
    const { tokens } = await logIn(server, { connector: 'mock', scope: 'openid offline_access' })
    const fields = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, ...credentials }
    for (const name of Object.keys(fields)) {
      const { [name]: moved = '', ...rest } = fields as Record<string, string>
      const answer = await server.request(`${server.url('/token')}?${new URLSearchParams({ [name]: moved })}`, {
        form: rest,
      })
      assert.ok(answer.status >= 400, `${name}: ${answer.text}`)
    }
  })

  it('at the callback', async () => {
    const up = await startOidcUpstream()
    await using corp = await startServer({ connectors: [oidcConnector(up)] })
    for (const name of ['code', 'state']) {
      for (const second of ['', 'x']) {
        const browser = openBrowser()
        const departure = await browser.request(startLogin(corp).url)
        const callback = new URL((await openBrowser().request(departure.location!)).location!)
        callback.searchParams.append(name, second)
        assertNoCode(await browser.request(callback.href))
      }
    }
    await up.close()
  })

  it('at the code of an application: the first one is looked at and used', async () => {
    const mfa = { authenticators: [{ id: 'app', type: 'TOTP' }], defaultMFAChain: ['app'] }
    await using guarded = await startServer({ mfa })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(guarded).url)
    const form = new URLSearchParams({ totp: wrongCode(secretOn(page)!) })
    form.append('totp', codeOf(secretOn(page)!))
    assert.equal((await browser.request(page.url, { form })).status, 401)
    // Another login of the same browser.
    const other = await browser.follow(startLogin(guarded).url)
    const both = `${page.url}&state=${new URL(other.url).searchParams.get('state')}`
    assert.equal((await browser.request(both, { form: { totp: codeOf(secretOn(other)!) } })).status, 401)
  })

  it('in messages of upstreams, and on the way back from a logout there', async () => {
    const up = await startOidcUpstream()
    await using corp = await startServer({ connectors: [oidcConnector(up)], sessions: {} })
    const { browser, tokens, claims } = await logIn(corp)
    for (const second of [await up.logoutToken(), 'x', '']) {
      const form = new URLSearchParams({ logout_token: await up.logoutToken() })
      form.append('logout_token', second)
      assert.equal((await corp.request(corp.url('/logout/upstream/corp'), { form })).status, 400)
    }
    assert.ok(await corp.driver.get('session', String(claims.sid)), 'nobody was logged out')
    const left = await browser.request(corp.url(`/logout?id_token_hint=${tokens.id_token}`))
    const state = queryOf(left.location).get('state')!
    for (const second of [state, 'x', '']) {
      for (const name of ['state', 'RelayState']) {
        const query = new URLSearchParams({ state })
        query.append(name, second)
        assert.equal(
          (await browser.request(`${corp.url('/logout/callback')}?${query}`)).status,
          400,
          `${name}=${second}`,
        )
      }
    }
    assert.equal((await browser.request(`${corp.url('/logout/callback')}?state=${state}`)).status, 200)
    await up.close()
  })

  it('at forms of ours: what is looked at is what is used', async () => {
    const person = (email: string) => ({ email, hash: passwordHash, username: email, userID: email })
    const staticPasswords = [person('jane@example.com'), person('admin@example.com')]
    await using local = await startServer({ connectors: [], enablePasswordDB: true, staticPasswords })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(local, { scope: 'openid email' }).url)
    const form = new URLSearchParams({ login: 'jane@example.com', password: 'wrong' })
    form.append('login', 'admin@example.com')
    form.append('password', 'password')
    assert.equal((await browser.request(page.url, { form })).status, 401)
  })
})
