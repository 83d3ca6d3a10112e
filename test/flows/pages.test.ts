import assert from 'node:assert/strict'
import { type Browser, type BrowserAnswer, openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  claimsOf,
  corp,
  type FlowServer,
  passwordHash,
  startLogin,
  startServer,
  tokensOf,
} from './server.ts'

const wrong = { login: 'jane@example.com', password: 'wrong' }
const right = { login: 'jane@example.com', password: 'password' }

const titleOf = ({ text }: BrowserAnswer): string => /<h1[^>]*>\s*([^<]*?)\s*</.exec(text)?.[1] ?? ''

/** The link to a connector on the page of choice. */
const choose = (browser: Browser, page: BrowserAnswer, id: string): Promise<BrowserAnswer> => {
  const link = page.page().links.find(({ href }) => new RegExp(`/auth/${id}[?]`).test(href))
  assert.ok(link, `no link to ${id}: ${JSON.stringify(page.page().links)}`)
  return browser.follow(new URL(link.href, page.url).href)
}

describe('pages of a login', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({
      enablePasswordDB: true,
      connectors: [
        corp('pages'),
        { type: 'mockPassword', id: 'typed', name: 'Typed', config: { username: 'kilgore', password: 'trout' } },
      ],
      staticPasswords: [
        { email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane', groups: ['staff'] },
      ],
    })
  })
  after(() => server[Symbol.asyncDispose]())

  it('begin with a choice where there is one, which can be gone back to', async () => {
    const started = startLogin(server)
    const browser = openBrowser()
    const choice = await browser.follow(started.url)
    assert.equal(choice.status, 200)
    assert.deepEqual(
      choice.page().links.map(({ text }) => text),
      ['Log in with Corp', 'Log in with Email', 'Log in with Typed'],
    )
    assert.equal(browser.cookies(server.url('/')).size, 0, 'nothing is kept before a person has chosen')
    const form = await choose(browser, choice, 'local')
    assert.ok(form.page().forms[0]?.inputs.some(({ type }) => type === 'password'))
    const back = form.page().links.find(({ href }) => href.includes('/auth?'))
    assert.ok(back, 'a way back to the choice')
    const again = await browser.follow(new URL(back.href, form.url).href)
    const arrived = arrive(started, await choose(browser, again, 'corp'))
    assert.equal(claimsOf(tokensOf(await server.redeem(arrived)).id_token).preferred_username, 'jane')
  })

  it('skip the choice when the client names a connector', async () => {
    for (const url of [
      startLogin(server, { connector: 'local' }).url,
      startLogin(server).url.replace('/auth?', '/auth/local?'),
    ]) {
      const answer = await openBrowser().follow(url)
      assert.ok(answer.page().forms[0]?.inputs.some(({ type }) => type === 'password'))
    }
    assert.equal((await openBrowser().follow(startLogin(server, { connector: 'nowhere' }).url)).status, 400)
  })

  it('say 401 to a wrong password, keep the name, and go on with the right one', async () => {
    const started = startLogin(server, { connector: 'local' })
    const browser = openBrowser()
    const form = await browser.follow(started.url)
    const refused = await browser.submit(form, wrong)
    assert.equal(refused.status, 401)
    const name = refused.page().forms[0]?.inputs.find((input) => input.name === 'login')
    assert.equal(name?.value, wrong.login)
    assert.doesNotMatch(refused.text, /value="wrong"/)
    const done = await browser.submit(refused, right)
    const { id_token: token } = tokensOf(await server.redeem(arrive(started, done)))
    assert.deepEqual(claimsOf(token).groups, ['staff'])
    assert.equal(browser.cookies(server.url('/')).size, 0)
  })

  it('say the same for a name that nobody has', async () => {
    const answers = []
    for (const login of ['jane@example.com', 'nobody@example.com']) {
      const browser = openBrowser()
      const form = await browser.follow(startLogin(server, { connector: 'local' }).url)
      const answer = await browser.submit(form, { login, password: 'wrong' })
      answers.push(`${answer.status} ${answer.page().text}`.replaceAll(login, 'NAME'))
    }
    assert.equal(answers[0], answers[1])
  })

  it('let the mock password connector in', async () => {
    const started = startLogin(server, { connector: 'typed' })
    const browser = openBrowser()
    const done = await browser.submit(await browser.follow(started.url), { login: 'kilgore', password: 'trout' })
    const { id_token: token } = tokensOf(await server.redeem(arrive(started, done)))
    assert.equal(claimsOf(token).email, 'kilgore@kilgore.trout')
  })

  it('say 429 and when to try again after too many wrong passwords for one name', async () => {
    const browser = openBrowser()
    let page = await browser.follow(startLogin(server, { connector: 'typed' }).url)
    for (let i = 0; i < 10; i++) page = await browser.submit(page, { login: 'victim', password: String(i) })
    assert.equal(page.status, 401)
    const limited = await browser.submit(page, { login: 'victim', password: 'once more' })
    assert.equal(limited.status, 429)
    assert.ok(Number(limited.headers.get('retry-after')) > 0)
    assert.match(limited.page().text, /Too many tries/)
    const other = await browser.submit(limited, { login: 'kilgore', password: 'trout' })
    assert.ok(answerAt(other).code)
  })

  it('refuse a password form that another site sent', async () => {
    const browser = openBrowser()
    const form = await browser.follow(startLogin(server, { connector: 'local' }).url)
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      const action = new URL(form.page().forms[0]!.action, form.url).href
      const answer = await browser.request(action, { form: right, headers: headers as Record<string, string> })
      assert.equal(answer.status, 403)
    }
  })

  it('say so when a login is over, or belongs to another browser', async () => {
    const browser = openBrowser()
    const form = await browser.follow(startLogin(server, { connector: 'local' }).url)
    const action = new URL(form.page().forms[0]!.action, form.url).href
    assert.equal((await openBrowser().request(action, { form: right })).status, 400)
    await browser.request(action, { form: right })
    const over = await browser.request(action, { form: right })
    assert.equal(over.status, 400)
    assert.match(titleOf(over), /no login/i)
  })

  it('carry a strict policy, and are kept by no cache', async () => {
    const { headers } = await openBrowser().follow(startLogin(server, { connector: 'local' }).url)
    assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/)
    assert.equal(headers.get('x-frame-options'), 'DENY')
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.match(headers.get('referrer-policy') ?? '', /^(no-referrer|same-origin)$/)
  })
})

