import assert from 'node:assert/strict'
import * as oauth from 'openid-client'
import { type RunningProvider, startProvider } from './lib/program.ts'
import { walk } from './lib/walk.ts'

const CALLBACK = 'http://127.0.0.1:8087/callback'
const SECRET = 'web-secret'

describe('openid-client 6, beyond the code', function () {
  this.timeout(60_000)
  let provider: RunningProvider

  before(async () => {
    provider = await startProvider({
      oauth2: {
        skipApprovalScreen: true,
        responseTypes: ['code', 'id_token', 'token'],
        passwordConnector: 'local',
        grantTypes: ['authorization_code', 'refresh_token', 'implicit', 'password', 'client_credentials'],
      },
      staticClients: [
        {
          id: 'web',
          secret: SECRET,
          name: 'Web',
          redirectURIs: [CALLBACK],
          clientCredentialsClaims: { groups: ['robots'] },
        },
        { id: 'spa', name: 'SPA', public: true, redirectURIs: [CALLBACK] },
      ],
    })
  })
  after(() => provider?.[Symbol.asyncDispose]())

  const discover = (id: string, authentication: oauth.ClientAuth, ...more: ((config: oauth.Configuration) => void)[]) =>
    oauth.discovery(new URL(provider.issuer), id, undefined, authentication, {
      execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks, ...more],
    })
  const web = (...more: ((config: oauth.Configuration) => void)[]) =>
    discover('web', oauth.ClientSecretBasic(SECRET), ...more)

  async function authorize(client: oauth.Configuration, params: Record<string, string>) {
    const [state, nonce] = [oauth.randomState(), oauth.randomNonce()]
    const url = oauth.buildAuthorizationUrl(client, {
      redirect_uri: CALLBACK,
      scope: 'openid email groups',
      connector_id: 'mock',
      state,
      nonce,
      ...params,
    })
    return { arrived: await walk(url.href, CALLBACK), state, nonce }
  }

  it('finds in discovery what it needs for it', async () => {
    const { response_types_supported: types = [], grant_types_supported: grants = [] } = (await web()).serverMetadata()
    for (const type of ['id_token', 'id_token token', 'code id_token']) assert.ok(types.includes(type), type)
    for (const grant of ['implicit', 'password', 'client_credentials']) assert.ok(grants.includes(grant), grant)
  })

  it('logs in by ID token alone, as a public client', async () => {
    const client = await discover('spa', oauth.None(), oauth.useIdTokenResponseType)
    const { arrived, state, nonce } = await authorize(client, {})
    assert.match(arrived.hash, /^#/)
    const claims = await oauth.implicitAuthentication(client, arrived, nonce, { expectedState: state })
    assert.equal(claims.email, 'kilgore@kilgore.trout')
    assert.deepEqual(claims.groups, ['authors'])
    await assert.rejects(oauth.implicitAuthentication(client, arrived, 'another-nonce', { expectedState: state }))
  })

  it('reads the refusal of such a login where the ID token would have been', async () => {
    const client = await discover('spa', oauth.None(), oauth.useIdTokenResponseType)
    const { arrived, state, nonce } = await authorize(client, { scope: 'openid bogus' })
    await assert.rejects(
      oauth.implicitAuthentication(client, arrived, nonce, { expectedState: state }),
      (error: oauth.AuthorizationResponseError) => error.error === 'invalid_scope',
    )
  })

  it('logs in by code and ID token at once, and checks the code by its hash', async () => {
    const client = await web(oauth.useCodeIdTokenResponseType)
    const verifier = oauth.randomPKCECodeVerifier()
    const challenge = {
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    const { arrived, state, nonce } = await authorize(client, challenge)
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }
    const exchanged = new URL(arrived)
    exchanged.hash = arrived.hash.replace(/code=[^&]+/, 'code=another')
    await assert.rejects(oauth.authorizationCodeGrant(client, exchanged, checks), (error: oauth.ClientError) =>
      /"c_hash"/.test(String(error.cause)),
    )
    const tokens = await oauth.authorizationCodeGrant(client, arrived, checks)
    assert.deepEqual(tokens.claims()?.groups, ['authors'])
  })

  it('gets tokens by a password, refreshes them, and reads why not', async () => {
    const client = await web()
    const fields = { username: 'admin@example.com', password: 'password', scope: 'openid groups offline_access' }
    const tokens = await oauth.genericGrantRequest(client, 'password', fields)
    assert.deepEqual(tokens.claims()?.groups, ['admins', 'staff'])
    const renewed = await oauth.refreshTokenGrant(client, tokens.refresh_token!)
    assert.equal(renewed.claims()?.sub, tokens.claims()?.sub)
    await assert.rejects(
      oauth.genericGrantRequest(client, 'password', { ...fields, password: 'wrong' }),
      (error: oauth.ResponseBodyError) => error.error === 'invalid_grant' && error.status === 400,
    )
  })

  it('gets tokens for itself', async () => {
    const client = await web()
    const tokens = await oauth.clientCredentialsGrant(client, { scope: 'groups' })
    assert.equal((await oauth.tokenIntrospection(client, tokens.access_token)).active, true)
    const person = await oauth.fetchUserInfo(client, tokens.access_token, oauth.skipSubjectCheck)
    assert.deepEqual(person.groups, ['robots'])
    await assert.rejects(
      oauth.clientCredentialsGrant(await discover('spa', oauth.None())),
      (error: oauth.ResponseBodyError) => error.error === 'unauthorized_client',
    )
  })
})
