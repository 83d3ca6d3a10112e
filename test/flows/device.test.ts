import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { type Browser, openBrowser } from './browser.ts'
import {
  challengeOf,
  claimsOf,
  cli,
  corp,
  device,
  errorOf,
  type FlowServer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const grant = 'urn:ietf:params:oauth:grant-type:device_code'

interface Started {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

describe('login by device', () => {
  let server: FlowServer
  const people = upstream('device')
  before(async () => {
    server = await startServer({ connectors: [corp('device')] })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
    people.finish = undefined
  })

  const begin = async (more: Record<string, string> = {}, client = device, of = server): Promise<Started> => {
    const fields = { scope: 'openid groups offline_access', ...more }
    const answer = await of.post('/device/code', fields, client)
    assert.equal(answer.status, 200, answer.text)
    return answer.json() as unknown as Started
  }
  const poll = (code: string, more: Record<string, string> = {}, client = device, of = server) =>
    of.token({ grant_type: grant, device_code: code, ...more }, client)
  const enter = async (browser: Browser, userCode: string, of = server) =>
    browser.submit(await browser.follow(of.url('/device')), { user_code: userCode })

  it('goes the whole way: code, page, login, tokens', async () => {
    const started = await begin()
    assert.match(started.user_code, /^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/)
    assert.equal(started.verification_uri, server.url('/device'))
    assert.equal(started.verification_uri_complete, server.url(`/device?user_code=${started.user_code}`))
    assert.equal(started.expires_in, 300)
    assert.equal(started.interval, 5)
    assert.equal(errorOf(await poll(started.device_code)), '400 authorization_pending')

    const browser = openBrowser()
    const form = await browser.follow(started.verification_uri_complete)
    assert.equal(form.page().forms[0]?.inputs.find(({ name }) => name === 'user_code')?.value, started.user_code)
    assert.equal(people.started.length, 0, 'a link alone starts no login')
    const done = await browser.submit(form)
    assert.equal(done.status, 200)
    assert.match(done.page().text, /Device/)
    assert.equal(browser.cookies(server.url('/')).size, 0)

    const tokens = tokensOf(await poll(started.device_code))
    const claims = claimsOf(tokens.id_token)
    assert.equal(claims.aud, 'device')
    assert.deepEqual(claims.groups, ['staff'])
    assert.equal(typeof claims.auth_time, 'number')
    assert.equal(claims.sub, 'CgppZC1vZi1qYW5lEgRjb3Jw')
    assert.equal(errorOf(await poll(started.device_code)), '400 invalid_grant', 'once')
    tokensOf(await server.refresh(tokens.refresh_token!, device))
  })

  it('takes the code in any case, without its dash and with blanks', async () => {
    const started = await begin()
    await enter(openBrowser(), ` ${started.user_code.toLowerCase().replace('-', ' ')} `)
    tokensOf(await poll(started.device_code))
  })

  it('says `slow_down` to a device that asks too often, each time for five seconds more', async () => {
    using clock = stopClock()
    const { device_code: code } = await begin()
    assert.equal(errorOf(await poll(code)), '400 authorization_pending')
    clock.advance(4)
    assert.equal(errorOf(await poll(code)), '400 slow_down')
    clock.advance(6)
    assert.equal(errorOf(await poll(code)), '400 slow_down', 'the interval is ten seconds by now')
    clock.advance(15)
    assert.equal(errorOf(await poll(code)), '400 authorization_pending')
  })

  it('says `access_denied` to the device of a person who refuses', async () => {
    await using asking = await startServer({ oauth2: { skipApprovalScreen: false }, connectors: [corp('device')] })
    const started = await begin({}, device, asking)
    const browser = openBrowser()
    const page = await enter(browser, started.user_code, asking)
    const done = await browser.decide(page, false)
    assert.equal(done.status, 200)
    assert.equal(errorOf(await poll(started.device_code, {}, device, asking)), '400 access_denied')
    const other = await begin({}, device, asking)
    const again = await enter(browser, other.user_code, asking)
    assert.equal((await browser.decide(again, true)).status, 200)
    tokensOf(await poll(other.device_code, {}, device, asking))
  })

  it('says `expired_token` when nobody came in time, and the code opens no page any more', async () => {
    using clock = stopClock()
    const started = await begin()
    clock.advance(301)
    assert.equal(errorOf(await poll(started.device_code)), '400 expired_token')
    assert.equal((await enter(openBrowser(), started.user_code)).status, 400)
  })

  it('shows a page, and keeps the device waiting, when the upstream refuses the person', async () => {
    const started = await begin()
    people.finish = () => {
      throw failure('login_refused', 'no')
    }
    assert.equal((await enter(openBrowser(), started.user_code)).status, 403)
    assert.equal(errorOf(await poll(started.device_code)), '400 authorization_pending')
    people.finish = undefined
    await enter(openBrowser(), started.user_code)
    tokensOf(await poll(started.device_code))
  })

  it('tells a wrong code from nothing, on a page with the form', async () => {
    for (const code of ['', 'BBBB-BBBB', 'x', '<b>', '\u0000'.repeat(8)]) {
      const answer = await enter(openBrowser(), code)
      assert.equal(answer.status, 400)
      assert.ok(answer.page().forms[0]?.inputs.some(({ name }) => name === 'user_code'))
      assert.doesNotMatch(answer.text, /<b>/)
    }
  })

  it('limits how many codes are tried from one address', async () => {
    await using strict = await startServer({
      connectors: [corp('device')],
      web: { http: '127.0.0.1:0', clientRemoteIP: { header: 'X-Real-IP', trustedProxies: ['127.0.0.1/32'] } },
    })
    const browser = openBrowser()
    const tried = async () => {
      const form = { user_code: 'BBBB-BBBB' }
      const headers = { 'x-real-ip': '203.0.113.7' }
      return browser.request(strict.url('/device/auth/verify_code'), { form, headers })
    }
    for (let i = 0; i < 10; i++) assert.equal((await tried()).status, 400)
    const limited = await tried()
    assert.equal(limited.status, 429)
    assert.ok(Number(limited.headers.get('retry-after')) > 0)
  })

  it('is refused to another client than the one that began', async () => {
    const started = await begin()
    await enter(openBrowser(), started.user_code)
    for (const client of [cli, web]) {
      assert.equal(errorOf(await poll(started.device_code, {}, client)), '400 invalid_grant')
    }
    assert.equal(errorOf(await poll('nonsense')), '400 invalid_grant')
    tokensOf(await poll(started.device_code))
  })

  it('asks for the verifier when it began with a challenge', async () => {
    const verifier = 'v'.repeat(43)
    const pkce = { code_challenge: challengeOf(verifier), code_challenge_method: 'S256' }
    const started = await begin(pkce)
    await enter(openBrowser(), started.user_code)
    assert.equal(errorOf(await poll(started.device_code)), '400 invalid_grant')
    assert.equal(errorOf(await poll(started.device_code, { code_verifier: 'w'.repeat(43) })), '400 invalid_grant')
    tokensOf(await poll(started.device_code, { code_verifier: verifier }))
    const plain = await server.post('/device/code', { scope: 'openid', code_challenge: verifier }, device)
    assert.equal(errorOf(plain), '400 invalid_request')
  })

  it('begins with faults told: client, scope', async () => {
    const began = (fields: Record<string, string>, client = device) => server.post('/device/code', fields, client)
    assert.equal(errorOf(await began({ scope: 'openid bogus' })), '400 invalid_scope')
    assert.equal(errorOf(await began({ scope: 'email' })), '400 invalid_scope')
    assert.match(errorOf(await began({ scope: 'openid' }, { ...device, id: 'nobody' })), /invalid_client$/)
    assert.match(errorOf(await began({ scope: 'openid' }, { ...web, secret: 'wrong' })), /invalid_client$/)
    assert.equal((await began({})).status, 200, 'without a scope it is `openid`')
  })

  it('lets the person choose between connectors, in the browser that entered the code', async () => {
    await using choosing = await startServer({
      connectors: [corp('device'), { type: 'mockCallback', id: 'mock', name: 'Mock' }],
    })
    const started = await begin({}, device, choosing)
    const browser = openBrowser()
    const choice = await enter(browser, started.user_code, choosing)
    const link = choice.page().links.find(({ href }) => href.includes('/device/auth/mock'))
    const address = new URL(link!.href, choice.url).href
    assert.equal((await openBrowser().follow(address)).status, 400)
    assert.equal((await browser.follow(address)).status, 200)
    const tokens = tokensOf(await poll(started.device_code, {}, device, choosing))
    assert.deepEqual(claimsOf(tokens.id_token).groups, ['authors'])
  })
})
