/** Lessons, rows 1, 8, 21: who holds the first factor only, or another browser, gets no further by any address. */
import assert from 'node:assert/strict'
import { codeOf, secretOn } from '../flows/authenticator.ts'
import { type Browser, type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import {
  arrive,
  corp,
  device,
  errorOf,
  type FlowServer,
  passwordHash,
  peer,
  startLogin,
  startServer,
  stopClock,
  web,
} from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'
import { assertNoCode, cookieHeader, isDeadEnd, laterAddresses, poll } from './attack.ts'

const mfa = {
  authenticators: [
    { id: 'app', type: 'TOTP' },
    { id: 'other', type: 'TOTP' },
  ],
  defaultMFAChain: ['app'],
}
const staticClients = [
  { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
  { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri], mfaChain: [] },
  { id: device.id, name: 'Device', public: true, redirectURIs: ['/device/callback'] },
]
const person = (name: string) => ({
  email: `${name}@example.com`,
  hash: passwordHash,
  username: name,
  userID: `id-of-${name}`,
})

describe('second factors under attack', () => {
  let clock: ReturnType<typeof stopClock>
  let server: FlowServer
  const open = (more: Record<string, unknown> = {}) =>
    startServer({ connectors: [corp('attack')], staticClients, mfa, ...more })
  beforeEach(async () => {
    clock = stopClock()
    upstream('attack').person = jane()
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
    clock[Symbol.dispose]()
  })

  async function begin(browser: Browser = openBrowser(), request: Parameters<typeof startLogin>[1] = {}) {
    const started = startLogin(server, request)
    const page = await browser.follow(started.url)
    return { browser, started, page, state: new URL(page.url).searchParams.get('state') ?? '' }
  }
  async function enrol(browser?: Browser) {
    const { browser: used, started, page } = await begin(browser)
    const secret = secretOn(page)!
    arrive(started, await used.submit(page, { totp: codeOf(secret) }))
    clock.advance(30)
    return { secret, browser: used }
  }
  const codes = (answer: BrowserAnswer) => assert.ok(!answer.location?.includes('code='), answer.location)

  it('row 1: no other browser shows a factor for a login, or goes on with it when it was shown', async () => {
    server = await open({ oauth2: { skipApprovalScreen: false } })
    const { browser, started, page, state } = await begin()
    const secret = secretOn(page)!
    const stranger = openBrowser()
    await poll(stranger, laterAddresses(server, state, 'corp'), { totp: codeOf(secret) })
    const attacker = await begin()
    await poll(attacker.browser, laterAddresses(server, state, 'corp'), { totp: codeOf(secret) })
    const asked = await browser.submit(page, { totp: codeOf(secret) })
    await poll(stranger, laterAddresses(server, state, 'corp'), { totp: codeOf(secret, 1) })
    arrive(started, await browser.decide(asked, true))
  })

  it('no address of a login gives a code to the first factor alone', async () => {
    for (const skipApprovalScreen of [true, false]) {
      server = await open({ oauth2: { skipApprovalScreen } })
      await enrolBy(skipApprovalScreen)
      const { browser, state } = await begin()
      for (const address of laterAddresses(server, state, 'corp')) {
        codes(await browser.request(address))
        codes(await browser.follow(address))
        for (const approval of ['approve', 'rejected']) {
          if (approval === 'rejected' && address.includes('/approval')) continue
          codes(await browser.request(address, { form: { state, approval, totp: '' } }))
        }
      }
      for (const path of ['register/begin', 'register/finish', 'login/begin', 'login/finish']) {
        for (const query of [`state=${state}`, `state=${state}&further=app`]) {
          const answer = await browser.request(server.url(`/mfa/webauthn/${path}?${query}`), {
            body: '{"id":"x"}',
            headers: { 'content-type': 'application/json' },
          })
          assert.equal(answer.status, 409, path)
        }
      }
      if (skipApprovalScreen) await server[Symbol.asyncDispose]()
    }

    async function enrolBy(direct: boolean) {
      const { browser, page, started } = await begin()
      const next = await browser.submit(page, { totp: codeOf(secretOn(page)!) })
      arrive(started, direct ? next : await browser.decide(next, true))
      clock.advance(30)
    }
  })

  it('the cookie from before the factor gives nothing after it', async () => {
    server = await open({ oauth2: { skipApprovalScreen: false } })
    const { secret } = await (async () => {
      const { browser, page, started } = await begin()
      const found = secretOn(page)!
      arrive(started, await browser.decide(await browser.submit(page, { totp: codeOf(found) }), true))
      clock.advance(30)
      return { secret: found }
    })()
    const { browser, started, page, state } = await begin()
    const before = cookieHeader(browser, server.issuer)
    const asked = await browser.submit(page, { totp: codeOf(secret) })
    const old = await openBrowser().request(server.url('/approval'), {
      form: { state, approval: 'approve' },
      headers: { cookie: before },
    })
    assert.equal(old.status, 403)
    isDeadEnd(old)
    arrive(started, await browser.decide(asked, true))
    isDeadEnd(await browser.request(page.url), 'the page of the code when all is over')
  })

  it('one factor shown is one login: its cookie gives a code once', async () => {
    server = await open({ oauth2: { skipApprovalScreen: false } })
    const { browser, started, page, state } = await begin()
    const asked = await browser.submit(page, { totp: codeOf(secretOn(page)!) })
    const cookie = cookieHeader(browser, server.issuer)
    arrive(started, await browser.decide(asked, true))
    const form = { state, approval: 'approve' }
    for (const path of ['/approval', '/approval']) {
      assertNoCode(await openBrowser().request(server.url(path), { form, headers: { cookie } }))
    }
  })

  it('row 8: the session of a client without factors does not pass for one that needs them', async () => {
    server = await open({ sessions: { ssoSharedWithDefault: 'all' } })
    const { secret } = await enrol()
    const first = await begin(openBrowser(), { client: peer })
    arrive(first.started, first.page)
    const second = await begin(first.browser)
    assert.equal(new URL(second.page.url).pathname, '/dex/mfa/totp')
    const silent = await begin(first.browser, { params: { prompt: 'none' } })
    assert.match(silent.page.location ?? '', /error=interaction_required/)
    arrive(second.started, await second.browser.submit(second.page, { totp: codeOf(secret) }))
  })

  it('every authorization asks again, with a session too, unless the operator has it remembered', async () => {
    server = await open({ sessions: { ssoSharedWithDefault: 'all' } })
    const { secret, browser } = await enrol()
    const again = await begin(browser)
    assert.equal(new URL(again.page.url).pathname, '/dex/mfa/totp')
    arrive(again.started, await browser.submit(again.page, { totp: codeOf(secret) }))
    await server[Symbol.asyncDispose]()

    server = await open({ sessions: { ssoSharedWithDefault: 'all' }, mfa: { ...mfa, rememberFor: '10m' } })
    const remembered = await enrol()
    const silent = await begin(remembered.browser, { params: { prompt: 'none' } })
    arrive(silent.started, silent.page)
    const anew = await begin(remembered.browser, { params: { prompt: 'login' } })
    assert.equal(new URL(anew.page.url).pathname, '/dex/mfa/totp', 'a new login shows it anew')
    clock.advance(600)
    const later = await begin(remembered.browser)
    assert.equal(new URL(later.page.url).pathname, '/dex/mfa/totp')
    arrive(later.started, await later.browser.submit(later.page, { totp: codeOf(remembered.secret) }))
    clock.advance(300)
    const renewed = await begin(remembered.browser)
    arrive(renewed.started, renewed.page)
    const tokens = (await server.redeem(arrive(renewed.started, renewed.page))).json()
    assert.equal(tokens.error, undefined)
  })

  it('a factor that a session remembers is not enough to set up another one', async () => {
    const third = { id: 'third', secret: 'third-secret', redirectUri: `${web.redirectUri}/third` }
    const entry = { ...third, name: 'Third', redirectURIs: [third.redirectUri], mfaChain: ['app', 'other'] }
    server = await open({
      sessions: { ssoSharedWithDefault: 'all' },
      mfa: { ...mfa, rememberFor: '1h' },
      staticClients: [...staticClients, { ...entry, redirectUri: undefined }],
    })
    const { secret, browser } = await enrol()
    const { page } = await begin(browser, { client: third })
    assert.equal(secretOn(page), undefined)
    const next = await browser.submit(page, { totp: codeOf(secret) })
    assert.ok(secretOn(next), 'after it was shown once more')
  })

  it('the factor of one person is not that of the person whose session it is', async () => {
    server = await open({
      connectors: [],
      sessions: { ssoSharedWithDefault: 'all' },
      enablePasswordDB: true,
      staticPasswords: [person('jane'), person('mallory')],
    })
    const login = async (browser: Browser, page: BrowserAnswer, name: string) =>
      browser.submit(page, { login: `${name}@example.com`, password: 'password' })
    // Jane is logged in, and has gone for a coffee.
    const victim = await begin(openBrowser(), { client: peer })
    arrive(victim.started, await login(victim.browser, victim.page, 'jane'))
    const attack = await begin(victim.browser)
    const form = await victim.browser.request(server.url(`/auth/local/login?state=${attack.state}`))
    const own = await login(victim.browser, form, 'mallory')
    const answer = await victim.browser.submit(own, { totp: codeOf(secretOn(own)!) })
    const { id_token: token } = (await server.redeem(arrive(attack.started, answer))).json()
    const claims = JSON.parse(Buffer.from(String(token).split('.')[1]!, 'base64url').toString()) as { email: string }
    assert.equal(claims.email, 'mallory@example.com')
  })

  it('a device gets nothing from the first factor alone', async () => {
    server = await open()
    await enrol()
    const began = (await server.post('/device/code', { scope: 'openid' }, device)).json()
    const browser = openBrowser()
    const page = await browser.submit(await browser.request(server.url('/device')), {
      user_code: String(began.user_code),
    })
    const state = new URL(page.url).searchParams.get('state')!
    for (const address of laterAddresses(server, state, 'corp')) {
      await browser.follow(address)
      if (!address.includes('verify_code')) await browser.request(address, { form: { state, approval: 'approve' } })
    }
    clock.advance(10)
    const grant = 'urn:ietf:params:oauth:grant-type:device_code'
    const polled = await server.token({ grant_type: grant, device_code: String(began.device_code) }, device)
    assert.equal(errorOf(polled), '400 authorization_pending')
  })
})
