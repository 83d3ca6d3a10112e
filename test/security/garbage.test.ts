/** Lessons, rows 14 and 50: whatever is sent, to any route by any method, is answered soon, without a failure of ours. */
import assert from 'node:assert/strict'
import { routes } from '../../src/server/routes.ts'
import { openBrowser } from '../flows/browser.ts'
import { type FlowServer, logIn, passwordHash, startLogin, startServer } from '../flows/server.ts'
import { startOidcUpstream } from '../upstreams/oidc.ts'
import { startOkta } from '../upstreams/okta.ts'
import { cookieHeader, oidcConnector } from './attack.ts'
import { contents, grants, headers, lines, logoutTokens, messages, methods, queries } from './garbage.ts'
import { assertPageHeaders } from './markup.ts'
import { type RawAnswer, type RawRequest, rawRequest, sendRaw } from './raw.ts'

/** Below the issuer: those of the table, those in front of it, and one that is not there. */
const paths = [
  ...new Set(routes.map(({ path }) => path)),
  ...['/.well-known/openid-configuration', '/keys', '/static/countersign.css', '/nothing', '/auth/', '//', '/auth/%zz'],
]
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const connectors = [
  { type: 'mockCallback', id: 'mock', name: 'Mock' },
  { type: 'mockPassword', id: 'pw', name: 'Password', config: { username: 'u', password: 'p' } },
]
/** Names of modules, of functions and of places in them. */
const trace = /node_modules|node:internal|file:\/\/|\bat \w+.*:\d+:\d+|(Type|Range|Syntax|Reference)Error|ERR_[A-Z]/

