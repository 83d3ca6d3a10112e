import assert from 'node:assert/strict'
import { openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  claimsOf,
  cli,
  corp,
  type FlowServer,
  logIn,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const people = upstream('claims')
const ask = (claims: unknown) => ({ claims: typeof claims === 'string' ? claims : JSON.stringify(claims) })
const subOfJane = 'Cgppd'

describe('claims by name', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ connectors: [corp('claims')] })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
  })

  const logInFor = (claims: unknown, scope = 'openid') => logIn(server, { scope, params: ask(claims) })

  it('stand where they were asked for: in the ID token, in userinfo, and nowhere else', async () => {
    const { claims, tokens } = await logInFor({
      id_token: { email: null, nickname: { essential: true } },
      userinfo: { name: { essential: true } },
    })
    assert.equal(claims.email, 'jane@example.com')
    for (const absent of ['email_verified', 'name', 'groups', 'nickname']) assert.equal(absent in claims, false, absent)
    const told = (await server.userinfo(tokens.access_token)).json()
    assert.equal(told.name, 'Jane Doe')
    for (const absent of ['email', 'preferred_username', 'groups']) assert.equal(absent in told, false, absent)
  })

  it('stay with the refresh token', async () => {
    const { tokens } = await logInFor({ id_token: { groups: null } }, 'openid offline_access')
    people.person = { ...jane(), groups: ['staff', 'devops'] }
    for (let token = tokens.refresh_token!, round = 0; round < 2; round++) {
      const next = tokensOf(await server.refresh(token))
      assert.deepEqual(claimsOf(next.id_token).groups, ['staff', 'devops'])
      assert.equal('groups' in claimsOf(next.access_token), false)
      token = next.refresh_token!
    }
  })

  it('are fetched as by their scope', async () => {
    people.started.length = 0
    await logInFor({ userinfo: { groups: null } })
    assert.equal(people.started[0]?.scopes.groups, true)
    await logInFor({ userinfo: { email: null } })
    assert.equal(people.started[1]?.scopes.groups, false)
  })

  it('with a value are told only if that is the value', async () => {
    const wish = (value: unknown) => ({ id_token: { email: { value }, groups: { values: [['staff'], ['x']] } } })
    const right = await logInFor(wish('jane@example.com'))
    assert.deepEqual([right.claims.email, right.claims.groups], ['jane@example.com', ['staff']])
    assert.equal('email' in (await logInFor(wish('joe@example.com'))).claims, false)
    const byScope = await logInFor(wish('joe@example.com'), 'openid email')
    assert.equal(byScope.claims.email, 'jane@example.com')
  })

  it('that exist nowhere, or in a language, are passed over', async () => {
    const { claims } = await logInFor({
      id_token: { 'name#de': null, constructor: null, toString: null, 'http://example.com/role': { essential: true } },
      verified_claims: 7,
    })
    assert.equal('name#de' in claims, false)
    assert.equal(Object.hasOwn(claims, 'constructor'), false)
  })

  const malformed: [what: string, parameter: string][] = [
    ['no JSON', '{'],
    ['a list', '[]'],
    ['a text', '"id_token"'],
    ['nothing', 'null'],
    ['a place that is a list', '{"id_token":[]}'],
    ['a place that is null', '{"userinfo":null}'],
    ['a claim that is a text', '{"id_token":{"email":"x"}}'],
    ['a claim that does not exist here and is malformed', '{"id_token":{"nickname":true}}'],
    ['`essential` that is no boolean', '{"id_token":{"email":{"essential":"yes"}}}'],
    ['`values` that is no list', '{"id_token":{"acr":{"values":"1"}}}'],
    ['`value` beside `values`', '{"id_token":{"acr":{"value":"1","values":["1"]}}}'],
    ['more than 4096 characters', JSON.stringify({ id_token: { email: { value: 'x'.repeat(4096) } } })],
  ]
  for (const [what, parameter] of malformed) {
    it(`are refused when they are ${what}`, async () => {
      const started = startLogin(server, { params: ask(parameter) })
      const { error, error_description, state } = answerAt(await openBrowser().follow(started.url))
      assert.deepEqual([error, state], ['invalid_request', started.state])
      assert.match(error_description!, /claims/)
    })
  }

  it('let nobody in but the person that was named', async () => {
    const { claims } = await logInFor({ id_token: { sub: { value: (await logInFor({})).claims.sub } } })
    assert.equal(claims.name, undefined)
    for (const place of ['id_token', 'userinfo']) {
      const started = startLogin(server, { params: ask({ [place]: { sub: { value: subOfJane } } }) })
      const answer = answerAt(await openBrowser().follow(started.url))
      assert.deepEqual([answer.error, answer.code], ['access_denied', undefined])
      assert.match(answer.error_description!, /^Somebody else has logged in/)
    }
  })
})

