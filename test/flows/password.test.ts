import assert from 'node:assert/strict'
import { clientOrigin, openBrowser } from './browser.ts'
import {
  type Client,
  claimsOf,
  cli,
  errorOf,
  type FlowServer,
  passwordHash,
  peer,
  startLogin,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'

const limited: Client = { id: 'limited', secret: 'limited-secret', redirectUri: `${clientOrigin}limited` }
const people = {
  enablePasswordDB: true,
  staticPasswords: [
    {
      email: 'jane@example.com',
      hash: passwordHash,
      username: 'jane',
      name: 'Jane Doe',
      preferredUsername: 'jdoe',
      userID: 'id-of-jane',
      groups: ['staff'],
    },
  ],
}
const staticClients = [
  { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
  { id: cli.id, name: 'Command line', public: true },
  { id: peer.id, secret: peer.secret, name: 'Peer', trustedPeers: [web.id] },
  { id: limited.id, secret: limited.secret, name: 'Limited', allowedConnectors: ['mock'] },
]
const base = { ...people, staticClients, oauth2: { skipApprovalScreen: true, passwordConnector: 'local' } }
const right = { grant_type: 'password', username: 'jane@example.com', password: 'password', scope: 'openid' }

describe('the password grant', () => {
  let server: FlowServer
  beforeEach(async () => {
    server = await startServer(base)
  })
  afterEach(() => server[Symbol.asyncDispose]())

  const ask = (fields: Record<string, string> = {}, client: Client = web, of: FlowServer = server) =>
    of.token(Object.fromEntries(Object.entries({ ...right, ...fields }).filter(([, value]) => value !== '')), client)

  it('gives tokens with the claims of the scopes, and no time of login, as in Dex', async () => {
    const answer = await ask({ scope: 'openid profile email groups federated:id', nonce: 'n-1' })
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const tokens = tokensOf(answer)
    assert.equal(tokens.token_type, 'Bearer')
    assert.equal(tokens.expires_in, 86_400)
    assert.equal(tokens.refresh_token, undefined)
    const { iat, exp, jti, at_hash, ...claims } = claimsOf(tokens.id_token)
    assert.deepEqual(claims, {
      iss: server.issuer,
      sub: 'CgppZC1vZi1qYW5lEgVsb2NhbA',
      aud: 'web',
      nonce: 'n-1',
      email: 'jane@example.com',
      email_verified: true,
      groups: ['staff'],
      name: 'Jane Doe',
      preferred_username: 'jdoe',
      federated_claims: { connector_id: 'local', user_id: 'id-of-jane' },
    })
    assert.ok(iat && exp && jti && at_hash)
    assert.equal((await server.userinfo(tokens.access_token)).json().email, 'jane@example.com')
    assert.equal((await server.introspect(tokens.access_token)).active, true)
  })

  it('serves public clients, and audiences that trust the client', async () => {
    assert.equal(claimsOf(tokensOf(await ask({}, cli)).id_token).aud, 'cli')
    const { aud, azp } = claimsOf(tokensOf(await ask({ scope: 'openid audience:server:client_id:peer' })).id_token)
    assert.deepEqual([aud, azp], [['peer', 'web'], 'web'])
  })

  it('gives a refresh token for `offline_access`, which asks the connector again', async () => {
    const tokens = tokensOf(await ask({ scope: 'openid email groups offline_access', nonce: 'n-1' }))
    const next = tokensOf(await server.refresh(tokens.refresh_token!))
    const { nonce, groups, sub, auth_time } = claimsOf(next.id_token)
    assert.deepEqual([nonce, groups, sub, auth_time], ['n-1', ['staff'], claimsOf(tokens.id_token).sub, undefined])
    assert.equal((await server.post('/token/revoke', { token: next.refresh_token! }, web)).status, 200)
    assert.equal(errorOf(await server.refresh(next.refresh_token!)), '400 invalid_grant')
  })

  it('is accounted for as a login and as an issue of tokens, without the password', async () => {
    tokensOf(await ask({ password: 'password' }))
    assert.equal(errorOf(await ask({ password: 'a-wrong-password' })), '400 invalid_grant')
    const events = server.audited().filter(({ client_id: id }) => id === 'web')
    assert.deepEqual(
      events.map(({ type, reason, grant_type }) => [type, reason ?? grant_type]),
      [
        ['login_succeeded', undefined],
        ['tokens_issued', 'password'],
        ['login_refused', 'invalid_credentials'],
      ],
    )
    assert.equal(events[1]!.sub, 'CgppZC1vZi1qYW5lEgVsb2NhbA')
    assert.equal(server.logged().includes('a-wrong-password'), false)
  })

  const refusals: [fault: string, fields: Record<string, string>, client: Client, error: string][] = [
    ['a wrong password', { password: 'no' }, web, '400 invalid_grant'],
    ['an unknown name', { username: 'nobody' }, web, '400 invalid_grant'],
    ['no name', { username: '' }, web, '400 invalid_request'],
    ['no password', { password: '' }, web, '400 invalid_request'],
    ['no scope', { scope: '' }, web, '400 invalid_scope'],
    ['a scope without `openid`', { scope: 'email' }, web, '400 invalid_scope'],
    ['an unknown scope', { scope: 'openid bogus' }, web, '400 invalid_scope'],
    [
      'an audience that does not trust it',
      { scope: 'openid audience:server:client_id:web' },
      peer,
      '400 invalid_scope',
    ],
    ['a wrong secret', {}, { ...web, secret: 'x' }, '401 invalid_client'],
    ['a client that may not use the connector', {}, limited, '400 invalid_grant'],
  ]
  for (const [fault, fields, client, error] of refusals) {
    it(`refuses ${fault} with ${error}`, async () => assert.equal(errorOf(await ask(fields, client)), error))
  }

  it('says the same of an unknown name and of a wrong password', async () => {
    assert.equal((await ask({ username: 'nobody' })).text, (await ask({ password: 'no' })).text)
  })

  it('is limited together with the password form, and says when to try again', async () => {
    using clock = stopClock()
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server, { connector: 'local' }).url)
    for (let tries = 0; tries < 5; tries++) {
      assert.equal(errorOf(await ask({ password: 'no' })), '400 invalid_grant')
      const form = { login: right.username, password: 'no' }
      assert.equal((await browser.request(page.url, { form })).status, 401)
    }
    // Even the right one, and for every client.
    for (const client of [web, cli]) {
      const answer = await ask({}, client)
      assert.equal(errorOf(answer), '429 temporarily_unavailable')
      const wait = Number(answer.headers.get('retry-after'))
      assert.ok(Number.isInteger(wait) && wait > 0 && wait <= 600, `${wait}`)
    }
    assert.equal(
      (await browser.request(page.url, { form: { login: right.username, password: 'password' } })).status,
      429,
    )
    assert.equal(server.audited().findLast(({ type }) => type === 'rate_limited')?.what, 'password')
    clock.advance(601)
    tokensOf(await ask())
    for (let tries = 0; tries < 9; tries++) await ask({ password: 'no' })
    tokensOf(await ask())
    assert.equal(errorOf(await ask({ password: 'no' })), '400 invalid_grant', 'a right one begins the count anew')
  })

  it('lets no flood of attempts at the same moment through', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask({ password: 'no' })))
    assert.equal(answers.filter(({ status }) => status === 429).length, 20)
  })

  it('is limited for nobody by what never reached a password', async () => {
    for (let tries = 0; tries < 15; tries++) {
      assert.equal(errorOf(await ask({}, { ...web, secret: 'x' })), '401 invalid_client')
      assert.equal(errorOf(await ask({ scope: 'email' })), '400 invalid_scope')
    }
    tokensOf(await ask())
  })

  it('is off without `passwordConnector`, and where `grantTypes` leaves it out', async () => {
    const grantTypes = ['authorization_code', 'refresh_token']
    for (const oauth2 of [
      {},
      { grantTypes: [...grantTypes, 'password'] },
      { passwordConnector: 'local', grantTypes },
    ]) {
      await using other = await startServer({ ...base, oauth2 })
      assert.equal(errorOf(await ask({}, web, other)), '400 unsupported_grant_type')
      const document = (await other.request(other.url('/.well-known/openid-configuration'))).json()
      assert.equal((document.grant_types_supported as string[]).includes('password'), false)
    }
  })

  const settings: [what: string, config: Record<string, unknown>, error: string][] = [
    ['a connector that is not there', { oauth2: { passwordConnector: 'gone' } }, '400 invalid_request'],
    ['a connector that takes no passwords', { oauth2: { passwordConnector: 'mock' } }, '400 invalid_request'],
    [
      'a connector that does not allow the grant type',
      {
        oauth2: { passwordConnector: 'pw' },
        connectors: [
          {
            type: 'mockPassword',
            id: 'pw',
            name: 'PW',
            config: { username: 'u', password: 'p' },
            grantTypes: ['authorization_code'],
          },
        ],
      },
      '400 invalid_request',
    ],
  ]
  for (const [what, config, error] of settings) {
    it(`refuses to ask ${what}`, async () => {
      await using other = await startServer({ ...base, ...config })
      assert.equal(errorOf(await ask({ username: 'u', password: 'p' }, web, other)), error)
    })
  }
})