for (const path of ['/dex', '']) {
  describe(`garbage at an issuer with the path "${path}"`, function () {
    this.timeout(60_000)

    let server: FlowServer
    before(async () => {
      const staticPasswords = [{ email: 'jane', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }]
      const web = { http: '127.0.0.1:0', allowedOrigins: ['https://app.example.com'] }
      const oauth2 = {
        skipApprovalScreen: true,
        passwordConnector: 'pw',
        responseTypes: ['code', 'id_token', 'token'],
        grantTypes: [
          'authorization_code',
          'refresh_token',
          deviceGrant,
          exchangeGrant,
          'password',
          'client_credentials',
        ],
      }
      server = await startServer({ connectors, enablePasswordDB: true, staticPasswords, web, oauth2 }, { path })
    })
    after(() => server[Symbol.asyncDispose]())
    afterEach(async () => {
      assert.equal((await server.request(server.url('/healthz'))).text, 'Health check passed')
      const failed = server
        .logged()
        .split('\n')
        .filter((line) => line.includes('"level":"ERROR"'))
      assert.deepEqual(failed, [])
    })

    const show = ({ method, target, headers: sent = [], body }: RawRequest) =>
      JSON.stringify({ method, target, sent, body: body?.toString('latin1') }).slice(0, 400)

    function judge(what: string, { status, head, body, milliseconds }: RawAnswer, mayClose = false): void {
      assert.ok(status < 500, `${status} for ${what}\n${head}\n${body}`)
      assert.ok(status >= 200 || (mayClose && status === 0), `connection closed for ${what}`)
      assert.doesNotMatch(`${head}${body}`, trace, what)
      assert.ok(milliseconds < 10_000, `${milliseconds} ms for ${what}`)
      const found = new Headers(
        head
          .split('\r\n')
          .slice(1)
          .map(
            (line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as [string, string],
          )
          .filter(([name]) => /^(content|x-|referrer|cache)/i.test(name)),
      )
      if (found.get('content-type')?.startsWith('text/html')) assertPageHeaders(found, what)
      else if (found.has('content-type')) assert.equal(found.get('x-content-type-options'), 'nosniff', what)
    }

    /** Several at once, since nothing of it depends on each other. */
    async function send(requests: RawRequest[], mayClose?: (request: RawRequest) => boolean): Promise<void> {
      for (let at = 0; at < requests.length; at += 16) {
        const some = requests.slice(at, at + 16)
        const answers = await Promise.all(some.map((request) => sendRaw(server.origin, rawRequest(request))))
        for (const [each, answer] of answers.entries()) judge(show(some[each]!), answer, mayClose?.(some[each]!))
      }
    }
    const targets = paths.flatMap((below) =>
      (below.includes(':connector') ? ['mock', 'pw', 'local', '__proto__', '%00'] : ['']).map(
        (id) => `${path}${below.replace(':connector', id)}`,
      ),
    )
    const methodsOf = (target: string): string[] => {
      const below = target.slice(path.length)
      const found = routes.filter((route) => new RegExp(`^${route.path.replace(':connector', '[^/]+')}$`).test(below))
      return found.length > 0 ? found.map(({ method }) => method) : ['GET', 'POST']
    }

    it('every method', async () => {
      const all = targets.flatMap((target) => methods.map((method) => ({ method, target })))
      // What Node takes for no method at all, or for a tunnel, ends the connection.
      await send(all, ({ method }) => method === 'CONNECT')
    })

    it('what is hardly HTTP', async () => {
      for (const line of lines) {
        const bytes = Buffer.from(line.replaceAll('@', path), 'latin1')
        const answer = await sendRaw(server.origin, Buffer.concat([bytes, Buffer.from('GET / HTTP/1.0\r\n\r\n')]))
        judge(JSON.stringify(line), answer, true)
        assert.doesNotMatch(answer.body, /devDependencies|root:/)
        assert.doesNotMatch(answer.head, /^location: (https?:)?[/\\]{2}(evil|127)/im)
      }
    })
    // The rest does not depend on the path.
    if (path === '') return

    it('row 14: every query, parameters twice among them', async () => {
      await send(
        targets.flatMap((target) =>
          methodsOf(target).flatMap((method) => queries.map((query) => ({ method, target: target + query }))),
        ),
      )
    })

    it('row 14: every body, type and length', async () => {
      await send(targets.flatMap((target) => contents.map((content) => ({ method: 'POST', target, ...content }))))
    })

    it('every header', async () => {
      await send(
        targets.flatMap((target) =>
          methodsOf(target).flatMap((method) =>
            headers.map((header) => ({ method, target: `${target}?state=x`, headers: [header] })),
          ),
        ),
      )
    })

    it('with the cookie of a login, and with the credentials of a client', async () => {
      const browser = openBrowser()
      const page = await browser.follow(startLogin(server, { connector: 'pw' }).url)
      const cookie = ['Cookie', cookieHeader(browser, server.issuer)] as const
      const basic = ['Authorization', `Basic ${Buffer.from('web:web-secret').toString('base64')}`] as const
      const { pathname, search } = new URL(page.url)
      const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
      const bodies = contents.map(({ headers: own = [], body }) => ({ own, body: body! }))
      const requests: RawRequest[] = [
        ...bodies.map(({ own, body }) => ({ target: `${pathname}${search}`, headers: [cookie, ...own], body })),
        ...['/token', '/token/introspect', '/token/revoke', '/device/code'].flatMap((below) => [
          ...bodies.map(({ own, body }) => ({ target: path + below, headers: [basic, ...own], body })),
          ...grants.map((body) => ({ target: path + below, headers: [basic, form], body })),
        ]),
      ].map((request) => ({ method: 'POST', ...request }))
      await send([...requests, ...queries.map((query) => ({ target: `${path}/callback${query}`, headers: [cookie] }))])
    })

    it('row 14: what upstreams would send, almost, with their secrets and without', async () => {
      const [up, okta] = [await startOidcUpstream(), await startOkta()]
      const secret = 'secret of the hook'
      const config = { domain: okta.url, clientID: okta.clientId, eventHookSecret: secret }
      const takers = [oidcConnector(up), { type: 'okta', id: 'okta', name: 'Okta', config }]
      const whole = server
      server = await startServer({ connectors: takers, sessions: {} }, { path })
      try {
        const url = server.url('/logout/upstream/okta')
        const bearer = async () => `Bearer ${await okta.revocationToken(url)}`
        for (const id of ['corp', 'okta']) {
          const target = `${path}/logout/upstream/${id}`
          const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const
          const json = ['Content-Type', 'application/json'] as const
          await send([
            ...logoutTokens.map((token) => ({
              method: 'POST',
              target,
              headers: [form],
              body: Buffer.from(new URLSearchParams({ logout_token: token }).toString()),
            })),
            ...(await Promise.all(
              messages.flatMap((message) =>
                [async () => secret, bearer, async () => 'wrong'].map(async (authorization) => ({
                  method: 'POST',
                  target,
                  headers: [json, ['Authorization', await authorization()] as const],
                  body: Buffer.from(message),
                })),
              ),
            )),
            ...contents.map((content) => ({ method: 'POST', target, ...content })),
            ...headers.map((header) => ({ method: 'GET', target, headers: [header] })),
          ])
        }
        await server.services.background.close()
        assert.doesNotMatch(server.logged(), /"level":"ERROR"/)
      } finally {
        await server[Symbol.asyncDispose]()
        server = whole
        await Promise.all([up.close(), okta.close()])
      }
    })

    it('and a login goes on as ever', async () => {
      await logIn(server, { connector: 'mock' })
    })
  })
}
