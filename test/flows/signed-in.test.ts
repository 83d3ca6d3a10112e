/** The page of a person: what is held in their name, and the end of it. */
import assert from 'node:assert/strict'
import { type Browser, openBrowser } from './browser.ts'
import { cli, type FlowServer, logIn, peer, startServer } from './server.ts'

const start = () =>
  startServer({
    sessions: { ssoSharedWithDefault: 'all' },
    connectors: [
      { type: 'mockCallback', id: 'mock', name: 'Mock' },
      { type: 'mockCallback', id: 'other', name: 'Other' },
    ],
  })
const scope = 'openid groups offline_access'
const pageOf = (server: FlowServer, browser: Browser) => browser.follow(server.issuer)

/** Presses the button in whose row a text stands. */
async function end(server: FlowServer, browser: Browser, text: string) {
  const page = await pageOf(server, browser)
  const row = page.text
    .split('<li>')
    .slice(1)
    .find((part) => part.includes(text))
  const [, value] = /name="end" value="([^"]+)"/.exec(row ?? '') ?? []
  assert.ok(value, `no row with ${text}`)
  return browser.request(server.issuer, { form: { end: value } })
}

describe('the page of a person', () => {
  it('says who is logged in and what holds tokens, and is the home page for everybody else', async () => {
    await using server = await start()
    const { browser } = await logIn(server, { connector: 'mock', scope })
    await logIn(server, { connector: 'mock', client: cli, browser, scope })
    const { text } = await pageOf(server, browser)
    for (const part of ['kilgore@kilgore.trout', 'Mock', 'Command line', 'Web', 'authors'])
      assert.ok(text.includes(part))
    assert.match((await pageOf(server, openBrowser())).text, /There is nothing to do now/)
  })

  it('ends one application, whose refresh token is refused then, and no other', async () => {
    await using server = await start()
    const first = await logIn(server, { connector: 'mock', scope })
    const second = await logIn(server, { connector: 'mock', client: cli, browser: first.browser, scope })
    assert.equal((await end(server, first.browser, 'Command line')).status, 303)
    assert.equal((await server.refresh(second.tokens.refresh_token!, cli)).json().error, 'invalid_grant')
    assert.equal((await server.refresh(first.tokens.refresh_token!)).status, 200)
    assert.deepEqual(server.audited().filter(({ type }) => type === 'token_revoked')[0]!.by, 'person')
  })

  it('ends the session of another browser, or everything', async () => {
    await using server = await start()
    const here = await logIn(server, { connector: 'mock', scope })
    const there = await logIn(server, { connector: 'mock', client: peer })
    const form = (await pageOf(server, here.browser)).text
    assert.match(form, /Other browsers/)
    await end(server, here.browser, 'Peer')
    assert.equal(await server.driver.get('session', String(there.claims.sid)), undefined)
    const all = (await pageOf(server, here.browser)).text.match(/name="end" value="([^"]+)"/g)!.at(-1)!
    await here.browser.request(server.issuer, { form: { end: all.split('"')[3]! } })
    assert.equal((await server.refresh(here.tokens.refresh_token!)).json().error, 'invalid_grant')
    assert.equal((await server.driver.count('session')).live, 0)
    assert.match((await pageOf(server, here.browser)).text, /There is nothing to do now/)
  })

  it('shows and ends only what is one’s own: a form of somebody else is refused', async () => {
    await using server = await start()
    const victim = await logIn(server, { connector: 'mock', scope })
    const attacker = await logIn(server, { connector: 'other', scope })
    assert.doesNotMatch((await pageOf(server, attacker.browser)).text, />Mock,/)
    const [, value = ''] = /name="end" value="([^"]+)"/.exec((await pageOf(server, victim.browser)).text) ?? []
    for (const [browser, status] of [
      [attacker.browser, 400],
      [openBrowser(), 400],
    ] as const) {
      assert.equal((await browser.request(server.issuer, { form: { end: value } })).status, status)
    }
    const headers = { 'sec-fetch-site': 'cross-site' }
    assert.equal((await victim.browser.request(server.issuer, { form: { end: value }, headers })).status, 403)
    assert.equal(
      (await victim.browser.request(server.issuer, { form: { end: `${value.slice(0, -6)}AAAAAA` } })).status,
      400,
    )
    assert.equal((await server.refresh(victim.tokens.refresh_token!)).status, 200)
  })
})
