/** What upstreams say by themselves: logout tokens, event hooks of Okta, Universal Logout. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { oidcConnector } from '../security/attack.ts'
import { type OidcUpstream, startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { authorize, errorOf, type FlowServer, logIn, startServer, stopClock, web } from './server.ts'

const sessions = { sessions: { ssoSharedWithDefault: 'all' } }
const offline = { scope: 'openid email profile offline_access' }
const isLoggedIn = async (server: FlowServer, sid: unknown): Promise<boolean> =>
  (await server.driver.get('session', String(sid))) !== undefined
const at = (server: FlowServer, connector: string) => server.url(`/logout/upstream/${connector}`)
const endings = (server: FlowServer) => server.audited().filter(({ type }) => type === 'session_ended')

describe('back-channel logout from the upstream', () => {
  let up: OidcUpstream
  before(async () => {
    up = await startOidcUpstream()
  })
  after(() => up.close())
  beforeEach(() => {
    up.bends.claims = { sid: `sid-${randomUUID()}` }
  })

  const start = (config: Record<string, unknown> = {}, more: Record<string, unknown> = {}) =>
    startServer({ ...sessions, connectors: [oidcConnector(up, config)], ...more })
  const send = (server: FlowServer, token: string, connector = 'corp') =>
    server.request(at(server, connector), { form: { logout_token: token } })
  const sidOf = () => String(up.bends.claims!.sid)

  it('with sid ends that session, and only what was bound to it', async () => {
    await using server = await start()
    const one = await logIn(server, offline)
    const sid = sidOf()
    up.bends.claims = { sid: 'another' }
    const two = await logIn(server)
    const answer = await send(server, await up.logoutToken({ sid }))
    assert.deepEqual([answer.status, answer.text, answer.headers.get('cache-control')], [200, '', 'no-store'])
    assert.deepEqual(
      [await isLoggedIn(server, one.claims.sid), await isLoggedIn(server, two.claims.sid)],
      [false, true],
    )
    const [ended] = endings(server)
    assert.deepEqual([ended?.by, ended?.sid], ['upstream', one.claims.sid])
    // Back-Channel Logout 1.0, 2.7.
    assert.equal((await server.refresh(one.tokens.refresh_token!)).status, 200)
  })

  it('with sub alone ends all sessions of that person at that connector', async () => {
    const mock = { type: 'mockCallback', id: 'mock', name: 'Mock' }
    await using server = await start({}, { connectors: [oidcConnector(up), mock] })
    const corp = await Promise.all([1, 2].map(() => logIn(server, { connector: 'corp' })))
    const other = await logIn(server, { connector: 'mock' })
    assert.equal((await send(server, await up.logoutToken())).status, 200)
    for (const { claims } of corp) assert.equal(await isLoggedIn(server, claims.sid), false)
    assert.equal(await isLoggedIn(server, other.claims.sid), true)
  })

  it('ends tokens that are bound to the session, and tells our clients', async () => {
    const clients = [
      {
        ...web,
        redirectURIs: [web.redirectUri],
        name: 'Web',
        refreshTokenLifetime: 'session',
        backchannelLogoutURI: `${up.issuer}/told`,
      },
    ]
    let told = 0
    up.bends.answers = { '/told': () => ({ status: 200, body: String(++told) }) }
    const staticClients = clients.map(({ redirectUri: _, ...rest }) => rest)
    await using server = await start({}, { staticClients })
    const { tokens } = await logIn(server, offline)
    assert.equal((await send(server, await up.logoutToken({ sid: sidOf() }))).status, 200)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    for (let tries = 0; told === 0 && tries < 200; tries++) await new Promise((done) => setTimeout(done, 10))
    assert.equal(told, 1)
  })

  it('answers 200 where nobody is logged in', async () => {
    await using server = await start()
    assert.equal((await send(server, await up.logoutToken({ sub: 'nobody' }))).status, 200)
  })

  it('takes a token once, fifty times at the same moment as well', async () => {
    await using server = await start()
    await logIn(server)
    const token = await up.logoutToken()
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(server, token)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ status }) => status === 400).length, 49)
    const { claims } = await logIn(server)
    assert.match((await send(server, token)).text, /used already/)
    assert.equal(await isLoggedIn(server, claims.sid), true)
  })

  it('takes it once more when its work failed', async () => {
    let broken = true
    await using server = await startServer(
      { ...sessions, connectors: [oidcConnector(up)] },
      {
        wrap: (driver) => ({
          ...driver,
          async commit(changes) {
            if (broken && changes.some((each) => each.do === 'delete' && each.kind === 'session'))
              throw new Error('disk')
            return driver.commit(changes)
          },
        }),
      },
    )
    const { claims } = await logIn(server)
    const token = await up.logoutToken()
    assert.equal((await send(server, token)).status, 500)
    broken = false
    assert.equal((await send(server, token)).status, 200)
    assert.equal(await isLoggedIn(server, claims.sid), false)
  })

  const now = () => Math.floor(Date.now() / 1000)
  const mutations: [what: string, claims: () => Record<string, unknown>, header?: Record<string, unknown>][] = [
    ['another issuer', () => ({ iss: 'https://evil.example' })],
    ['no issuer', () => ({ iss: undefined })],
    ['another audience', () => ({ aud: 'other' })],
    ['no audience', () => ({ aud: undefined })],
    ['an audience that holds us as a part', () => ({ aud: [`${upstreamClient.clientID}x`] })],
    ['no iat', () => ({ iat: undefined })],
    ['an iat of the future', () => ({ iat: now() + 120 })],
    ['a stale iat', () => ({ iat: now() - 3600, exp: now() + 3600 })],
    ['no exp', () => ({ exp: undefined })],
    ['an exp that has passed', () => ({ exp: now() - 60 })],
    ['an exp that is no number', () => ({ exp: '9999999999' })],
    ['no events', () => ({ events: undefined })],
    [
      'other events',
      () => ({ events: { 'https://schemas.openid.net/secevent/risc/event-type/account-disabled': {} } }),
    ],
    ['events that are a list', () => ({ events: ['http://schemas.openid.net/event/backchannel-logout'] })],
    ['an event that is a text', () => ({ events: { 'http://schemas.openid.net/event/backchannel-logout': 'x' } })],
    ['a nonce', () => ({ nonce: 'n' })],
    ['no jti', () => ({ jti: undefined })],
    ['an empty jti', () => ({ jti: '' })],
    ['neither sub nor sid', () => ({ sub: undefined })],
    ['a sub that is no text', () => ({ sub: 1 })],
    ['a sid that is no text and no sub', () => ({ sub: undefined, sid: { $ne: null } })],
    ['the type of an access token', () => ({}), { typ: 'at+jwt' }],
    ['the type of a security event', () => ({}), { typ: 'secevent+jwt' }],
    ['a key id that is not known', () => ({}), { kid: 'unknown' }],
  ]

  it('refuses every token that is wrong in one thing', async () => {
    await using server = await start()
    const { claims, tokens } = await logIn(server)
    for (const [what, changed, header] of mutations) {
      const answer = await send(server, await up.logoutToken({ sid: undefined, ...changed() }, header))
      assert.equal(errorOf(answer), '400 invalid_request', what)
      assert.equal(answer.headers.get('cache-control'), 'no-store', what)
    }
    const good = await up.logoutToken()
    const [head, body, signature = ''] = good.split('.')
    const none = `${Buffer.from('{"alg":"none","typ":"logout+jwt"}').toString('base64url')}.${body}.`
    const broken = `${head}.${body}.${signature.slice(0, -6)}AAAAAA`
    for (const token of [
      none,
      broken,
      `${head}.${body}.`,
      `${head}.${body}`,
      '',
      'x',
      tokens.id_token,
      tokens.access_token,
    ])
      assert.equal((await send(server, token)).status, 400, token)
    assert.equal(await isLoggedIn(server, claims.sid), true)
    // Without a type, as early ones are, and with the claims of the table as they should be.
    assert.equal((await send(server, await up.logoutToken({}, { typ: undefined }))).status, 200)
    assert.equal(await isLoggedIn(server, claims.sid), false)
  })

  it('refuses an ID token of the upstream, and a token of another client', async () => {
    await using server = await start()
    const { claims } = await logIn(server)
    const { iat } = { iat: now() }
    const idToken = await up.sign({
      iss: up.issuer,
      aud: upstreamClient.clientID,
      sub: '00u1jane',
      iat,
      exp: iat + 60,
      jti: 'j',
    })
    assert.equal((await send(server, idToken)).status, 400)
    assert.equal(await isLoggedIn(server, claims.sid), true)
  })

  it('refuses what is no form with one token, by any method', async () => {
    await using server = await start()
    const token = await up.logoutToken()
    const url = at(server, 'corp')
    const twice = new URLSearchParams([
      ['logout_token', token],
      ['logout_token', token],
    ])
    assert.equal((await server.request(url, { form: twice })).status, 400)
    const json = { body: JSON.stringify({ logout_token: token }), headers: { 'content-type': 'application/json' } }
    assert.equal((await server.request(url, json)).status, 400)
    assert.equal((await server.request(`${url}?logout_token=${token}`, { form: {} })).status, 400)
    assert.equal((await server.request(url)).status, 405)
    assert.equal((await server.request(url, { form: { logout_token: 'x'.repeat(300 * 1024) } })).status, 413)
    assert.equal((await send(server, token)).status, 200, 'the token was good')
  })

  it('knows no connector but those that take messages', async () => {
    const mock = { type: 'mockCallback', id: 'mock', name: 'Mock' }
    await using server = await start({}, { connectors: [oidcConnector(up), mock] })
    for (const id of ['nobody', 'mock', '__proto__', '%00']) {
      assert.equal((await send(server, await up.logoutToken(), id)).status, 404, id)
    }
  })

  it('says 503 while the keys are out of reach, so that the upstream comes again', async () => {
    await using server = await start()
    const answers = { '/keys': () => ({ status: 500, body: '' }) }
    up.bends.answers = answers
    const token = await up.logoutToken()
    assert.equal((await send(server, token)).status, 503)
    up.bends.answers = {}
    assert.equal((await send(server, token)).status, 200)
  })

  it('needs sid where people are known by another claim than sub', async () => {
    await using server = await start({ userIDKey: 'email' })
    const { claims } = await logIn(server)
    assert.equal((await send(server, await up.logoutToken())).status, 400)
    assert.equal(await isLoggedIn(server, claims.sid), true)
    assert.equal((await send(server, await up.logoutToken({ sid: sidOf() }))).status, 200)
    assert.equal(await isLoggedIn(server, claims.sid), false)
  })

  it('limits what comes from one address', async () => {
    await using server = await start(
      {},
      { web: { http: '127.0.0.1:0', clientRemoteIP: { header: 'X-Real-IP', trustedProxies: ['127.0.0.1/32'] } } },
    )
    const headers = { 'x-real-ip': '192.0.2.1' }
    const garbage = () => server.request(at(server, 'corp'), { form: { logout_token: 'x' }, headers })
    const counts = new Map<number, number>()
    for (let batch = 0; batch < 13; batch++) {
      for (const { status } of await Promise.all(Array.from({ length: 50 }, garbage)))
        counts.set(status, (counts.get(status) ?? 0) + 1)
    }
    assert.deepEqual(Object.fromEntries(counts), { 400: 600, 429: 50 })
    assert.equal((await send(server, await up.logoutToken())).status, 200, 'others are not kept out')
  })
})

const secret = 'a long and random secret of the hook'

describe('messages of Okta', () => {
  let okta: OktaStandIn
  beforeEach(async () => {
    okta = await startOkta()
  })
  afterEach(() => okta.close())

  async function start(config: Record<string, unknown> = {}, more: Record<string, unknown> = {}, env = {}) {
    const { clientId: clientID, clientSecret } = okta
    const connectors = [
      {
        type: 'okta',
        id: 'okta',
        name: 'Okta',
        config: { domain: okta.url, clientID, clientSecret, eventHookSecret: secret, ...config },
      },
    ]
    return startServer({ ...sessions, connectors, ...more }, { env })
  }
  const post = (server: FlowServer, message: unknown, authorization: string | undefined = secret) =>
    server.request(at(server, 'okta'), {
      body: typeof message === 'string' ? message : JSON.stringify(message),
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
    })
  const settled = (server: FlowServer) => server.services.background.close()
  const login = (server: FlowServer) => logIn(server, offline)
  const isAlive = async (server: FlowServer, { claims, tokens }: Awaited<ReturnType<typeof login>>) => [
    await isLoggedIn(server, claims.sid),
    (await server.refresh(tokens.refresh_token!)).status === 200,
  ]

  describe('OK-13 event hooks', () => {
    it('are verified by their challenge, where there is a secret', async () => {
      await using server = await start()
      const headers = { 'x-okta-verification-challenge': 'challenge "1"' }
      const answer = await server.request(at(server, 'okta'), { headers })
      assert.deepEqual([answer.status, answer.json()], [200, { verification: 'challenge "1"' }])
      assert.equal((await server.request(at(server, 'okta'))).status, 400)
      const { clientId: clientID, clientSecret } = okta
      const config = { domain: okta.url, clientID, clientSecret }
      await using without = await startServer({ connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config }] })
      assert.equal((await without.request(at(without, 'okta'), { headers })).status, 404)
      assert.equal((await post(without, okta.hook('user.session.clear'))).status, 401)
    })

    for (const type of [
      'user.lifecycle.suspend',
      'user.lifecycle.deactivate',
      'user.lifecycle.delete.initiated',
      'user.session.clear',
      'group.user_membership.remove',
    ]) {
      it(`${type} ends sessions and refresh tokens within a second`, async () => {
        await using server = await start()
        const before = await login(server)
        const waiting = await authorize(server, offline)
        const began = Date.now()
        const answer = await post(server, okta.hook(type))
        assert.deepEqual([answer.status, answer.text], [204, ''])
        await settled(server)
        assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`)
        assert.deepEqual(await isAlive(server, before), [false, false])
        assert.equal(errorOf(await server.redeem(waiting)), '400 invalid_grant', 'a code that nobody has redeemed')
        const revoked = server.audited().filter((event) => event.type === 'token_revoked')
        assert.deepEqual(
          revoked.map(({ by, client_id }) => [by, client_id]),
          [['upstream', 'web']],
        )
        assert.deepEqual([...new Set(endings(server).map(({ by }) => by))], ['upstream'])
      })
    }

    it('of other people, other types, other applications, and of what failed end nothing', async () => {
      await using server = await start()
      const before = await login(server)
      const jane = { id: okta.org.user.sub, type: 'User', alternateId: okta.org.user.email }
      for (const hook of [
        okta.hook('user.lifecycle.deactivate', {
          target: [{ id: '00u2OTHER', type: 'User', alternateId: 'x@example.com' }],
        }),
        okta.hook('user.lifecycle.deactivate', { outcome: { result: 'FAILURE' } }),
        okta.hook('user.lifecycle.deactivate', { target: 'all' }),
        okta.hook('user.lifecycle.deactivate', { uuid: 7 }),
        okta.hook('user.lifecycle.activate'),
        okta.hook('group.user_membership.add'),
        okta.hook('application.user_membership.remove', { target: [jane, { id: '0oa2OTHER', type: 'AppInstance' }] }),
        { eventType: 'com.okta.event_hook', data: { events: [] } },
        { eventType: 'com.okta.event_hook', data: { events: [null, 1, 'x', [], {}] } },
      ]) {
        assert.equal((await post(server, hook)).status, 204)
      }
      await settled(server)
      assert.deepEqual(await isAlive(server, before), [true, true])
      const target = [jane, { id: okta.clientId, type: 'AppInstance' }]
      assert.equal((await post(server, okta.hook('application.user_membership.remove', { target }))).status, 204)
      await settled(server)
      assert.deepEqual(await isAlive(server, { ...before }), [false, false])
    })

    it('need the secret to the letter', async () => {
      await using server = await start()
      const before = await login(server)
      for (const wrong of ['', 'x', secret.slice(0, -1), `${secret}x`, `Bearer ${secret}`, secret.toUpperCase()]) {
        const headers = { 'content-type': 'application/json', ...(wrong && { authorization: wrong }) }
        const body = JSON.stringify(okta.hook('user.session.clear'))
        assert.equal((await server.request(at(server, 'okta'), { body, headers })).status, 401, wrong)
      }
      await settled(server)
      assert.deepEqual(await isAlive(server, before), [true, true])
      assert.doesNotMatch(server.logged(), new RegExp(secret))
    })

    it('may have their secret from the environment', async () => {
      await using server = await start({ eventHookSecret: '$HOOK_SECRET' }, {}, { HOOK_SECRET: 'from the environment' })
      assert.equal((await post(server, okta.hook('x'), 'from the environment')).status, 204)
      assert.equal((await post(server, okta.hook('x'), '$HOOK_SECRET')).status, 401)
    })

    it('that come twice, in parallel or a day later, are worked once', async () => {
      using clock = stopClock()
      await using server = await start()
      await login(server)
      const hook = okta.hook('user.session.clear')
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(server, hook)))
      assert.ok(answers.every(({ status }) => status === 204))
      await settled(server)
      const after = await login(server)
      clock.advance(1000)
      assert.equal((await post(server, hook)).status, 204)
      await settled(server)
      assert.deepEqual(await isAlive(server, after), [true, true])
      assert.equal(endings(server).length, 1)
    })

    it('are answered before the work, which a close of the server waits for', async () => {
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const { clientId: clientID, clientSecret } = okta
      const config = { domain: okta.url, clientID, clientSecret, eventHookSecret: secret }
      await using server = await startServer(
        { ...sessions, connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config }] },
        {
          wrap: (driver) => ({
            ...driver,
            async commit(changes) {
              if (changes.some((each) => each.do === 'delete' && each.kind === 'session')) await held
              return driver.commit(changes)
            },
          }),
        },
      )
      const { claims } = await login(server)
      assert.equal((await post(server, okta.hook('user.session.clear'))).status, 204)
      assert.equal(await isLoggedIn(server, claims.sid), true)
      const closed = settled(server)
      release()
      await closed
      assert.equal(await isLoggedIn(server, claims.sid), false)
    })

    it('find people by login name where userIDKey says so', async () => {
      await using server = await start({ userIDKey: 'preferred_username' })
      const before = await login(server)
      await post(server, okta.hook('user.session.clear'))
      await settled(server)
      assert.deepEqual(await isAlive(server, before), [false, false])
    })
  })

  describe('OK-14 Universal Logout', () => {
    const byEmail = { sub_id: { format: 'email', email: 'JANE@example.com' } }
    const send = async (server: FlowServer, message: unknown, claims = {}, header = {}) =>
      post(server, message, `Bearer ${await okta.revocationToken(at(server, 'okta'), claims, header)}`)

    for (const [what, message] of [
      ['an e-mail address', () => byEmail],
      ['issuer and sub', () => ({ sub_id: { format: 'iss_sub', iss: okta.issuer(), sub: okta.org.user.sub } })],
      ['an id', () => ({ sub_id: { format: 'opaque', id: okta.org.user.sub } })],
      ['the member of early drafts', () => ({ subject: byEmail.sub_id })],
    ] as const) {
      it(`by ${what} ends sessions and refresh tokens: 204`, async () => {
        await using server = await start()
        const before = await login(server)
        assert.equal((await send(server, message())).status, 204)
        assert.deepEqual(await isAlive(server, before), [false, false])
        assert.equal((await send(server, message())).status, 404, 'nobody any more')
      })
    }

    it('is signed by the org, also where people log in at a custom authorization server', async () => {
      await using server = await start({ serverId: 'default' })
      const before = await login(server)
      assert.equal((await send(server, byEmail)).status, 204)
      assert.deepEqual(await isAlive(server, before), [false, false])
    })

    it('ends refresh tokens without sessions as well', async () => {
      await using server = await start({}, { sessions: undefined })
      const { tokens } = await login(server)
      assert.equal((await send(server, byEmail)).status, 204)
      assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    })

    it('takes a token once', async () => {
      await using server = await start()
      const before = await login(server)
      const authorization = `Bearer ${await okta.revocationToken(at(server, 'okta'))}`
      const nobody = { sub_id: { format: 'email', email: 'nobody@example.com' } }
      assert.equal((await post(server, nobody, authorization)).status, 404)
      assert.equal((await post(server, byEmail, authorization)).status, 401)
      assert.deepEqual(await isAlive(server, before), [true, true])
    })

    it('is refused by the status that says why', async () => {
      await using server = await start()
      const before = await login(server)
      const now = Math.floor(Date.now() / 1000)
      for (const [status, message, claims, header] of [
        [401, byEmail, { iss: 'https://evil.example' }],
        [401, byEmail, { aud: server.issuer }],
        [401, byEmail, { aud: at(server, 'other') }],
        [401, byEmail, { exp: now - 60 }],
        [401, byEmail, { exp: undefined }],
        [401, byEmail, { iat: undefined }],
        [401, byEmail, { iat: now - 3600 }],
        [401, byEmail, {}, { typ: 'JWT' }],
        [401, byEmail, {}, { typ: undefined }],
        [401, byEmail, {}, { typ: 'logout+jwt' }],
        [401, byEmail, {}, { kid: 'unknown' }],
        [403, byEmail, { sub: '0oa2OTHER' }],
        [400, {}],
        [400, []],
        [400, 'not JSON'],
        [400, { sub_id: 'jane' }],
        [400, { sub_id: { format: 'email' } }],
        [400, { sub_id: { format: 'email', email: 7 } }],
        [400, { sub_id: { format: 'iss_sub', sub: '00u8x7EXAMPLE' } }],
        [400, { sub_id: { format: 'phone_number', phone_number: '+1' } }],
        [404, { sub_id: { format: 'email', email: 'nobody@example.com' } }],
        [422, { sub_id: { format: 'iss_sub', iss: 'https://other.example', sub: '00u8x7EXAMPLE' } }],
      ] as [number, unknown, object?, object?][]) {
        const answer = await send(server, message, claims, header)
        assert.equal(answer.status, status, JSON.stringify([message, claims, header, answer.text]))
      }
      assert.equal((await post(server, byEmail, '')).status, 401)
      assert.equal((await post(server, byEmail, secret)).status, 401, 'the secret of hooks is none for this')
      assert.deepEqual(await isAlive(server, before), [true, true])
    })

    it('is 422 where the person cannot be found by what Okta sends', async () => {
      await using server = await start({ userIDKey: 'email' })
      const before = await login(server)
      const bySub = { sub_id: { format: 'iss_sub', iss: okta.issuer(), sub: okta.org.user.sub } }
      assert.equal((await send(server, bySub)).status, 422)
      assert.equal((await send(server, byEmail)).status, 204)
      assert.deepEqual(await isAlive(server, before), [false, false])
    })

    it('does not reach people of another connector who have the same address', async () => {
      const { clientId: clientID, clientSecret } = okta
      const config = { domain: okta.url, clientID, clientSecret }
      const connectors = ['okta', 'other'].map((id) => ({ type: 'okta', id, name: id, config }))
      await using server = await start({}, { connectors })
      const here = await logIn(server, { ...offline, connector: 'okta' })
      const there = await logIn(server, { ...offline, connector: 'other' })
      assert.equal((await send(server, byEmail)).status, 204)
      assert.deepEqual(await isAlive(server, here), [false, false])
      assert.deepEqual(await isAlive(server, there), [true, true])
    })
  })
})
