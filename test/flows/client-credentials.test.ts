import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Client, claimsOf, cli, errorOf, type FlowServer, peer, startServer, web } from './server.ts'

const grant = 'client_credentials'
const robot: Client = { id: 'robot', secret: 'robot-secret', redirectUri: '' }
const staticClients = [
  { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri], allowedConnectors: ['nothing'] },
  { id: peer.id, secret: peer.secret, name: 'Peer', trustedPeers: [web.id] },
  { id: robot.id, secret: robot.secret, name: 'Robot', clientCredentialsClaims: { groups: ['robots', 'ci'] } },
  { id: cli.id, name: 'Command line', public: true },
  { id: 'half', name: 'Public with a secret', public: true, secret: 'half-secret' },
]

describe('the client credentials grant', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ staticClients, oauth2: { grantTypes: [grant, 'refresh_token'] } })
  })
  after(() => server[Symbol.asyncDispose]())

  const ask = (scope: string | undefined, client: Client = web, more: Record<string, string> = {}) =>
    server.token({ grant_type: grant, ...(scope !== undefined && { scope }), ...more }, client)

  it('gives an access token that stands for the client', async () => {
    const answer = await ask(undefined)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const { access_token: token, ...rest } = answer.json()
    assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 86_400 })
    const { iat, exp, jti, ...claims } = claimsOf(String(token))
    assert.deepEqual(claims, { iss: server.issuer, sub: 'CgN3ZWI', aud: 'web' })
    assert.equal(Number(exp) - Number(iat), 86_400)
    assert.ok(jti)
  })

  it('adds an ID token and claims by scope, groups from the file', async () => {
    const body = (await ask('openid profile email groups', robot, { nonce: 'n' })).json()
    const { name, preferred_username, email, email_verified, groups, at_hash, auth_time, nonce } = claimsOf(
      String(body.id_token),
    )
    assert.deepEqual(
      [name, preferred_username, email, email_verified, groups, auth_time, nonce],
      ['Robot', 'Robot', undefined, false, ['robots', 'ci'], undefined, 'n'],
    )
    const half = createHash('sha256').update(String(body.access_token)).digest().subarray(0, 16)
    assert.equal(at_hash, half.toString('base64url'))
    assert.equal('refresh_token' in body, false)
    assert.equal(body.scope, 'openid profile email groups')
    assert.equal(claimsOf(String((await ask('groups')).json().access_token)).groups, undefined)
  })

  it('names another client as audience where that one trusts it', async () => {
    const { aud, azp } = claimsOf(String((await ask('audience:server:client_id:peer')).json().access_token))
    assert.deepEqual([aud, azp], [['peer', 'web'], 'web'])
    assert.equal(errorOf(await ask('audience:server:client_id:web', robot)), '400 invalid_scope')
  })

  it('gives tokens that userinfo, introspection and revocation take, although no connector made them', async () => {
    const token = String((await ask('openid profile')).json().access_token)
    assert.equal((await server.userinfo(token)).json().name, 'Web')
    const told = await server.introspect(token)
    assert.deepEqual(
      [told.active, told.client_id, told.sub, told.token_use, told.username],
      [true, 'web', 'CgN3ZWI', 'access_token', 'Web'],
    )
    assert.equal((await server.post('/token/revoke', { token }, web)).status, 200)
    assert.deepEqual(await server.introspect(token), { active: false })
    assert.equal((await server.userinfo(token)).status, 401)
  })

  it('stores nothing, and is accounted for', async () => {
    const before = server.commits.length
    await ask('openid', robot)
    assert.equal(server.commits.length, before)
    const event = server.audited().findLast(({ type }) => type === 'tokens_issued')
    const { client_id, grant_type, sub, scopes, connector_id } = event!
    assert.deepEqual([client_id, grant_type, sub, scopes], ['robot', grant, 'CgVyb2JvdA', ['openid']])
    assert.equal(connector_id, undefined)
  })

  const refusals: [fault: string, scope: string, client: Client, error: string][] = [
    ['a public client', 'openid', cli, '400 unauthorized_client'],
    [
      'a public client that has a secret',
      'openid',
      { ...cli, id: 'half', secret: 'half-secret' },
      '400 unauthorized_client',
    ],
    ['a wrong secret', 'openid', { ...web, secret: 'x' }, '401 invalid_client'],
    ['no secret', 'openid', { id: 'web', redirectUri: '' }, '401 invalid_client'],
    ['an unknown client', 'openid', { ...web, id: 'nobody' }, '401 invalid_client'],
    ['`offline_access`', 'openid offline_access', web, '400 invalid_scope'],
    ['`federated:id`', 'openid federated:id', web, '400 invalid_scope'],
    ['an unknown scope', 'openid bogus', web, '400 invalid_scope'],
  ]
  for (const [fault, scope, client, error] of refusals) {
    it(`refuses ${fault} with ${error}`, async () => {
      const answer = await ask(scope, client)
      assert.equal(errorOf(answer), error)
      assert.ok(String(answer.json().error_description).length > 5)
      if (error.endsWith('invalid_scope')) assert.equal(answer.json().scope, scope.split(' ')[1])
    })
  }

  it('is off unless it is listed or the switch of the environment is on, as in Dex', async () => {
    const env = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
    for (const [more, expected] of [
      [{}, 400],
      [{ env }, 200],
    ] as const) {
      await using plain = await startServer({ staticClients }, more)
      const answer = await plain.token({ grant_type: grant }, web)
      assert.equal(answer.status, expected)
      if (expected === 400) assert.equal(answer.json().error, 'unsupported_grant_type')
      const document = (await plain.request(plain.url('/.well-known/openid-configuration'))).json()
      assert.equal((document.grant_types_supported as string[]).includes(grant), expected === 200)
    }
  })
})
