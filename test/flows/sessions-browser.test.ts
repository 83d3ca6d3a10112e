/** What people do with browsers while they log in: each ends in a useful page, or simply works. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { browserFor } from '../chromium.ts'
import { selfSigned } from '../server/certificate.ts'
import {
  type Client,
  type FlowServer,
  passwordHash,
  type StartOptions,
  startLogin,
  startServer,
  stopClock,
} from './server.ts'

describe('sessions in a browser', function () {
  this.timeout(120_000)
  let application: Server
  let client: Client
  let browser: Browser

  before(async function () {
    browser = await browserFor(this)
    application = createServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html')
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Application</title>')
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const { port } = application.address() as AddressInfo
    client = { id: 'app', secret: 'app-secret', redirectUri: `http://127.0.0.1:${port}/callback` }
  })
  after(async () => {
    await browser?.close()
    application?.close()
  })

  const people = ['jane', 'john'].map((name) => ({
    email: `${name}@example.com`,
    hash: passwordHash,
    username: name,
    userID: name,
  }))
  const open = (more: Record<string, unknown> = {}, options: StartOptions = {}): Promise<FlowServer> =>
    startServer(
      {
        sessions: {},
        connectors: [],
        enablePasswordDB: true,
        staticPasswords: people,
        staticClients: [{ id: client.id, secret: client.secret, name: 'Kargo', redirectURIs: [client.redirectUri] }],
        ...more,
      },
      options,
    )

  async function inBrowser(visit: (page: Page, context: BrowserContext) => Promise<void>) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    try {
      await visit(await context.newPage(), context)
    } finally {
      await context.close()
    }
  }
  const ask = (page: Page, server: FlowServer, params: Record<string, string> = {}) =>
    page.goto(startLogin(server, { client, params }).url)
  async function fill(page: Page, name = 'jane') {
    await page.fill('#login', `${name}@example.com`)
    await page.fill('#password', 'password')
  }
  const submit = (page: Page) => page.click('#submit-login')
  /** Arrived with a code. */
  async function arrived(page: Page): Promise<string> {
    await page.waitForURL(`${client.redirectUri}*`)
    const code = new URL(page.url()).searchParams.get('code')
    assert.ok(code, page.url())
    return code
  }
  async function logIn(page: Page, server: FlowServer, name = 'jane') {
    await ask(page, server)
    await fill(page, name)
    await submit(page)
    return arrived(page)
  }
  const session = async (context: BrowserContext) =>
    (await context.cookies()).find(({ name }) => name.endsWith('dex_session'))

  it('session fixation: a cookie that was planted is nobody’s session after the login', async () => {
    await using server = await open()
    await inBrowser(async (attacker, theirs) => {
      await logIn(attacker, server, 'john')
      const planted = (await session(theirs))!
      await inBrowser(async (page, context) => {
        await context.addCookies([planted])
        await ask(page, server, { prompt: 'login' })
        await fill(page)
        await submit(page)
        await arrived(page)
        assert.notEqual((await session(context))!.value, planted.value)
        await page.goto(server.issuer)
        assert.match(await page.content(), /jane@example\.com/)
      })
      await attacker.goto(server.issuer)
      assert.doesNotMatch(await attacker.content(), /jane@example\.com/)
    })
  })

  it('the cookie is for the server alone: below its path, out of reach of scripts and of other sites’ forms', async () => {
    await using server = await open()
    await inBrowser(async (page, context) => {
      await logIn(page, server)
      const { name, path, httpOnly, sameSite } = (await session(context))!
      assert.deepEqual([name, path, httpOnly, sameSite], ['dex_session', '/dex', true, 'Lax'])
      await page.goto(server.issuer)
      assert.equal(await page.evaluate('document.cookie'), '')
    })
  })

  for (const [path, wanted] of [
    ['', '__Host-dex_session'],
    ['/dex', '__Secure-dex_session'],
  ] as const) {
    it(`over https its name has the prefix that browsers guard: ${wanted}`, async () => {
      const { key, cert } = selfSigned('proxy')
      let target = 0
      // Ends TLS as a proxy does.
      const proxy = createTlsServer({ key, cert })
      proxy.removeAllListeners('secureConnection')
      proxy.on('secureConnection', (socket) => {
        const onward = connect(target, '127.0.0.1')
        socket.pipe(onward).pipe(socket)
        for (const each of [socket, onward]) each.on('error', () => each.destroy())
      })
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
      const origin = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`
      await using server = await open({ issuer: `${origin}${path}` }, { path })
      target = Number(new URL(server.origin).port)
      try {
        await inBrowser(async (page, context) => {
          const url = startLogin(server, { client }).url.replace(server.origin, origin)
          await page.goto(url)
          await fill(page)
          await submit(page)
          await arrived(page)
          const cookie = (await session(context))!
          assert.deepEqual([cookie.name, cookie.secure, cookie.path], [wanted, true, path || '/'])
          await page.goto(url)
          await arrived(page)
        })
      } finally {
        proxy.close()
      }
    })
  }

  it('the key that encrypts the cookie changes: the old one still opens, and without it the person logs in again', async () => {
    const [old, fresh] = ['0123456789abcdef', 'fedcba9876543210']
    const first = await open({ sessions: { cookieEncryptionKey: old } }, { store: 'lowdb' })
    await inBrowser(async (page) => {
      await logIn(page, first)
      await first.close()
      const both = { cookieEncryptionKey: fresh, formerCookieEncryptionKeys: [old] }
      const second = await open({ sessions: both }, { store: 'lowdb', instead: first })
      await ask(page, second)
      await arrived(page)
      await second.close()
      await using third = await open(
        { sessions: { cookieEncryptionKey: 'another key of 16'.slice(0, 16) } },
        { store: 'lowdb', instead: second },
      )
      await ask(page, third)
      await fill(page)
      await submit(page)
      await arrived(page)
    })
  })

  it('two tabs: both logins end at the application', async () => {
    await using server = await open()
    await inBrowser(async (one, context) => {
      const two = await context.newPage()
      await ask(one, server)
      await ask(two, server)
      for (const page of [one, two]) {
        await fill(page)
        await submit(page)
        await arrived(page)
      }
      await ask(one, server)
      await arrived(one)
    })
  })

  it('the back button: the form of a login that is over says so, and a fresh login works', async () => {
    await using server = await open()
    await inBrowser(async (page) => {
      await logIn(page, server)
      await page.goBack()
      if ((await page.locator('#login').count()) > 0) {
        await fill(page)
        await submit(page)
      }
      await page.waitForLoadState()
      assert.match(await page.content(), /There is no login to continue|This login is finished|Application/)
      await ask(page, server)
      await arrived(page)
    })
  })

  it('a double submit gives one code, and no error page', async () => {
    await using server = await open()
    await inBrowser(async (page) => {
      await ask(page, server)
      await fill(page)
      await page.locator('#submit-login').dblclick({ noWaitAfter: true })
      const code = await arrived(page)
      const { status } = await server.redeem(
        { ...startLogin(server, { client }), code, location: '' },
        { code_verifier: '' },
      )
      assert.ok([200, 400].includes(status))
      assert.equal((await server.driver.count('code')).live, 1)
    })
  })

  it('a stale form ends on a page with a next step', async () => {
    using clock = stopClock()
    await using server = await open({ expiry: { authRequests: '5m' } })
    await inBrowser(async (page) => {
      await ask(page, server)
      await fill(page)
      clock.advance(6 * 60)
      await submit(page)
      await page.getByRole('heading', { name: 'There is no login to continue' }).waitFor()
      assert.match(await page.content(), /Go back to the application/)
    })
  })

  it('a lost cookie ends on a page with a next step, and a lost session asks again', async () => {
    await using server = await open()
    await inBrowser(async (page, context) => {
      await ask(page, server)
      await fill(page)
      await context.clearCookies()
      await submit(page)
      await page.getByRole('heading', { name: 'There is no login to continue' }).waitFor()
      await logIn(page, server)
      await context.clearCookies()
      await logIn(page, server)
    })
  })
})
