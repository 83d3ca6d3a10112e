/** Clients that register themselves (RFC 7591, RFC 7592): what they may be, who may register, who may change. */
import assert from 'node:assert/strict'
import { exportJWK, generateKeyPair } from 'jose'
import { type BrowserAnswer, clientOrigin, openBrowser } from '../flows/browser.ts'
import {
  arrive,
  type Client,
  errorOf,
  type FlowServer,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
} from '../flows/server.ts'

const token = 'an-initial-access-token'
const callback = 'https://app.example.com/callback'

interface Registered extends Client {
  manage: string
  registrationUri: string
  told: Record<string, unknown>
}

describe('registration of clients', () => {
  let server: FlowServer
  const config = (
    more: object = {},
    registration: object = { initialAccessTokens: [token, 'another-token-of-ours'] },
  ) => ({
    dynamicClients: { registration, ...more },
  })

  before(async () => {
    server = await startServer(config({ allowedScopes: ['openid', 'email', 'offline_access'] }))
  })
  after(() => server?.[Symbol.asyncDispose]())

  const send = (
    metadata: unknown,
    { by = token as string | null, at = server, to = '/register', method = 'POST' } = {},
  ): Promise<BrowserAnswer> =>
    at.request(to.startsWith('http') ? to : at.url(to), {
      method,
      headers: { 'content-type': 'application/json', ...(by !== null && { authorization: `Bearer ${by}` }) },
      ...(metadata !== undefined && { body: typeof metadata === 'string' ? metadata : JSON.stringify(metadata) }),
    })
  const good = (more: object = {}) => ({ redirect_uris: [callback], client_name: 'Strange app', ...more })

  const register = async (metadata: object, at = server): Promise<Registered> => {
    const answer = await send(metadata, { at })
    assert.equal(answer.status, 201, answer.text)
    const told = answer.json()
    return {
      id: String(told.client_id),
      ...(typeof told.client_secret === 'string' && { secret: told.client_secret }),
      redirectUri: (told.redirect_uris as string[])[0]!,
      manage: String(told.registration_access_token),
      registrationUri: String(told.registration_client_uri),
      told,
    }
  }

  const logIn = async (client: Client, params: Record<string, string> = {}, at = server) => {
    const started = startLogin(at, { client, scope: 'openid email', params })
    const browser = openBrowser()
    const page = await browser.follow(started.url)
    assert.equal(page.status, 200, page.text)
    return { page, arrived: arrive(started, await browser.decide(page, true)) }
  }

  it('gives a client that logs people in, once they have seen where it leads', async () => {
    const client = await register(good())
    assert.equal(client.told.id_token_signed_response_alg, 'RS256')
    assert.equal(client.told.token_endpoint_auth_method, 'client_secret_basic')
    const { page, arrived } = await logIn(client)
    assert.match(page.text, /Strange app/)
    assert.match(page.text, /app\.example\.com/)
    for (const by of ['basic', 'post'] as const) {
      const again = by === 'basic' ? arrived : (await logIn(client)).arrived
      assert.equal(tokensOf(await server.redeem({ ...again, client: { ...client, by } })).refresh_token, undefined)
    }
    const wrong = (await logIn(client)).arrived
    const answer = await server.redeem({ ...wrong, client: { ...client, secret: 'wrong' } })
    assert.equal(errorOf(answer), '401 invalid_client')
    assert.ok(server.audited().some(({ type, client_id }) => type === 'client_registered' && client_id === client.id))
  })

  const storedClients = async () => {
    const found: unknown[] = []
    for await (const each of server.driver.find('client', {})) found.push(each)
    return JSON.stringify(found)
  }

  it('keeps no secret and no token, only hashes', async () => {
    const client = await register(good())
    const stored = await storedClients()
    for (const secret of [client.secret!, client.manage]) {
      assert.ok(!stored.includes(secret))
      assert.ok(!server.logged().includes(secret))
    }
    assert.ok(stored.includes(client.id))
  })

  it('asks for an initial access token, whole', async () => {
    for (const by of [null, '', 'wrong', token.slice(0, -1), `${token}x`, token.toUpperCase()]) {
      const answer = await send(good(), { by })
      assert.match(errorOf(answer), /^40[01] invalid_(token|request)$/, String(by))
    }
    assert.equal(errorOf(await send(good(), { by: null })), '401 invalid_token')
    const basic = await server.request(server.url('/register'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Basic ${Buffer.from(`a:${token}`).toString('base64')}`,
      },
      body: JSON.stringify(good()),
    })
    assert.match(errorOf(basic), /^40[01] /)
    assert.equal((await send(good(), { by: 'another-token-of-ours' })).status, 201)
  })

  it('is not there where it is not configured', async () => {
    await using plain = await startServer()
    assert.equal((await send(good(), { at: plain })).status, 404)
    const discovery = (await plain.request(plain.url('/.well-known/openid-configuration'))).json()
    assert.equal(discovery.registration_endpoint, undefined)
    const here = (await server.request(server.url('/.well-known/openid-configuration'))).json()
    assert.equal(here.registration_endpoint, server.url('/register'))
  })

  const badRedirects = [
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'java\tscript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'blob:https://app.example.com/x',
    'file:///etc/passwd',
    'about:blank',
    'http://app.example.com/callback',
    'http://localhost.evil.example/callback',
    'http://127.0.0.1.evil.example/callback',
    'https://app.example.com/callback#fragment',
    'https://app.example.com/callback#',
    'https://*.example.com/callback',
    'https://app.example.com/*',
    'javascript:*',
    'https://user:password@app.example.com/',
    'https://app.example.com@evil.example/',
    'https:app.example.com/callback',
    'https:/app.example.com/callback',
    'https:///app.example.com/callback',
    'https:\\\\app.example.com\\callback',
    'https://app.example.com\\@evil.example/',
    'https://app.example.com\t/callback',
    'https://app.example.com\n/callback',
    'https://app。example.com/callback',
    '//app.example.com/callback',
    '/callback',
    'app.example.com/callback',
    'app:/callback',
    'https://',
    '',
    'urn:ietf:wg:oauth:2.0:oob',
  ]
  for (const uri of badRedirects) {
    it(`refuses to return to ${JSON.stringify(uri)}`, async () => {
      for (const application_type of ['web', 'native']) {
        const answer = await send(good({ redirect_uris: [callback, uri], application_type }))
        assert.match(errorOf(answer), /^400 invalid_(redirect_uri|client_metadata)$/, answer.text)
      }
    })
  }

  it('compares the addresses at use as text, as for every client', async () => {
    const client = await register(good())
    const others = [
      'https://app.example.com/callback/',
      'https://app.example.com/callback?x',
      'https://APP.example.com/callback',
      'https://app.example.com/%63allback',
      'https://app.example.com:443/callback',
      'https://evil.example/callback',
      'http://127.0.0.1:5/callback',
      'javascript:alert(1)',
      '',
    ]
    for (const redirectUri of others) {
      const { url } = startLogin(server, { client, redirectUri })
      assert.equal((await openBrowser().follow(url)).status, 400, redirectUri)
    }
  })

  it('takes loopback addresses on any port, of public clients only', async () => {
    const uri = 'http://127.0.0.1/callback'
    const metadata = good({ redirect_uris: [uri], application_type: 'native', token_endpoint_auth_method: 'none' })
    const client = { ...(await register(metadata)), redirectUri: `${clientOrigin}callback` }
    assert.equal(client.secret, undefined)
    const { arrived } = await logIn(client)
    tokensOf(await server.redeem({ ...arrived, client }))
    const confidential = { ...(await register(good({ redirect_uris: [uri] }))), redirectUri: client.redirectUri }
    assert.equal((await openBrowser().follow(startLogin(server, { client: confidential }).url)).status, 400)
    const native = good({ redirect_uris: ['com.example.app:/callback'], application_type: 'native' })
    assert.equal((await send(native)).status, 201)
  })

  it('lets a public client in with PKCE only', async () => {
    const client = await register(good({ token_endpoint_auth_method: 'none' }))
    const { url } = startLogin(server, { client, params: { code_challenge: '', code_challenge_method: '' } })
    const answer = await openBrowser().follow(url)
    assert.match(answer.location ?? '', /error=invalid_request.*PKCE/)
  })

  const refused: Record<string, object> = {
    'token exchange': { grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:token-exchange'] },
    'client credentials': { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
    'the password grant': { grant_types: ['authorization_code', 'password'] },
    'the implicit flow': { response_types: ['id_token'], grant_types: ['implicit'] },
    'an unknown way to prove itself': { token_endpoint_auth_method: 'magic' },
    'a secret that it signs with': { token_endpoint_auth_method: 'client_secret_jwt' },
    'keys that are missing': { token_endpoint_auth_method: 'private_key_jwt' },
    'a shared secret as key': {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ kty: 'oct', k: 'AA' }] },
    },
    'keys at an address without TLS': {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: 'http://app.example.com/',
    },
    'an algorithm that does not sign here': { id_token_signed_response_alg: 'ES256' },
    'unsigned ID tokens': { id_token_signed_response_alg: 'none' },
    'a scope that it may not have': { scope: 'openid groups' },
    'a scope for another client': { scope: 'openid audience:server:client_id:web' },
    'a scope without openid': { scope: 'email' },
    'a name that is too long': { client_name: 'x'.repeat(101) },
    'a name with a line break': { client_name: 'Good app\n(verified)' },
    'a name written backwards': { client_name: '\u202eevil' },
    'too many addresses': { redirect_uris: Array.from({ length: 21 }, (_, at) => `https://app.example.com/${at}`) },
    'an address that is no text': { redirect_uris: [{}] },
    'no address': { redirect_uris: [] },
    'a logo that is code': { logo_uri: 'javascript:alert(1)' },
  }
  for (const [what, metadata] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      const before = (await server.driver.count('client')).live
      assert.match(errorOf(await send(good(metadata))), /^400 invalid_(client_metadata|redirect_uri)$/)
      assert.equal((await server.driver.count('client')).live, before)
    })
  }

  it('refuses what is no JSON object', async () => {
    for (const body of ['null', '[]', '"x"', '7', '{', '', '<xml/>']) {
      assert.equal(errorOf(await send(body)), '400 invalid_request', body)
    }
    assert.equal(errorOf(await send(`{"x":"${'x'.repeat(60_000)}"}`)), '400 invalid_request')
    const proto = '{"redirect_uris":["https://a.example/"],"__proto__":{"trustedPeers":["web"]},"trustedPeers":["web"]}'
    const answer = await send(proto)
    assert.equal(answer.status, 201)
    assert.ok(!answer.text.includes('trustedPeers'))
  })

  it('asks only for what it may, whatever it registered', async () => {
    const client = await register(good({ scope: 'openid' }))
    for (const scope of [
      'openid email',
      'openid groups',
      'openid audience:server:client_id:web',
      'openid federated:id',
    ]) {
      const answer = await openBrowser().follow(startLogin(server, { client, scope }).url)
      assert.match(answer.location ?? '', /error=invalid_scope/, scope)
    }
  })

  it('gives refresh tokens to those that registered for them', async () => {
    const client = await register(good({ grant_types: ['authorization_code', 'refresh_token'] }))
    const scope = 'openid offline_access'
    const { arrived } = await logIn(client, { scope })
    const tokens = tokensOf(await server.redeem({ ...arrived, client }))
    tokensOf(await server.refresh(tokens.refresh_token!, client))
    const without = await register(good())
    const other = (await logIn(without, { scope })).arrived
    assert.equal(tokensOf(await server.redeem({ ...other, client: without })).refresh_token, undefined)
    assert.match(errorOf(await server.refresh('x', without)), /^400 (invalid_request|unauthorized_client)$/)
  })

  it('is read, changed and ended with its own token', async () => {
    const client = await register(good())
    const { registrationUri: to, manage: by } = client
    const read = await send(undefined, { by, to, method: 'GET' })
    assert.equal(read.status, 200, read.text)
    assert.equal(read.json().client_secret, undefined)
    assert.equal(read.json().client_name, 'Strange app')

    const change = { client_id: client.id, redirect_uris: ['https://app.example.com/other'], client_name: 'Renamed' }
    const changed = await send({ ...change, client_secret: client.secret }, { by, to, method: 'PUT' })
    assert.equal(changed.status, 200, changed.text)
    assert.equal(changed.json().client_secret, undefined)
    assert.equal(
      errorOf(await send({ ...change, client_secret: 'x' }, { by, to, method: 'PUT' })),
      '400 invalid_request',
    )
    const bad = { ...change, redirect_uris: ['javascript:alert(1)'] }
    assert.match(errorOf(await send(bad, { by, to, method: 'PUT' })), /^400 invalid_/)
    assert.equal((await openBrowser().follow(startLogin(server, { client }).url)).status, 400)
    const moved = { ...client, redirectUri: 'https://app.example.com/other' }
    const { arrived } = await logIn(moved)
    tokensOf(await server.redeem({ ...arrived, client: moved }))

    assert.equal((await send(undefined, { by, to, method: 'DELETE' })).status, 204)
    assert.equal(errorOf(await send(undefined, { by, to, method: 'GET' })), '401 invalid_token')
    assert.equal((await openBrowser().follow(startLogin(server, { client: moved }).url)).status, 400)
    assert.equal(errorOf(await server.redeem({ ...arrived, client: moved })), '401 invalid_client')
  })

  it('returns from a logout to what is registered for that, and nowhere else', async () => {
    const out = 'https://app.example.com/out'
    const client = await register(good({ post_logout_redirect_uris: [out] }))
    assert.deepEqual(client.told.post_logout_redirect_uris, [out])
    const logout = (to: string) => {
      const query = new URLSearchParams({ client_id: client.id, post_logout_redirect_uri: to })
      return openBrowser().request(server.url(`/logout?${query}`))
    }
    assert.equal((await logout(out)).location, out)
    for (const to of [`${out}/`, callback, 'https://evil.example/']) assert.equal((await logout(to)).status, 400, to)
    for (const bad of ['javascript:alert(1)', 'http://app.example.com/', {}, 7]) {
      const answer = await send(good({ post_logout_redirect_uris: [bad] }))
      assert.match(errorOf(answer), /^400 invalid_/)
    }
    assert.match(errorOf(await send(good({ post_logout_redirect_uris: out }))), /^400 invalid_/)
  })

  it('is changed by nobody else', async () => {
    const [mine, theirs] = [await register(good()), await register(good())]
    const { registrationUri: to, manage } = theirs
    const change = { client_id: theirs.id, redirect_uris: ['https://evil.example/'] }
    for (const by of [null, token, manage.slice(0, -1), `${manage}x`, '']) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await send(method === 'PUT' ? change : undefined, { by, to, method })
        assert.match(errorOf(answer), /^40[01] invalid_(token|request)$/, `${method} ${by}`)
      }
    }
    assert.equal(errorOf(await send(change, { by: mine.manage, to, method: 'PUT' })), '401 invalid_token')
    const file = { by: theirs.manage, to: '/register/web', method: 'GET' }
    assert.equal(errorOf(await send(undefined, file)), '401 invalid_token')
  })

  it('proves who it is with a key as well', async () => {
    const keys = await generateKeyPair('ES256')
    const jwks = { keys: [await exportJWK(keys.publicKey)] }
    const client = await register(good({ token_endpoint_auth_method: 'private_key_jwt', jwks }))
    assert.equal(client.secret, undefined)
    assert.equal(
      errorOf(await server.post('/token/introspect', { token: 'x', client_id: client.id })),
      '401 invalid_client',
    )
  })

  it('ends when nobody uses it, and goes on when somebody does', async () => {
    using clock = stopClock()
    await using short = await startServer(config({}, { initialAccessTokens: [token], unusedFor: '48h' }))
    const [used, unused] = [await register(good(), short), await register(good(), short)]
    clock.advance(40 * 3600)
    const { arrived } = await logIn(used, {}, short)
    tokensOf(await short.redeem({ ...arrived, client: used }))
    clock.advance(20 * 3600)
    await logIn(used, {}, short)
    assert.equal((await openBrowser().follow(startLogin(short, { client: unused }).url)).status, 400)
    assert.equal(
      errorOf(await send(undefined, { at: short, by: unused.manage, to: unused.registrationUri, method: 'GET' })),
      '401 invalid_token',
    )
  })

  it('is bounded in number and by address', async () => {
    await using full = await startServer(config({}, { initialAccessTokens: [token], maxClients: 2 }))
    for (let at = 0; at < 2; at++) await register(good(), full)
    const answer = await send(good(), { at: full })
    assert.equal(errorOf(answer), '503 temporarily_unavailable')
    assert.equal((await full.driver.count('client')).live, 2)
  })

  it('keeps the operator’s own clients as they are', async () => {
    const answer = await send(good({ client_id: 'web', client_secret: 'mine' }))
    assert.equal(answer.status, 201)
    assert.notEqual(answer.json().client_id, 'web')
    assert.notEqual(answer.json().client_secret, 'mine')
  })
})
