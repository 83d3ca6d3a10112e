/**
 * docs/conformance.md: its configuration is one that a server takes, and its scripts for the browser of the OpenID
 * Foundation's suite find what they fill in and press on our pages.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { type Browser, type BrowserAnswer, openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  type Client,
  claimsOf,
  type FlowServer,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
} from './server.ts'

type Command = [what: string, by: string, selector: string, more?: string]
interface Task {
  task: string
  match: string
  optional?: boolean
  commands: Command[]
}
interface Script {
  match: string
  tasks: Task[]
}
interface Entry {
  id: string
  secret: string
  redirectURIs: string[]
  postLogoutRedirectURIs?: string[]
  backchannelLogoutURI?: string
  frontchannelLogoutURI?: string
}
interface Configuration {
  issuer: string
  staticClients: Entry[]
}
interface Suite {
  browser: Script[]
  client: { client_id: string; client_secret: string }
  client2: { client_id: string; client_secret: string }
  client_secret_post: { client_id: string; client_secret: string }
}

const document = await readFile(new URL('../../docs/conformance.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, text]) => text!)
const [written = '', upstream = ''] = blocks('yaml')
const { issuer: writtenIssuer, ...configuration } = parse(written) as Configuration
const suiteOf = (server: FlowServer): Suite => JSON.parse(blocks('json')[0]!.replaceAll(writtenIssuer, server.issuer))

/** As the harness serves: without files and with its own listener. */
const serve = (more: Record<string, unknown> = {}) =>
  startServer({
    ...configuration,
    connectors: undefined,
    storage: { type: 'memory' },
    web: { http: '127.0.0.1:0' },
    ...more,
  })

const clientOf = (id: string): Client => {
  const { secret, redirectURIs } = configuration.staticClients.find((entry) => entry.id === id)!
  return { id, secret, redirectUri: redirectURIs[0]! }
}
const first = clientOf('conformance-first')