describe('how somebody was authenticated', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ connectors: [corp('claims')] })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = { ...jane(), authentication: { acr: 'urn:two', amr: ['pwd', 'otp'], time: 1_700_000_000 } }
    people.started.length = 0
  })

  it('is told as the upstream says, also of its session there, and after a refresh', async () => {
    const { claims, tokens } = await logIn(server, { scope: 'openid offline_access' })
    assert.deepEqual([claims.acr, claims.amr, claims.auth_time], ['urn:two', ['pwd', 'otp'], 1_700_000_000])
    // A refresh is no login.
    people.person = { ...jane(), authentication: { acr: 'urn:refresh', amr: ['none'] } }
    const { acr, amr } = claimsOf(tokensOf(await server.refresh(tokens.refresh_token!)).id_token)
    assert.deepEqual([acr, amr], ['urn:two', ['pwd', 'otp']])
  })

  it('is our own time where the upstream says none, or one that has not come yet', async () => {
    using _ = stopClock()
    const now = Math.floor(Date.now() / 1000)
    for (const authentication of [{}, { time: now + 60 }, { time: 0 }]) {
      people.person = { ...jane(), authentication }
      assert.equal((await logIn(server)).claims.auth_time, now)
    }
  })

  it('is asked of the upstream in the words of the client', async () => {
    await logIn(server, {
      params: {
        prompt: 'login',
        max_age: '60',
        acr_values: 'urn:three urn:two',
        login_hint: 'jane@example.com',
        ui_locales: 'de en',
        ...ask({ id_token: { acr: { values: ['urn:two', 'urn:one'] } } }),
      },
    })
    assert.deepEqual(people.started[0]?.wishes, {
      prompt: 'login',
      maxAge: 60,
      acrValues: ['urn:three', 'urn:two', 'urn:one'],
      uiLocales: ['de', 'en'],
      loginHint: 'jane@example.com',
    })
  })

  it('is "0" where a level was asked for and nobody vouches for any, and absent where none was', async () => {
    people.person = jane()
    for (const params of [{ acr_values: 'urn:two' }, ask({ id_token: { acr: null } })]) {
      assert.equal((await logIn(server, { params })).claims.acr, '0')
    }
    assert.equal('acr' in (await logIn(server)).claims, false)
  })

  it('ends the login when a level was demanded and is not met', async () => {
    const demand = (values: string[]) => ask({ id_token: { acr: { essential: true, values } } })
    assert.equal((await logIn(server, { params: demand(['urn:three', 'urn:two']) })).claims.acr, 'urn:two')
    const started = startLogin(server, { params: demand(['urn:three']) })
    const answer = answerAt(await openBrowser().follow(started.url))
    assert.deepEqual([answer.error, answer.state], ['unmet_authentication_requirements', started.state])
    const refused = server.audited().find(({ type, reason }) => type === 'login_refused' && reason === 'client_demands')
    assert.equal(refused?.client_id, 'web')
  })
})

describe('the approval page', () => {
  it('shows claims that are asked for by name as their scope, and the audit says so', async () => {
    await using server = await startServer({ connectors: [corp('claims')], oauth2: {} })
    const browser = openBrowser()
    const request = { scope: 'openid', params: ask({ userinfo: { groups: null }, id_token: { email: null } }) }
    const started = startLogin(server, request)
    const page = await browser.follow(started.url)
    assert.match(page.page().text, /See your email address/)
    assert.match(page.page().text, /See the groups you belong to/)
    assert.doesNotMatch(page.page().text, /your name/)
    const arrived = arrive(started, await browser.decide(page, true))
    const { id_token } = tokensOf(await server.redeem(arrived))
    assert.equal(claimsOf(id_token).email, 'jane@example.com')
    const given = server.audited().find(({ type }) => type === 'approval_given')
    assert.deepEqual(given?.scopes, ['openid', 'email', 'groups'])
  })
})

