/** Proofs of possession (RFC 9449) with openid-client 6, and what somebody has of tokens that were stolen. */
import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as oauth from 'openid-client'
import { openBrowser } from './browser.ts'
import { addressOf, arriveAt, ask, discover, type KeyPair, redeem, refusal } from './openid-client.ts'
import { type FlowServer, startServer, stopClock } from './server.ts'

/** A proof with anything wrong in it. */
async function proofOf(
  { privateKey, publicKey }: KeyPair,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const jwk = await exportJWK(publicKey)
  return new SignJWT({ jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
    .setIssuedAt(claims.iat as number | undefined)
    .sign(privateKey)
}

const hashOf = (token: string): string => hash('sha256', token, 'base64url')

describe('proofs of possession', () => {
  let server: FlowServer
  let client: oauth.Configuration
  let spa: oauth.Configuration
  let keys: KeyPair
  let stranger: KeyPair

  before(async () => {
    keys = await generateKeyPair('ES256', { extractable: true })
    stranger = await generateKeyPair('ES256', { extractable: true })
    server = await startServer({
      web: { http: '127.0.0.1:0', allowedOrigins: ['https://spa.example'] },
      staticClients: [
        { id: 'app', name: 'app', secret: 'app-secret', redirectURIs: [addressOf('app')], dpop: 'required' },
        { id: 'free', name: 'free', secret: 'free-secret', redirectURIs: [addressOf('free')] },
        { id: 'spa', name: 'spa', public: true, redirectURIs: [addressOf('spa')] },
      ],
    })
    client = await discover(server, 'app')
    spa = await discover(server, 'spa', oauth.None())
  })
  after(() => server?.[Symbol.asyncDispose]())

  const handleOf = (config: oauth.Configuration, pair: KeyPair = keys) => oauth.getDPoPHandle(config, pair)

  async function logIn(
    config: oauth.Configuration,
    id: string,
    options: oauth.DPoPOptions = { DPoP: handleOf(config) },
  ) {
    const asked = await ask(id)
    return redeem(config, await arriveAt(oauth.buildAuthorizationUrl(config, asked.params)), asked, options)
  }

  const userinfo = (token: string, headers: Record<string, string> = {}, method = 'GET') =>
    server.request(server.url('/userinfo'), { method, headers: { authorization: `DPoP ${token}`, ...headers } })

  const goodProof = (token: string, more: Record<string, unknown> = {}) =>
    proofOf(keys, { htm: 'GET', htu: server.url('/userinfo'), ath: hashOf(token), ...more })

  it('bind the access token to the key, and userinfo takes it with a proof', async () => {
    const DPoP = handleOf(client)
    const tokens = await logIn(client, 'app', { DPoP })
    assert.equal(tokens.token_type, 'dpop')
    const claims = JSON.parse(Buffer.from(tokens.access_token.split('.')[1]!, 'base64url').toString())
    assert.deepEqual(claims.cnf, { jkt: await calculateJwkThumbprint(await exportJWK(keys.publicKey)) })
    const sub = tokens.claims()!.sub
    const person = await oauth.fetchUserInfo(client, tokens.access_token, sub, { DPoP })
    assert.equal(person.email, 'kilgore@kilgore.trout')
    assert.deepEqual(person.groups, ['authors'])
    const renewed = await oauth.refreshTokenGrant(client, tokens.refresh_token!, undefined, { DPoP })
    assert.equal(renewed.token_type, 'dpop')
    assert.equal((await oauth.fetchUserInfo(client, renewed.access_token, sub, { DPoP })).sub, sub)
  })

  it('are told at introspection', async () => {
    const tokens = await logIn(client, 'app')
    const told = await oauth.tokenIntrospection(client, tokens.access_token)
    assert.equal(told.token_type, 'DPoP')
    assert.deepEqual(Object.keys(told.cnf!), ['jkt'])
  })

  it('bind also where the client need not, and leave others as they were', async () => {
    const free = await discover(server, 'free')
    assert.equal((await logIn(free, 'free')).token_type, 'dpop')
    const plain = await logIn(free, 'free', {})
    assert.equal(plain.token_type, 'bearer')
    await oauth.fetchUserInfo(free, plain.access_token, plain.claims()!.sub)
  })

  it('are missed where the client has to send one: for a code and for a refresh', async () => {
    assert.equal(await refusal(logIn(client, 'app', {})), 'invalid_grant')
    const { refresh_token: token } = await logIn(client, 'app')
    assert.equal(await refusal(oauth.refreshTokenGrant(client, token!)), 'invalid_grant')
  })

  it('bind a code that was asked for with the key (dpop_jkt), pushed or not', async () => {
    const DPoP = handleOf(spa)
    const theirs = handleOf(spa, stranger)
    for (const push of [true, false]) {
      const start = async () => {
        const asked = await ask('spa', push ? {} : { dpop_jkt: await DPoP.calculateThumbprint() })
        const url = push
          ? await oauth.buildAuthorizationUrlWithPAR(spa, asked.params, { DPoP })
          : oauth.buildAuthorizationUrl(spa, asked.params)
        return { asked, arrived: await arriveAt(url) }
      }
      const first = await start()
      assert.equal(await refusal(redeem(spa, first.arrived, first.asked)), 'invalid_grant', 'without a proof')
      const second = await start()
      const stolen = redeem(spa, second.arrived, second.asked, { DPoP: theirs })
      assert.equal(await refusal(stolen), 'invalid_grant', 'with another key')
      const third = await start()
      assert.equal((await redeem(spa, third.arrived, third.asked, { DPoP })).token_type, 'dpop')
    }
  })

  it('refuse a dpop_jkt that is no thumbprint', async () => {
    const asked = await ask('spa', { dpop_jkt: 'short' })
    const answer = await openBrowser().follow(oauth.buildAuthorizationUrl(spa, asked.params).href)
    assert.match(answer.location!, /error=invalid_request/)
  })

  it('bind the refresh token of a public client: stolen it is worth nothing, also after a rotation', async () => {
    const DPoP = handleOf(spa)
    let { refresh_token: token } = await logIn(spa, 'spa', { DPoP })
    for (let times = 0; times < 3; times++) {
      assert.equal(await refusal(oauth.refreshTokenGrant(spa, token!)), 'invalid_grant')
      const theirs = { DPoP: handleOf(spa, stranger) }
      assert.equal(await refusal(oauth.refreshTokenGrant(spa, token!, undefined, theirs)), 'invalid_grant')
      const renewed = await oauth.refreshTokenGrant(spa, token!, undefined, { DPoP })
      assert.equal(renewed.token_type, 'dpop')
      token = renewed.refresh_token
    }
    const told = await server.introspect(token!, { id: 'spa', redirectUri: '' })
    assert.ok((told.cnf as { jkt?: string }).jkt)
  })

  it('bind what a device gets, and its refresh token', async () => {
    const DPoP = handleOf(spa)
    const started = await oauth.initiateDeviceAuthorization(spa, { scope: 'openid offline_access' })
    const browser = openBrowser()
    const form = await browser.follow(started.verification_uri_complete!)
    await browser.submit(form)
    const tokens = await oauth.genericGrantRequest(
      spa,
      'urn:ietf:params:oauth:grant-type:device_code',
      { device_code: started.device_code },
      { DPoP },
    )
    assert.equal(tokens.token_type, 'dpop')
    assert.equal(await refusal(oauth.refreshTokenGrant(spa, tokens.refresh_token!)), 'invalid_grant')
  })

  it('are asked of every grant of such a client: token exchange, too', async () => {
    const answer = await server.token(
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        connector_id: 'mock',
        subject_token: 'any',
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        scope: 'openid',
      },
      { id: 'app', secret: 'app-secret', redirectUri: '' },
    )
    assert.equal(answer.json().error, 'invalid_grant')
  })

  describe('at userinfo', () => {
    let token: string
    before(async () => {
      token = (await logIn(client, 'app')).access_token
    })

    it('let the token pass, by GET and POST', async () => {
      assert.equal((await userinfo(token, { dpop: await goodProof(token) })).status, 200)
      const posted = await goodProof(token, { htm: 'POST' })
      assert.equal((await userinfo(token, { dpop: posted }, 'POST')).status, 200)
    })

    it('are missed where the token comes as bearer', async () => {
      const answer = await server.userinfo(token)
      assert.equal(answer.status, 401)
      assert.match(answer.headers.get('www-authenticate')!, /^DPoP .*error="invalid_token"/)
      const beside = await server.request(server.url('/userinfo'), {
        headers: { authorization: `Bearer ${token}`, dpop: await goodProof(token) },
      })
      assert.equal(beside.status, 400)
      assert.equal((await userinfo(token)).status, 400)
    })

    it('are missed where the token comes in a form, which is no place for a bound one (RFC 9449, 7.1)', async () => {
      const post = (headers: Record<string, string>) =>
        server.request(server.url('/userinfo'), { form: { access_token: token }, headers })
      const answers = [
        await post({}),
        await post({ dpop: await goodProof(token, { htm: 'POST' }) }),
        await post({ authorization: `DPoP ${token}`, dpop: await goodProof(token, { htm: 'POST' }) }),
      ]
      const refusals = answers.map(({ status, text }) => `${status} ${JSON.parse(text).error}`)
      assert.deepEqual(refusals, ['401 invalid_token', '400 invalid_request', '400 invalid_request'])
      assert.match(answers[0]!.headers.get('www-authenticate')!, /^DPoP error="invalid_token"/)
    })

    it('are good once, of 20 at the same moment, too', async () => {
      const proof = await goodProof(token)
      const answers = await Promise.all(Array.from({ length: 20 }, () => userinfo(token, { dpop: proof })))
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      assert.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [200, 401])
      assert.equal((await userinfo(token, { dpop: proof })).status, 401)
    })

    it('are of use to nobody who has only the token', async () => {
      const theirs = await proofOf(stranger, { htm: 'GET', htu: server.url('/userinfo'), ath: hashOf(token) })
      assert.equal((await userinfo(token, { dpop: theirs })).status, 401)
    })

    it('are of no use with a token that is not bound', async () => {
      const free = await discover(server, 'free')
      const { access_token: plain } = await logIn(free, 'free', {})
      assert.equal((await userinfo(plain, { dpop: await goodProof(plain) })).status, 401)
    })

    const now = () => Math.floor(Date.now() / 1000)
    const wrong: Record<string, [claims: Record<string, unknown>, header?: Record<string, unknown>]> = {
      'for another method': [{ htm: 'POST' }],
      'for no method': [{ htm: undefined }],
      'for another endpoint': [{ htu: 'http://127.0.0.1:1/dex/userinfo' }],
      'for another path': [{ htu: 'token' }],
      'for no endpoint': [{ htu: undefined }],
      'for another token': [{ ath: hashOf('another') }],
      'for no token': [{ ath: undefined }],
      'of long ago': [{ iat: now() - 3600 }],
      'of the future': [{ iat: now() + 3600 }],
      'without a name': [{ jti: undefined }],
      'with a nonce of its own': [{ nonce: 'invented' }],
      'of another type': [{}, { typ: 'JWT' }],
      'of no key': [{}, { jwk: undefined }],
    }
    for (const [title, [claims, header]] of Object.entries(wrong)) {
      it(`are refused: ${title}`, async () => {
        const htu = claims.htu === 'token' ? { htu: server.url('/token') } : {}
        const proof = await proofOf(
          keys,
          { htm: 'GET', htu: server.url('/userinfo'), ath: hashOf(token), ...claims, ...htu },
          header,
        )
        const answer = await userinfo(token, { dpop: proof })
        assert.equal(answer.status, 401)
        assert.match(answer.headers.get('www-authenticate')!, /DPoP .*error="(invalid_dpop_proof|use_dpop_nonce)"/)
      })
    }

    it('are refused: signed by another key than the one that is shown', async () => {
      const proof = await proofOf(
        { privateKey: stranger.privateKey, publicKey: keys.publicKey },
        {
          htm: 'GET',
          htu: server.url('/userinfo'),
          ath: hashOf(token),
        },
      )
      assert.equal((await userinfo(token, { dpop: proof })).status, 401)
    })

    it('are refused: with a private key in the header', async () => {
      const jwk = await exportJWK(keys.privateKey)
      const proof = await proofOf(keys, { htm: 'GET', htu: server.url('/userinfo'), ath: hashOf(token) }, { jwk })
      assert.equal((await userinfo(token, { dpop: proof })).status, 401)
    })

    it('do not help a token that was revoked', async () => {
      const { access_token: revoked } = await logIn(client, 'app')
      await oauth.tokenRevocation(client, revoked)
      assert.equal((await userinfo(revoked, { dpop: await goodProof(revoked) })).status, 401)
    })

    it('are told to pages of listed origins', async () => {
      const origin = { origin: 'https://spa.example' }
      const preflight = await server.request(server.url('/userinfo'), {
        method: 'OPTIONS',
        headers: {
          ...origin,
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'authorization,dpop',
        },
      })
      assert.equal(preflight.status, 200)
      assert.match(preflight.headers.get('access-control-allow-headers')!, /dpop/)
      const answer = await userinfo(token, { ...origin, dpop: await goodProof(token) })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('access-control-expose-headers'), 'DPoP-Nonce, WWW-Authenticate')
      assert.ok(answer.headers.get('dpop-nonce'))
    })
  })

  it('are good once at the token endpoint', async () => {
    const { refresh_token: token } = await logIn(client, 'app')
    const proof = await proofOf(keys, { htm: 'POST', htu: server.url('/token') })
    const refresh = () =>
      server.request(server.url('/token'), {
        headers: { dpop: proof },
        form: { grant_type: 'refresh_token', refresh_token: token!, client_id: 'app', client_secret: 'app-secret' },
      })
    assert.equal((await refresh()).status, 200)
    const again = await refresh()
    assert.equal(again.status, 400)
    assert.equal(again.json().error, 'invalid_grant')
  })

  it('outlive a restart of the server in what they bind', async () => {
    const config = { staticClients: [{ id: 'spa', name: 'spa', public: true, redirectURIs: [addressOf('spa')] }] }
    const first = await startServer(config, { store: 'lowdb' })
    const before = await discover(first, 'spa', oauth.None())
    const { refresh_token: token } = await logIn(before, 'spa')
    await first.close()
    await using second = await startServer(config, { store: 'lowdb', instead: first })
    const after = await discover(second, 'spa', oauth.None())
    assert.equal(await refusal(oauth.refreshTokenGrant(after, token!)), 'invalid_grant')
    assert.ok(await oauth.refreshTokenGrant(after, token!, undefined, { DPoP: handleOf(after) }))
  })

  it('name the endpoint by the path of the layout', async () => {
    const entry = { id: 'spa', name: 'spa', public: true, redirectURIs: [addressOf('spa')], dpop: 'required' }
    await using okta = await startServer({ layout: 'okta', staticClients: [entry] }, { path: '/oauth2/default' })
    const config = await discover(okta, 'spa', oauth.None())
    assert.equal(config.serverMetadata().pushed_authorization_request_endpoint, okta.url('/v1/par'))
    const DPoP = handleOf(config)
    const asked = await ask('spa')
    const url = await oauth.buildAuthorizationUrlWithPAR(config, asked.params, { DPoP })
    const tokens = await redeem(config, await arriveAt(url), asked, { DPoP })
    assert.ok(await oauth.fetchUserInfo(config, tokens.access_token, tokens.claims()!.sub, { DPoP }))
  })

  it('need a nonce of ours where the operator wants it', async () => {
    using clock = stopClock()
    await using careful = await startServer({
      oauth2: { skipApprovalScreen: true, dpop: { requireNonce: true } },
      staticClients: [{ id: 'spa', name: 'spa', public: true, redirectURIs: [addressOf('spa')], dpop: 'required' }],
    })
    const config = await discover(careful, 'spa', oauth.None())
    const DPoP = handleOf(config)
    const asked = await ask('spa')
    const tokens = await redeem(config, await arriveAt(oauth.buildAuthorizationUrl(config, asked.params)), asked, {
      DPoP,
    })
    await oauth.fetchUserInfo(config, tokens.access_token, tokens.claims()!.sub, { DPoP })
    const bare = await careful.request(careful.url('/userinfo'), {
      headers: {
        authorization: `DPoP ${tokens.access_token}`,
        dpop: await proofOf(keys, { htm: 'GET', htu: careful.url('/userinfo'), ath: hashOf(tokens.access_token) }),
      },
    })
    assert.equal(bare.status, 401)
    const nonce = bare.headers.get('dpop-nonce')!
    assert.ok(nonce)
    const withNonce = async () =>
      careful.request(careful.url('/userinfo'), {
        headers: {
          authorization: `DPoP ${tokens.access_token}`,
          dpop: await proofOf(keys, {
            htm: 'GET',
            htu: careful.url('/userinfo'),
            ath: hashOf(tokens.access_token),
            nonce,
          }),
        },
      })
    assert.equal((await withNonce()).status, 200)
    clock.advance(600)
    assert.equal((await withNonce()).status, 401, 'of ten minutes ago')
  })
})
