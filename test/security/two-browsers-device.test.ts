/** Lessons, rows 1 and 5: a device waits for the person who typed its code, in the browser in which they typed it. */
import assert from 'node:assert/strict'
import { type Browser, openBrowser } from '../flows/browser.ts'
import { authorize, device, errorOf, type FlowServer, startServer, stopClock, tokensOf, web } from '../flows/server.ts'
import { type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { cookieHeader, isDeadEnd, laterAddresses, oidcConnector, poll, queryOf } from './attack.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

describe('two browsers and a device', () => {
  let up: OidcUpstream
  let server: FlowServer

  beforeEach(async () => {
    up = await startOidcUpstream()
    const mock = { type: 'mockCallback', id: 'mock', name: 'Mock' }
    server = await startServer({ connectors: [oidcConnector(up), mock], oauth2: { skipApprovalScreen: false } })
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
    await up.close()
  })

  const begin = async () => {
    const answer = await server.post('/device/code', { scope: 'openid email' }, device)
    return answer.json() as { device_code: string; user_code: string; verification_uri_complete: string }
  }
  const pollToken = (deviceCode: string, client = device) =>
    server.token({ grant_type: deviceGrant, device_code: deviceCode }, client)
  /** Types the code and chooses; ends at the departure for the upstream. */
  async function typeCode(browser: Browser, userCode: string) {
    const choice = await browser.submit(await browser.request(server.url('/device')), { user_code: userCode })
    const link = choice.page().links.find(({ href }) => href.includes('/corp'))!
    const chosen = new URL(link.href, choice.url).href
    const cookie = cookieHeader(browser, server.issuer)
    return { chosen, cookie, departure: await browser.request(chosen) }
  }

  it('row 1: the attacker who typed the code of their own device does not get the victim, who logs in at the upstream', async () => {
    using clock = stopClock()
    const { device_code, user_code } = await begin()
    const { departure, chosen } = await typeCode(openBrowser(), user_code)
    const callback = (await openBrowser().request(departure.location!)).location!
    const victim = openBrowser()
    isDeadEnd(await victim.request(callback))
    isDeadEnd(await victim.request(chosen), 'the link of the page of choice')
    await poll(victim, laterAddresses(server, queryOf(departure.location).get('state')!, 'corp'))
    clock.advance(10)
    assert.equal(errorOf(await pollToken(device_code)), '400 authorization_pending')
  })

  it('row 1: nobody else approves what waits for approval', async () => {
    using clock = stopClock()
    const { device_code, user_code } = await begin()
    const person = openBrowser()
    const { departure } = await typeCode(person, user_code)
    const asked = await person.goOn(departure)
    await poll(openBrowser(), laterAddresses(server, queryOf(departure.location).get('state')!, 'corp'))
    clock.advance(10)
    assert.equal(errorOf(await pollToken(device_code)), '400 authorization_pending')
    await person.decide(asked, true)
    clock.advance(10)
    assert.equal(tokensOf(await pollToken(device_code)).token_type, 'Bearer')
    assert.equal(errorOf(await pollToken(device_code)), '400 invalid_grant')
  })

  it('row 28: neither the choice nor the approval of a device works twice', async () => {
    const { user_code } = await begin()
    const person = openBrowser()
    const { departure, chosen, cookie } = await typeCode(person, user_code)
    const asked = await person.goOn(departure)
    const waiting = cookieHeader(person, server.issuer)
    isDeadEnd(await person.request(chosen), 'chosen already')
    await person.decide(asked, true)
    const form = { state: queryOf(departure.location).get('state')!, approval: 'approve' }
    isDeadEnd(await person.request(server.url('/approval'), { form }), 'without the cookie')
    isDeadEnd(await person.request(server.url('/approval'), { form, headers: { cookie: waiting } }), 'with it')
    // The choice can be made again with its old cookie; it is the end that fails.
    const again = await person.request(chosen, { headers: { cookie } })
    const asksAgain = await person.goOn(again)
    isDeadEnd(await person.decide(asksAgain, true), 'once more')
    isDeadEnd({ ...(await typeAgain(user_code)), location: undefined }, 'the code itself')
  })

  const typeAgain = async (userCode: string) => {
    const browser = openBrowser()
    return browser.submit(await browser.request(server.url('/device')), { user_code: userCode })
  }

  it('RFC 8628, 5.4: an address that brings the code fills in the form and begins nothing', async () => {
    const { verification_uri_complete } = await begin()
    const victim = openBrowser()
    const page = await victim.follow(verification_uri_complete)
    assert.equal(page.status, 200)
    assert.equal(page.page().forms[0]?.method, 'POST')
    assert.equal(cookieHeader(victim, server.issuer), '')
    assert.deepEqual(up.calls(), [])
  })

  it('row 5: no code of one client or flow stands for one of another', async () => {
    const { code, redirectUri, verifier } = await authorize(server, { connector: 'mock' }).catch(() => approved())
    const { device_code } = await begin()
    assert.equal(errorOf(await pollToken(code)), '400 invalid_grant')
    const asCode = { grant_type: 'authorization_code', code: device_code, redirect_uri: redirectUri }
    assert.equal(errorOf(await server.token({ ...asCode, code_verifier: verifier }, device)), '400 invalid_grant')
    assert.equal(errorOf(await pollToken(device_code, web)), '400 invalid_grant')
    for (const path of ['/device/callback', '/device/token']) {
      assert.equal((await server.request(server.url(`${path}?code=${code}&state=x`))).status, 404)
    }
  })

  /** With the page in between. */
  async function approved() {
    const { startLogin, arrive } = await import('../flows/server.ts')
    const browser = openBrowser()
    const started = startLogin(server, { connector: 'mock' })
    return arrive(started, await browser.decide(await browser.follow(started.url), true))
  }
})