describe('a session', () => {
  it('needs approval for a claim whose scope was never approved, and remembers that', async () => {
    await using server = await startServer({ connectors: [corp('claims')], oauth2: {}, sessions: {} })
    const browser = openBrowser()
    const request = (claims: unknown) => startLogin(server, { scope: 'openid', params: ask(claims) })
    const email = { id_token: { email: null } }
    const first = startLogin(server, { scope: 'openid' })
    arrive(first, await browser.follow(first.url))
    const asked = await browser.follow(request(email).url)
    assert.match(asked.page().text, /See your email address/)
    const second = request(email)
    arrive(second, await browser.decide(await browser.follow(second.url), true).then(() => browser.follow(second.url)))
    const silent = { scope: 'openid', params: { ...ask({ id_token: { name: null } }), prompt: 'none' } }
    assert.equal(answerAt(await browser.follow(startLogin(server, silent).url)).error, 'interaction_required')
  })

  it('is for its own person, and for a level that its login had: else the upstream is asked', async () => {
    people.person = { ...jane(), authentication: { acr: 'urn:one' } }
    await using server = await startServer({ connectors: [corp('claims')], sessions: {} })
    const { browser, claims } = await logIn(server)
    const silent = async (wish: object) => {
      const started = startLogin(server, { params: { ...ask({ id_token: wish }), prompt: 'none' } })
      return answerAt(await browser.follow(started.url)).error
    }
    assert.equal(await silent({ sub: { value: claims.sub } }), undefined)
    assert.equal(await silent({ sub: { value: subOfJane } }), 'login_required')
    const strong = { acr: { essential: true, values: ['urn:two'] } }
    assert.equal(await silent(strong), 'login_required')
    people.person = { ...jane(), authentication: { acr: 'urn:two' } }
    people.started.length = 0
    const { claims: stronger } = await logIn(server, { browser, params: ask({ id_token: strong }) })
    assert.equal(stronger.acr, 'urn:two')
    assert.deepEqual(people.started[0]?.wishes.acrValues, ['urn:two'])
  })
})

describe('the password form', () => {
  it('begins with the name of login_hint, as text', async () => {
    await using server = await startServer({
      connectors: [{ type: 'mockPassword', id: 'pw', name: 'Pw', config: { username: 'jane', password: 'x' } }],
    })
    const hint = 'jane"><script>alert(1)</script>'
    const page = await openBrowser().follow(startLogin(server, { params: { login_hint: hint } }).url)
    const field = page.page().forms[0]?.inputs.find(({ name }) => name === 'login')
    assert.equal(field?.value, hint)
    assert.equal(page.text.includes('<script>alert'), false)
    const long = await openBrowser().follow(startLogin(server, { params: { login_hint: 'x'.repeat(999) } }).url)
    assert.equal(long.page().forms[0]?.inputs.find(({ name }) => name === 'login')?.value?.length, 256)
  })
})

