import assert from 'node:assert/strict'
import * as oauth from 'openid-client'
import type { Browser } from 'playwright-core'
import { CHROMIUM, INSTALL_CHROMIUM, logInAs, startBrowser } from './lib/browser.ts'
import { needs, type RunningProvider, startProvider } from './lib/program.ts'
import { walk } from './lib/walk.ts'

const CALLBACK = 'http://127.0.0.1:8086/callback'
const SECRET = 'web-secret'
const SCOPE = 'openid profile email groups offline_access'

describe('openid-client 6', function () {
  this.timeout(60_000)
  let provider: RunningProvider
  let client: oauth.Configuration

  before(async () => {
    provider = await startProvider({
      staticClients: [
        { id: 'web', secret: SECRET, name: 'Web', redirectURIs: [CALLBACK] },
        { id: 'device', name: 'Device', public: true, redirectURIs: ['/dex/device/callback', '/device/callback'] },
      ],
    })
    client = await discover('web', oauth.ClientSecretBasic(SECRET))
  })
  after(() => provider?.[Symbol.asyncDispose]())

  const discover = (id: string, authentication: oauth.ClientAuth) =>
    oauth.discovery(new URL(provider.issuer), id, undefined, authentication, {
      execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks],
    })

  async function logIn() {
    const verifier = oauth.randomPKCECodeVerifier()
    const state = oauth.randomState()
    const nonce = oauth.randomNonce()
    const url = oauth.buildAuthorizationUrl(client, {
      redirect_uri: CALLBACK,
      scope: SCOPE,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      connector_id: 'mock',
    })
    return oauth.authorizationCodeGrant(client, await walk(url.href, CALLBACK), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    })
  }

  it('logs in by code with PKCE, state and nonce, and asks userinfo', async () => {
    const tokens = await logIn()
    const claims = tokens.claims()!
    assert.deepEqual(claims.groups, ['authors'])
    const person = await oauth.fetchUserInfo(client, tokens.access_token, claims.sub)
    assert.equal(person.email, 'kilgore@kilgore.trout')
  })

  it('refreshes with a new ID token of the same person', async () => {
    const tokens = await logIn()
    const renewed = await oauth.refreshTokenGrant(client, tokens.refresh_token!)
    assert.equal(renewed.claims()?.sub, tokens.claims()?.sub)
    assert.deepEqual(renewed.claims()?.groups, ['authors'])
    assert.notEqual(renewed.refresh_token, tokens.refresh_token)
  })

  it('introspects its tokens with its own credentials', async () => {
    const tokens = await logIn()
    const access = await oauth.tokenIntrospection(client, tokens.access_token)
    assert.equal(access.active, true)
    assert.equal(access.client_id, 'web')
    assert.equal((await oauth.tokenIntrospection(client, tokens.refresh_token!)).active, true)
    assert.equal((await oauth.tokenIntrospection(client, 'no-token')).active, false)
  })

  it('revokes a refresh token, which then is good for nothing', async () => {
    const tokens = await logIn()
    await oauth.tokenRevocation(client, tokens.refresh_token!)
    await assert.rejects(oauth.refreshTokenGrant(client, tokens.refresh_token!), oauth.ResponseBodyError)
  })

  it('logs in by device while a person approves in a browser', async function () {
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    const device = await discover('device', oauth.None())
    const started = await oauth.initiateDeviceAuthorization(device, { scope: 'openid groups' })
    const polling = oauth.pollDeviceAuthorizationGrant(device, started)
    const browser: Browser = await startBrowser()
    try {
      const page = await browser.newPage()
      page.setDefaultTimeout(15_000)
      await page.goto(started.verification_uri_complete!)
      await page.locator('button[type="submit"], input[type="submit"]').first().click()
      await logInAs(page, 'admin')
      const tokens = await polling
      assert.deepEqual(tokens.claims()?.groups, ['admins', 'staff'])
    } finally {
      await browser.close()
    }
  })
})
