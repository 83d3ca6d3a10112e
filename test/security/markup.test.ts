/** Lessons, row 24: no name and no parameter becomes markup, and the policy of every page would stop it. */
import assert from 'node:assert/strict'
import { routes } from '../../src/server/routes.ts'
import { type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import {
  type Client,
  corp,
  device,
  type FlowServer,
  passwordHash,
  startLogin,
  startServer,
  web,
} from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'
import { parameters } from './garbage.ts'
import { assertMarkup, assertPageHeaders, payloads } from './markup.ts'

function check(answer: BrowserAnswer, status: number, payload?: string, targets?: string[]): BrowserAnswer {
  const what = `${answer.url}: ${answer.status}`
  assert.equal(answer.status, status, `${what} ${answer.text}`)
  assertPageHeaders(answer.headers, what, targets)
  assertMarkup(answer)
  if (payload !== undefined) assert.ok(answer.page().text.length > 0 && answer.text.includes(escaped(payload)), what)
  return answer
}

/** As the template engine writes it. */
const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')

for (const payload of payloads) {
  describe(`markup: ${payload}`, () => {
    const native: Client = { id: 'native', redirectUri: 'com.example.app:/cb' }
    let server: FlowServer
    before(async () => {
      const corpName = `markup ${payload}`
      upstream(corpName).person = {
        ...jane(),
        username: payload,
        preferredUsername: payload,
        email: `${payload}@example.com`,
        groups: [payload],
      }
      server = await startServer({
        frontend: { issuer: payload, extra: { x: payload } },
        oauth2: { skipApprovalScreen: false },
        connectors: [
          corp(corpName, {}, { name: payload }),
          corp('markup refusal', {}, { id: 'no', name: 'No' }),
          corp('markup post', { leavesBy: 'post', at: 'https://idp.example.com/sso' }, { id: 'post', name: 'Post' }),
        ],
        enablePasswordDB: true,
        staticPasswords: [{ email: 'jane', hash: passwordHash, username: payload, userID: payload }],
        staticClients: [
          { id: web.id, secret: web.secret, name: payload, redirectURIs: [web.redirectUri] },
          { id: 'cli', name: 'cli', public: true },
          { id: 'native', name: payload, public: true, redirectURIs: [native.redirectUri] },
          { id: device.id, name: payload, public: true, redirectURIs: ['/device/callback'] },
        ],
      })
      upstream('markup refusal').finish = () => {
        const details = { safe: payload, link: new URL('https://idp.example.com/help') }
        throw Object.assign(new Error(payload), { code: 'not_in_required_groups', details })
      }
    })
    after(() => server[Symbol.asyncDispose]())

    it('home and choice', async () => {
      check(await server.request(server.url('/')), 200, payload)
      check(await server.request(startLogin(server).url), 200, payload)
    })

    it('the password form, with what was typed', async () => {
      const browser = openBrowser()
      const page = await browser.follow(startLogin(server, { connector: 'local' }).url)
      check(page, 200, undefined, [new URL(web.redirectUri).origin])
      check(await browser.submit(page, { login: payload, password: payload }), 401, payload)
    })

    it('approval, and the form back to the client', async () => {
      for (const [client, target] of [
        [web, new URL(web.redirectUri).origin],
        [native, 'com.example.app:'],
      ] as const) {
        const browser = openBrowser()
        const params = { state: payload, response_mode: 'form_post' }
        const page = await browser.follow(startLogin(server, { client, connector: 'corp', params }).url)
        check(page, 200, payload, [target])
        check(await browser.decide(page, true), 200, payload, [target])
        const refused = startLogin(server, { client, params: { ...params, prompt: 'none' } })
        check(await browser.request(refused.url), 200, payload, [target])
      }
    })

    it('the form to the upstream, and the page of a refusal', async () => {
      const leaving = await openBrowser().follow(startLogin(server, { connector: 'post' }).url)
      check(leaving, 200, undefined, ['https://idp.example.com'])
      const refused = await openBrowser().follow(
        startLogin(server, { connector: 'no', params: { state: payload } }).url,
      )
      check(refused, 403, payload)
    })

    it('the pages for devices', async () => {
      const browser = openBrowser()
      const query = new URLSearchParams({ user_code: payload })
      const form = check(await browser.request(server.url(`/device?${query}`)), 200, payload.slice(0, 32))
      check(await browser.submit(form, { user_code: payload }), 400, payload.slice(0, 32))
      for (const approve of [true, false]) {
        const { user_code } = (await server.post('/device/code', { scope: 'openid' }, device)).json()
        const choice = check(await browser.submit(form, { user_code: String(user_code) }), 200, payload)
        const link = choice.page().links.find(({ href }) => href.includes('/corp'))!
        const page = check(await browser.follow(new URL(link.href, choice.url).href), 200, payload)
        check(await browser.decide(page, approve), 200, payload)
      }
    })

    it('the page of a code to copy', async () => {
      const browser = openBrowser()
      const client: Client = { id: 'cli', redirectUri: 'urn:ietf:wg:oauth:2.0:oob' }
      const page = await browser.follow(startLogin(server, { client, connector: 'corp' }).url)
      check(await browser.decide(page, true), 200)
    })

    it('every parameter of every route', async () => {
      for (const { method, path } of routes) {
        const target = server.url(path.replace(':connector', encodeURIComponent(payload)))
        for (const base of [{}, { client_id: web.id, redirect_uri: web.redirectUri }]) {
          const all = Object.fromEntries(Object.keys(parameters).map((name) => [name, payload]))
          const fields = new URLSearchParams({ ...all, ...base })
          // All at once, then one by one where that could make a difference.
          for (const name of ['', ...('client_id' in base && payload === payloads[0] ? fields.keys() : [])]) {
            const some = name === '' ? fields : new URLSearchParams({ ...base, [name]: payload })
            const answer =
              method === 'GET'
                ? await openBrowser().request(`${target}?${some}`)
                : await openBrowser().request(target, { form: some })
            assert.ok(answer.status < 500, answer.text)
            if (!answer.headers.get('content-type')?.startsWith('text/html')) continue
            assertPageHeaders(answer.headers, `${method} ${path} ${name}`)
            assertMarkup(answer)
          }
        }
      }
    })
  })
}
