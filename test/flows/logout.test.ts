/** Logging out: whose session ends, who is told, where the browser is sent. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { type Browser, clientOrigin, openBrowser } from './browser.ts'
import { type FlowServer, logIn, peer, startServer, stopClock, web } from './server.ts'

const after = `${clientOrigin}after`
const sessions = { sessions: { ssoSharedWithDefault: 'all' } }
const clients = (more: Record<string, unknown> = {}) => [
  {
    id: web.id,
    secret: web.secret,
    name: 'Web',
    redirectURIs: [web.redirectUri],
    postLogoutRedirectURIs: [after],
    ...more,
  },
  { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri] },
]
const start = (more?: Record<string, unknown>) => startServer({ ...sessions, staticClients: clients(more) })

const logoutAt = (server: FlowServer, browser: Browser, params: Record<string, string> = {}) =>
  browser.follow(server.url(`/logout?${new URLSearchParams(params)}`))

const isLoggedIn = async (server: FlowServer, sid: unknown): Promise<boolean> =>
  (await server.driver.get('session', String(sid))) !== undefined

describe('logout', () => {
  it('with the hint of the session ends it at once and returns with state', async () => {
    await using server = await start()
    const { browser, tokens, claims } = await logIn(server)
    const answer = await logoutAt(server, browser, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: after,
      state: 'st 1',
    })
    assert.equal(answer.location, `${after}?state=st+1`)
    assert.equal(await isLoggedIn(server, claims.sid), false)
    assert.equal(browser.cookies(server.issuer).size, 0)
    assert.deepEqual(
      server
        .audited()
        .map(({ type }) => type)
        .at(-1),
      'session_ended',
    )
  })

  it('KS-6 without parameters asks, and ends the session when the person says so', async () => {
    await using server = await start()
    const { browser, claims } = await logIn(server)
    const question = await logoutAt(server, browser)
    assert.equal(question.status, 200)
    assert.equal(await isLoggedIn(server, claims.sid), true)
    const done = await browser.submit(question)
    assert.match(done.text, /You are logged out/)
    assert.equal(await isLoggedIn(server, claims.sid), false)
    assert.match((await browser.submit(question)).text, /Nobody is logged in/, 'a form that is sent twice')
    assert.match((await logoutAt(server, browser)).text, /Nobody is logged in/)
  })

  it('KS-6 with client_id and an address asks, and then returns there', async () => {
    await using server = await start()
    const { browser } = await logIn(server)
    const params = { client_id: web.id, post_logout_redirect_uri: after, state: 'x' }
    const question = await logoutAt(server, browser, params)
    assert.equal((await browser.submit(question)).location, `${after}?state=x`)
    assert.equal((await logoutAt(server, openBrowser(), params)).location, `${after}?state=x`, 'nobody there')
  })

  it('KS-6 is there without sessions too', async () => {
    await using server = await startServer({ staticClients: clients() })
    const { browser, tokens } = await logIn(server)
    assert.match((await logoutAt(server, browser)).text, /Nobody is logged in/)
    const params = { id_token_hint: tokens.id_token, post_logout_redirect_uri: after }
    assert.equal((await logoutAt(server, browser, params)).location, after)
  })

  it('never ends the session of the hint instead of that of the browser', async () => {
    await using server = await start()
    const [victim, attacker] = [await logIn(server), await logIn(server)]
    const hint = { id_token_hint: victim.tokens.id_token }
    await logoutAt(server, openBrowser(), hint)
    // The same person in another browser: the session of that token is not this one.
    assert.match((await logoutAt(server, attacker.browser, hint)).text, /Log out/)
    assert.equal(await isLoggedIn(server, victim.claims.sid), true)
    assert.equal(await isLoggedIn(server, attacker.claims.sid), true)
  })

  it('takes a confirmation only in the browser that was asked, and from its own page', async () => {
    await using server = await start()
    const [victim, attacker] = [await logIn(server), await logIn(server)]
    const form = (await logoutAt(server, attacker.browser)).page().forms[0]!
    const fields = Object.fromEntries(form.inputs.map(({ name, value }) => [name!, value!]))
    const url = server.url('/logout/confirm')
    await victim.browser.request(url, { form: fields })
    assert.equal(await isLoggedIn(server, victim.claims.sid), true, 'the form of another session')
    const foreign = { form: fields, headers: { 'sec-fetch-site': 'cross-site' } }
    assert.equal((await attacker.browser.request(url, foreign)).status, 403)
    assert.equal(await isLoggedIn(server, attacker.claims.sid), true)
    assert.equal((await attacker.browser.request(url, { form: { request: 'made up' } })).status, 400)
  })

  for (const [what, params] of [
    ['an address that is not registered', { client_id: web.id, post_logout_redirect_uri: 'https://evil.example/' }],
    ['a registered address with more', { client_id: web.id, post_logout_redirect_uri: `${after}?x=1` }],
    ['the address of another client', { client_id: peer.id, post_logout_redirect_uri: after }],
    ['an address of nobody', { post_logout_redirect_uri: after }],
    ['a client that is not known', { client_id: 'nobody' }],
    ['a hint that is no token of ours', { id_token_hint: 'a.b.c' }],
  ] as const) {
    it(`refuses ${what} on a page of ours, and ends nothing`, async () => {
      await using server = await start()
      const { browser, claims } = await logIn(server)
      const answer = await logoutAt(server, browser, params)
      assert.deepEqual([answer.status, answer.location], [400, undefined])
      assert.match(answer.page().text, /You were not logged out/)
      assert.equal(await isLoggedIn(server, claims.sid), true)
    })
  }

  it('refuses a parameter that is sent twice, and ends nothing', async () => {
    await using server = await start()
    const { browser, tokens, claims } = await logIn(server)
    const query = new URLSearchParams({ id_token_hint: tokens.id_token })
    for (const name of ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state', 'ui_locales']) {
      const twice = new URLSearchParams([...query, [name, 'a'], [name, 'b']])
      const answer = await browser.request(server.url(`/logout?${twice}`))
      assert.deepEqual([answer.status, answer.location], [400, undefined], name)
    }
    assert.equal(await isLoggedIn(server, claims.sid), true)
  })

  it('answers a POST of a client by the same request as GET, so that the cookie comes', async () => {
    await using server = await start()
    const { browser, tokens, claims } = await logIn(server)
    const form = { id_token_hint: tokens.id_token, post_logout_redirect_uri: after }
    const first = await openBrowser().request(server.url('/logout'), { form })
    assert.equal(first.status, 303)
    assert.equal((await browser.follow(new URL(first.location!, server.origin).href)).location, after)
    assert.equal(await isLoggedIn(server, claims.sid), false)
  })

  it('leaves standalone refresh tokens alone and ends those that are bound to the session', async () => {
    await using server = await start({ refreshTokenLifetime: 'session' })
    const scope = 'openid offline_access'
    const bound = await logIn(server, { scope })
    const alone = await logIn(server, { scope, client: peer, browser: bound.browser })
    assert.equal((await server.refresh(bound.tokens.refresh_token!)).status, 200)
    await logoutAt(server, bound.browser, { id_token_hint: bound.tokens.id_token })
    assert.equal((await server.refresh(bound.tokens.refresh_token!)).json().error, 'invalid_grant')
    assert.equal((await server.refresh(alone.tokens.refresh_token!, peer)).status, 200)
  })

  it('of a session that ran out refuses what was bound to it', async () => {
    using clock = stopClock()
    await using server = await start({ refreshTokenLifetime: 'session' })
    const { tokens } = await logIn(server, { scope: 'openid offline_access' })
    assert.equal((await server.introspect(tokens.access_token)).active, true)
    clock.advance(2 * 3600)
    assert.equal((await server.refresh(tokens.refresh_token!)).json().error, 'invalid_grant')
    assert.equal((await server.introspect(tokens.access_token)).active, false)
    assert.equal((await server.introspect(tokens.refresh_token!)).active, false)
    assert.equal((await server.userinfo(tokens.access_token)).status, 401)
  })
})

/** A client's own server, which takes logout tokens. */
async function receiver(answers: number[] = []) {
  const tokens: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    tokens.push(new URLSearchParams(body).get('logout_token') ?? '')
    response.writeHead(answers.shift() ?? 200).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    uri: `http://127.0.0.1:${port}/backchannel`,
    tokens,
    async until(count: number) {
      for (let tries = 0; tokens.length < count && tries < 200; tries++)
        await new Promise((done) => setTimeout(done, 10))
      assert.equal(tokens.length, count)
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

describe('front-channel logout', () => {
  const frontchannelLogoutURI = 'https://app.example/frontchannel?x=1'

  it('loads a page of each client of the session, and goes on then', async () => {
    await using server = await start({ frontchannelLogoutURI })
    const { browser, tokens, claims } = await logIn(server)
    const answer = await logoutAt(server, browser, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: after,
      state: 'x',
    })
    const frame = `${frontchannelLogoutURI}&${new URLSearchParams({ iss: server.issuer, sid: String(claims.sid) })}`
    assert.ok(answer.text.includes(`src="${frame.replaceAll('&', '&amp;')}"`), answer.text)
    assert.match(answer.headers.get('content-security-policy')!, /frame-src https:\/\/app\.example;/)
    // Out of the way of scripts: some browsers would refresh although they have left.
    assert.ok(
      answer.text.includes(`<noscript><meta http-equiv="refresh" content="5; url=${after}?state=x"></noscript>`),
    )
    assert.equal(answer.headers.get('refresh'), null)
  })

  it('loads nothing for clients that were not there, or when nobody was logged in', async () => {
    await using server = await start({ frontchannelLogoutURI })
    const other = await logIn(server, { client: peer })
    const page = await logoutAt(server, other.browser, { id_token_hint: other.tokens.id_token })
    assert.doesNotMatch(page.text, /iframe/)
    assert.doesNotMatch((await logoutAt(server, openBrowser(), { client_id: web.id })).text, /iframe/)
  })
})

describe('back-channel logout', () => {
  it('sends each client of the session a token that says which one ended', async () => {
    await using client = await receiver()
    await using server = await start({ backchannelLogoutURI: client.uri })
    const { browser, tokens, claims } = await logIn(server)
    await logIn(server, { browser, client: peer })
    await logoutAt(server, browser, { id_token_hint: tokens.id_token })
    await client.until(1)
    const keys = createRemoteJWKSet(new URL(server.url('/keys')))
    const { payload, protectedHeader } = await jwtVerify(client.tokens[0]!, keys, {
      issuer: server.issuer,
      audience: web.id,
      typ: 'logout+jwt',
    })
    const { sub, sid, events, nonce, exp, iat } = payload
    assert.deepEqual([sub, sid, nonce], [claims.sub, claims.sid, undefined])
    assert.deepEqual(events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
    assert.deepEqual([exp! - iat!, protectedHeader.alg], [120, 'RS256'])
    assert.equal((await server.userinfo(client.tokens[0]!)).status, 401, 'a logout token is no access token')
  })

  it('signs it with the algorithm of the client', async () => {
    await using client = await receiver()
    await using server = await start({ backchannelLogoutURI: client.uri, signingAlgorithm: 'EdDSA' })
    const { browser, tokens } = await logIn(server)
    await logoutAt(server, browser, { id_token_hint: tokens.id_token })
    await client.until(1)
    const keys = createRemoteJWKSet(new URL(server.url('/keys')))
    const { protectedHeader } = await jwtVerify(client.tokens[0]!, keys, { audience: web.id, typ: 'logout+jwt' })
    assert.equal(protectedHeader.alg, 'EdDSA')
  })

  it('tries again when a client does not answer, and not when it refuses', async () => {
    await using broken = await receiver([503])
    await using server = await start({ backchannelLogoutURI: broken.uri })
    const { browser, tokens } = await logIn(server)
    await logoutAt(server, browser, { id_token_hint: tokens.id_token })
    await broken.until(1)
    for (let tries = 0; !server.logged().includes('of a logout yet') && tries < 200; tries++)
      await new Promise((done) => setTimeout(done, 10))
    using clock = stopClock()
    clock.advance(10)
    server.services.ender.resume()
    await broken.until(2)
    await using refusing = await receiver([400])
    await using other = await start({ backchannelLogoutURI: refusing.uri })
    const second = await logIn(other)
    await logoutAt(other, second.browser, { id_token_hint: second.tokens.id_token })
    await refusing.until(1)
    for (let tries = 0; (await other.driver.count('logout-notice')).live > 0 && tries < 100; tries++)
      await new Promise((done) => setTimeout(done, 10))
    assert.equal((await other.driver.count('logout-notice')).live, 0)
    assert.match(other.logged(), /client could not be told of a logout/)
  })

  it('is not lost by a restart', async () => {
    await using broken = await receiver([503])
    const server = await startServer(
      { ...sessions, staticClients: clients({ backchannelLogoutURI: broken.uri }) },
      { store: 'lowdb' },
    )
    const { browser, tokens } = await logIn(server)
    await logoutAt(server, browser, { id_token_hint: tokens.id_token })
    await broken.until(1)
    await server.close()
    using clock = stopClock()
    clock.advance(60)
    await using again = await startServer(
      { ...sessions, staticClients: clients({ backchannelLogoutURI: broken.uri }) },
      { store: 'lowdb', instead: server },
    )
    await broken.until(2)
    assert.ok(again)
  })

  it('is sent when somebody else takes the browser over', async () => {
    await using client = await receiver()
    await using server = await startServer({
      ...sessions,
      connectors: [
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
        { type: 'mockCallback', id: 'other', name: 'Other' },
      ],
      staticClients: clients({ backchannelLogoutURI: client.uri }),
    })
    const { browser } = await logIn(server, { connector: 'mock' })
    await logIn(server, { connector: 'other', browser })
    await client.until(1)
  })
})
