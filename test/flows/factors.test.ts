import assert from 'node:assert/strict'
import { codeOf, secretOn, wrongCode } from './authenticator.ts'
import { type Browser, type BrowserAnswer, openBrowser } from './browser.ts'
import {
  type AuthRequest,
  arrive,
  claimsOf,
  cli,
  corp,
  device,
  errorOf,
  type FlowServer,
  peer,
  type StartOptions,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const app = { id: 'app', type: 'TOTP', config: { issuer: 'Acme' } }
const second = { id: 'second', type: 'TOTP' }
const client = (chain: string[] | undefined, entry: typeof web) => ({
  id: entry.id,
  name: entry.id,
  redirectURIs: [entry.redirectUri],
  ...(entry.secret ? { secret: entry.secret } : { public: true }),
  ...(chain && { mfaChain: chain }),
})
/** `web` asks for the default, `peer` for nothing, `cli` for another one, devices for the default. */
const staticClients = [
  client(undefined, web),
  client([], peer),
  client(['second'], { ...cli, redirectUri: cli.redirectUri }),
  client(undefined, device),
]
const mfa = { authenticators: [app, second], defaultMFAChain: ['app'] }
const file = (name: string, more: Record<string, unknown> = {}) => ({
  connectors: [corp(name)],
  staticClients,
  mfa,
  ...more,
})

/** Goes up to where the person is asked for something. */
async function begin(server: FlowServer, request: AuthRequest = {}, browser: Browser = openBrowser()) {
  const started = startLogin(server, request)
  return { browser, started, page: await browser.follow(started.url) }
}

/** A person sets the application up; gives its secret and the way back to the client. */
async function enrol(server: FlowServer, request: AuthRequest = {}) {
  const { browser, started, page } = await begin(server, request)
  const secret = secretOn(page)
  assert.ok(secret, `no secret on ${page.url}: ${page.status} ${page.text}`)
  const answer = await browser.submit(page, { totp: codeOf(secret) })
  return { secret, answer, started, page, browser }
}

const type = (browser: Browser, page: BrowserAnswer, totp: string) => browser.submit(page, { totp })

for (const store of ['memory', 'lowdb'] as const satisfies StartOptions['store'][]) {
  describe(`second factors, with the store ${store}`, () => {
    let clock: ReturnType<typeof stopClock>
    let server: FlowServer
    const name = `factors ${store}`
    beforeEach(async () => {
      clock = stopClock()
      upstream(name).person = jane()
      server = await startServer(file(name), { store })
    })
    afterEach(async () => {
      await server[Symbol.asyncDispose]()
      clock[Symbol.dispose]()
    })

    it('are set up at the first login and asked for at the next one', async () => {
      const { secret, answer, started, page } = await enrol(server)
      assert.match(page.text, /src="data:image\/svg\+xml,/)
      assert.match(
        page.text,
        new RegExp(`href="otpauth://totp/Acme:\\(corp\\)%20jane%40example.com\\?[^"]*secret=${secret}`),
      )
      assert.equal(page.headers.get('cache-control'), 'no-store')
      const tokens = tokensOf(await server.redeem(arrive(started, answer)))
      assert.deepEqual(claimsOf(tokens.id_token).amr, ['otp', 'mfa'])

      clock.advance(30)
      const again = await begin(server)
      assert.equal(secretOn(again.page), undefined)
      assert.ok(!again.page.text.includes(secret), 'a secret is shown once')
      arrive(again.started, await type(again.browser, again.page, codeOf(secret)))
    })

    it('are kept over a restart', async () => {
      if (store === 'memory') return
      const { secret } = await enrol(server)
      await server.close()
      clock.advance(30)
      await using later = await startServer(file(name), { store, instead: server })
      const { browser, started, page } = await begin(later)
      assert.equal(secretOn(page), undefined)
      arrive(started, await type(browser, page, codeOf(secret)))
    })

    it('refuse a wrong code by a page with the form, and take the right one then', async () => {
      const { secret } = await enrol(server)
      clock.advance(30)
      const { browser, started, page } = await begin(server)
      for (const code of [wrongCode(secret), '', `${codeOf(secret)}0`, '１２３４５６']) {
        const refused = await browser.request(page.url, { form: { totp: code } })
        assert.equal(refused.status, 401, code)
        assert.match(refused.text, /name="totp"/)
      }
      arrive(started, await type(browser, page, codeOf(secret)))
    })

    it('take a code of the step before and after, blanks in it, and none further away', async () => {
      const { secret } = await enrol(server)
      for (const [away, taken] of [
        [-1, true],
        [0, true],
        [1, true],
        [-2, false],
        [2, false],
      ] as const) {
        clock.advance(300)
        const { browser, started, page } = await begin(server)
        const code = codeOf(secret, away)
        const answer = await type(browser, page, `${code.slice(0, 3)} ${code.slice(3)}`)
        if (taken) arrive(started, answer)
        else assert.equal(answer.status, 401, String(away))
      }
    })

    it('take a code once, and none from before it', async () => {
      const { secret } = await enrol(server)
      const used = codeOf(secret)
      const other = await begin(server)
      assert.match((await type(other.browser, other.page, used)).page().text, /used already/)
      clock.advance(60)
      const ahead = await begin(server)
      arrive(ahead.started, await type(ahead.browser, ahead.page, codeOf(secret, 1)))
      const behind = await begin(server)
      for (const away of [0, 1, -1]) {
        assert.equal((await type(behind.browser, behind.page, codeOf(secret, away))).status, 401, String(away))
      }
      clock.advance(60)
      arrive(behind.started, await type(behind.browser, behind.page, codeOf(secret)))
    })

    it('take a code once of many logins that bring it at the same time', async () => {
      const { secret } = await enrol(server)
      clock.advance(30)
      const code = codeOf(secret)
      const logins = await Promise.all(Array.from({ length: 20 }, () => begin(server)))
      const answers = await Promise.all(logins.map(({ browser, page }) => type(browser, page, code)))
      assert.equal(answers.filter(({ location }) => location?.includes('code=')).length, 1)
      assert.ok(answers.every(({ status, location }) => location !== undefined || [401, 429].includes(status)))
    })

    it('let one of many set up the same application at the same time', async () => {
      const logins = await Promise.all(Array.from({ length: 5 }, () => begin(server)))
      const secrets = logins.map(({ page }) => secretOn(page)!)
      assert.equal(new Set(secrets).size, 5, 'each login has a secret of its own')
      const answers = await Promise.all(
        logins.map(({ browser, page }, each) => type(browser, page, codeOf(secrets[each]!))),
      )
      const won = answers.findIndex(({ location }) => location?.includes('code='))
      assert.equal(answers.filter(({ location }) => location?.includes('code=')).length, 1)
      clock.advance(600)
      const later = await begin(server)
      const lost = secrets[won === 0 ? 1 : 0]!
      assert.equal((await type(later.browser, later.page, codeOf(lost))).status, 401)
      arrive(later.started, await type(later.browser, later.page, codeOf(secrets[won]!)))
    })

    it('lock after five wrong codes, say for how long, and tell the auditor', async () => {
      const { secret } = await enrol(server)
      clock.advance(30)
      const { browser, page } = await begin(server)
      for (let tried = 0; tried < 5; tried++) assert.equal((await type(browser, page, wrongCode(secret))).status, 401)
      const elsewhere = await begin(server)
      for (const each of [page, elsewhere.page]) {
        const locked = await (each === page ? browser : elsewhere.browser).request(each.url, {
          form: { totp: codeOf(secret) },
        })
        assert.equal(locked.status, 429)
        assert.equal(locked.headers.get('retry-after'), '600')
      }
      assert.equal(server.audited().filter(({ type }) => type === 'factor_refused').length, 5)
      const event = server.audited().find(({ type }) => type === 'rate_limited')
      assert.deepEqual([event?.what, event?.key, event?.connector_id], ['factor', 'name', 'corp'])
      // Nobody else is kept out.
      upstream(name).person = { ...jane(), userId: 'id-of-john' }
      await enrol(server)
      upstream(name).person = jane()
      clock.advance(600)
      const { browser: free, started, page: form } = await begin(server)
      arrive(started, await type(free, form, codeOf(secret)))
    })

    it('show the same secret again when the page is loaded again or a code was wrong', async () => {
      const { browser, page } = await begin(server)
      const secret = secretOn(page)
      assert.equal(secretOn(await browser.follow(page.url)), secret)
      const refused = await type(browser, page, wrongCode(secret!))
      assert.equal(refused.status, 401)
      assert.equal(secretOn(refused), secret)
    })

    it('are asked of clients by their chain, and of nobody who has none', async () => {
      const none = await begin(server, { client: peer })
      const tokens = tokensOf(await server.redeem(arrive(none.started, none.page)))
      assert.equal(claimsOf(tokens.id_token).amr, undefined)
      const other = await begin(server, { client: cli })
      assert.match(other.page.text, /otpauth:\/\/totp\/Countersign:/)
    })

    it('need the factor that a person has before another one is set up', async () => {
      const { secret } = await enrol(server)
      clock.advance(30)
      // With the first factor alone, at a client that asks for the other one.
      const { browser, started, page } = await begin(server, { client: cli })
      assert.equal(secretOn(page), undefined)
      const asked = await type(browser, page, codeOf(secret))
      const added = secretOn(asked)
      assert.ok(added && added !== secret)
      arrive(started, await type(browser, asked, codeOf(added)))
      const events = server.audited().filter(({ type }) => type === 'factor_enrolled')
      assert.deepEqual(
        events.map(({ authenticator }) => authenticator),
        ['app', 'second'],
      )
    })

    it('do not let an enrolment that began before win over one that was confirmed since', async () => {
      const attacker = await begin(server)
      const { secret } = await enrol(server)
      clock.advance(30)
      const page = await type(attacker.browser, attacker.page, codeOf(secretOn(attacker.page)!))
      assert.equal(page.status, 401)
      assert.equal(secretOn(page), undefined, 'the way to set up is closed')
      const owner = await begin(server)
      arrive(owner.started, await type(owner.browser, owner.page, codeOf(secret)))
    })

    it('are all asked for, in order', async () => {
      await using both = await startServer(file(name, { mfa: { ...mfa, defaultMFAChain: ['second', 'app'] } }), {
        store,
      })
      const { browser, started, page } = await begin(both)
      assert.match(page.text, /otpauth:\/\/totp\/Countersign:/)
      const next = await type(browser, page, codeOf(secretOn(page)!))
      assert.match(next.text, /otpauth:\/\/totp\/Acme:/)
      arrive(started, await type(browser, next, codeOf(secretOn(next)!)))
    })

    it('stand before the approval, which none of its addresses gives without', async () => {
      await using careful = await startServer(file(name, { oauth2: { skipApprovalScreen: false } }), { store })
      const { browser, started, page } = await begin(careful)
      const approval = page.url.replace('/mfa/totp', '/approval')
      const state = new URL(page.url).searchParams.get('state')!
      for (const form of [undefined, { state, approval: 'approve' }]) {
        const refused = await browser.request(approval, form && { form })
        assert.equal(refused.status, 403)
        assert.equal(refused.location, undefined)
        assert.match(refused.text, /second factor is missing/)
        assert.equal((await browser.follow(new URL(refused.page().links[0]!.href, approval).href)).url, page.url)
      }
      const asked = await type(browser, page, codeOf(secretOn(page)!))
      arrive(started, await browser.decide(asked, true))
    })

    it('stand before the grant of a device', async () => {
      const began = (await server.post('/device/code', { scope: 'openid' }, device)).json()
      const fields = {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: String(began.device_code),
      }
      const browser = openBrowser()
      const page = await browser.submit(await browser.follow(server.url('/device')), {
        user_code: String(began.user_code),
      })
      const secret = secretOn(page)!
      assert.equal(errorOf(await server.token(fields, device)), '400 authorization_pending')
      const done = await type(browser, page, codeOf(secret))
      assert.equal(done.status, 200)
      clock.advance(6)
      const tokens = tokensOf(await server.token(fields, device))
      assert.deepEqual(claimsOf(tokens.id_token).amr, ['otp', 'mfa'])
    })

    it('are of the person who logged in last in a browser that went back', async () => {
      const people = { email: 'jane@example.com', username: 'jane', userID: 'j' }
      const hash = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'
      await using local = await startServer(
        {
          ...file(name),
          connectors: [],
          oauth2: { skipApprovalScreen: false },
          enablePasswordDB: true,
          staticPasswords: [
            { ...people, hash },
            { ...people, email: 'mallory@example.com', userID: 'm', hash },
          ],
        },
        { store },
      )
      const { browser, page } = await begin(local)
      const form = await browser.submit(page, { login: 'mallory@example.com', password: 'password' })
      const approval = await type(browser, form, codeOf(secretOn(form)!))
      assert.match(approval.text, /mallory@example.com/)
      const other = await browser.submit(page, { login: 'jane@example.com', password: 'password' })
      assert.ok(secretOn(other), 'what Mallory showed is not what Jane has')
      const refused = await browser.decide(approval, true)
      assert.equal(refused.status, 403)
    })

    it('are refused where nobody can be asked', async () => {
      upstream(name).exchange = () => jane()
      const fields = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        connector_id: 'corp',
        subject_token: 'x',
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        scope: 'openid',
      }
      assert.equal(errorOf(await server.token(fields, web)), '400 access_denied')
      assert.equal((await server.token(fields, peer)).status, 200)
      upstream(name).exchange = undefined

      const own = { ...web, id: 'own' }
      await using other = await startServer(
        {
          ...file(name),
          connectors: [{ type: 'mockPassword', id: 'pw', name: 'PW', config: { username: 'u', password: 'p' } }],
          oauth2: { passwordConnector: 'pw', grantTypes: ['password', 'client_credentials'] },
          staticClients: [client(undefined, web), client([], peer), client(['app'], own)],
        },
        { store },
      )
      const password = { grant_type: 'password', username: 'u', password: 'p', scope: 'openid' }
      assert.equal(errorOf(await other.token(password, web)), '400 access_denied')
      assert.equal(errorOf(await other.token({ ...password, password: 'wrong' }, web)), '400 access_denied')
      assert.equal((await other.token(password, peer)).status, 200)
      const credentials = { grant_type: 'client_credentials', scope: 'openid' }
      assert.equal(errorOf(await other.token(credentials, own)), '400 access_denied')
      assert.equal((await other.token(credentials, web)).status, 200)
    })

    it('apply to the connector types that they name', async () => {
      const authenticators = [{ ...app, connectorTypes: ['mockCallback'] }]
      const connectors = [corp(name), { type: 'mockCallback', id: 'mock', name: 'Mock' }]
      await using some = await startServer(
        { ...file(name, { staticClients: [client(undefined, web)] }), connectors, mfa: { ...mfa, authenticators } },
        { store },
      )
      const free = await begin(some, { connector: 'corp' })
      arrive(free.started, free.page)
      assert.ok(secretOn((await begin(some, { connector: 'mock' })).page))
    })

    it('leave no secret in log, cookies or the clear text of the store', async () => {
      const { secret, browser, page } = await enrol(server)
      clock.advance(30)
      const code = codeOf(secret)
      const again = await begin(server)
      await type(again.browser, again.page, wrongCode(secret))
      await type(again.browser, again.page, code)
      const written = JSON.stringify(server.commits)
      const cookies = [...browser.cookies(page.url).values(), ...again.browser.cookies(page.url).values()].join()
      for (const [where, text] of Object.entries({ log: server.logged(), store: written, cookies })) {
        for (const value of [secret, code, codeOf(secret, -1)])
          assert.ok(!text.includes(value), `${value} in the ${where}`)
      }
    })

    it('stay in the tokens of a refresh', async () => {
      const { answer, started } = await enrol(server, { scope: 'openid offline_access' })
      const tokens = tokensOf(await server.redeem(arrive(started, answer)))
      const next = tokensOf(await server.refresh(tokens.refresh_token!))
      assert.deepEqual(claimsOf(next.id_token).amr, ['otp', 'mfa'])
    })

    it('say what was used with what the upstream said', async () => {
      upstream(name).person = { ...jane(), authentication: { amr: ['pwd'], acr: '1' } }
      const { answer, started } = await enrol(server)
      const tokens = tokensOf(await server.redeem(arrive(started, answer)))
      assert.deepEqual(claimsOf(tokens.id_token).amr, ['pwd', 'otp', 'mfa'])
    })
  })
}
