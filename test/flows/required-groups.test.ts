import assert from 'node:assert/strict'
import { openBrowser } from './browser.ts'
import {
  answerAt,
  authorize,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const people = upstream('required-groups')
const required = { requiredGroups: ['admins', 'operators of "x"'] }
const configOf = (client: Record<string, unknown>, oauth2 = { skipApprovalScreen: true }) => ({
  connectors: [corp('required-groups')],
  oauth2,
  staticClients: [
    { id: web.id, secret: web.secret, name: 'Kargo <b>', redirectURIs: [web.redirectUri], ...client },
    { id: device.id, name: 'Device', public: true, ...client },
  ],
})
const member = (...groups: string[]) => ({ ...jane(), groups })

describe('a client that requires groups', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer(configOf({ ...required, contact: 'Ann (ann@example.com)' }))
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
    people.refresh = undefined
  })

  it('shows others who they are, which client it is and whom to ask, with a way back', async () => {
    const started = startLogin(server)
    const browser = openBrowser()
    const answer = await browser.follow(started.url)
    assert.equal(answer.status, 403)
    assert.match(answer.text, /<h1[^>]*>You may not use Kargo &lt;b&gt;<\/h1>/)
    assert.match(answer.text, /logged in as jane@example\.com, and in none of the groups/)
    assert.match(answer.text, /Ask Ann \(ann@example\.com\) to add you/)
    assert.ok(!answer.text.includes('admins'), 'names of groups are nobody’s business')
    const back = answer.page().links.find(({ href }) => href.startsWith(web.redirectUri))
    const told = answerAt({ ...answer, location: back!.href })
    assert.equal(told.error, 'access_denied')
    assert.equal(told.state, started.state)
    assert.equal(told.iss, server.issuer)
    assert.match(told.error_description!, /required groups .*request/)
    const refusal = server.audited().findLast(({ type }) => type === 'login_refused')
    assert.deepEqual([refusal?.reason, refusal?.user_id], ['not_in_required_groups', 'id-of-jane'])
    assert.match(server.logged(), /"required_groups":\["admins"/)
    // The login is over.
    assert.equal((await browser.request(answer.url)).status, 400)
  })

  it('says whom to ask although nobody is named', async () => {
    await using plain = await startServer(configOf(required))
    const { text } = await openBrowser().follow(startLogin(plain).url)
    assert.match(text, /Ask whoever runs Kargo &lt;b&gt; to add you/)
  })

  it('lets in who is in one of them, and tells the client of groups only where it asked', async () => {
    people.person = member('staff', 'operators of "x"')
    const { claims } = await logIn(server, { scope: 'openid' })
    assert.equal(claims.groups, undefined)
    assert.equal(people.started.at(-1)!.scopes.groups, true, 'the connector was asked for groups all the same')
    assert.deepEqual((await logIn(server)).claims.groups, ['staff', 'operators of "x"'])
  })

  it('lets in nobody whose groups are not known', async () => {
    const { groups: _, ...person } = jane()
    people.person = person
    assert.equal((await openBrowser().follow(startLogin(server).url)).status, 403)
  })

  it('leaves a device waiting for somebody else', async () => {
    const begun = (await server.post('/device/code', { scope: 'openid' }, device)).json()
    const enter = async () => {
      const browser = openBrowser()
      const page = await browser.request(server.url('/device'))
      return browser.submit(page, { user_code: String(begun.user_code) })
    }
    const refused = await enter()
    assert.equal(refused.status, 403)
    assert.match(refused.text, /You may not use Device/)
    people.person = member('admins')
    assert.match((await enter()).text, /You are logged in/)
  })

  it('asks at each refresh: who is out gets nothing, and goes on where they are back', async () => {
    people.person = member('admins')
    const { tokens } = await logIn(server, { scope: 'openid groups offline_access' })
    people.person = { ...member('staff'), connectorData: { token: 'second' } }
    const refused = await server.refresh(tokens.refresh_token!)
    assert.equal(errorOf(refused), '400 invalid_grant')
    assert.match(String(refused.json().error_description), /none of the groups/)
    assert.equal((await server.introspect(tokens.refresh_token!)).active, false)
    // The same token, and what the upstream gave for the next time.
    people.person = member('admins')
    const next = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.deepEqual(people.refreshed.at(-1)!.connectorData, { token: 'second' })
    assert.equal((await server.introspect(next.refresh_token!)).active, true)
  })

  it('keeps groups that were known where the upstream does not say', async () => {
    people.person = member('admins')
    const { tokens } = await logIn(server, { scope: 'openid offline_access' })
    const { groups: _, ...person } = jane()
    people.person = person
    assert.equal((await server.refresh(tokens.refresh_token!)).status, 200)
  })

  it('stops an approval that waits, when the rule is new', async () => {
    const first = await startServer(configOf({}, { skipApprovalScreen: false }), { store: 'lowdb' })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(first).url)
    await first.close()
    await using later = await startServer(configOf(required, { skipApprovalScreen: false }), {
      store: 'lowdb',
      instead: first,
    })
    const answer = await browser.decide(page, true)
    assert.equal(answer.status, 403)
    assert.match(answer.text, /You may not use Kargo/)
    assert.ok(later.commits.every(({ changes }) => changes.every(({ kind }) => kind !== 'code')))
  })
})

