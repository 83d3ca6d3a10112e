import assert from 'node:assert/strict'
import {
  authorizationUrl,
  basic,
  discover,
  type Fields,
  type Metadata,
  post,
  verified,
  verifierOf,
} from './lib/client.ts'
import { newPerson, queryOf } from './lib/person.ts'
import {
  everyScope,
  logIn,
  redeem,
  refresh,
  requestOf,
  type Server,
  startServer,
  token,
  web,
  webClient,
} from './lib/server.ts'

const spa = { id: 'spa', redirectUri: 'https://spa.example.com/' }
const cli = { id: 'localhost:8443-cli', redirectUri: 'http://localhost:18000' }
/** With the callback that Kargo's page says to register, and with the one that its older page said. */
const registered = { id: 'registered', redirectUri: 'http://localhost:18002/auth/callback' }
const oldPage = { id: 'old-page', redirectUri: 'http://localhost:18003/auth/callback' }
const origin = 'https://spa.example.com'
const oktaAuthJs = ['Authorization', 'Content-Type', 'X-Okta-User-Agent-Extended']
const PASSWORD = 'password'
const HASH = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'

/** What real clients were seen to send, each in its own way. */
describe('Habits of clients', function () {
  this.timeout(30_000)
  let server: Server
  let metadata: Metadata

  before(async () => {
    server = await startServer(() => ({
      web: { allowedOrigins: [origin], allowedHeaders: oktaAuthJs },
      staticClients: [
        webClient,
        { id: spa.id, name: 'SPA', public: true, redirectURIs: [spa.redirectUri] },
        { id: cli.id, name: 'Command line', public: true },
        { id: registered.id, name: 'Kargo CLI', public: true, redirectURIs: ['http://localhost/auth/callback'] },
        { id: oldPage.id, name: 'Kargo CLI', public: true, redirectURIs: ['https://localhost/auth/callback'] },
      ],
      enablePasswordDB: true,
      staticPasswords: [{ email: 'jane@example.com', hash: HASH, username: 'jane', userID: 'id-of-jane' }],
      connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock' }],
    }))
    metadata = await discover(server.issuer)
  })
  after(() => server?.[Symbol.asyncDispose]())

  const throughMock = { connector_id: 'mock' }
  const arrive = (client: { redirectUri: string }, url: string) => newPerson().arrive(url, client.redirectUri)

  describe('golang.org/x/oauth2', () => {
    it('sends public clients by Basic with an empty secret, the id form-encoded', async () => {
      const { url, verifier } = requestOf(server, cli, throughMock)
      const code = (await arrive(cli, url)).searchParams.get('code') ?? ''
      const form = { grant_type: 'authorization_code', code, redirect_uri: cli.redirectUri, code_verifier: verifier }
      const headers = basic(cli.id, '')
      assert.match(Buffer.from(headers.authorization!.slice(6), 'base64').toString(), /^localhost%3A8443-cli:$/)
      assert.equal((await post(metadata.token_endpoint, form, { headers })).status, 200)
    })

    it('asks once more with the same code when a way to authenticate was refused', async () => {
      const { url, verifier } = requestOf(server, web, throughMock)
      const code = (await arrive(web, url)).searchParams.get('code') ?? ''
      const form = { grant_type: 'authorization_code', code, redirect_uri: web.redirectUri, code_verifier: verifier }
      const refused = await post(metadata.token_endpoint, form, { headers: basic(web.id, '') })
      assert.equal(refused.status, 401)
      const body = { ...form, client_id: web.id, client_secret: web.secret }
      assert.equal((await post(metadata.token_endpoint, body)).status, 200)
    })
  })

  describe('kubelogin', () => {
    it('listens at http://localhost:<port> without a path, and sends access_type=offline', async () => {
      const { claims, tokens } = await logIn(server, cli, { ...throughMock, access_type: 'offline' })
      assert.equal(claims.email_verified, true)
      assert.ok(tokens.refresh_token)
    })

    it('uses one client id for the browser and for a device, under an issuer with a path', async () => {
      const started = await post(metadata.device_authorization_endpoint, { client_id: cli.id, scope: everyScope })
      assert.equal(started.status, 200)
      const device = started.body as unknown as Record<string, string>
      assert.match(String(device.verification_uri_complete), /\/dex\/device\?user_code=/)
      const person = newPerson()
      const form = await person.open(device.verification_uri_complete!)
      const choice = await person.submit(form, {})
      const done = await person.open(new URL(choice.links.find(({ href }) => href.includes('/mock'))!.href, choice.url))
      assert.equal(done.status, 200, done.text)
      const poll = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: device.device_code! }
      const { status, body } = await token(server, cli, poll)
      assert.equal(status, 200)
      assert.equal((await verified(body.id_token, metadata, cli.id)).email, 'kilgore@kilgore.trout')
      assert.ok((await refresh(server, body.refresh_token, cli)).claims)
    })
  })

  it("KA-6: Kargo's CLI listens on any port where http://localhost/auth/callback is registered", async () => {
    assert.ok((await logIn(server, registered, throughMock)).claims)
    const elsewhere = requestOf(server, { ...registered, redirectUri: 'http://localhost:1/other' }, throughMock)
    assert.equal((await newPerson().open(elsewhere.url)).status, 400)
  })

  it("KA-6: names the mistake of Kargo's older page, which registers https", async () => {
    const { status, text } = await newPerson().open(requestOf(server, oldPage, throughMock).url)
    assert.equal(status, 400)
    assert.match(text, /registered as https:\/\/localhost\/auth\/callback, but command lines listen on http/)
  })

  it('git-credential-oauth listens at http://127.0.0.1:<port> and keeps expires_in', async () => {
    const { tokens } = await logIn(server, { ...cli, redirectUri: 'http://127.0.0.1:18001' }, throughMock)
    const { exp = 0, iat = 0 } = await verified(tokens.access_token, metadata, cli.id)
    assert.ok(Math.abs(tokens.expires_in! - (exp - iat)) <= 1)
  })

  describe('oauth2-proxy', () => {
    it('gets its state with ":" and "/" back as it was sent', async () => {
      const state = 'R2vPX1C0q0:/path/to?page=1&x=ä%2F+'
      const request = { ...requestOf(server, web, { ...throughMock, state }), state }
      const arrived = await arrive(web, request.url)
      assert.equal(arrived.searchParams.get('state'), state)
      assert.ok((await redeem(server, web, request, arrived)).claims)
    })

    it('sends approval_prompt=force, for which the person is asked although the operator skips that page', async () => {
      const request = requestOf(server, web, { ...throughMock, approval_prompt: 'force' })
      const person = newPerson()
      const page = await person.open(request.url)
      assert.equal(page.url.pathname, '/dex/approval')
      const approved = await person.submit(page, {}, { end: web.redirectUri })
      assert.ok((await redeem(server, web, request, approved.url)).claims)
    })

    it('hears of it when the person does not approve', async () => {
      const request = requestOf(server, web, { ...throughMock, approval_prompt: 'force' })
      const person = newPerson()
      const page = await person.open(request.url)
      const rejecting = page.forms.find(({ inputs }) => inputs.some(({ value }) => value === 'rejected'))!
      const { url } = await person.submit(page, {}, { form: rejecting, end: web.redirectUri })
      assert.equal(url.searchParams.get('error'), 'access_denied')
      assert.equal(url.searchParams.get('state'), request.state)
    })
  })

  describe('okta-auth-js', () => {
    const preflight = (address: string, headers: string, from = origin) =>
      fetch(address, {
        method: 'OPTIONS',
        headers: {
          origin: from,
          'access-control-request-method': 'GET',
          'access-control-request-headers': headers,
        },
      })

    it('may send its headers to discovery, keys, userinfo and the token endpoint', async () => {
      const discovery = `${server.issuer}/.well-known/openid-configuration`
      for (const address of [discovery, metadata.jwks_uri, metadata.userinfo_endpoint, metadata.token_endpoint]) {
        const answer = await preflight(address, 'content-type,x-okta-user-agent-extended,authorization')
        assert.equal(answer.status, 200, address)
        assert.equal(answer.headers.get('access-control-allow-origin'), origin)
        const allowed = answer.headers.get('access-control-allow-headers')?.toLowerCase()
        for (const name of oktaAuthJs) assert.ok(allowed?.includes(name.toLowerCase()), `${address}: ${name}`)
      }
    })

    it('may not be imitated from another origin, nor with other headers', async () => {
      const answer = await preflight(metadata.token_endpoint, 'content-type', 'https://evil.example.com')
      assert.equal(answer.headers.get('access-control-allow-origin'), null)
      const other = await preflight(metadata.token_endpoint, 'x-other')
      assert.equal(other.headers.get('access-control-allow-origin'), null)
    })

    it('reads `scope` in the refresh answer and the access token as a JWT', async () => {
      const { tokens } = await logIn(server, spa, throughMock)
      const renewed = await refresh(server, tokens.refresh_token, spa)
      assert.deepEqual(renewed.tokens.scope?.split(' ').sort(), everyScope.split(' ').sort())
      assert.equal((await verified(renewed.tokens.access_token, metadata, spa.id)).sub, renewed.claims?.sub)
    })
  })

  describe('single-page applications on another origin', () => {
    it('read discovery, keys, tokens and userinfo, errors included (KA-1 without the chart)', async () => {
      const from = { origin }
      const readable = async (answer: Promise<{ headers: Headers; status: number }>, status = 200) => {
        const { headers, status: told } = await answer
        assert.equal(told, status)
        assert.equal(headers.get('access-control-allow-origin'), origin)
        assert.match(headers.get('vary') ?? '', /origin/i)
      }
      await readable(fetch(`${server.issuer}/.well-known/openid-configuration`, { headers: from }))
      await readable(fetch(metadata.jwks_uri, { headers: from }))
      const request = requestOf(server, spa, { ...throughMock, nonce: '' })
      const code = (await arrive(spa, request.url)).searchParams.get('code') ?? ''
      const redirect = { redirect_uri: spa.redirectUri, code_verifier: request.verifier }
      const form: Fields = { grant_type: 'authorization_code', client_id: spa.id, code, ...redirect }
      const answer = await post(metadata.token_endpoint, form, { headers: from })
      await readable(Promise.resolve(answer))
      const authorization = { authorization: `Bearer ${answer.body.access_token}` }
      await readable(fetch(metadata.userinfo_endpoint, { headers: { ...from, ...authorization } }))
      await readable(fetch(metadata.userinfo_endpoint, { headers: from }), 401)
      await readable(post(metadata.token_endpoint, form, { headers: from }), 400)
    })

    it('revoke at the revocation endpoint that discovery names (oidc-client-ts)', async () => {
      const { tokens } = await logIn(server, spa, throughMock)
      const form = { token: tokens.refresh_token!, token_type_hint: 'refresh_token', client_id: spa.id }
      const answer = await fetch(metadata.revocation_endpoint, {
        method: 'POST',
        headers: { origin, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('access-control-allow-origin'), origin)
      assert.equal((await refresh(server, tokens.refresh_token, spa)).error, 'invalid_grant')
    })

    it('may ask for the answer in the fragment (keycloak-js)', async () => {
      const request = requestOf(server, spa, { ...throughMock, response_mode: 'fragment' })
      const arrived = await arrive(spa, request.url)
      assert.equal(arrived.search, '')
      const answer = new URLSearchParams(arrived.hash.slice(1))
      assert.equal(answer.get('state'), request.state)
      assert.equal(answer.get('iss'), server.issuer)
      assert.ok(answer.get('code'))
    })
  })

  it('Auth.js gets its state of 435 characters back, through the password form as well', async () => {
    const state = verifierOf(435)
    const { url } = requestOf(server, web, { state, connector_id: 'local' })
    const person = newPerson()
    const form = await person.open(url)
    const wrong = await person.submit(form, { login: 'jane@example.com', password: 'wrong' })
    assert.equal(wrong.status, 401)
    const fields = { login: 'jane@example.com', password: PASSWORD }
    const { url: arrived } = await person.submit(wrong, fields, { end: web.redirectUri })
    assert.equal(queryOf(arrived).state, state)
  })

  it('passport-openidconnect logs in with neither PKCE nor nonce (X-8, X-9)', async () => {
    const url = authorizationUrl(metadata, {
      response_type: 'code',
      client_id: web.id,
      redirect_uri: web.redirectUri,
      scope: 'openid profile',
      state: 'x',
      ...throughMock,
    })
    const code = (await arrive(web, url)).searchParams.get('code') ?? ''
    const form = { grant_type: 'authorization_code', code, redirect_uri: web.redirectUri }
    const { status, body } = await token(server, web, form)
    assert.equal(status, 200)
    assert.equal('nonce' in (await verified(body.id_token, metadata, web.id)), false)
  })

  it('is asked for what Kargo, kubelogin and others look up in discovery', () => {
    assert.ok(metadata.scopes_supported.includes('offline_access'))
    assert.ok(metadata.scopes_supported.includes('groups'))
    assert.deepEqual(metadata.code_challenge_methods_supported, ['S256'])
    assert.deepEqual(metadata.id_token_signing_alg_values_supported, ['RS256'])
  })

  it('MI-2, MI-3: Micetro gets its nonce of 64 hexadecimal letters back, and Bearer in its letters (X-11)', async () => {
    const nonce = '0123456789abcdef'.repeat(4)
    const request = { ...requestOf(server, web, { ...throughMock, nonce }), nonce }
    const { tokens } = await redeem(server, web, request, await arrive(web, request.url))
    assert.equal(tokens.token_type, 'Bearer')
  })
})
