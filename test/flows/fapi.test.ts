/** `profile: fapi2` (FAPI 2.0 Security Profile) with openid-client 6. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { generateKeyPair, SignJWT } from 'jose'
import * as oauth from 'openid-client'
import { openBrowser } from './browser.ts'
import {
  addressOf,
  arriveAt,
  ask,
  clientKey,
  discover,
  type KeyPair,
  redeem,
  refusal,
  toldAt,
} from './openid-client.ts'
import { type FlowServer, startServer, stopClock } from './server.ts'

/** What the client takes: nothing that is signed otherwise. */
const es256 = { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' }

describe('a client with profile: fapi2', () => {
  let server: FlowServer
  let keys: Awaited<ReturnType<typeof clientKey>>
  let rsa: Awaited<ReturnType<typeof clientKey>>
  let proofs: KeyPair
  let client: oauth.Configuration
  let DPoP: oauth.DPoPHandle

  before(async () => {
    keys = await clientKey()
    rsa = await clientKey('RS256')
    proofs = await generateKeyPair('ES256', { extractable: true })
    const entry = (id: string, jwks: object, more: object = {}) => ({
      id,
      name: id,
      redirectURIs: [addressOf(id)],
      tokenEndpointAuthMethod: 'private_key_jwt',
      signingAlgorithm: 'ES256',
      jwks,
      ...more,
    })
    server = await startServer({
      staticClients: [
        entry('bank', keys.jwks, { profile: 'fapi2' }),
        entry('old', rsa.jwks, { profile: 'fapi2' }),
        entry('signing', keys.jwks, { profile: 'fapi2', requireSignedRequestObject: true }),
        { id: 'web', name: 'web', secret: 'web-secret', redirectURIs: [addressOf('web')] },
      ],
    })
    client = await discover(server, 'bank', oauth.PrivateKeyJwt(keys.signing), es256)
    DPoP = oauth.getDPoPHandle(client, proofs)
  })
  after(() => server?.[Symbol.asyncDispose]())

  const push = async (more: Record<string, string> = {}, config = client, id = 'bank') => {
    const asked = await ask(id, more)
    return { asked, url: await oauth.buildAuthorizationUrlWithPAR(config, asked.params, { DPoP }) }
  }

  it('logs in with pushed requests, PKCE, its key and a bound token', async () => {
    const { asked, url } = await push()
    const tokens = await redeem(client, await arriveAt(url), asked, { DPoP })
    assert.equal(tokens.token_type, 'dpop')
    await oauth.fetchUserInfo(client, tokens.access_token, tokens.claims()!.sub, { DPoP })
  })

  it('keeps its refresh token', async () => {
    const { asked, url } = await push()
    const { refresh_token: token } = await redeem(client, await arriveAt(url), asked, { DPoP })
    for (let times = 0; times < 3; times++) {
      const renewed = await oauth.refreshTokenGrant(client, token!, undefined, { DPoP })
      assert.equal(renewed.refresh_token ?? token, token)
    }
  })

  it('signs its requests and gets signed answers, where that is asked for', async () => {
    const signing = await discover(server, 'signing', oauth.PrivateKeyJwt(keys.signing), es256)
    oauth.useJwtResponseMode(signing)
    const asked = await ask('signing')
    const soon = {
      [oauth.modifyAssertion]: (_header: unknown, payload: Record<string, unknown>) => {
        payload.nbf = payload.iat
      },
    }
    const url = await oauth.buildAuthorizationUrlWithJAR(signing, asked.params, keys.signing, soon)
    const pushed = await oauth.buildAuthorizationUrlWithPAR(signing, url.searchParams, { DPoP })
    const tokens = await redeem(signing, await arriveAt(pushed), asked, { DPoP })
    assert.equal(tokens.claims()!.aud, 'signing')
    await assert.rejects(oauth.buildAuthorizationUrlWithPAR(signing, asked.params, { DPoP }), {
      error: 'invalid_request',
    })
    const timeless = await oauth.buildAuthorizationUrlWithJAR(signing, asked.params, keys.signing, {
      [oauth.modifyAssertion]: (_header, payload) => {
        delete payload.nbf
      },
    })
    await assert.rejects(oauth.buildAuthorizationUrlWithPAR(signing, timeless.searchParams, { DPoP }), {
      error: 'invalid_request_object',
    })
  })

  it('has a code that lives a minute', async () => {
    using clock = stopClock()
    const first = await push()
    const arrived = await arriveAt(first.url)
    clock.advance(59)
    assert.ok((await redeem(client, arrived, first.asked, { DPoP })).access_token)
    const second = await push()
    const late = await arriveAt(second.url)
    clock.advance(61)
    assert.equal(await refusal(redeem(client, late, second.asked, { DPoP })), 'invalid_grant')
  })

  it('loses its tokens at once when its code comes again', async () => {
    const { asked, url } = await push()
    const arrived = await arriveAt(url)
    const tokens = await redeem(client, arrived, asked, { DPoP })
    assert.equal(await refusal(redeem(client, arrived, asked, { DPoP })), 'invalid_grant')
    const { sub } = tokens.claims()!
    assert.equal(await refusal(oauth.fetchUserInfo(client, tokens.access_token, sub, { DPoP })), 'invalid_token')
    const renewed = oauth.refreshTokenGrant(client, tokens.refresh_token!, undefined, { DPoP })
    assert.equal(await refusal(renewed), 'invalid_grant')
  })

  it('gives no second code for an approval that is sent again when the first one has run out', async () => {
    using clock = stopClock()
    const browser = openBrowser()
    const { url } = await push({ prompt: 'consent' })
    const page = await browser.follow(url.href)
    const approved = await browser.decide(page, true)
    assert.match(approved.location!, /code=/)
    clock.advance(70)
    const again = await browser.decide(page, true)
    assert.ok(!again.location?.includes('code='))
  })

  it('is refused without a pushed request, PKCE, a proof or its key', async () => {
    const { params } = await ask('bank')
    assert.equal((await toldAt(oauth.buildAuthorizationUrl(client, params))).error, 'invalid_request')
    const { code_challenge: _, code_challenge_method: _method, ...bare } = params
    await assert.rejects(oauth.buildAuthorizationUrlWithPAR(client, bare, { DPoP }), { error: 'invalid_request' })
    const { asked, url } = await push()
    assert.equal(await refusal(redeem(client, await arriveAt(url), asked)), 'invalid_grant')
    const secret = await discover(server, 'bank', oauth.ClientSecretPost('any'))
    assert.equal(await refusal(oauth.buildAuthorizationUrlWithPAR(secret, params)), 'invalid_client')
  })

  it('signs with PS256, ES256 or EdDSA only', async () => {
    const old = await discover(server, 'old', oauth.PrivateKeyJwt(rsa.signing))
    assert.equal(await refusal(oauth.buildAuthorizationUrlWithPAR(old, (await ask('old')).params)), 'invalid_client')
  })

  it('names the issuer alone as audience of its assertions', async () => {
    const { params } = await ask('bank')
    const now = Math.floor(Date.now() / 1000)
    const pushWith = async (aud: string | string[]) => {
      const assertion = await new SignJWT({ iss: 'bank', sub: 'bank', aud, jti: randomUUID(), iat: now, exp: now + 60 })
        .setProtectedHeader({ alg: 'ES256', kid: 'key' })
        .sign(keys.privateKey)
      return server.post('/par', {
        ...params,
        response_type: 'code',
        client_id: 'bank',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      })
    }
    assert.equal((await pushWith(server.issuer)).status, 201)
    for (const aud of [server.url('/token'), server.url('/par'), [server.issuer]]) {
      const answer = await pushWith(aud)
      assert.equal(answer.status, 401)
      assert.equal(answer.json().error, 'invalid_client')
    }
  })

  it('leaves other clients as they are', async () => {
    const web = await discover(server, 'web')
    const asked = await ask('web')
    const tokens = await redeem(web, await arriveAt(oauth.buildAuthorizationUrl(web, asked.params)), asked)
    assert.equal(tokens.token_type, 'bearer')
    const renewed = await oauth.refreshTokenGrant(web, tokens.refresh_token!)
    assert.notEqual(renewed.refresh_token, tokens.refresh_token)
  })
})
