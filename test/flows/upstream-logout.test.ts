/** A logout here that goes on at the upstream, and comes back to where the client wanted to be. */
import assert from 'node:assert/strict'
import { oidcConnector } from '../security/attack.ts'
import { type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { type Browser, clientOrigin, openBrowser } from './browser.ts'
import { arrive, corp, type FlowServer, logIn, peer, startLogin, startServer, tokensOf, web } from './server.ts'
import { upstream } from './upstream.ts'

const home = `${clientOrigin}after`
const clients = (more: Record<string, unknown> = {}) => [
  {
    id: web.id,
    secret: web.secret,
    name: 'Web',
    redirectURIs: [web.redirectUri],
    postLogoutRedirectURIs: [home],
    ...more,
  },
  { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri] },
]
const sessions = { sessions: { ssoSharedWithDefault: 'all' } }

const leave = (server: FlowServer, browser: Browser, hint: string, more: Record<string, string> = {}) =>
  browser.request(
    server.url(
      `/logout?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: home, state: 'st 1', ...more })}`,
    ),
  )
const isLoggedIn = async (server: FlowServer, sid: unknown): Promise<boolean> =>
  (await server.driver.get('session', String(sid))) !== undefined

describe('logout at an OpenID provider', () => {
  let up: OidcUpstream
  before(async () => {
    up = await startOidcUpstream()
  })
  after(() => up.close())
  beforeEach(() => {
    for (const name of Object.keys(up.bends)) delete up.bends[name as keyof typeof up.bends]
  })

  async function start(more: Record<string, unknown> = {}, config: Record<string, unknown> = {}) {
    const server = await startServer({
      ...sessions,
      staticClients: clients(),
      connectors: [oidcConnector(up, config)],
      ...more,
    })
    up.bends.postLogoutRedirectUris = [server.url('/logout/callback')]
    return server
  }

  it('goes there with the upstream’s own ID token and comes back to the client', async () => {
    await using server = await start()
    const { browser, tokens, claims } = await logIn(server)
    const left = await leave(server, browser, tokens.id_token)
    const { origin, pathname, searchParams } = new URL(left.location!)
    assert.equal(`${left.status} ${origin}${pathname}`, `303 ${up.issuer}/logout`)
    assert.equal(searchParams.get('client_id'), 'countersign')
    assert.equal(searchParams.get('post_logout_redirect_uri'), server.url('/logout/callback'))
    assert.match(searchParams.get('state')!, /^[\w-]{43}$/)
    assert.equal(await isLoggedIn(server, claims.sid), false, 'first here')
    const cookie = left.headers.getSetCookie().find((line) => line.startsWith('logout_'))!
    assert.match(cookie, /; Path=\/dex\/logout; Max-Age=600; HttpOnly; SameSite=Lax$/)
    assert.ok(!server.logged().includes(searchParams.get('id_token_hint')!.split('.')[2]!), 'no token in the log')
    const done = await browser.goOn(left)
    assert.equal(done.location, `${home}?state=st+1`)
    assert.equal(browser.cookies(server.url('/logout')).size, 0)
  })

  it('keeps the ID token through an upstream refresh, and takes the new one', async () => {
    await using server = await start()
    const { browser, tokens } = await logIn(server, { scope: 'openid email offline_access' })
    up.bends.claims = { marker: 'after the refresh' }
    assert.equal((await server.refresh(tokens.refresh_token!)).status, 200)
    const left = await leave(server, browser, tokens.id_token)
    const hint = new URL(left.location!).searchParams.get('id_token_hint')!
    assert.match(Buffer.from(hint.split('.')[1]!, 'base64url').toString(), /after the refresh/)
    assert.equal((await browser.goOn(left)).location, `${home}?state=st+1`)
  })

  it('keeps the query of the end session endpoint, also of one that is configured', async () => {
    const endSessionURL = `${up.issuer}/logout?tenant=a%26b`
    await using server = await start({}, { providerDiscoveryOverrides: { endSessionURL } })
    const { browser, tokens } = await logIn(server)
    const left = await leave(server, browser, tokens.id_token)
    assert.equal(new URL(left.location!).searchParams.get('tenant'), 'a&b')
    assert.equal((await browser.goOn(left)).location, `${home}?state=st+1`)
  })

  for (const [what, config, discovery] of [
    ['with logout: false', { logout: false }, undefined],
    ['where the upstream has no such endpoint', {}, { end_session_endpoint: undefined }],
    ['where its address is none', {}, { end_session_endpoint: 'javascript:alert(1)' }],
  ] as const) {
    it(`goes nowhere ${what}`, async () => {
      if (discovery) up.bends.discovery = discovery
      await using server = await start({}, config)
      const { browser, tokens } = await logIn(server)
      assert.equal((await leave(server, browser, tokens.id_token)).location, `${home}?state=st+1`)
    })
  }

  it('keeps no ID token of the upstream where none will be needed', async () => {
    for (const [more, config] of [
      [{}, { logout: false }],
      [{ sessions: undefined }, {}],
    ] as const) {
      await using server = await start(more, config)
      const { claims } = await logIn(server, { scope: 'openid email offline_access' })
      assert.ok(claims.sub)
      const { services } = server
      for await (const [, { body }] of server.driver.find('refresh-family', {})) {
        const { login } = (body as unknown as { source: { login: Parameters<typeof services.connectorData.open>[1] } })
          .source
        const connector = await services.connectors.get('corp')!.open()
        const data = await services.connectorData.open({ connector, connectorId: 'corp', userId: '00u1jane' }, login)
        assert.deepEqual(Object.keys(data as object).sort(), ['refreshToken', 'sub'])
      }
    }
  })

  it('leaves the hint out when it is too long for an address', async () => {
    up.bends.claims = { groups: Array.from({ length: 400 }, (_, at) => `a group with a long name ${at}`) }
    await using server = await start()
    const { browser, tokens } = await logIn(server)
    const left = new URL((await leave(server, browser, tokens.id_token)).location!)
    assert.equal(left.pathname, '/logout')
    assert.equal(left.searchParams.get('id_token_hint'), null)
  })

  it('ends the session here although the upstream is down, and says so in the log', async () => {
    const other = await startOidcUpstream()
    const config = { ...sessions, staticClients: clients(), connectors: [oidcConnector(other)] }
    const server = await startServer(config, { store: 'lowdb' })
    const { browser, tokens, claims } = await logIn(server)
    await server.close()
    await other.close()
    // What was discovered is not known any more.
    await using again = await startServer(config, { store: 'lowdb', instead: server })
    const left = await leave(again, browser, tokens.id_token)
    assert.equal(left.location, `${home}?state=st+1`)
    assert.equal(await isLoggedIn(again, claims.sid), false)
    assert.match(again.logged(), /could not be logged out at the upstream/)
  })

  it('shows the pages of clients first, and goes to the upstream then', async () => {
    await using server = await start({ staticClients: clients({ frontchannelLogoutURI: 'https://app.example/out' }) })
    const { browser, tokens } = await logIn(server)
    const page = await leave(server, browser, tokens.id_token)
    assert.equal(page.status, 200)
    assert.match(page.text, /<iframe[^>]*src="https:\/\/app\.example\/out/)
    const refresh = page.headers.get('refresh')!
    assert.match(refresh, new RegExp(`^5; url=${up.issuer}/logout\\?`))
    assert.match(page.text, /Log out at Corp/)
    assert.equal((await browser.follow(refresh.slice(refresh.indexOf('=') + 1))).location, `${home}?state=st+1`)
  })

  it('leaves from the page that asks by a page of its own, since a form may lead only where its page allowed', async () => {
    await using server = await start()
    const { browser, claims } = await logIn(server)
    const question = await browser.follow(server.url('/logout'))
    const page = await browser.submit(question)
    assert.equal(page.status, 200)
    assert.equal(await isLoggedIn(server, claims.sid), false)
    const refresh = page.headers.get('refresh')!
    const done = await browser.follow(refresh.slice(refresh.indexOf('=') + 1))
    assert.match(done.text, /You are logged out/)
  })

  it('comes back in the browser that left, once, and nowhere but there', async () => {
    await using server = await start()
    const { browser, tokens } = await logIn(server)
    const left = await leave(server, browser, tokens.id_token)
    const state = new URL(left.location!).searchParams.get('state')!
    const back = server.url(`/logout/callback?state=${state}`)
    const lost = async (other: Browser, url: string) => {
      const answer = await other.request(url)
      assert.deepEqual([answer.status, answer.location], [400, undefined], url)
      assert.match(answer.text, /No logout in progress\./)
    }
    await lost(openBrowser(), back)
    await lost(browser, server.url('/logout/callback'))
    await lost(browser, `${back}&state=${state}`)
    await lost(browser, server.url(`/logout/callback?state=${state.slice(0, 20)}${'x'.repeat(23)}`))
    assert.equal((await browser.request(back)).location, `${home}?state=st+1`)
    await lost(browser, back)
  })

  it('takes a POST at the callback, which brings no cookie, and goes on with the cookie', async () => {
    await using server = await start()
    const { browser, tokens } = await logIn(server)
    const left = await leave(server, browser, tokens.id_token)
    const state = new URL(left.location!).searchParams.get('state')!
    const posted = await openBrowser().request(server.url('/logout/callback'), { form: { state } })
    assert.equal(posted.status, 303)
    const url = new URL(posted.location!, posted.url).href
    assert.doesNotMatch(url, new RegExp(state))
    assert.equal((await browser.follow(url)).location, `${home}?state=st+1`)
    assert.equal((await openBrowser().request(server.url('/logout/callback'), { form: { x: 'y' } })).status, 400)
  })

  it('does not return to an address that was taken away meanwhile', async () => {
    await using server = await start()
    const { browser, tokens } = await logIn(server)
    const left = await leave(server, browser, tokens.id_token)
    const registered = server.services.clients.get(web.id)!.postLogoutRedirectURIs as string[]
    registered.splice(0)
    const done = await browser.goOn(left)
    assert.deepEqual([done.status, done.location], [200, undefined])
    assert.match(done.text, /You are logged out/)
  })

  it('is done here when the upstream says that it could not, with a line in the log', async () => {
    up.bends.answers = {
      '/logout': ({ query }) => ({
        status: 302,
        body: '',
        headers: { location: `${query.get('post_logout_redirect_uri')}?error=nope&state=${query.get('state')}` },
      }),
    }
    await using server = await start()
    const { browser, tokens } = await logIn(server)
    assert.equal((await browser.goOn(await leave(server, browser, tokens.id_token))).location, `${home}?state=st+1`)
    assert.match(server.logged(), /could not be logged out at the upstream/)
  })
})

describe('OK-17 logout at Okta', () => {
  let okta: OktaStandIn
  beforeEach(async () => {
    okta = await startOkta()
  })
  afterEach(() => okta.close())

  async function start(config: Record<string, unknown>) {
    const { clientId: clientID, clientSecret } = okta
    const connectors = [
      { type: 'okta', id: 'okta', name: 'Okta', config: { domain: okta.url, clientID, clientSecret, ...config } },
    ]
    return startServer({ ...sessions, staticClients: clients(), connectors })
  }

  it('is off unless it is asked for', async () => {
    await using server = await start({})
    const { browser, tokens } = await logIn(server)
    assert.equal((await leave(server, browser, tokens.id_token)).location, `${home}?state=st+1`)
  })

  for (const serverId of ['', 'default']) {
    it(`goes to /logout of the authorization server "${serverId}" and back`, async () => {
      await using server = await start({ logout: true, ...(serverId && { serverId }) })
      okta.org.postLogoutRedirectUris = [server.url('/logout/callback')]
      const { browser, tokens } = await logIn(server, { scope: 'openid email profile' })
      const left = await leave(server, browser, tokens.id_token)
      assert.match(left.location!, serverId ? /\/oauth2\/default\/v1\/logout\?/ : /\/oauth2\/v1\/logout\?/)
      assert.equal((await browser.goOn(left)).location, `${home}?state=st+1`)
    })
  }
})

describe('logout at an upstream that wants a POST', () => {
  it('leaves by a page with a form, only in that browser, with what the connector kept', async () => {
    const people = upstream('logout by post')
    await using server = await startServer({
      ...sessions,
      staticClients: clients(),
      connectors: [
        corp('logout by post', { logoutAt: 'https://idp.example/slo?x=1', leavesBy: 'post', returnsBy: 'form' }),
      ],
    })
    people.person.connectorData = { token: 'kept' }
    const { browser, tokens } = await logInByPost(server)
    const page = await browser.goOn(await leave(server, browser, tokens.id_token))
    const form = page.page().forms[0]!
    assert.equal(form.action, 'https://idp.example/slo?x=1')
    assert.ok(page.headers.get('content-security-policy')?.includes("form-action 'self' https://idp.example;"))
    const fields = Object.fromEntries(form.inputs.map(({ name, value }) => [name, value]))
    assert.equal(fields.token, 'kept')
    assert.equal((await openBrowser().request(page.url)).status, 400, 'not in another browser')
    const posted = await openBrowser().request(server.url('/logout/callback'), {
      form: { RelayState: fields.RelayState! },
    })
    const done = await browser.follow(new URL(posted.location!, posted.url).href)
    assert.equal(done.location, `${home}?state=st+1`)
    assert.deepEqual(people.loggedOut, [{ memo: { request: 'id of the request' }, returned: fields.RelayState }])
  })
})

/** As `logIn`, for a connector whose departure is a form that leads to the callback. */
async function logInByPost(server: FlowServer) {
  const started = startLogin(server)
  const browser = openBrowser()
  const done = await browser.submit(await browser.follow(started.url))
  const tokens = tokensOf(await server.redeem(arrive(started, done)))
  return { browser, tokens }
}
