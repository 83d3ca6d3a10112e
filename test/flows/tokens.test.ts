import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import {
  claimsOf,
  cli,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const scope = 'openid profile email groups offline_access'

describe('tokens that were issued', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ connectors: [corp('tokens')] })
  })
  after(() => server[Symbol.asyncDispose]())

  describe('at userinfo', () => {
    it('give the claims of the access token', async () => {
      const { tokens } = await logIn(server, { scope })
      const answer = await server.userinfo(tokens.access_token)
      assert.deepEqual(answer.json(), claimsOf(tokens.access_token))
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      const posted = await server.request(server.url('/userinfo'), {
        method: 'POST',
        headers: { authorization: `bearer ${tokens.access_token}` },
      })
      assert.equal(posted.json().sub, 'CgppZC1vZi1qYW5lEgRjb3Jw')
    })

    it('are refused when they are changed, foreign, refresh tokens, or in the address', async () => {
      const { tokens } = await logIn(server, { scope })
      const [head, body, signature] = tokens.access_token.split('.')
      const claims = { ...claimsOf(tokens.access_token), groups: ['admins'] }
      const forged = Buffer.from(JSON.stringify(claims)).toString('base64url')
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      for (const token of [
        `${head}.${forged}.${signature}`,
        `${none}.${body}.`,
        `${head}.${body}.${signature?.slice(0, -4)}`,
        tokens.refresh_token!,
        'x',
      ]) {
        const answer = await server.userinfo(token)
        assert.equal(errorOf(answer), '401 invalid_token')
        assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/)
      }
      const query = await server.request(server.url(`/userinfo?access_token=${tokens.access_token}`))
      assert.equal(query.status, 401)
      assert.equal(query.headers.get('www-authenticate'), 'Bearer')
    })

    it('come in a form as well (RFC 6750, 2.2), once', async () => {
      const { tokens } = await logIn(server, { scope })
      const { access_token, refresh_token = '' } = tokens
      const send = (form: Record<string, string> | URLSearchParams, headers: Record<string, string> = {}) =>
        server.request(server.url('/userinfo'), { form, headers })
      const authorization = `Bearer ${access_token}`
      assert.deepEqual((await send({ access_token })).json(), claimsOf(access_token))
      assert.deepEqual((await send({ other: 'x' }, { authorization })).json(), claimsOf(access_token))
      assert.equal(errorOf(await send({ access_token: refresh_token })), '401 invalid_token')
      assert.equal((await send({ access_token: '' })).headers.get('www-authenticate'), 'Bearer')
      const twice = new URLSearchParams([
        ['access_token', access_token],
        ['access_token', access_token],
      ])
      for (const answer of [await send(twice), await send({ access_token }, { authorization })]) {
        assert.equal(errorOf(answer), '400 invalid_request')
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer error="invalid_request"')
      }
      assert.equal(errorOf(await send({ access_token: 'x'.repeat(300_000) })), '400 invalid_request')
    })

    it('are refused from the second on that they expire, at every endpoint', async () => {
      using clock = stopClock()
      await using brief = await startServer({ connectors: [corp('tokens')], expiry: { idTokens: '10m' } })
      const { tokens } = await logIn(brief)
      assert.equal(tokens.expires_in, 600)
      clock.advance(599)
      assert.equal((await brief.userinfo(tokens.access_token)).status, 200)
      assert.equal((await brief.introspect(tokens.access_token)).active, true)
      clock.advance(1)
      assert.equal((await brief.userinfo(tokens.access_token)).status, 401)
      assert.deepEqual(await brief.introspect(tokens.access_token), { active: false })
    })
  })

  describe('at introspection', () => {
    it('are described: access, ID and refresh tokens', async () => {
      const { tokens, claims } = await logIn(server, { scope })
      const { iat, exp, sub } = claims
      const access = await server.introspect(tokens.access_token)
      assert.deepEqual(access, {
        active: true,
        client_id: 'web',
        sub,
        exp,
        iat,
        nbf: iat,
        username: 'jane',
        aud: 'web',
        iss: server.issuer,
        token_type: 'Bearer',
        token_use: 'access_token',
        ext: {
          email: 'jane@example.com',
          email_verified: true,
          groups: ['staff'],
          name: 'Jane Doe',
          preferred_username: 'jane',
        },
      })
      const refresh = await server.introspect(tokens.refresh_token!)
      assert.equal(refresh.active, true)
      assert.equal(refresh.token_use, 'refresh_token')
      assert.equal(refresh.sub, sub)
      assert.deepEqual(refresh.ext, access.ext)
      assert.equal((await server.introspect(tokens.id_token)).active, true)
    })

    it('are inactive when they are unknown, used up or changed, and looking uses none up', async () => {
      const { tokens } = await logIn(server, { scope })
      await server.introspect(tokens.refresh_token!)
      const next = tokensOf(await server.refresh(tokens.refresh_token!))
      for (const token of [tokens.refresh_token!, 'nonsense', `${tokens.access_token}A`, `${next.refresh_token}A`]) {
        assert.deepEqual(await server.introspect(token), { active: false })
      }
      tokensOf(await server.refresh(next.refresh_token!))
    })

    it('are shown to clients that prove who they are, and to a public one only what was made for it', async () => {
      const { tokens } = await logIn(server, { scope })
      const own = await logIn(server, { client: cli, scope })
      assert.equal((await server.introspect(tokens.access_token, peer)).active, true)
      assert.equal((await server.introspect(own.tokens.access_token, cli)).active, true)
      assert.deepEqual(await server.introspect(tokens.access_token, cli), { active: false })
      assert.deepEqual(await server.introspect(tokens.refresh_token!, cli), { active: false })
      const stranger = await server.post('/token/introspect', { token: tokens.access_token })
      assert.match(errorOf(stranger), /^40[01] invalid_/)
      const wrong = { ...web, secret: 'wrong' }
      assert.equal(
        errorOf(await server.post('/token/introspect', { token: tokens.access_token }, wrong)),
        '401 invalid_client',
      )
    })
  })

  describe('at revocation', () => {
    const revoke = (token: string, client = web) => server.post('/token/revoke', { token }, client)

    it('end: a refresh token with its family', async () => {
      const { tokens } = await logIn(server, { scope })
      assert.equal((await revoke(tokens.refresh_token!)).status, 200)
      assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
      assert.deepEqual(await server.introspect(tokens.refresh_token!), { active: false })
    })

    it('end: an access token, before it expires, and no other', async () => {
      const { tokens } = await logIn(server, { scope })
      const other = await logIn(server, { scope })
      for (let i = 0; i < 2; i++) assert.equal((await revoke(tokens.access_token)).status, 200)
      assert.equal((await server.userinfo(tokens.access_token)).status, 401)
      assert.deepEqual(await server.introspect(tokens.access_token), { active: false })
      assert.equal((await server.userinfo(other.tokens.access_token)).status, 200)
      tokensOf(await server.refresh(tokens.refresh_token!))
    })

    it('stay when another client asks, and unknown ones are no fault (RFC 7009, 2.2)', async () => {
      const { tokens } = await logIn(server, { scope })
      await revoke(tokens.refresh_token!, peer)
      await revoke(tokens.access_token, cli)
      assert.equal((await revoke('nonsense')).status, 200)
      assert.equal(errorOf(await revoke(tokens.refresh_token!, { ...web, secret: 'wrong' })), '401 invalid_client')
      assert.equal((await server.userinfo(tokens.access_token)).status, 200)
      tokensOf(await server.refresh(tokens.refresh_token!))
    })
  })

  describe('for several audiences', () => {
    it('name the trusting client, the requesting one and `azp`', async () => {
      const audiences = 'openid audience:server:client_id:peer offline_access'
      const { tokens, claims } = await logIn(server, { scope: audiences })
      for (const token of [claims, claimsOf(tokens.access_token)]) {
        assert.deepEqual(token.aud, ['peer', 'web'])
        assert.equal(token.azp, 'web')
      }
      const next = claimsOf(tokensOf(await server.refresh(tokens.refresh_token!)).id_token)
      assert.deepEqual([next.aud, next.azp], [['peer', 'web'], 'web'])
      assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    })

    it('name one audience without `azp` when the client asks for itself', async () => {
      const { claims } = await logIn(server, { scope: 'openid audience:server:client_id:web' })
      assert.equal(claims.aud, 'web')
      assert.equal('azp' in claims, false)
    })
  })

  it('name connector and upstream id for `federated:id`', async () => {
    const { claims, tokens } = await logIn(server, { scope: 'openid federated:id offline_access' })
    const named = { connector_id: 'corp', user_id: 'id-of-jane' }
    assert.deepEqual(claims.federated_claims, named)
    const next = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.deepEqual(claimsOf(next.id_token).federated_claims, named)
  })
})

