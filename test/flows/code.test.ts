import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { clientOrigin, openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  authorize,
  type Client,
  claimsOf,
  cli,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const everything = 'openid profile email groups offline_access'

describe('login by code', () => {
  let server: FlowServer
  const people = upstream('code')
  before(async () => {
    server = await startServer({
      connectors: [corp('code')],
      staticClients: [
        { id: 'web', secret: 'web-secret', name: 'Web', redirectURIs: [web.redirectUri] },
        { id: 'cli', name: 'Command line', public: true },
        { id: 'odd name:%', secret: 'ü:%+ secret', name: 'Odd', redirectURIs: [web.redirectUri] },
        { id: 'kargo-cli', name: 'CLI', public: true, redirectURIs: ['http://localhost/auth/callback'] },
        { id: 'old-cli', name: 'CLI', public: true, redirectURIs: ['https://localhost/auth/callback'] },
      ],
    })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
  })

  const verified = async (token: string, of: FlowServer = server) => {
    const keys = (await of.request(of.url('/keys'))).json() as unknown as JSONWebKeySet
    return jwtVerify(token, createLocalJWKSet(keys), { issuer: of.issuer })
  }

  it('gives a confidential client tokens with the claims of its scopes in the ID token itself (X-5, X-10)', async () => {
    const { tokens, nonce } = await logIn(server, { scope: everything })
    const { payload, protectedHeader } = await verified(tokens.id_token)
    const { iat, exp, jti, at_hash, c_hash, auth_time, ...claims } = payload
    assert.equal(protectedHeader.alg, 'RS256')
    assert.deepEqual(claims, {
      iss: server.issuer,
      sub: 'CgppZC1vZi1qYW5lEgRjb3Jw',
      aud: 'web',
      nonce,
      name: 'Jane Doe',
      preferred_username: 'jane',
      email: 'jane@example.com',
      email_verified: true,
      groups: ['staff'],
    })
    assert.equal(exp! - iat!, 24 * 3600)
    assert.ok(typeof jti === 'string' && typeof c_hash === 'string')
    assert.ok(Math.abs(Number(auth_time) - iat!) <= 1)
    const half = createHash('sha256').update(tokens.access_token).digest().subarray(0, 16)
    assert.equal(at_hash, half.toString('base64url'))
  })

  it('writes `Bearer` and JSON, and forbids caches to keep it (X-11, MI-2)', async () => {
    const answer = await server.redeem(await authorize(server))
    const body = tokensOf(answer)
    assert.equal(body.token_type, 'Bearer')
    assert.equal(body.expires_in, 24 * 3600)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const userinfo = await server.userinfo(body.access_token)
    assert.match(userinfo.headers.get('content-type') ?? '', /^application\/json/)
  })

  it('gives a refresh token for `offline_access` without `prompt=consent`, and none without (X-4)', async () => {
    assert.ok((await logIn(server, { scope: 'openid offline_access' })).tokens.refresh_token)
    assert.equal((await logIn(server, { scope: 'openid' })).tokens.refresh_token, undefined)
  })

  it('tells the client its issuer with the code (RFC 9207)', async () => {
    const started = startLogin(server)
    const answer = answerAt(await openBrowser().follow(started.url))
    assert.deepEqual(Object.keys(answer), ['code', 'state', 'iss'])
    assert.equal(answer.iss, server.issuer)
  })

  describe('of a public client', () => {
    it('needs PKCE with S256 and no secret (X-9)', async () => {
      const { claims } = await logIn(server, { client: cli })
      assert.equal(claims.aud, 'cli')
      for (const params of [{ code_challenge: '', code_challenge_method: '' }, { code_challenge_method: 'plain' }]) {
        const started = startLogin(server, { client: cli, params })
        const answer = answerAt(await openBrowser().follow(started.url))
        assert.equal(answer.error, 'invalid_request')
        assert.equal(answer.state, started.state)
      }
    })

    it('may send its id by Basic with an empty secret, as Go does when it tries (X-3)', async () => {
      const arrived = await authorize(server, { client: cli })
      const answer = await server.redeem({ ...arrived, client: { ...cli, by: 'basic' } })
      assert.equal(claimsOf(tokensOf(answer).id_token).aud, 'cli')
    })

    it('keeps its code when a probe with a wrong secret fails first (X-3)', async () => {
      const arrived = await authorize(server, { client: cli })
      const probe = await server.redeem({ ...arrived, client: { ...cli, secret: 'guess', by: 'basic' } })
      assert.equal(errorOf(probe), '401 invalid_client')
      assert.match(probe.headers.get('www-authenticate') ?? '', /^Basic /)
      tokensOf(await server.redeem(arrived))
    })

    it('may listen on any port of loopback (KA-6)', async () => {
      const kargo: Client = { id: 'kargo-cli', redirectUri: 'http://localhost:39123/auth/callback' }
      const addresses = ['http://localhost:4711/auth/callback', 'http://127.0.0.1:4711/x', 'http://[::1]:4711/x']
      for (const client of [...addresses.map((redirectUri) => ({ ...cli, redirectUri })), kargo]) {
        const browser = openBrowser()
        const left = await browser.request(startLogin(server, { client }).url)
        const back = await browser.request(left.location!)
        assert.ok(back.location?.startsWith(`${client.redirectUri}?code=`), back.location)
      }
    })

    it('is told when https stands where a command line listens on http (KA-6)', async () => {
      const old: Client = { id: 'old-cli', redirectUri: 'http://localhost:39123/auth/callback' }
      const answer = await openBrowser().follow(startLogin(server, { client: old }).url)
      assert.equal(answer.status, 400)
      assert.match(answer.page().text, /registered as https:\/\/localhost\/auth\/callback.* listen on http/)
    })
  })

  describe('of a confidential client', () => {
    it('takes its secret by Basic and in the form, with one entry for both (X-2, KS-3)', async () => {
      for (const by of ['basic', 'post'] as const) {
        tokensOf(await server.redeem({ ...(await authorize(server)), client: { ...web, by } }))
      }
    })

    it('takes letters that have to be encoded in id and secret', async () => {
      const odd: Client = { id: 'odd name:%', secret: 'ü:%+ secret', redirectUri: web.redirectUri }
      for (const by of ['basic', 'post'] as const) {
        assert.equal((await logIn(server, { client: { ...odd, by } })).claims.aud, 'odd name:%')
      }
    })

    it('is refused with a wrong secret or none, and its code stays good', async () => {
      const arrived = await authorize(server)
      for (const client of [
        { ...web, secret: 'wrong' },
        { ...web, secret: '' },
        { id: 'web', redirectUri: '' },
      ]) {
        assert.equal(errorOf(await server.redeem({ ...arrived, client })), '401 invalid_client')
      }
      tokensOf(await server.redeem(arrived))
    })

    it('may leave PKCE, nonce and state out, and then hears of none (X-7, X-8, X-9, KA-7)', async () => {
      const params = { code_challenge: '', code_challenge_method: '', nonce: '', state: '' }
      const started = startLogin(server, { params })
      const answer = answerAt(await openBrowser().follow(started.url))
      assert.deepEqual(Object.keys(answer), ['code', 'iss'])
      const fields = { grant_type: 'authorization_code', code: answer.code!, redirect_uri: web.redirectUri }
      assert.equal('nonce' in claimsOf(tokensOf(await server.token(fields, web)).id_token), false)
    })

    it('gets its own constant state of four letters back (KS-2)', async () => {
      const params = { state: 'Okta', code_challenge: '', code_challenge_method: '', nonce: '' }
      assert.equal(answerAt(await openBrowser().follow(startLogin(server, { params }).url)).state, 'Okta')
    })

    it('gets state byte for byte, whatever it holds and however long it is (X-7)', async () => {
      for (const state of ['a b+c%20d&e=f?g#h/ü€😀"\'<>', '{"a":[1,"\\u0000"]}', 'x'.repeat(2000)]) {
        const { location } = await openBrowser().follow(startLogin(server, { params: { state } }).url)
        assert.equal(new URL(location!).searchParams.get('state'), state)
      }
    })

    it('gets a nonce of 64 hexadecimal digits unchanged (MI-3)', async () => {
      const nonce = '0123456789abcdef'.repeat(4)
      assert.equal((await logIn(server, { params: { nonce } })).claims.nonce, nonce)
    })
  })

  it('refuses a code with another verifier, none, another redirect URI or another client, and keeps it good', async () => {
    const arrived = await authorize(server, { scope: everything })
    const wrong = [
      { ...arrived, verifier: 'x'.repeat(43) },
      { ...arrived, verifier: '' },
      { ...arrived, redirectUri: `${clientOrigin}elsewhere` },
      { ...arrived, client: cli },
    ]
    for (const each of wrong) assert.equal(errorOf(await server.redeem(each)), '400 invalid_grant')
    tokensOf(await server.redeem(arrived))
  })

  it('refuses a verifier where no challenge was sent', async () => {
    const params = { code_challenge: '', code_challenge_method: '' }
    assert.equal(errorOf(await server.redeem(await authorize(server, { params }))), '400 invalid_grant')
  })

  it('says `invalid_grant` to a code that comes twice, and the log says that it was used (KS-8)', async () => {
    const arrived = await authorize(server, { scope: everything })
    const { refresh_token: token } = tokensOf(await server.redeem(arrived))
    assert.equal(errorOf(await server.redeem(arrived)), '400 invalid_grant')
    assert.match(server.logged(), /code already used/)
    tokensOf(await server.refresh(token!))
  })

  it('keeps `sub` when name, e-mail and groups change (KS-4)', async () => {
    const { claims } = await logIn(server)
    people.person = { ...jane(), username: 'J. Smith', preferredUsername: 'js', email: 'js@example.com', groups: [] }
    assert.equal((await logIn(server)).claims.sub, claims.sub)
  })

  it('leaves `groups` out where the upstream gave none (MI-5)', async () => {
    const { groups: _, ...unknown } = jane()
    people.person = unknown
    assert.equal('groups' in (await logIn(server)).claims, false)
  })

  it('tells only what the scopes ask for', async () => {
    const { tokens } = await logIn(server, { scope: 'openid' })
    const { payload } = await verified(tokens.id_token)
    assert.deepEqual(Object.keys(payload).sort(), [
      'at_hash',
      'aud',
      'auth_time',
      'c_hash',
      'exp',
      'iat',
      'iss',
      'jti',
      'nonce',
      'sub',
    ])
  })

  it('takes an authorization request as a form', async () => {
    const started = startLogin(server)
    const form = new URL(started.url).searchParams
    const browser = openBrowser()
    const answer = await browser.follow(server.url('/auth'), { form })
    tokensOf(await server.redeem(arrive(started, answer)))
  })

  it('lets several logins go on in one browser at once (X-14)', async () => {
    const browser = openBrowser()
    const tabs = Array.from({ length: 3 }, () => startLogin(server))
    const left = []
    for (const { url } of tabs) left.push(await browser.request(url))
    for (const [position, tab] of [...tabs.entries()].reverse()) {
      tokensOf(await server.redeem(arrive(tab, await browser.goOn(left[position]!))))
    }
    assert.equal(browser.cookies(server.url('/callback')).size, 0, 'a finished login leaves no cookie')
  })

  it('refuses a callback in a browser that did not start the login (X-14)', async () => {
    const left = await openBrowser().request(startLogin(server).url)
    const answer = await openBrowser().request(left.location!)
    assert.equal(answer.status, 400)
    assert.equal(answer.location, undefined)
  })
})

describe('an issuer without a path', () => {
  it('serves the whole login from its root', async () => {
    await using server = await startServer({}, { path: '' })
    const { claims, tokens } = await logIn(server, { scope: everything })
    assert.equal(claims.iss, server.origin)
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    tokensOf(await server.refresh(tokens.refresh_token!))
  })

  it('is published to the letter when it ends with a slash (X-12)', async () => {
    await using server = await startServer({}, { path: '/' })
    const document = (await server.request(server.url('/.well-known/openid-configuration'))).json()
    assert.equal(document.issuer, `${server.origin}/`)
    assert.equal(document.authorization_endpoint, `${server.origin}/auth`)
    assert.equal((await logIn(server)).claims.iss, `${server.origin}/`)
  })
})

describe('an ES256 signer', () => {
  it('signs ID and access tokens that every endpoint takes back', async () => {
    await using server = await startServer({
      signer: { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'ES256' } },
    })
    const document = (await server.request(server.url('/.well-known/openid-configuration'))).json()
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['ES256'])
    const { tokens } = await logIn(server, { scope: everything })
    const keys = (await server.request(server.url('/keys'))).json() as unknown as JSONWebKeySet
    for (const token of [tokens.id_token, tokens.access_token]) {
      const { protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), { issuer: server.issuer })
      assert.equal(protectedHeader.alg, 'ES256')
    }
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    assert.equal((await server.introspect(tokens.access_token)).active, true)
    await logIn(server, { params: { id_token_hint: tokens.id_token } })
  })
})