/** `*` stands for anything. */
function fits(pattern: string, url: string): boolean {
  const [head = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return url === pattern
  const parts = rest.filter((part) => part !== '')
  return url.startsWith(head) && parts.every((part) => url.includes(part, head.length))
}

/** What the suite's browser does with a page: the tasks of its script in turn, each where its address fits. */
async function perform(browser: Browser, page: BrowserAnswer, scripts: Script[], at: string): Promise<BrowserAnswer> {
  const script = scripts.find(({ match }) => fits(match, at))
  assert.ok(script, `no script for ${at}`)
  let here = page
  for (const { task, match, optional, commands } of script.tasks) {
    const address = here.location ?? here.url
    if (!fits(match, address)) {
      assert.ok(optional, `${task}: ${address}`)
      continue
    }
    const typed: Record<string, string> = {}
    for (const [what, by, selector, more] of commands) {
      if (what === 'text') {
        const [field] = here.page().forms.flatMap(({ inputs }) => inputs.filter(({ id }) => id === selector))
        assert.ok(by === 'id' && field?.name, `${task}: no field ${selector}`)
        typed[field.name] = more!
      } else if (what === 'click') {
        const form = here.page().forms[formOf(here, by, selector)]
        assert.ok(form ?? more === 'optional', `${task}: no button ${selector}`)
        if (form) here = await browser.submit(here, typed, form)
      } else assert.equal(what, 'wait')
    }
  }
  return here
}

/** Which form of a page has the button; -1 for none. */
function formOf({ text }: BrowserAnswer, by: string, selector: string): number {
  const [, name] = /^button\.([\w-]+)$/.exec(selector) ?? []
  const button = by === 'id' ? `<button [^>]*id="${selector}"` : `<button class="[^"]*\\b${name}\\b`
  const [, ...forms] = text.split('<form ')
  return forms.findIndex((form) => new RegExp(button).test(form.split('</form>')[0]!))
}

describe('docs/conformance.md', () => {
  let server: FlowServer
  let suite: Suite
  beforeEach(async () => {
    server = await serve()
    suite = suiteOf(server)
  })
  afterEach(() => server[Symbol.asyncDispose]())

  const logIn = async (browser: Browser, request: Parameters<typeof startLogin>[1]) => {
    const started = startLogin(server, { client: first, ...request })
    return { started, answer: await perform(browser, await browser.follow(started.url), suite.browser, started.url) }
  }

  it('has the same clients for both sides', () => {
    for (const role of ['client', 'client2', 'client_secret_post'] as const) {
      const { client_id, client_secret } = suite[role]
      assert.equal(clientOf(client_id).secret, client_secret)
    }
  })

  it('has a connector for the plans in which the suite is the upstream', async () => {
    const { connectors } = parse(upstream) as { connectors: { config: Record<string, unknown> }[] }
    for (const { config } of connectors) delete config.rootCAs
    await using server = await serve({ connectors })
    assert.equal((await server.request(server.url('/healthz'))).status, 200)
  })

  for (const response_mode of ['', 'form_post']) {
    it(`logs in at our pages, response mode "${response_mode}"`, async () => {
      const browser = openBrowser()
      const { started, answer } = await logIn(browser, { params: { response_mode } })
      assert.ok(arrive(started, answer).code)
      const again = startLogin(server, { client: first, params: { prompt: 'none' } })
      assert.ok(arrive(again, await browser.follow(again.url)).code, 'and stays logged in')
      const other = clientOf('conformance-second')
      const shared = startLogin(server, { client: other, params: { prompt: 'none' } })
      assert.ok(arrive(shared, await browser.follow(shared.url)).code)
    })
  }

  it('approves, and a refresh keeps `auth_time` and `sid`', async () => {
    using clock = stopClock()
    const scope = 'openid offline_access'
    const { started, answer } = await logIn(openBrowser(), { scope, params: { prompt: 'consent' } })
    const tokens = tokensOf(await server.redeem(arrive(started, answer)))
    const { auth_time, sid, iat } = claimsOf(tokens.id_token)
    clock.advance(30)
    const next = claimsOf(tokensOf(await server.refresh(tokens.refresh_token!, first)).id_token)
    assert.deepEqual([next.auth_time, next.sid, next.iat], [auth_time, sid, Number(iat) + 30])
    assert.equal(typeof auth_time, 'number')
  })

  it('logs out: after a question without a hint, at once with one, and tells who wants to be told', async () => {
    for (const id of ['conformance-first', 'conformance-frontchannel']) {
      const { postLogoutRedirectURIs, frontchannelLogoutURI } = configuration.staticClients.find(
        (entry) => entry.id === id,
      )!
      const [back = ''] = postLogoutRedirectURIs ?? []
      for (const hinted of [true, false]) {
        const browser = openBrowser()
        const { started, answer } = await logIn(browser, { client: clientOf(id) })
        const { id_token } = tokensOf(await server.redeem(arrive(started, answer)))
        const params = { ...(hinted ? { id_token_hint: id_token } : { client_id: id }), post_logout_redirect_uri: back }
        const url = server.url(`/logout?${new URLSearchParams(params)}`)
        const left = await perform(browser, await browser.follow(url), suite.browser, url)
        if (frontchannelLogoutURI) assert.ok(left.text.includes(`<iframe class="told" src="${frontchannelLogoutURI}?`))
        else assert.equal(left.location, back)
        const after = startLogin(server, { client: first, params: { prompt: 'none' } })
        assert.equal(answerAt(await browser.follow(after.url)).error, 'login_required')
      }
    }
  })

  it('finds a request in a form answered by the same request as GET, so that cookies come along', async () => {
    const started = startLogin(server, { client: first })
    const form = new URL(started.url).searchParams
    const answer = await openBrowser().request(server.url('/auth'), { form })
    assert.equal(answer.status, 303)
    assert.equal(new URL(answer.location!, server.origin).href, started.url)
  })
})
