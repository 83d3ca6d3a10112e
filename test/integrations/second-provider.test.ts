import assert from 'node:assert/strict'
import * as oauth from 'openid-client'
import { upstreamClient } from '../upstreams/oidc.ts'
import { type RealProvider, startRealProvider } from '../upstreams/oidc-real.ts'
import { newPerson } from './lib/person.ts'
import { everyScope, type Server, startServer, web, webClient } from './lib/server.ts'

describe('A second OpenID provider behind us, and openid-client in front', function () {
  this.timeout(30_000)
  let upstream: RealProvider
  let server: Server
  let client: oauth.Configuration

  before(async () => {
    server = await startServer(async (issuer) => {
      upstream = await startRealProvider(`${issuer}/callback`)
      const config = { ...upstreamClient, issuer: upstream.issuer, insecureEnableGroups: true, getUserInfo: true }
      return { staticClients: [webClient], connectors: [{ type: 'oidc', id: 'second', name: 'Second', config }] }
    })
    client = await oauth.discovery(new URL(server.issuer), web.id, undefined, oauth.ClientSecretBasic(web.secret), {
      execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks],
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await upstream?.close()
  })

  async function logIn() {
    const verifier = oauth.randomPKCECodeVerifier()
    const [state, nonce] = [oauth.randomState(), oauth.randomNonce()]
    const url = oauth.buildAuthorizationUrl(client, {
      redirect_uri: web.redirectUri,
      scope: everyScope,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    })
    const { url: arrived, way } = await newPerson().open(url, web.redirectUri)
    const tokens = await oauth.authorizationCodeGrant(client, arrived, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    })
    return { tokens, claims: tokens.claims()!, url, toUpstream: way[1]! }
  }

  it('logs in with PKCE, state, nonce and iss on both sides', async () => {
    const { claims, tokens, toUpstream } = await logIn()
    assert.equal(toUpstream.origin, upstream.issuer)
    assert.equal(toUpstream.searchParams.get('code_challenge_method'), 'S256')
    assert.equal(claims.name, 'Jane Doe')
    assert.equal(claims.email, 'jane@example.com')
    assert.deepEqual(claims.groups, ['devops'])
    assert.notEqual(claims.sub, 'jane')
    const person = await oauth.fetchUserInfo(client, tokens.access_token, claims.sub)
    assert.deepEqual(person.groups, ['devops'])
  })

  it('makes state, nonce and challenge of its own for the second provider', async () => {
    const { url, toUpstream } = await logIn()
    for (const name of ['state', 'nonce', 'code_challenge']) {
      assert.ok(toUpstream.searchParams.get(name))
      assert.notEqual(toUpstream.searchParams.get(name), url.searchParams.get(name))
    }
  })

  it('refreshes at the second provider each time, which rotates its refresh token', async () => {
    const { tokens, claims } = await logIn()
    let refreshToken = tokens.refresh_token!
    for (let time = 0; time < 3; time++) {
      const renewed = await oauth.refreshTokenGrant(client, refreshToken)
      assert.equal(renewed.claims()?.sub, claims.sub)
      assert.deepEqual(renewed.claims()?.groups, ['devops'])
      refreshToken = renewed.refresh_token!
    }
  })

  it('tells the client that the second provider is gone by 503, which is no refusal', async () => {
    const { tokens } = await logIn()
    await upstream.close()
    await assert.rejects(oauth.refreshTokenGrant(client, tokens.refresh_token!), (error: Error) => {
      assert.ok(error instanceof oauth.ClientError, String(error))
      assert.equal((error.cause as Response).status, 503)
      return true
    })
  })
})