describe('the choice of connectors', () => {
  it('is shown even for one connector when the operator wants it', async () => {
    await using server = await startServer({ oauth2: { skipApprovalScreen: true, alwaysShowLoginScreen: true } })
    const started = startLogin(server)
    const browser = openBrowser()
    const choice = await browser.follow(started.url)
    assert.equal(choice.status, 200)
    arrive(started, await choose(browser, choice, 'mock'))
  })

  it('offers a client only the connectors that it may use', async () => {
    await using server = await startServer({
      connectors: ['a', 'b', 'c'].map((id) => ({ type: 'mockCallback', id, name: id.toUpperCase() })),
      staticClients: [
        {
          id: 'web',
          secret: 'web-secret',
          name: 'Web',
          redirectURIs: [startLogin({ url: (path) => path }).redirectUri],
          allowedConnectors: ['a', 'b'],
        },
      ],
    })
    const choice = await openBrowser().follow(startLogin(server).url)
    assert.deepEqual(
      choice
        .page()
        .links.map(({ href }) => /\/auth\/(\w+)\?/.exec(href)?.[1])
        .filter(Boolean),
      ['a', 'b'],
    )
    assert.equal((await openBrowser().follow(startLogin(server).url.replace('/auth?', '/auth/c?'))).status, 403)
  })
})

describe('the approval page', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ oauth2: { skipApprovalScreen: false }, connectors: [corp('approval')] })
  })
  after(() => server[Symbol.asyncDispose]())

  it('says who asks for what, and leads to the client when the person approves', async () => {
    const started = startLogin(server, { scope: 'openid email groups offline_access' })
    const browser = openBrowser()
    const page = await browser.follow(started.url)
    assert.match(page.page().text, /Web/)
    assert.match(page.page().text, /jane@example\.com/)
    const tokens = tokensOf(await server.redeem(arrive(started, await browser.decide(page, true))))
    assert.ok(tokens.refresh_token)
    assert.equal(server.audited().filter(({ type }) => type === 'approval_given').length, 1)
  })

  it('leads to the client with `access_denied` when the person refuses', async () => {
    const started = startLogin(server)
    const browser = openBrowser()
    const answer = answerAt(await browser.decide(await browser.follow(started.url), false))
    assert.equal(answer.error, 'access_denied')
    assert.equal(answer.state, started.state)
    assert.equal(answer.iss, server.issuer)
    assert.equal(browser.cookies(server.url('/')).size, 0)
    assert.ok(server.audited().some(({ type }) => type === 'approval_refused'))
  })

  it('is good in the browser of the login only, and once', async () => {
    const started = startLogin(server)
    const browser = openBrowser()
    const page = await browser.follow(started.url)
    const stranger = openBrowser()
    assert.equal((await stranger.request(page.url)).status, 400)
    assert.equal((await stranger.decide(page, true)).status, 400)
    const cookies = browser.cookies(page.url)
    arrive(started, await browser.decide(page, true))
    assert.equal((await browser.decide(page, true)).status, 400)
    // Even with the cookie that the browser has thrown away.
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
    const twice = await stranger.request(server.url('/approval'), { form, headers })
    assert.equal(twice.location, undefined)
    assert.equal(twice.status, 403)
  })

  it('refuses an answer that another site sent', async () => {
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
    const answer = await browser.request(server.url('/approval'), { form, headers: { origin: 'https://evil.example' } })
    assert.equal(answer.status, 403)
  })

  it('is shown to a client that asks for it although the operator has switched it off', async () => {
    await using skipping = await startServer({ connectors: [corp('approval')] })
    for (const params of [{ prompt: 'consent' }, { prompt: 'login consent' }, { approval_prompt: 'force' }]) {
      const started = startLogin(skipping, { params })
      const browser = openBrowser()
      const page = await browser.follow(started.url)
      assert.equal(new URL(page.url).pathname, '/dex/approval')
      arrive(started, await browser.decide(page, true))
    }
  })
})
