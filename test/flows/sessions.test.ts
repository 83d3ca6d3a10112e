/** Single sign-on: who is not asked again, where, and until when. */
import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { type Browser, openBrowser } from './browser.ts'
import {
  type AuthRequest,
  answerAt,
  arrive,
  authorize,
  claimsOf,
  cli,
  corp,
  type FlowServer,
  logIn,
  peer,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { upstream } from './upstream.ts'

const people = [
  { email: 'jane@example.com', hash: '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W', userID: 'jane' },
  { email: 'john@example.com', hash: '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W', userID: 'john' },
]
const passwords = { connectors: [], enablePasswordDB: true, staticPasswords: people }
const shared = { sessions: { ssoSharedWithDefault: 'all' } }

/** The way to the password form and through it. */
async function typePassword(
  server: FlowServer,
  browser: Browser,
  { who = 'jane', remember, ...request }: AuthRequest & { who?: string; remember?: boolean } = {},
) {
  const started = startLogin(server, request)
  const typed = { login: `${who}@example.com`, password: 'password', ...(remember && { remember_me: 'on' }) }
  return arrive(started, await browser.submit(await browser.follow(started.url), typed))
}

const sessionCookie = (server: FlowServer, browser: Browser): string | undefined =>
  browser.cookies(server.issuer).get('dex_session')

const silent = (server: FlowServer, browser: Browser, request: AuthRequest = {}) =>
  browser.follow(startLogin(server, { ...request, params: { prompt: 'none', ...request.params } }).url)

const errorAt = async (...args: Parameters<typeof silent>) => answerAt(await silent(...args)).error

describe('single sign-on', () => {
  it('asks for a password once, and tells the clients of one session', async () => {
    await using server = await startServer({ ...passwords, sessions: {} })
    const browser = openBrowser()
    const first = claimsOf(tokensOf(await server.redeem(await typePassword(server, browser))).id_token)
    const second = (await logIn(server, { browser })).claims
    assert.equal(typeof first.sid, 'string')
    assert.deepEqual([second.sid, second.auth_time, second.sub], [first.sid, first.auth_time, first.sub])
    assert.equal(await errorAt(server, openBrowser()), 'login_required', 'another browser has no session')
  })

  it('needs the block: without it every login asks, and no cookie stays', async () => {
    await using server = await startServer(passwords)
    const browser = openBrowser()
    const claims = claimsOf(tokensOf(await server.redeem(await typePassword(server, browser))).id_token)
    assert.equal(claims.sid, undefined)
    assert.equal(sessionCookie(server, browser), undefined)
    assert.equal(await errorAt(server, browser), 'login_required')
  })

  it('is for the client that the person logged in for, unless it shares', async () => {
    await using server = await startServer({ ...passwords, sessions: {} })
    const browser = openBrowser()
    await typePassword(server, browser, { client: web })
    assert.equal(await errorAt(server, browser, { client: peer }), 'login_required')
    await using sharing = await startServer({ ...passwords, ...shared })
    await typePassword(sharing, browser, { client: web })
    assert.ok(answerAt(await silent(sharing, browser, { client: peer })).code)
  })

  for (const [what, params] of [
    ['prompt=login', { prompt: 'login' }],
    ['prompt=select_account', { prompt: 'select_account' }],
    ['max_age=0', { max_age: '0' }],
  ] as const) {
    it(`asks again with ${what}, and keeps the session of the same person with a new secret`, async () => {
      await using server = await startServer({ ...passwords, sessions: {} })
      const browser = openBrowser()
      const before = claimsOf(tokensOf(await server.redeem(await typePassword(server, browser))).id_token)
      const cookie = sessionCookie(server, browser)
      const again = await typePassword(server, browser, { params })
      const after = claimsOf(tokensOf(await server.redeem(again)).id_token)
      assert.equal(after.sid, before.sid)
      assert.notDeepEqual(sessionCookie(server, browser), cookie)
    })
  }

  it('asks again when the login is older than max_age, and auth_time belongs to the session, not to the person', async () => {
    using clock = stopClock()
    await using server = await startServer({ ...passwords, sessions: {} })
    const [one, two] = [openBrowser(), openBrowser()]
    const old = claimsOf(tokensOf(await server.redeem(await typePassword(server, one))).id_token)
    clock.advance(100)
    await typePassword(server, two)
    assert.equal(await errorAt(server, one, { params: { max_age: '50' } }), 'login_required')
    assert.ok(answerAt(await silent(server, two, { params: { max_age: '50' } })).code)
    const { claims } = await logIn(server, { browser: one, params: { max_age: '1000' } })
    assert.equal(claims.auth_time, old.auth_time)
  })

  it('believes an id_token_hint only of the person who is there', async () => {
    await using server = await startServer({ ...passwords, sessions: {} })
    const [one, two] = [openBrowser(), openBrowser()]
    const tokens = tokensOf(await server.redeem(await typePassword(server, one)))
    await typePassword(server, two, { who: 'john' })
    const hint = { params: { id_token_hint: tokens.id_token } }
    assert.ok(answerAt(await silent(server, one, hint)).code)
    assert.equal(await errorAt(server, two, hint), 'login_required')
  })

  it('ends when it is not used, and after its whole life', async () => {
    using clock = stopClock()
    await using server = await startServer({
      ...passwords,
      sessions: { absoluteLifetime: '2h', validIfNotUsedFor: '1h' },
    })
    const browser = openBrowser()
    await typePassword(server, browser)
    clock.advance(50 * 60)
    assert.ok(answerAt(await silent(server, browser)).code, 'a use within the hour')
    clock.advance(50 * 60)
    assert.ok(answerAt(await silent(server, browser)).code, 'which keeps it')
    clock.advance(25 * 60)
    assert.equal(await errorAt(server, browser), 'login_required', 'but not beyond its life')
    await typePassword(server, browser)
    clock.advance(61 * 60)
    assert.equal(await errorAt(server, browser), 'login_required', 'nor unused')
    assert.equal(sessionCookie(server, browser), undefined, 'and the cookie is taken away')
  })

  it('gives way to the session of somebody else in the same browser', async () => {
    await using server = await startServer({ ...passwords, sessions: {} })
    const browser = openBrowser()
    const jane = claimsOf(tokensOf(await server.redeem(await typePassword(server, browser))).id_token)
    const john = claimsOf(
      tokensOf(await server.redeem(await typePassword(server, browser, { who: 'john', params: { prompt: 'login' } })))
        .id_token,
    )
    assert.notEqual(john.sid, jane.sid)
    assert.equal(await server.driver.get('session', String(jane.sid)), undefined)
    assert.equal((await logIn(server, { browser })).claims.sub, john.sub)
  })

  it('lets many requests of one browser in at once', async () => {
    await using server = await startServer({ ...passwords, ...shared })
    const browser = openBrowser()
    await typePassword(server, browser, { client: web })
    const arrivals = await Promise.all(
      Array.from({ length: 20 }, (_, index) => authorize(server, { browser, client: [web, peer, cli][index % 3]! })),
    )
    const answers = await Promise.all(arrivals.map((arrival) => server.redeem(arrival)))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  })

  it('is not used for a client that wants more of the upstream than it was asked for', async () => {
    await using server = await startServer({ connectors: [corp('sessions-asking')], ...shared })
    const browser = openBrowser()
    await logIn(server, { browser, scope: 'openid' })
    assert.equal(await errorAt(server, browser, { scope: 'openid groups' }), 'login_required')
    assert.deepEqual((await logIn(server, { browser, scope: 'openid groups' })).claims.groups, ['staff'])
    assert.ok(answerAt(await silent(server, browser, { scope: 'openid groups' })).code)
  })

  it('ends when the upstream says no at a refresh, so that nobody gets in by it any more', async () => {
    const corporation = upstream('sessions-refused')
    await using server = await startServer({ connectors: [corp('sessions-refused')], ...shared })
    const browser = openBrowser()
    const { tokens } = await logIn(server, { browser, scope: 'openid offline_access' })
    assert.ok(answerAt(await silent(server, browser, { scope: 'openid' })).code)
    corporation.refresh = () => {
      throw failure('identity_gone', 'suspended')
    }
    assert.equal((await server.refresh(tokens.refresh_token!)).json().error, 'invalid_grant')
    assert.equal(await errorAt(server, browser, { scope: 'openid' }), 'login_required')
  })

  it('has the refresh tokens of one session share what the upstream gave, which the upstream rotates', async () => {
    const corporation = upstream('sessions-rotating')
    let token = 0
    corporation.finish = () => ({ ...corporation.person, connectorData: { token: String(token) } })
    corporation.refresh = (identity) => {
      // An upstream that takes an old token for a thief's.
      assert.deepEqual(identity.connectorData, { token: String(token) })
      token += 1
      return { ...corporation.person, connectorData: { token: String(token) } }
    }
    await using server = await startServer({ connectors: [corp('sessions-rotating')], ...shared })
    const browser = openBrowser()
    const scope = 'openid offline_access'
    const first = await logIn(server, { browser, scope })
    const second = await logIn(server, { browser, scope, client: peer })
    assert.equal(second.claims.sid, first.claims.sid)
    for (const { tokens, client } of [first, second]) {
      const answer = await server.refresh(tokens.refresh_token!, client)
      assert.equal(answer.status, 200, answer.text)
    }
  })
})
