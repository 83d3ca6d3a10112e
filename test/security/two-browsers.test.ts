/** Lessons, rows 1, 28, 43, 46, 48: a login belongs to the browser that began it, and ends once. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import { answerAt, arrive, type FlowServer, startLogin, startServer, web } from '../flows/server.ts'
import { type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { assertNoCode, cookieHeader, isDeadEnd, laterAddresses, oidcConnector, poll, queryOf } from './attack.ts'

describe('two browsers', () => {
  let up: OidcUpstream
  let server: FlowServer

  beforeEach(async () => {
    up = await startOidcUpstream()
    server = await startServer({
      connectors: [oidcConnector(up), { type: 'mockCallback', id: 'mock', name: 'Mock' }],
      oauth2: { skipApprovalScreen: false },
    })
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
    await up.close()
  })

  /** A browser on its way to the upstream. */
  async function depart() {
    const browser = openBrowser()
    const started = startLogin(server, { connector: 'corp' })
    const departure = await browser.request(started.url)
    return { browser, started, departure, seen: queryOf(departure.location) }
  }
  /** The upstream's page, where the person is known; gives the callback's address. */
  const authenticate = async (url: string | undefined) => (await openBrowser().request(url ?? '')).location ?? ''

  it('row 1: the attacker who began a login never gets a code by it when the victim logs in at the upstream', async () => {
    const attacker = await depart()
    const callback = await authenticate(attacker.departure.location)
    const victim = openBrowser()
    isDeadEnd(await victim.request(callback))
    assert.deepEqual([...victim.cookies(callback)], [], 'the victim has nothing of the login')
    const addresses = laterAddresses(server, attacker.seen.get('state')!, 'corp')
    for (const address of addresses) assertNoCode(await attacker.browser.request(address))
    await poll(openBrowser(), addresses)
  })

  it('row 1: nobody else gets at a login that waits for approval', async () => {
    const victim = await depart()
    const asked = await victim.browser.goOn(victim.departure)
    assert.equal(asked.status, 200)
    const state = victim.seen.get('state')!
    await poll(openBrowser(), laterAddresses(server, state, 'corp'))
    const attacker = await depart()
    await poll(attacker.browser, laterAddresses(server, state, 'corp'))
    arrive(victim.started, await victim.browser.decide(asked, true))
  })

  it('row 1: what the upstream and its logs see opens nothing here', async () => {
    const { seen, browser, departure } = await depart()
    const callback = queryOf(await authenticate(departure.location))
    const stranger = openBrowser()
    for (const value of [seen.get('state'), seen.get('nonce'), seen.get('code_challenge'), callback.get('code')]) {
      await poll(stranger, laterAddresses(server, value!, 'corp'))
      for (const grant of [
        { grant_type: 'authorization_code', code: value!, redirect_uri: web.redirectUri },
        { grant_type: 'refresh_token', refresh_token: value! },
      ]) {
        assert.equal((await server.token(grant, web)).json().error, 'invalid_grant')
      }
      assert.equal((await server.userinfo(value!)).status, 401)
    }
    assert.equal(browser.cookies(server.issuer).size, 1)
    for (const sealed of browser.cookies(server.issuer).values()) {
      for (const value of seen.values()) assert.ok(!sealed.includes(value))
    }
  })

  it('login CSRF: a victim who opens the callback of the attacker gets a page, and their own login goes on', async () => {
    const attacker = await depart()
    const trap = await authenticate(attacker.departure.location)
    const victim = await depart()
    const before = cookieHeader(victim.browser, server.issuer)
    isDeadEnd(await victim.browser.request(trap))
    assert.equal(cookieHeader(victim.browser, server.issuer), before)
    const asked = await victim.browser.goOn(victim.departure)
    arrive(victim.started, await victim.browser.decide(asked, true))
  })

  it('row 46: the code of one login is not taken with the state of another one of the same browser', async () => {
    const { browser, departure, started } = await depart()
    const other = await browser.request(startLogin(server, { connector: 'corp' }).url)
    const mixed = new URL(await authenticate(other.location))
    mixed.searchParams.set('state', queryOf(departure.location).get('state')!)
    const answer = await browser.request(mixed.href)
    assert.equal(queryOf(answer.location).get('state'), started.state)
    assert.match(queryOf(answer.location).get('error') ?? '', /^(access_denied|server_error)$/)
    assertNoCode(answer)
  })

  it('row 43: state, nonce and PKCE each stop a code of the attacker, the others stripped or not', async () => {
    const stripped = {
      'no state': (callback: URL) => callback.searchParams.delete('state'),
      'an empty state': (callback: URL) => callback.searchParams.set('state', ''),
      'the state of nobody': (callback: URL) => callback.searchParams.set('state', 'x'.repeat(43)),
      'another code': (callback: URL) => callback.searchParams.set('code', 'x'.repeat(36)),
      'no code': (callback: URL) => callback.searchParams.delete('code'),
    }
    for (const [what, change] of Object.entries(stripped)) {
      const { browser, departure } = await depart()
      const callback = new URL(await authenticate(departure.location))
      change(callback)
      const answer = await browser.request(callback.href)
      assertNoCode(answer)
      if (/state/.test(what)) isDeadEnd(answer, what)
      else assert.match(answerAt(answer).error ?? '', /^(access_denied|server_error|invalid_request)$/, what)
    }
  })

  it('row 43: a code of the attacker from a request without PKCE or nonce is refused in the login of the victim', async () => {
    for (const left of [['code_challenge', 'code_challenge_method'], ['nonce'], ['code_challenge', 'nonce']]) {
      const attacker = await depart()
      const weak = new URL(attacker.departure.location!)
      for (const name of left) weak.searchParams.delete(name)
      const injected = queryOf(await authenticate(weak.href)).get('code')!
      const victim = await depart()
      const callback = new URL(await authenticate(victim.departure.location))
      callback.searchParams.set('code', injected)
      const answer = await victim.browser.request(callback.href)
      assertNoCode(answer)
      assert.match(answerAt(answer).error ?? '', /^(access_denied|server_error)$/, left.join())
    }
  })

  it('row 48: the cookie after the login is not the one from before it, and the old one leads nowhere new', async () => {
    const { browser, departure, started } = await depart()
    const before = cookieHeader(browser, server.issuer)
    const asked = await browser.goOn(departure)
    assert.notEqual(cookieHeader(browser, server.issuer), before)
    const approval = `${server.url('/approval')}?state=${queryOf(departure.location).get('state')}`
    isDeadEnd(await openBrowser().request(approval, { headers: { cookie: before } }))
    arrive(started, await browser.decide(asked, true))
    assert.equal(cookieHeader(browser, server.issuer), '')
  })
})
