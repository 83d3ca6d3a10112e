import assert from 'node:assert/strict'
import { type FailureCode, failure } from '../../connectors/contract.ts'
import { openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  corp,
  durable,
  errorOf,
  type FlowServer,
  logIn,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

describe('logins that leave or come back by a form', () => {
  it('take a cross-site POST at the callback, which brings no cookie, and go on with the cookie', async () => {
    await using server = await startServer({ connectors: [corp('form', { returnsBy: 'form' })] })
    const started = startLogin(server)
    const browser = openBrowser()
    const left = await browser.request(started.url)
    const state = new URL(left.location!).searchParams.get('state')!
    // The upstream's page posts it; a Lax cookie stays behind.
    const form = { state, code: 'from the upstream', Claims: 'a & b = ü' }
    const posted = await openBrowser().request(server.url('/callback'), {
      form,
      headers: { origin: 'https://idp.example' },
    })
    assert.equal(posted.status, 303)
    const resumed = new URL(posted.location!, posted.url)
    assert.doesNotMatch(resumed.href, /upstream|Claims/)
    assert.equal((await openBrowser().request(resumed.href)).status, 400, 'not in another browser')
    const again = await openBrowser().request(server.url('/callback'), { form })
    const done = await browser.follow(new URL(again.location!, again.url).href)
    tokensOf(await server.redeem(arrive(started, done)))
    const shown = upstream('form').arrivals.at(-1)!
    assert.deepEqual(Object.fromEntries(shown.params), form)
    assert.equal(shown.state, state)
    assert.equal(durable(server.commits.slice(0, 2)).length, 0, 'what waits is volatile')
    const twice = await browser.request(new URL(again.location!, again.url).href)
    assert.equal(twice.status, 400, 'once')
  })

  it('refuse a POST without a state, one that is too large, and one that is no form', async () => {
    await using server = await startServer({ connectors: [corp('form', { returnsBy: 'form' })] })
    const post = (body: string, type = 'application/x-www-form-urlencoded') =>
      openBrowser().request(server.url('/callback'), { body, headers: { 'content-type': type } })
    assert.equal((await post('code=1')).status, 400)
    assert.equal((await post(`state=${'x'.repeat(300 * 1024)}`)).status, 413)
    assert.equal((await post('{"state":"x"}', 'application/json')).status, 415)
    assert.equal(server.commits.length, 0)
  })

  it('leave by a page with a form and a button, which names the upstream in its policy', async () => {
    const at = 'https://idp.example/saml?x=1'
    await using server = await startServer({ connectors: [corp('post', { leavesBy: 'post', returnsBy: 'form', at })] })
    const started = startLogin(server)
    const browser = openBrowser()
    const page = await browser.follow(started.url)
    const form = page.page().forms[0]!
    assert.equal(form.action, at)
    assert.equal(form.method, 'POST')
    assert.ok(form.buttons.length > 0)
    assert.ok(page.headers.get('content-security-policy')?.includes("form-action 'self' https://idp.example"))
    const state = form.inputs.find(({ name }) => name === 'state')!.value!
    assert.equal((await openBrowser().request(page.url)).status, 400, 'not in another browser')
    const posted = await openBrowser().request(server.url('/callback'), { form: { RelayState: state } })
    const done = await browser.follow(new URL(posted.location!, posted.url).href)
    tokensOf(await server.redeem(arrive(started, done)))
  })
})

describe('what an upstream returns to', () => {
  let server: FlowServer
  const people = upstream('callback')
  before(async () => {
    server = await startServer({ connectors: [corp('callback')] })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
    people.finish = undefined
  })

  it('hands the connector its memo, the state and the parameters, and no header that it does not trust', async () => {
    const browser = openBrowser()
    const left = await browser.request(startLogin(server, { scope: 'openid groups offline_access' }).url)
    await browser.request(`${left.location}&code=a%20b`, { headers: { 'x-remote-user': 'admin' } })
    const { params, memo, state, scopes, headers, callbackUrl } = people.arrivals.at(-1)!
    assert.equal(params.get('code'), 'a b')
    assert.equal((memo as { nonce: string }).nonce, `nonce of ${state}`)
    assert.match(state, /^[\w-]{43}$/)
    assert.deepEqual(scopes, { groups: true, offlineAccess: true })
    assert.equal(headers.size, 0)
    assert.equal(callbackUrl.href, server.url('/callback'))
  })

  it('may name the connector, and then it must be the one of the login', async () => {
    for (const [id, status] of [
      ['corp', 303],
      ['other', 400],
    ] as const) {
      const browser = openBrowser()
      const left = await browser.request(startLogin(server).url)
      const back = await browser.request(left.location!.replace('/callback?', `/callback/${id}?`))
      assert.equal(back.status, status)
    }
  })

  it('keeps what does not fit into a cookie in the store, for a while and for nobody else', async () => {
    await using large = await startServer({ connectors: [corp('large', { memoSize: 20_000 })] })
    const started = startLogin(large)
    const browser = openBrowser()
    const left = await browser.request(started.url)
    for (const value of browser.cookies(left.location!).values()) assert.ok(value.length < 3500)
    assert.deepEqual(durable(large.commits), [])
    assert.equal((await large.driver.count('login')).live, 1)
    tokensOf(await large.redeem(arrive(started, await browser.goOn(left))))
    const { memo } = upstream('large').arrivals[0]!
    assert.equal((memo as { filling: string }).filling.length, 20_000)
  })

  it('keeps the cookies of logins that nobody finished small, the newest ones', async () => {
    await using wide = await startServer({ connectors: [corp('wide', { memoSize: 1500 })] })
    const browser = openBrowser()
    for (let i = 0; i < 8; i++) await browser.request(startLogin(wide).url)
    const sizes = [...browser.cookies(wide.url('/callback'))].map(([name, value]) => name.length + value.length)
    assert.ok(sizes.length > 1)
    assert.ok(sizes.reduce((a, b) => a + b) < 7000, String(sizes))
    await logIn(wide, { browser })
  })

  const failures: [code: FailureCode, error: string][] = [
    ['login_refused', 'access_denied'],
    ['account_disabled', 'access_denied'],
    ['account_locked', 'access_denied'],
    ['password_expired', 'access_denied'],
    ['groups_incomplete', 'access_denied'],
    ['identity_gone', 'access_denied'],
    ['upstream_unavailable', 'temporarily_unavailable'],
    ['rate_limited', 'temporarily_unavailable'],
    ['upstream_invalid_response', 'server_error'],
    ['misconfigured', 'server_error'],
  ]
  for (const [code, error] of failures) {
    it(`tells the client ${error} at once when a login ends with ${code} (X-13)`, async () => {
      people.finish = () => {
        throw failure(code, 'for the operator only', { cause: new Error('the cause') })
      }
      const started = startLogin(server)
      const browser = openBrowser()
      const answer = answerAt(await browser.follow(started.url))
      assert.equal(answer.error, error)
      assert.equal(answer.state, started.state)
      assert.equal(answer.iss, server.issuer)
      const [, request] = /\(request ([\da-f-]{36})\)$/.exec(answer.error_description ?? '') ?? []
      assert.ok(request)
      assert.doesNotMatch(answer.error_description!, /operator only|the cause/)
      const told = server
        .logged()
        .split('\n')
        .find((line) => line.includes(request) && line.includes('operator only'))
      assert.ok(told, 'the log has the cause under the same number')
      assert.equal(browser.cookies(server.url('/')).size, 0)
    })
  }

  it('answers in the response mode that the client asked for when a login fails', async () => {
    people.finish = () => {
      throw failure('login_refused', 'no')
    }
    const fragment = await openBrowser().follow(startLogin(server, { params: { response_mode: 'fragment' } }).url)
    assert.ok(fragment.location?.startsWith(`${web.redirectUri}#error=access_denied`), fragment.location)
    const form = await openBrowser().follow(startLogin(server, { params: { response_mode: 'form_post' } }).url)
    assert.equal(answerAt(form).error, 'access_denied')
  })

  it('shows a page to somebody who is not in the required groups, with a button to the client (X-13)', async () => {
    people.finish = () => {
      throw failure('not_in_required_groups', 'none of admins', { safe: 'Ask Ann for the group admins.' })
    }
    const started = startLogin(server)
    const answer = await openBrowser().follow(started.url)
    assert.equal(answer.status, 403)
    assert.match(answer.page().text, /Ask Ann/)
    const button = answer.page().links.find(({ href }) => href.startsWith(web.redirectUri))
    const params = new URL(button!.href).searchParams
    assert.equal(params.get('error'), 'access_denied')
    assert.equal(params.get('state'), started.state)
  })

  it('tells the client `server_error` for a defect in a connector, and the log all of it', async () => {
    people.finish = () => {
      throw new TypeError('broken module')
    }
    const answer = await openBrowser().follow(startLogin(server).url)
    assert.equal(answerAt(answer).error, 'server_error')
    assert.doesNotMatch(answer.location!, /broken module/)
    assert.match(server.logged(), /broken module/)
  })

  it('gives one code for a login that is finished twice with its old cookie', async () => {
    const started = startLogin(server, { scope: 'openid offline_access' })
    const browser = openBrowser()
    const left = await browser.request(started.url)
    const cookie = [...browser.cookies(left.location!)].map(([name, value]) => `${name}=${value}`).join('; ')
    const arrived = arrive(started, await browser.goOn(left))
    const twice = await openBrowser().request(left.location!, { headers: { cookie } })
    assert.equal(twice.location, undefined)
    assert.equal(twice.status, 403)
    tokensOf(await server.redeem(arrived))
    const later = await openBrowser().request(left.location!, { headers: { cookie } })
    assert.equal(later.location, undefined)
    assert.equal(errorOf(await server.redeem(arrived)), '400 invalid_grant')
  })

  it('tells the client `server_error` when the way to the upstream cannot be prepared', async () => {
    await using broken = await startServer({ connectors: [corp('callback', { at: 'not an address' })] })
    const started = startLogin(broken)
    const answer = answerAt(await openBrowser().follow(started.url))
    assert.equal(answer.error, 'server_error')
    assert.equal(answer.state, started.state)
  })
})