describe('token exchange', () => {
  let server: FlowServer
  const people = upstream('exchange')
  const idToken = 'urn:ietf:params:oauth:token-type:id_token'
  const accessToken = 'urn:ietf:params:oauth:token-type:access_token'
  before(async () => {
    server = await startServer({
      connectors: [
        corp('exchange'),
        { ...corp('exchange', { cannotExchange: true }), id: 'plain', name: 'Plain' },
        { ...corp('exchange', {}, { grantTypes: ['authorization_code'] }), id: 'narrow', name: 'Narrow' },
      ],
    })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
    people.exchange = undefined
  })

  const exchange = (more: Record<string, string> = {}, client = web) => {
    const fields = Object.entries({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      connector_id: 'corp',
      subject_token: 'upstream-token',
      subject_token_type: idToken,
      scope: 'openid groups email',
      ...more,
    }).filter(([, value]) => value !== '')
    return server.token(Object.fromEntries(fields), client)
  }

  it('gives an access token for a token of the upstream', async () => {
    const shown: unknown[] = []
    people.exchange = (token) => {
      shown.push(token)
      return jane()
    }
    const answer = await exchange()
    const { access_token: token, ...rest } = answer.json()
    assert.deepEqual(rest, { issued_token_type: accessToken, token_type: 'Bearer', expires_in: 86400 })
    const claims = claimsOf(String(token))
    assert.deepEqual(claims.groups, ['staff'])
    assert.equal(claims.aud, 'web')
    assert.equal('auth_time' in claims, false)
    assert.deepEqual(shown, [{ type: idToken, value: 'upstream-token' }])
    assert.equal((await server.userinfo(String(token))).status, 200)
  })

  it('gives an ID token where that is asked for', async () => {
    const body = (await exchange({ requested_token_type: idToken, subject_token_type: accessToken })).json()
    assert.equal(body.issued_token_type, idToken)
    assert.equal(claimsOf(String(body.access_token)).email, 'jane@example.com')
  })

  const refusals: [fault: string, more: Record<string, string>, error: string][] = [
    ['no subject token', { subject_token: '' }, '400 invalid_request'],
    ['no connector', { connector_id: '' }, '400 invalid_request'],
    ['an unknown connector', { connector_id: 'nowhere' }, '400 invalid_request'],
    ['a connector that cannot', { connector_id: 'plain' }, '400 invalid_request'],
    ['a connector that must not', { connector_id: 'narrow' }, '400 invalid_request'],
    ['another type of subject token', { subject_token_type: 'urn:example:saml' }, '400 invalid_request'],
    ['another type of answer', { requested_token_type: 'urn:example:saml' }, '400 invalid_request'],
    ['an unknown scope', { scope: 'openid bogus' }, '400 invalid_scope'],
    ['an audience that does not trust it', { scope: 'openid audience:server:client_id:cli' }, '400 invalid_scope'],
  ]
  for (const [fault, more, error] of refusals) {
    it(`refuses ${fault} with ${error}`, async () => {
      assert.equal(errorOf(await exchange(more)), error)
    })
  }

  it('refuses a client that does not prove who it is', async () => {
    assert.equal(errorOf(await exchange({}, { ...web, secret: 'wrong' })), '401 invalid_client')
  })

  it('tells a refusal of the upstream from an outage', async () => {
    people.exchange = () => {
      throw failure('login_refused', 'signature is wrong')
    }
    assert.equal(errorOf(await exchange()), '401 access_denied')
    people.exchange = () => {
      throw failure('upstream_unavailable', 'no answer')
    }
    assert.equal(errorOf(await exchange()), '503 temporarily_unavailable')
  })

  it('stores nothing', async () => {
    const before = server.commits.length
    await exchange()
    assert.equal(server.commits.length, before)
  })
})
