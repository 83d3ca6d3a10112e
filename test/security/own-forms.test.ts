/** Lessons, row 1 (login CSRF): a form that another site's page sends is refused, however a browser says where it comes from. */
import assert from 'node:assert/strict'
import { codeOf, secretOn } from '../flows/authenticator.ts'
import { type Browser, type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import { device, logIn, passwordHash, startLogin, startServer } from '../flows/server.ts'

const person = { email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }

/** What a browser says by itself (Fetch Metadata; the Fetch standard, 3.2). */
const foreign: Record<string, string>[] = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'none' },
  { 'sec-fetch-site': 'cross-site', origin: 'null' },
  { origin: 'https://attacker.example' },
  // A frame in a sandbox, a `data:` document.
  { origin: 'null' },
]

describe('forms of other sites', () => {
  /** Sends a form of ours from foreign pages, which must fail, then from our own. */
  async function check(browser: Browser, page: BrowserAnswer, typed: Record<string, string>, origin: string) {
    const form = page.page().forms.find(({ method }) => method === 'POST')!
    const fields = Object.fromEntries(form.inputs.map(({ name, value }) => [name ?? '', value ?? '']))
    const action = new URL(form.action, page.url).href
    const all = { ...fields, ...typed }
    for (const headers of [...foreign, { origin: `${origin}0` }, { origin: origin.replace('http:', 'https:') }]) {
      const answer = await browser.request(action, { form: all, headers })
      assert.equal(answer.status, 403, `${action} ${JSON.stringify(headers)}`)
      assert.deepEqual(answer.headers.getSetCookie(), [], 'nothing begins and nothing ends')
    }
    return browser.request(action, { form: all, headers: { 'sec-fetch-site': 'same-origin', origin } })
  }

  it('cannot send a password', async () => {
    await using server = await startServer({ connectors: [], enablePasswordDB: true, staticPasswords: [person] })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const answer = await check(browser, page, { login: person.email, password: 'password' }, server.origin)
    assert.match(answer.location ?? '', /[?&]code=/)
  })

  it('cannot send the code of an application', async () => {
    const mfa = { authenticators: [{ id: 'app', type: 'TOTP' }], defaultMFAChain: ['app'] }
    await using server = await startServer({ mfa })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const answer = await check(browser, page, { totp: codeOf(secretOn(page)!) }, server.origin)
    assert.match(answer.location ?? '', /[?&]code=/)
  })

  it('cannot exchange anything about a security key', async () => {
    const mfa = { authenticators: [{ id: 'key', type: 'WebAuthn' }], defaultMFAChain: ['key'] }
    await using server = await startServer({ mfa }, { host: 'localhost' })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const { search } = new URL(page.url)
    for (const path of ['register/begin', 'register/finish', 'login/begin', 'login/finish']) {
      for (const headers of [...foreign, { 'content-type': 'text/plain' }]) {
        const all = { 'content-type': 'application/json', ...headers }
        if (path.endsWith('begin') && all['content-type'] === 'text/plain') continue
        const answer = await browser.request(server.url(`/mfa/webauthn/${path}${search}`), { body: '{}', headers: all })
        assert.ok(
          answer.status === 403 || answer.status === 415,
          `${path} ${JSON.stringify(headers)}: ${answer.status}`,
        )
        assert.equal(answer.headers.get('access-control-allow-origin'), null)
      }
    }
    const begin = server.url(`/mfa/webauthn/register/begin${search}`)
    const own = { 'content-type': 'application/json', origin: server.origin }
    assert.equal((await browser.request(begin, { body: '{}', headers: own })).status, 200)
  })

  it('cannot log anybody out', async () => {
    await using server = await startServer({ sessions: {} })
    const { browser, claims } = await logIn(server)
    const page = await browser.follow(server.url('/logout'))
    const answer = await check(browser, page, {}, server.origin)
    assert.match(answer.text, /You are logged out/)
    assert.equal(await server.driver.get('session', String(claims.sid)), undefined)
  })

  it('cannot end what is held in a person’s name', async () => {
    await using server = await startServer({ sessions: {} })
    const { browser, tokens } = await logIn(server, { scope: 'openid offline_access' })
    const answer = await check(browser, await browser.follow(server.issuer), {}, server.origin)
    assert.equal(answer.status, 303)
    assert.equal((await server.refresh(tokens.refresh_token!)).json().error, 'invalid_grant')
  })

  it('cannot approve', async () => {
    await using server = await startServer({ oauth2: { skipApprovalScreen: false } })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const answer = await check(browser, page, { approval: 'approve' }, server.origin)
    assert.match(answer.location ?? '', /[?&]code=/)
  })

  it('cannot connect a device', async () => {
    await using server = await startServer()
    const { user_code } = (await server.post('/device/code', { scope: 'openid' }, device)).json()
    const browser = openBrowser()
    const page = await browser.request(server.url('/device'))
    const answer = await check(browser, page, { user_code: String(user_code) }, server.origin)
    assert.equal(answer.status, 303)
  })

  it('cannot be told from ours when the referrer policy hides the origin, so it does not', async () => {
    await using server = await startServer()
    const page = await openBrowser().request(server.url('/device'))
    const named = /<meta name="referrer" content="([^"]*)">/.exec(page.text)?.[1]
    for (const policy of [page.headers.get('referrer-policy'), named]) assert.equal(policy, 'same-origin')
  })
})