describe('clients with rules of their own', () => {
  let server: FlowServer
  before(async () => {
    const client = (id: string, more: object) => ({
      id,
      name: id,
      secret: 'web-secret',
      redirectURIs: [web.redirectUri],
      ...more,
    })
    server = await startServer({
      connectors: [corp('claims')],
      staticClients: [
        client('web', {}),
        client('omit', { groupsClaim: 'omit' }),
        client('empty', { groupsClaim: 'empty' }),
        client('fail', { groupsClaim: 'fail' }),
        client('scopes', { defaultScopes: ['openid', 'email'] }),
        client('names', { claims: { preferredUsername: { cutDomain: true, form: 'kubernetes', maxLength: 32 } } }),
        {
          id: 'cli',
          name: 'cli',
          public: true,
          redirectURIs: ['https://localhost/auth/callback'],
          httpsLoopback: true,
        },
      ],
    })
  })
  after(() => server[Symbol.asyncDispose]())

  const as = (id: string) => ({ ...web, id })
  const groupsAt = async (id: string) => {
    const { claims, tokens } = await logIn(server, { client: as(id), scope: 'openid groups offline_access' })
    const told = (await server.userinfo(tokens.access_token)).json()
    assert.deepEqual(told.groups, claims.groups)
    return { groups: claims.groups, tokens }
  }
  const refreshed = async (id: string, token: string) => server.refresh(token, as(id))
  const withGroups = (groups?: string[]) => {
    const { groups: _, ...person } = jane()
    people.person = { ...person, ...(groups && { groups }) }
  }

  it('MI-5: groups are absent, empty or a refusal as the client wants, when the upstream says none', async () => {
    withGroups([])
    assert.equal((await groupsAt('omit')).groups, undefined)
    assert.deepEqual((await groupsAt('empty')).groups, [])
    assert.deepEqual((await groupsAt('fail')).groups, [])
  })

  it('MI-5: groups are absent, absent or a refusal, when the upstream says nothing of them', async () => {
    withGroups()
    assert.equal((await groupsAt('omit')).groups, undefined)
    assert.equal((await groupsAt('empty')).groups, undefined)
    const started = startLogin(server, { client: as('fail'), scope: 'openid groups' })
    const { error, error_description, state } = answerAt(await openBrowser().follow(started.url))
    assert.deepEqual([error, state], ['access_denied', started.state])
    assert.match(error_description!, /^The application needs to know your groups, and the identity provider did not/)
    // Who does not ask for groups does not need them.
    await logIn(server, { client: as('fail'), scope: 'openid email' })
    const byName = startLogin(server, {
      client: as('fail'),
      scope: 'openid',
      params: ask({ userinfo: { groups: null } }),
    })
    assert.equal(answerAt(await openBrowser().follow(byName.url)).error, 'access_denied')
  })

  it('MI-5: a refresh keeps what was known, empties what the upstream empties, and needs to know', async () => {
    withGroups(['staff'])
    const { tokens } = await groupsAt('empty')
    withGroups()
    const kept = tokensOf(await refreshed('empty', tokens.refresh_token!))
    assert.deepEqual(claimsOf(kept.id_token).groups, ['staff'])
    withGroups([])
    const emptied = tokensOf(await refreshed('empty', kept.refresh_token!))
    assert.deepEqual(claimsOf(emptied.id_token).groups, [])
    withGroups(['staff'])
    const { tokens: strict } = await groupsAt('fail')
    withGroups()
    assert.deepEqual(claimsOf(tokensOf(await refreshed('fail', strict.refresh_token!)).id_token).groups, ['staff'])
  })

  it('MI-5: a refresh of a login of which no groups were ever known is refused once the client demands them', async () => {
    withGroups()
    const before = await startServer({ connectors: [corp('claims')] }, { store: 'lowdb' })
    const { tokens } = await logIn(before, { scope: 'openid groups offline_access' })
    await before.close()
    await using after = await startServer(
      {
        connectors: [corp('claims')],
        staticClients: [
          { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri], groupsClaim: 'fail' },
        ],
      },
      { store: 'lowdb', instead: before },
    )
    const answer = await after.refresh(tokens.refresh_token!)
    assert.equal(answer.status, 400)
    assert.equal(answer.json().error, 'invalid_grant')
    assert.match(String(answer.json().error_description), /needs to know your groups/)
  })

  it('KS-7: a request without scope has those of the client', async () => {
    people.person = jane()
    const { claims } = await logIn(server, { client: as('scopes'), scope: '' })
    assert.equal(claims.email, 'jane@example.com')
    assert.equal('name' in claims, false)
    const { claims: own } = await logIn(server, { client: as('scopes'), scope: 'openid profile' })
    assert.deepEqual([own.email, own.name], [undefined, 'Jane Doe'])
    const started = startLogin(server, { scope: '' })
    const answer = answerAt(await openBrowser().follow(started.url))
    assert.deepEqual([answer.error, answer.state], ['invalid_scope', started.state])
    assert.match(answer.error_description!, /openid/)
  })

  it('KS-5: preferred_username has the form that the client accepts, in every token and in introspection', async () => {
    people.person = { ...jane(), preferredUsername: 'Jané.Doe_2@example.com' }
    const form = /^jane\.doe-2-[a-z2-7]{8}$/
    const { claims, tokens } = await logIn(server, { client: as('names'), scope: 'openid profile offline_access' })
    assert.match(String(claims.preferred_username), form)
    const next = tokensOf(await refreshed('names', tokens.refresh_token!))
    assert.equal(claimsOf(next.id_token).preferred_username, claims.preferred_username)
    for (const token of [next.access_token, next.refresh_token!]) {
      assert.equal((await server.introspect(token, as('names'))).username, claims.preferred_username)
    }
    assert.equal((await logIn(server)).claims.preferred_username, 'Jané.Doe_2@example.com')
  })

  it('KA-6: https on localhost stands for http on loopback where the client says so', async () => {
    people.person = jane()
    const redirectUri = 'http://localhost:43210/auth/callback'
    const started = startLogin(server, { client: { ...cli, redirectUri } })
    const browser = openBrowser()
    const departed = await browser.request(started.url)
    // Not followed: the test has nobody at that port.
    const back = await browser.request(departed.location!)
    assert.ok(back.location?.startsWith(`${redirectUri}?code=`), back.location)
    const tokens = tokensOf(await server.redeem(arrive(started, back)))
    assert.equal(claimsOf(tokens.id_token).aud, 'cli')
    const other = startLogin(server, { client: { ...cli, redirectUri: 'http://localhost:43210/else' } })
    assert.equal((await openBrowser().follow(other.url)).status, 400)
  })
})