describe('a client that requires groups, beside a session that another client began', () => {
  it('shows its page, and tells a client that may show nothing `access_denied`', async () => {
    const open = { id: peer.id, secret: peer.secret, name: 'Open', redirectURIs: [peer.redirectUri] }
    const config = configOf(required)
    await using server = await startServer({
      ...config,
      sessions: { ssoSharedWithDefault: 'all' },
      staticClients: [...config.staticClients, open],
    })
    people.person = jane()
    // Groups are known to the session, so that it answers the other client.
    const { browser } = await logIn(server, { client: peer, scope: 'openid groups' })
    const asked = people.started.length
    const silent = await browser.follow(startLogin(server, { scope: 'openid groups', params: { prompt: 'none' } }).url)
    assert.equal(answerAt(silent).error, 'access_denied')
    const page = await browser.follow(startLogin(server, { scope: 'openid groups' }).url)
    assert.equal(page.status, 403)
    assert.match(page.text, /You may not use Kargo/)
    assert.equal(people.started.length, asked, 'nobody was asked to log in again')
  })

  it('asks the upstream where the session does not know the groups', async () => {
    const open = { id: peer.id, secret: peer.secret, name: 'Open', redirectURIs: [peer.redirectUri] }
    const config = configOf(required)
    await using server = await startServer({
      ...config,
      sessions: { ssoSharedWithDefault: 'all' },
      staticClients: [...config.staticClients, open],
    })
    people.person = jane()
    const { browser } = await logIn(server, { client: peer, scope: 'openid' })
    people.person = member('admins')
    const asked = people.started.length
    assert.equal((await logIn(server, { browser, scope: 'openid' })).claims.groups, undefined)
    assert.equal(people.started.length, asked + 1)
  })
})

describe('a client that is disabled', () => {
  it('says so to people, and is unknown to programs, also as an audience', async () => {
    const first = await startServer(configOf({}), { store: 'lowdb' })
    const arrived = await authorize(first)
    await first.close()
    const config = configOf({ disabled: true })
    const friend = { id: 'friend', secret: 'friend-secret', redirectUri: web.redirectUri }
    await using server = await startServer(
      {
        ...config,
        staticClients: [
          { ...config.staticClients[0], trustedPeers: ['friend'] },
          { id: friend.id, secret: friend.secret, name: 'Friend', redirectURIs: [friend.redirectUri] },
        ],
      },
      { store: 'lowdb', instead: first },
    )
    const page = await openBrowser().follow(startLogin(server).url)
    assert.equal(page.status, 403)
    assert.match(page.text, /Kargo &lt;b&gt; is switched off here/)
    assert.equal(errorOf(await server.redeem(arrived)), '401 invalid_client')
    const named = startLogin(server, { client: friend, scope: 'openid audience:server:client_id:web' })
    assert.equal(answerAt(await openBrowser().follow(named.url)).error, 'invalid_scope')
  })
})
