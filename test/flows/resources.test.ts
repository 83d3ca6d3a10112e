/** Access tokens for resources (RFC 8707, RFC 9068), with openid-client 6 as the client. */
import assert from 'node:assert/strict'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oauth from 'openid-client'
import { openBrowser } from './browser.ts'
import { addressOf, arriveAt, ask, discover, redeem, refusal, toldAt } from './openid-client.ts'
import { type FlowServer, startServer } from './server.ts'

const orders = 'https://orders.example'
const stock = 'https://stock.example/v1'

describe('access tokens for resources', () => {
  let server: FlowServer
  let app: oauth.Configuration
  let api: oauth.Configuration
  let plain: oauth.Configuration
  before(async () => {
    const entry = (id: string, more: object = {}) => ({
      id,
      name: id,
      secret: `${id}-secret`,
      redirectURIs: [addressOf(id)],
      ...more,
    })
    server = await startServer({
      staticClients: [
        entry('app', { resources: [orders, stock] }),
        entry('api', { accessToken: { audience: 'api://default' }, resources: [orders] }),
        entry('plain'),
      ],
    })
    app = await discover(server, 'app')
    api = await discover(server, 'api')
    plain = await discover(server, 'plain')
  })
  after(() => server?.[Symbol.asyncDispose]())

  const arrive = async (config: oauth.Configuration, id: string, resources: string[] = []) => {
    const asked = await ask(id)
    const url = oauth.buildAuthorizationUrl(config, asked.params)
    for (const resource of resources) url.searchParams.append('resource', resource)
    return { asked, url }
  }
  async function logIn(config: oauth.Configuration, id: string, resources: string[] = [], at?: string) {
    const { asked, url } = await arrive(config, id, resources)
    return redeem(config, await arriveAt(url), asked, {}, at === undefined ? undefined : { resource: at })
  }

  it('are what an API checks by RFC 9068, for a client that has an audience of its own', async () => {
    const tokens = await logIn(api, 'api')
    const keySet = createRemoteJWKSet(new URL(server.url('/keys')))
    const options = { issuer: server.issuer, audience: 'api://default', typ: 'at+jwt' }
    const { payload } = await jwtVerify(tokens.access_token, keySet, options)
    assert.equal(payload.client_id, 'api')
    assert.equal(payload.scope, 'openid email groups offline_access')
    assert.deepEqual(payload.groups, ['authors'])
    assert.equal(payload.nonce, undefined)
    assert.equal(tokens.claims()!.aud, 'api')
    await assert.rejects(jwtVerify(tokens.id_token!, keySet, options))
  })

  it('keep their form at a refresh, and work at userinfo, introspection and revocation', async () => {
    const tokens = await logIn(api, 'api')
    const renewed = await oauth.refreshTokenGrant(api, tokens.refresh_token!)
    assert.equal(decodeJwt(renewed.access_token).aud, 'api://default')
    assert.equal(decodeProtectedHeader(renewed.access_token).typ, 'at+jwt')
    const sub = tokens.claims()!.sub
    assert.equal((await oauth.fetchUserInfo(api, renewed.access_token, sub)).email, 'kilgore@kilgore.trout')
    const told = await oauth.tokenIntrospection(api, renewed.access_token)
    assert.equal(told.aud, 'api://default')
    assert.equal(told.client_id, 'api')
    assert.equal(told.scope, 'openid email groups offline_access')
    await oauth.tokenRevocation(api, renewed.access_token)
    assert.equal((await oauth.tokenIntrospection(api, renewed.access_token)).active, false)
  })

  it('are for the resource that was asked for, in the place of the audience', async () => {
    const tokens = await logIn(api, 'api', [orders])
    assert.equal(decodeJwt(tokens.access_token).aud, orders)
    assert.equal(decodeProtectedHeader(tokens.access_token).typ, 'at+jwt')
    const renewed = await oauth.refreshTokenGrant(api, tokens.refresh_token!)
    assert.equal(decodeJwt(renewed.access_token).aud, orders)
  })

  it('are for one of several that were granted, whichever the token request names', async () => {
    const tokens = await logIn(app, 'app', [orders, stock], stock)
    assert.equal(decodeJwt(tokens.access_token).aud, stock)
    const renewed = await oauth.refreshTokenGrant(app, tokens.refresh_token!, { resource: orders })
    assert.equal(decodeJwt(renewed.access_token).aud, orders)
    assert.equal(await refusal(logIn(app, 'app', [orders, stock])), 'invalid_target', 'which of them')
  })

  it('may be asked for in a pushed request', async () => {
    const { asked, url } = await arrive(app, 'app', [stock])
    const pushed = await oauth.buildAuthorizationUrlWithPAR(app, url.searchParams)
    const tokens = await redeem(app, await arriveAt(pushed), asked)
    assert.equal(decodeJwt(tokens.access_token).aud, stock)
  })

  it('look as ever where nobody asks', async () => {
    const { access_token: token } = await logIn(app, 'app')
    assert.equal(decodeJwt(token).aud, 'app')
    assert.equal(decodeProtectedHeader(token).typ, undefined)
  })

  it('are refused for a resource that is not allowed: at each endpoint', async () => {
    const { asked, url } = await arrive(app, 'app', ['https://other.example'])
    const told = await toldAt(url)
    assert.equal(told.error, 'invalid_target')
    assert.equal(told.state, asked.state)
    await assert.rejects(oauth.buildAuthorizationUrlWithPAR(app, url.searchParams), { error: 'invalid_target' })
    assert.equal(await refusal(logIn(app, 'app', [orders], 'https://other.example')), 'invalid_target')
    assert.equal(await refusal(logIn(app, 'app', [orders], stock)), 'invalid_target', 'allowed, but not granted')
    assert.equal(await refusal(logIn(app, 'app', [], stock)), 'invalid_target', 'allowed, but not granted')
    const { refresh_token: token } = await logIn(app, 'app', [orders])
    assert.equal(await refusal(oauth.refreshTokenGrant(app, token!, { resource: stock })), 'invalid_target')
    assert.ok((await oauth.refreshTokenGrant(app, token!)).access_token, 'nothing was used up')
    const started = oauth.initiateDeviceAuthorization(app, { scope: 'openid', resource: 'https://other.example' })
    assert.equal(await refusal(started), 'invalid_target')
  })

  it('are passed over for a client that has no resources, as in Dex', async () => {
    const tokens = await logIn(plain, 'plain', [orders], orders)
    assert.equal(decodeJwt(tokens.access_token).aud, 'plain')
    const renewed = await oauth.refreshTokenGrant(plain, tokens.refresh_token!, { resource: orders })
    assert.equal(decodeJwt(renewed.access_token).aud, 'plain')
    const { asked, url } = await arrive(plain, 'plain', [orders])
    const pushed = await oauth.buildAuthorizationUrlWithPAR(plain, url.searchParams)
    assert.ok((await redeem(plain, await arriveAt(pushed), asked)).access_token)
  })

  it('reach a device', async () => {
    const started = await oauth.initiateDeviceAuthorization(app, { scope: 'openid offline_access', resource: orders })
    const browser = openBrowser()
    await browser.submit(await browser.follow(started.verification_uri_complete!))
    const tokens = await oauth.genericGrantRequest(app, 'urn:ietf:params:oauth:grant-type:device_code', {
      device_code: started.device_code,
    })
    assert.equal(decodeJwt(tokens.access_token).aud, orders)
    const renewed = await oauth.refreshTokenGrant(app, tokens.refresh_token!)
    assert.equal(decodeJwt(renewed.access_token).aud, orders)
  })

  it('are no ID tokens: a hint made of one is refused', async () => {
    const { access_token: token } = await logIn(api, 'api')
    const { params } = await ask('api', { id_token_hint: token })
    const told = await toldAt(oauth.buildAuthorizationUrl(api, params))
    assert.equal(told.error, 'invalid_request')
  })
})
