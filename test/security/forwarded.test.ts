/** Lessons, rows 31 and 50: what a request says of addresses changes nothing, neither links nor tokens nor the log. */
import assert from 'node:assert/strict'
import { type Browser, openBrowser } from '../flows/browser.ts'
import {
  authorize,
  claimsOf,
  device,
  type FlowServer,
  startLogin,
  startServer,
  tokensOf,
  web,
} from '../flows/server.ts'
import { queryOf } from './attack.ts'

const evil = 'evil.example'
const hostile: Record<string, string>[] = [
  { host: evil },
  { host: `${evil}:1` },
  { host: `login.example.com@${evil}` },
  { host: `${evil}/x?` },
  { 'x-forwarded-host': evil },
  { 'x-forwarded-host': `${evil}, login.example.com`, 'x-forwarded-proto': 'https', 'x-forwarded-port': '1' },
  { 'x-forwarded-proto': 'javascript' },
  { 'x-forwarded-prefix': `/${evil}`, 'x-forwarded-path': `/${evil}`, 'x-script-name': `/${evil}` },
  { 'x-forwarded-server': evil, 'x-original-host': evil, 'x-host': evil, 'x-http-host-override': evil },
  { 'x-forwarded-scheme': 'evil', 'x-scheme': 'evil', 'x-url-scheme': 'evil', 'front-end-https': 'on' },
  { 'x-original-url': `/${evil}`, 'x-rewrite-url': `/${evil}`, 'x-forwarded-uri': `/${evil}` },
  { forwarded: `for=${evil};host=${evil};proto=https` },
  { 'x-forwarded-for': '203.0.113.66', 'x-real-ip': '203.0.113.66', 'true-client-ip': '203.0.113.66' },
  { referer: `https://${evil}/`, 'x-wap-profile': `https://${evil}/` },
]

/** What differs from answer to answer by itself. */
const settled = (text: string): string =>
  text.replace(/[\w-]{43}|[\w-]{8}(-[\w-]{4}){3}-[\w-]{12}|[A-Z]{4}-[A-Z]{4}|login_[\w-]{16}=[\w.-]*/g, '…')

describe('headers that name addresses', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({
      connectors: [
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
        { type: 'mockPassword', id: 'pw', name: 'Password', config: { username: 'u', password: 'p' } },
      ],
      oauth2: { skipApprovalScreen: false },
    })
  })
  after(() => server[Symbol.asyncDispose]())

  /** All that a stranger and a browser on its way get to see. */
  async function answers(headers: Record<string, string>): Promise<string[]> {
    const browser = openBrowser()
    const seen: string[] = []
    const ask = async (url: string, form?: Record<string, string>, by: Browser = browser) => {
      const answer = await by.request(url, { headers, ...(form && { form }) })
      const kept = [...answer.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name))
      seen.push(settled(JSON.stringify({ status: answer.status, headers: kept, text: answer.text })))
      return answer
    }
    for (const path of ['/', '/.well-known/openid-configuration', '/device', '/nothing', '/healthz']) {
      await ask(server.url(path))
    }
    await ask(server.url('/auth?client_id=nobody'))
    await ask(startLogin(server, { params: { state: 's', nonce: 'n', code_challenge: 'x'.repeat(43) } }).url)
    await ask(server.url('/auth'), { client_id: web.id })
    await ask(server.url('/callback'), { state: 'x'.repeat(43) })
    await ask(server.url('/device/code'), { client_id: device.id, scope: 'openid' })
    await ask(server.url('/token'), { grant_type: 'authorization_code', client_id: web.id, client_secret: 'wrong' })
    const params = { state: 's', nonce: 'n' }
    const form = await ask(
      (await ask(startLogin(server, { connector: 'pw', params }).url)).location!.replace(/^\//, `${server.origin}/`),
    )
    await ask(new URL(form.page().forms[0]!.action, form.url).href, { login: 'u', password: 'p' })
    const back = await ask(startLogin(server, { connector: 'mock', params }).url)
    const asked = await ask(back.location!)
    const approval = await ask(new URL(asked.location!, server.origin).href)
    const { inputs } = approval.page().forms[0]!
    const fields = Object.fromEntries(inputs.map(({ name, value }) => [name ?? '', value ?? '']))
    const done = await ask(server.url('/approval'), fields)
    assert.equal(queryOf(done.location).get('iss'), server.issuer)
    return seen
  }

  it('row 31: leave every answer as it is', async () => {
    const plain = await answers({})
    for (const headers of hostile) {
      const changed = await answers(headers)
      assert.deepEqual(changed, plain, JSON.stringify(headers))
      assert.ok(!changed.join().includes(evil))
    }
    assert.ok(!server.logged().includes(evil))
    assert.ok(!server.logged().includes('203.0.113.66'))
  })

  it('row 31: leave every token as it is', async () => {
    await using plain = await startServer()
    for (const headers of hostile) {
      const { code, verifier, redirectUri } = await authorize(plain)
      const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri }
      const form = { ...grant, client_id: web.id, client_secret: web.secret! }
      const tokens = tokensOf(await plain.request(plain.url('/token'), { form, headers }))
      for (const token of [tokens.id_token, tokens.access_token]) assert.equal(claimsOf(token).iss, plain.issuer)
    }
  })
})
