import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { openBrowser } from './browser.ts'
import {
  arrive,
  claimsOf,
  cli,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  passwordHash,
  peer,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const scope = 'openid profile email groups offline_access'

describe('refresh', () => {
  let server: FlowServer
  const people = upstream('refresh')
  before(async () => {
    server = await startServer({ connectors: [corp('refresh')] })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
    people.refresh = undefined
    people.refreshed.length = 0
  })

  const refreshed = async (token: string | undefined) => {
    const tokens = tokensOf(await server.refresh(token!))
    return { tokens, claims: claimsOf(tokens.id_token) }
  }

  it('brings a new ID token with the groups that the upstream tells now (X-6, OK-8)', async () => {
    const { tokens, claims, nonce } = await logIn(server, { scope })
    people.person = { ...jane(), groups: ['admins'], email: 'j@example.com' }
    const next = await refreshed(tokens.refresh_token)
    assert.deepEqual(next.claims.groups, ['admins'])
    assert.equal(next.claims.email, 'j@example.com')
    assert.equal(next.claims.sub, claims.sub)
    assert.equal(next.claims.nonce, nonce)
    assert.equal('auth_time' in next.claims, false)
    assert.notEqual(next.claims.jti, claims.jti)
    assert.notEqual(next.tokens.refresh_token, tokens.refresh_token)
    assert.equal(next.tokens.token_type, 'Bearer')
    const { groups } = (await server.userinfo(next.tokens.access_token)).json()
    assert.deepEqual(groups, ['admins'])
  })

  it('keeps the groups that are known when the upstream does not say, and takes none for none (MI-5)', async () => {
    const { tokens } = await logIn(server, { scope })
    const { groups: _, ...unsaid } = jane()
    people.person = unsaid
    const kept = await refreshed(tokens.refresh_token)
    assert.deepEqual(kept.claims.groups, ['staff'])
    people.person = { ...jane(), groups: [] }
    const emptied = await refreshed(kept.tokens.refresh_token)
    assert.equal('groups' in emptied.claims, false)
    people.person = unsaid
    const still = await refreshed(emptied.tokens.refresh_token)
    assert.equal('groups' in still.claims, false)
  })

  it('asks the connector with what it left the last time', async () => {
    const { tokens } = await logIn(server, { scope })
    people.person = { ...jane(), connectorData: { token: 'second' } }
    const next = await refreshed(tokens.refresh_token)
    await refreshed(next.tokens.refresh_token)
    assert.deepEqual(
      people.refreshed.map(({ connectorData }) => connectorData),
      [{ token: 'upstream-token-of-jane' }, { token: 'second' }],
    )
  })

  const refusals = [
    'identity_gone',
    'login_refused',
    'account_disabled',
    'account_locked',
    'password_expired',
    'not_in_required_groups',
  ] as const
  for (const code of refusals) {
    it(`ends with invalid_grant and the whole family when the upstream says ${code}`, async () => {
      const { live } = await server.driver.count('refresh-family')
      const { tokens } = await logIn(server, { scope })
      const { tokens: next } = await refreshed(tokens.refresh_token)
      people.refresh = () => {
        throw failure(code, 'gone')
      }
      assert.equal(errorOf(await server.refresh(next.refresh_token!)), '400 invalid_grant')
      people.refresh = undefined
      assert.equal(errorOf(await server.refresh(next.refresh_token!)), '400 invalid_grant')
      assert.equal((await server.driver.count('refresh-family')).live, live)
      assert.equal(server.audited().findLast(({ type }) => type === 'token_revoked')?.by, 'upstream')
    })
  }

  it('ends with invalid_grant when the upstream answers for somebody else', async () => {
    const { tokens } = await logIn(server, { scope })
    people.person = { ...jane(), userId: 'id-of-john' }
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    people.person = jane()
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
  })

  const passing = [
    ['upstream_unavailable', '503 temporarily_unavailable'],
    ['rate_limited', '503 temporarily_unavailable'],
    ['groups_incomplete', '503 temporarily_unavailable'],
    ['upstream_invalid_response', '502 server_error'],
  ] as const
  for (const [code, error] of passing) {
    it(`answers ${error} for ${code}, and the same token works afterwards`, async () => {
      const { tokens } = await logIn(server, { scope })
      people.refresh = () => {
        throw failure(code, 'not now')
      }
      const commits = server.commits.length
      assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), error)
      assert.equal(server.commits.length, commits, 'nothing was stored')
      people.refresh = undefined
      await refreshed(tokens.refresh_token)
    })
  }

  it('answers 500 for a defect in a connector, says no more of it, and the same token works afterwards', async () => {
    const { tokens } = await logIn(server, { scope })
    people.refresh = () => {
      throw new TypeError('secret detail')
    }
    const answer = await server.refresh(tokens.refresh_token!)
    assert.equal(errorOf(answer), '500 server_error')
    assert.doesNotMatch(answer.text, /secret detail/)
    assert.match(server.logged(), /secret detail/)
    people.refresh = undefined
    await refreshed(tokens.refresh_token)
  })

  it('narrows the scopes for one answer and never widens them', async () => {
    const { tokens } = await logIn(server, { scope: 'openid groups offline_access' })
    const narrow = tokensOf(await server.refresh(tokens.refresh_token!, web, { scope: 'openid' }))
    assert.equal('groups' in claimsOf(narrow.id_token), false)
    const wide = await refreshed(narrow.refresh_token)
    assert.deepEqual(wide.claims.groups, ['staff'])
    const wider = await server.refresh(wide.tokens.refresh_token!, web, { scope: 'openid email' })
    assert.equal(errorOf(wider), '400 invalid_scope')
    await refreshed(wide.tokens.refresh_token)
  })

  it('is refused to another client, to nobody, and to any change of the token, which stays good', async () => {
    const { tokens } = await logIn(server, { scope })
    const token = tokens.refresh_token!
    assert.equal(errorOf(await server.refresh(token, peer)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(token, cli)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(token, { ...web, secret: 'wrong' })), '401 invalid_client')
    const changed = [
      token.slice(0, -1),
      `${token}A`,
      token.slice(1),
      token.toLowerCase(),
      `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
      `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`,
      '',
    ]
    for (const each of changed) assert.match(errorOf(await server.refresh(each)), /^400 invalid_(grant|request)$/)
    assert.equal(people.refreshed.length, 0)
    await refreshed(token)
  })

  it('of a public client needs no secret', async () => {
    const { tokens } = await logIn(server, { client: cli, scope })
    const next = tokensOf(await server.refresh(tokens.refresh_token!, cli))
    tokensOf(await server.refresh(next.refresh_token!, { ...cli, by: 'basic' }))
  })

  it('refuses a token that was used, and takes its successors away when it comes later than a repetition would', async () => {
    using clock = stopClock()
    const { tokens } = await logIn(server, { scope })
    const { tokens: next } = await refreshed(tokens.refresh_token)
    clock.advance(3)
    assert.equal((await refreshed(tokens.refresh_token)).tokens.refresh_token, next.refresh_token, 'three seconds')
    const { tokens: third } = await refreshed(next.refresh_token)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant', 'the one before the last')
    assert.equal((await server.introspect(third.refresh_token!)).active, true)
    clock.advance(3.1)
    assert.equal(errorOf(await server.refresh(next.refresh_token!)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(third.refresh_token!)), '400 invalid_grant')
    assert.ok(server.audited().some(({ type, by }) => type === 'token_revoked' && by === 'reuse'))
  })

  it('takes the tokens of a code away when the code comes again later', async () => {
    using clock = stopClock()
    const login = await logIn(server, { scope })
    clock.advance(11)
    for (const token of [login.tokens.access_token, login.tokens.id_token]) {
      assert.equal((await server.userinfo(token)).status, 200)
    }
    assert.equal(errorOf(await server.redeem(login)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(login.tokens.refresh_token!)), '400 invalid_grant')
    for (const token of [login.tokens.access_token, login.tokens.id_token]) {
      assert.equal((await server.userinfo(token)).status, 401)
    }
    const audited = () => server.audited().filter(({ type, by }) => type === 'token_revoked' && by === 'reuse').length
    const before = audited()
    assert.equal(errorOf(await server.redeem(login)), '400 invalid_grant')
    assert.equal(audited(), before)
    assert.match(server.logged(), /code already used(?![\s\S]*authorization code not found)/)
  })

  it('gives no refresh token where the connector cannot say later who somebody is', async () => {
    await using other = await startServer({ connectors: [corp('refresh', { cannotRefresh: true })] })
    assert.equal((await logIn(other, { scope })).tokens.refresh_token, undefined)
  })

  it('shares the data of a person between logins where the upstream counts tokens', async () => {
    await using other = await startServer({ connectors: [corp('refresh', { dataPer: 'person' })] })
    const first = await logIn(other, { scope })
    people.person = { ...jane(), connectorData: { token: 'newest' } }
    await logIn(other, { scope })
    tokensOf(await other.refresh(first.tokens.refresh_token!))
    assert.deepEqual(people.refreshed.at(-1)?.connectorData, { token: 'newest' })
  })
})

describe('refresh tokens by the rules of `expiry.refreshTokens`', () => {
  const people = upstream('refresh rules')
  const serverWith = (refreshTokens: Record<string, unknown>) =>
    startServer({ connectors: [corp('refresh rules')], expiry: { refreshTokens } })
  const asked = () => people.refreshed.length

  it('`reuseInterval: 0`: refuses a repetition, and takes nothing away before it is later than two tabs would be', async () => {
    using clock = stopClock()
    await using server = await serverWith({ reuseInterval: '0' })
    const { tokens } = await logIn(server, { scope })
    const next = tokensOf(await server.refresh(tokens.refresh_token!))
    clock.advance(10)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    assert.equal((await server.introspect(next.refresh_token!)).active, true)
    clock.advance(1)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(next.refresh_token!)), '400 invalid_grant')
  })

  it('`disableRotation`: the same token again, any number of times, and within the interval the same answer', async () => {
    using clock = stopClock()
    await using server = await serverWith({ disableRotation: true })
    const { tokens } = await logIn(server, { scope })
    for (let i = 0; i < 3; i++) {
      clock.advance(4)
      people.person = { ...jane(), groups: [`group ${i}`] }
      const next = tokensOf(await server.refresh(tokens.refresh_token!))
      assert.ok(next.refresh_token === undefined || next.refresh_token === tokens.refresh_token)
      assert.deepEqual(claimsOf(next.id_token).groups, [`group ${i}`])
      people.person = { ...jane(), groups: ['later'] }
      clock.advance(3)
      const [before, commits] = [asked(), server.commits.length]
      const again = tokensOf(await server.refresh(tokens.refresh_token!))
      assert.deepEqual(claimsOf(again.id_token).groups, [`group ${i}`])
      assert.deepEqual([asked(), server.commits.length], [before, commits])
      assert.equal((await server.introspect(tokens.refresh_token!)).active, true)
    }
  })

  it('`reuseInterval`: a repetition gets the same successor and the upstream is not asked, until it is over', async () => {
    using clock = stopClock()
    await using server = await serverWith({ reuseInterval: '30s' })
    people.person = jane()
    const { tokens } = await logIn(server, { scope })
    const before = asked()
    const first = tokensOf(await server.refresh(tokens.refresh_token!))
    clock.advance(29)
    people.person = { ...jane(), groups: ['later'] }
    const again = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.equal(again.refresh_token, first.refresh_token)
    assert.deepEqual(claimsOf(again.id_token).groups, ['staff'])
    assert.equal(asked() - before, 1)
    clock.advance(2)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    assert.equal(errorOf(await server.refresh(first.refresh_token!)), '400 invalid_grant', 'the family is gone')
  })

  it('`absoluteLifetime`: ends that long after the login, however often it was used', async () => {
    using clock = stopClock()
    await using server = await serverWith({ absoluteLifetime: '1h' })
    let { refresh_token: token } = (await logIn(server, { scope })).tokens
    for (let i = 0; i < 3; i++) {
      clock.advance(19 * 60)
      token = tokensOf(await server.refresh(token!)).refresh_token
    }
    clock.advance(4 * 60)
    assert.equal(errorOf(await server.refresh(token!)), '400 invalid_grant')
  })

  it('`validIfNotUsedFor`: ends when it was not used for that long', async () => {
    using clock = stopClock()
    await using server = await serverWith({ validIfNotUsedFor: '1h' })
    let { refresh_token: token } = (await logIn(server, { scope })).tokens
    for (let i = 0; i < 3; i++) {
      clock.advance(59 * 60)
      token = tokensOf(await server.refresh(token!)).refresh_token
    }
    clock.advance(61 * 60)
    assert.equal(errorOf(await server.refresh(token!)), '400 invalid_grant')
  })

  it('without a rule: good for ever', async () => {
    using clock = stopClock()
    await using server = await serverWith({})
    const { tokens } = await logIn(server, { scope })
    clock.advance(3 * 365 * 24 * 3600)
    tokensOf(await server.refresh(tokens.refresh_token!))
  })
})

describe('refresh after a restart with another configuration', () => {
  const people = upstream('restart')
  const client = { id: 'web', secret: 'web-secret', name: 'Web', redirectURIs: [web.redirectUri] }
  const both = [corp('restart'), { type: 'mockCallback', id: 'mock', name: 'Mock' }]

  const changes: [what: string, config: Record<string, unknown>, outcome: string][] = [
    ['nothing has changed', {}, 'works'],
    ['the client is gone', { staticClients: [{ ...client, id: 'other' }] }, '401 invalid_client'],
    ['the client has another secret', { staticClients: [{ ...client, secret: 'new' }] }, '401 invalid_client'],
    ['the connector is gone', { connectors: both.slice(1) }, '400 invalid_grant'],
    [
      'the client may not use the connector any more',
      { staticClients: [{ ...client, allowedConnectors: ['mock'] }] },
      '400 invalid_grant',
    ],
    [
      'the connector may not be used to refresh any more',
      { connectors: [{ ...both[0], grantTypes: ['authorization_code'] }, both[1]] },
      '400 invalid_grant',
    ],
    [
      'refreshing is switched off',
      { oauth2: { skipApprovalScreen: true, grantTypes: ['authorization_code'] } },
      '400 unsupported_grant_type',
    ],
  ]
  for (const [what, config, outcome] of changes) {
    it(`${outcome === 'works' ? 'works' : `is answered ${outcome}`} when ${what}`, async () => {
      people.person = jane()
      await using first = await startServer({ connectors: both, staticClients: [client] }, { store: 'lowdb' })
      const { tokens } = await logIn(first, { scope, connector: 'corp' })
      await first.close()
      const changed = { connectors: both, staticClients: [client], ...config }
      await using second = await startServer(changed, { store: 'lowdb', instead: first })
      const answer = await second.refresh(tokens.refresh_token!)
      if (outcome !== 'works') return assert.equal(errorOf(answer), outcome)
      const next = tokensOf(answer)
      assert.equal((await second.userinfo(next.access_token)).status, 200)
      assert.equal((await second.userinfo(tokens.access_token)).status, 200, 'keys are kept')
    })
  }

  it('follows the people of the file: new groups, and invalid_grant for who is gone', async () => {
    const user = (groups: string[]) => ({ email: 'jane@example.com', hash: passwordHash, userID: 'jane', groups })
    const config = (...staticPasswords: object[]) => ({ enablePasswordDB: true, connectors: [], staticPasswords })
    await using first = await startServer(config(user(['viewers'])), { store: 'lowdb' })
    const started = startLogin(first, { scope })
    const browser = openBrowser()
    const form = await browser.follow(started.url)
    const done = await browser.submit(form, { login: 'Jane@example.com', password: 'password' })
    const { refresh_token: token } = tokensOf(await first.redeem(arrive(started, done)))
    await first.close()
    const promoted = await startServer(config(user(['admins'])), { store: 'lowdb', instead: first })
    const next = tokensOf(await promoted.refresh(token!))
    assert.deepEqual(claimsOf(next.id_token).groups, ['admins'])
    await promoted.close()
    await using last = await startServer(config(), { store: 'lowdb', instead: first })
    assert.equal(errorOf(await last.refresh(next.refresh_token!)), '400 invalid_grant')
  })
})
