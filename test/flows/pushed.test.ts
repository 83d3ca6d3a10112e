/** Pushed authorization requests (RFC 9126) with openid-client 6. */
import assert from 'node:assert/strict'
import * as oauth from 'openid-client'
import { openBrowser } from './browser.ts'
import { addressOf, arriveAt, ask, clientKey, discover, redeem, refusal, toldAt } from './openid-client.ts'
import { answerAt, claimsOf, type FlowServer, startServer, stopClock } from './server.ts'

const entry = (id: string, more: object = {}) => ({
  id,
  name: id,
  secret: `${id}-secret`,
  redirectURIs: [addressOf(id)],
  ...more,
})

describe('pushed authorization requests', () => {
  let server: FlowServer
  let client: oauth.Configuration
  let strict: oauth.Configuration
  before(async () => {
    server = await startServer({
      web: { http: '127.0.0.1:0', clientRemoteIP: { header: 'X-Forwarded-For', trustedProxies: ['127.0.0.0/8'] } },
      connectors: [
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
        { type: 'mockPassword', id: 'pw', name: 'Password', config: { username: 'admin', password: 'password' } },
      ],
      staticClients: [
        entry('app'),
        entry('strict', { requirePushedAuthorizationRequests: true }),
        entry('peer', { trustedPeers: ['app'] }),
        { id: 'cli', name: 'cli', public: true, redirectURIs: [addressOf('cli')] },
      ],
    })
    client = await discover(server, 'app')
    strict = await discover(server, 'strict')
  })
  after(() => server?.[Symbol.asyncDispose]())

  const mock = { connector_id: 'mock' }

  it('brings the browser back with a code, with all scopes that were asked for', async () => {
    const scope = 'openid email groups offline_access federated:id audience:server:client_id:peer'
    const asked = await ask('app', { ...mock, scope })
    const url = await oauth.buildAuthorizationUrlWithPAR(client, asked.params)
    assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
    const tokens = await redeem(client, await arriveAt(url), asked)
    const claims = tokens.claims()!
    assert.deepEqual(claims.aud, ['peer', 'app'])
    assert.equal(claims.email, 'kilgore@kilgore.trout')
    assert.ok(claims.federated_claims)
    assert.ok(tokens.refresh_token)
  })

  it('serves a public client, which proves nothing', async () => {
    const config = await discover(server, 'cli', oauth.None())
    const asked = await ask('cli', mock)
    const tokens = await redeem(
      config,
      await arriveAt(await oauth.buildAuthorizationUrlWithPAR(config, asked.params)),
      asked,
    )
    assert.equal(tokens.claims()!.aud, 'cli')
  })

  it('takes no other request of a client that has to push', async () => {
    const asked = await ask('strict', mock)
    const told = await toldAt(oauth.buildAuthorizationUrl(strict, asked.params))
    assert.equal(told.error, 'invalid_request')
    assert.match(told.error_description!, /has to push/)
    assert.equal(told.state, asked.state)
    const tokens = await redeem(
      strict,
      await arriveAt(await oauth.buildAuthorizationUrlWithPAR(strict, asked.params)),
      asked,
    )
    assert.equal(tokens.claims()!.aud, 'strict')
  })

  for (const [title, more, error] of [
    ['an unknown scope', { scope: 'openid nonsense' }, 'invalid_scope'],
    [
      'an audience that does not trust the client',
      { scope: 'openid audience:server:client_id:strict' },
      'invalid_scope',
    ],
    ['a redirect URI of somebody else', { redirect_uri: 'https://evil.example/' }, 'invalid_request'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a response type that is not offered', { response_type: 'token' }, 'unsupported_response_type'],
    ['another pushed request', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'request_uri_not_supported'],
  ] as [string, Record<string, string>, string][]) {
    it(`refuses ${title} when it is pushed, and keeps nothing`, async () => {
      const commits = server.commits.length
      const { params } = await ask('app', more)
      const answer = await server.post('/par', {
        response_type: 'code',
        ...params,
        client_id: 'app',
        client_secret: 'app-secret',
      })
      assert.equal(answer.status, 400)
      assert.equal(answer.json().error, error)
      assert.equal(server.commits.length, commits)
    })
  }

  it('refuses who cannot prove to be the client', async () => {
    const wrong = await discover(server, 'app', oauth.ClientSecretPost('wrong'))
    assert.equal(await refusal(oauth.buildAuthorizationUrlWithPAR(wrong, (await ask('app')).params)), 'invalid_client')
  })

  it('shows the page again as often as the browser comes, and is used up by the code', async () => {
    const asked = await ask('app', mock)
    const url = await oauth.buildAuthorizationUrlWithPAR(client, asked.params)
    const browser = openBrowser()
    for (let times = 0; times < 3; times++) assert.equal((await browser.request(url.href)).status, 303)
    await redeem(client, await arriveAt(url), asked)
    const again = await openBrowser().follow(url.href)
    assert.equal(again.status, 400)
    assert.match(again.text, /invalid, expired, or was already used/)
  })

  it('finishes one of 20 logins that came of one request', async () => {
    const url = await oauth.buildAuthorizationUrlWithPAR(client, (await ask('app', mock)).params)
    const started = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const browser = openBrowser()
        return { browser, answer: await browser.request(url.href) }
      }),
    )
    const ended = await Promise.all(started.map(({ browser, answer }) => browser.goOn(answer)))
    const won = ended.filter(({ location }) => location?.includes('code='))
    assert.equal(won.length, 1)
    assert.deepEqual([...new Set(ended.filter((one) => one !== won[0]).map(({ status }) => status))], [403])
  })

  it('is nobody else’s: the request of one client under the name of another', async () => {
    const url = await oauth.buildAuthorizationUrlWithPAR(client, (await ask('app')).params)
    url.searchParams.set('client_id', 'strict')
    const answer = await openBrowser().follow(url.href)
    assert.equal(answer.status, 400)
    assert.equal(answer.location, undefined)
  })

  it('takes no parameter from the address beside it', async () => {
    const asked = await ask('app', mock)
    const url = await oauth.buildAuthorizationUrlWithPAR(client, asked.params)
    url.searchParams.set('scope', 'openid')
    url.searchParams.set('state', 'another')
    url.searchParams.set('redirect_uri', 'https://evil.example/')
    const arrived = await arriveAt(url)
    assert.equal(arrived.origin + arrived.pathname, addressOf('app'))
    assert.ok((await redeem(client, arrived, asked)).claims()!.email)
  })

  it('runs out after a minute, but not for who is choosing how to log in', async () => {
    using clock = stopClock()
    const asked = await ask('app')
    const url = await oauth.buildAuthorizationUrlWithPAR(client, asked.params)
    const browser = openBrowser()
    const choice = await browser.follow(url.href)
    clock.advance(120)
    const link = choice.page().links.find(({ href }) => href.includes('/auth/mock'))!
    const chosen = await browser.follow(new URL(link.href, choice.url).href)
    assert.equal(answerAt(chosen).state, asked.state)
    const late = await openBrowser().follow(url.href)
    assert.equal(late.status, 400)
    assert.equal((await openBrowser().follow(new URL(link.href, choice.url).href)).status, 400, 'another browser')
  })

  it('leads back from the password form to the same request', async () => {
    const asked = await ask('app')
    const browser = openBrowser()
    const choice = await browser.follow((await oauth.buildAuthorizationUrlWithPAR(client, asked.params)).href)
    const at = (page: typeof choice, path: string) => {
      const found = page.page().links.find(({ href }) => href.includes(path))
      assert.ok(found, path)
      return new URL(found.href, page.url).href
    }
    const form = await browser.follow(at(choice, '/auth/pw'))
    const back = await browser.follow(at(form, '/auth?'))
    const arrived = await browser.follow(at(back, '/auth/mock'))
    const tokens = await redeem(client, new URL(arrived.location!), asked)
    assert.equal(claimsOf(tokens.id_token!).aud, 'app')
  })

  it('limits what is pushed in the name of public clients, not what others push', async () => {
    const { params } = await ask('cli', mock)
    const fields = { response_type: 'code', client_id: 'cli', ...params }
    const headers = { 'x-forwarded-for': '203.0.113.9' }
    const push = (form: Record<string, string>) => server.request(server.url('/par'), { headers, form })
    const statuses: number[] = []
    for (let times = 0; times < 61; times++) statuses.push((await push(fields)).status)
    assert.deepEqual(statuses, [...Array(60).fill(201), 429])
    const own = await push({ ...fields, client_id: 'app', client_secret: 'app-secret', redirect_uri: addressOf('app') })
    assert.equal(own.status, 201)
  })

  it('refuses any other request_uri', async () => {
    const asked = await ask('app', { ...mock, request_uri: 'https://app.example/request' })
    const told = await toldAt(oauth.buildAuthorizationUrl(client, asked.params))
    assert.equal(told.error, 'request_uri_not_supported')
  })

  it('and signed ones are answered from a session, in the request that opens them', async () => {
    const keys = await clientKey()
    await using sso = await startServer({
      sessions: {},
      staticClients: [entry('app', { jwks: keys.jwks })],
    })
    const config = await discover(sso, 'app')
    const browser = openBrowser()
    const first = await ask('app')
    const tokens = await redeem(
      config,
      await arriveAt(oauth.buildAuthorizationUrl(config, first.params), browser),
      first,
    )
    const { sid } = tokens.claims()!
    assert.ok(sid)
    for (const open of [
      (params: Record<string, string>) => oauth.buildAuthorizationUrlWithPAR(config, params),
      (params: Record<string, string>) => oauth.buildAuthorizationUrlWithJAR(config, params, keys.signing),
    ]) {
      const asked = await ask('app', { prompt: 'none' })
      const url = await open(asked.params)
      const answer = await browser.request(url.href)
      const again = await redeem(config, new URL(answer.location!), asked)
      assert.equal(again.claims()!.sid, sid)
      assert.equal((await toldAt(await open((await ask('app', { prompt: 'none' })).params))).error, 'login_required')
    }
  })
})