describe('what a request says of addresses', () => {
  it('is believed nowhere: links come from the issuer (X-1)', async () => {
    await using server = await startServer()
    const lies = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '203.0.113.1',
      forwarded: 'host=evil.example;proto=https',
    }
    const document = await server.request(server.url('/.well-known/openid-configuration'), { headers: lies })
    assert.doesNotMatch(document.text, /evil|https:/)
    const started = startLogin(server)
    const browser = openBrowser()
    const left = await browser.request(started.url, { headers: lies })
    assert.ok(left.location?.startsWith(`${server.issuer}/callback`), left.location)
    const back = await browser.request(left.location!, { headers: lies })
    assert.ok(back.location?.startsWith(web.redirectUri))
    const { code } = arrive(started, back)
    const fields = { grant_type: 'authorization_code', code, redirect_uri: web.redirectUri }
    const answer = await server.request(server.url('/token'), {
      headers: lies,
      form: { ...fields, code_verifier: started.verifier, client_id: 'web', client_secret: 'web-secret' },
    })
    assert.equal(claimsOf(tokensOf(answer).id_token).iss, server.issuer)
    const device = await server.request(server.url('/device/code'), {
      headers: lies,
      form: { client_id: 'device', scope: 'openid' },
    })
    assert.equal(device.json().verification_uri, `${server.issuer}/device`)
  })
})
