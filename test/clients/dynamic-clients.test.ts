/** Applications that do not stand in the file, with openid-client 6 against the program as operators start it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'openid-client'
import { openBrowser } from '../flows/browser.ts'
import { selfSigned } from '../server/certificate.ts'
import { type RunningProvider, startProvider } from './lib/program.ts'

const CALLBACK = 'https://app.example.com/callback'
const TOKEN = 'initial-access-token'

describe('applications that nobody configured', function () {
  this.timeout(60_000)
  const open = new AsyncDisposableStack()
  const pair = selfSigned('documents')
  let provider: RunningProvider
  let site: Server
  let origin: string
  let documents: Record<string, object> = {}
  let fetched: string[] = []

  before(async () => {
    site = createServer(pair, (request, response) => {
      fetched.push(request.url ?? '')
      const document = documents[request.url ?? '']
      response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    })
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
    open.defer(() => void site.close())
    origin = `https://127.0.0.1:${(site.address() as AddressInfo).port}`
    const folder = await mkdtemp(join(tmpdir(), 'countersign-documents-'))
    open.defer(() => rm(folder, { recursive: true, force: true }))
    await writeFile(join(folder, 'ca.pem'), pair.cert)
    provider = await startProvider(
      {
        dynamicClients: {
          registration: { initialAccessTokenFromEnv: 'REGISTRATION_TOKEN' },
          documents: { origins: [origin] },
          privateNetworks: ['127.0.0.0/8'],
        },
      },
      [],
      { env: { REGISTRATION_TOKEN: TOKEN, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') } },
    )
  })
  after(async () => {
    await provider?.[Symbol.asyncDispose]()
    await open.disposeAsync()
  })
  beforeEach(() => {
    documents = {}
    fetched = []
  })

  const execute = [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks]

  async function logIn(client: oauth.Configuration) {
    const verifier = oauth.randomPKCECodeVerifier()
    const state = oauth.randomState()
    const url = oauth.buildAuthorizationUrl(client, {
      redirect_uri: CALLBACK,
      scope: 'openid groups offline_access',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      connector_id: 'mock',
    })
    const browser = openBrowser()
    const page = await browser.follow(url.href)
    assert.equal(page.status, 200, page.text)
    const back = await browser.decide(page, true)
    const tokens = await oauth.authorizationCodeGrant(client, new URL(back.location!), {
      pkceCodeVerifier: verifier,
      expectedState: state,
    })
    return { page, tokens }
  }

  it('register themselves and log people in (RFC 7591)', async () => {
    const client = await oauth.dynamicClientRegistration(
      new URL(provider.issuer),
      { redirect_uris: [CALLBACK], client_name: 'Newcomer', grant_types: ['authorization_code', 'refresh_token'] },
      undefined,
      { initialAccessToken: TOKEN, execute },
    )
    const { page, tokens } = await logIn(client)
    assert.match(page.text, /Newcomer/)
    assert.match(page.text, /app\.example\.com/)
    assert.deepEqual(tokens.claims()?.groups, ['authors'])
    const renewed = await oauth.refreshTokenGrant(client, tokens.refresh_token!)
    assert.equal((await oauth.tokenIntrospection(client, renewed.access_token)).active, true)
    await oauth.tokenRevocation(client, renewed.refresh_token!)
  })

  it('may ask for pushed requests and bound tokens, and then have to use them', async () => {
    const client = await oauth.dynamicClientRegistration(
      new URL(provider.issuer),
      { redirect_uris: [CALLBACK], dpop_bound_access_tokens: true, require_pushed_authorization_requests: true },
      undefined,
      { initialAccessToken: TOKEN, execute },
    )
    const verifier = oauth.randomPKCECodeVerifier()
    const parameters = {
      redirect_uri: CALLBACK,
      scope: 'openid',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      connector_id: 'mock',
    }
    const plain = await openBrowser().follow(oauth.buildAuthorizationUrl(client, parameters).href)
    assert.match(plain.location!, /error=invalid_request/)
    const redeem = async (options: oauth.DPoPOptions) => {
      const url = await oauth.buildAuthorizationUrlWithPAR(client, parameters)
      const browser = openBrowser()
      const back = await browser.decide(await browser.follow(url.href), true)
      return oauth.authorizationCodeGrant(client, new URL(back.location!), { pkceCodeVerifier: verifier }, {}, options)
    }
    await assert.rejects(redeem({}), { error: 'invalid_grant' })
    const DPoP = oauth.getDPoPHandle(client, await oauth.randomDPoPKeyPair())
    assert.equal((await redeem({ DPoP })).token_type, 'dpop')
  })

  it('are turned away without the token', async () => {
    for (const initialAccessToken of ['another-token-of-nobody', undefined]) {
      const registration = oauth.dynamicClientRegistration(
        new URL(provider.issuer),
        { redirect_uris: [CALLBACK] },
        undefined,
        { execute, ...(initialAccessToken !== undefined && { initialAccessToken }) },
      )
      await assert.rejects(registration, { status: 401 })
    }
  })

  const idOf = (path: string) => `${origin}${path}`
  const discover = (id: string, authentication: oauth.ClientAuth) =>
    oauth.discovery(new URL(provider.issuer), id, undefined, authentication, { execute })

  it('publish a document about themselves, which is fetched once', async () => {
    documents['/app.json'] = {
      client_id: idOf('/app.json'),
      client_name: 'Published app',
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      scope: 'openid groups offline_access',
    }
    const client = await discover(idOf('/app.json'), oauth.None())
    assert.equal(client.serverMetadata().client_id_metadata_document_supported, true)
    const { page, tokens } = await logIn(client)
    assert.match(page.text, /Published app/)
    assert.match(page.text, new RegExp(new URL(origin).host))
    assert.equal(tokens.claims()?.aud, idOf('/app.json'))
    assert.ok((await oauth.refreshTokenGrant(client, tokens.refresh_token!)).access_token)
    assert.deepEqual(fetched, ['/app.json'])
  })

  it('publish their keys beside it (private_key_jwt)', async () => {
    const keys = await generateKeyPair('ES256')
    const others = await generateKeyPair('ES256')
    documents['/signer.json'] = {
      client_id: idOf('/signer.json'),
      redirect_uris: [CALLBACK],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: idOf('/jwks.json'),
    }
    documents['/jwks.json'] = { keys: [await exportJWK(keys.publicKey)] }
    const { tokens } = await logIn(await discover(idOf('/signer.json'), oauth.PrivateKeyJwt(keys.privateKey)))
    assert.deepEqual(tokens.claims()?.groups, ['authors'])
    const forger = await discover(idOf('/signer.json'), oauth.PrivateKeyJwt(others.privateKey))
    await assert.rejects(logIn(forger), { error: 'invalid_client' })
  })

  const refused: Record<string, (id: string) => object | undefined> = {
    'is not there': () => undefined,
    'is of another client': () => ({ client_id: idOf('/other.json') }),
    'has a secret': () => ({ client_secret: 'x' }),
    'wants a secret': () => ({ token_endpoint_auth_method: 'client_secret_basic' }),
    'returns to a script': () => ({ redirect_uris: [CALLBACK, 'javascript:alert(1)'] }),
    'returns in the clear': () => ({ redirect_uris: [CALLBACK, 'http://app.example.com/'] }),
    'is too large': () => ({ client_name: 'x'.repeat(6_000) }),
    'is a list': () => [],
  }
  for (const [what, change] of Object.entries(refused)) {
    it(`are unknown when their document ${what}`, async () => {
      const path = `/${what.replaceAll(' ', '-')}.json`
      const changed = change(idOf(path))
      const base = { client_id: idOf(path), redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' }
      if (changed) documents[path] = Array.isArray(changed) ? changed : { ...base, ...changed }
      const query = new URLSearchParams({
        client_id: idOf(path),
        redirect_uri: CALLBACK,
        response_type: 'code',
        scope: 'openid',
        code_challenge: 'c'.repeat(43),
        code_challenge_method: 'S256',
      })
      const answer = await openBrowser().request(`${provider.issuer}/auth?${query}`)
      assert.equal(answer.status, 400)
      assert.match(answer.text, /Invalid client_id/)
      assert.deepEqual(fetched, [path])
    })
  }

  it('get no grant that needs no person, whatever their document says', async () => {
    const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
    documents['/greedy.json'] = {
      client_id: idOf('/greedy.json'),
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', exchange, 'client_credentials'],
      token_endpoint_auth_method: 'none',
    }
    const client = await discover(idOf('/greedy.json'), oauth.None())
    await logIn(client)
    const type = 'urn:ietf:params:oauth:token-type:id_token'
    const asked = { connector_id: 'mock', subject_token: 'x', subject_token_type: type }
    await assert.rejects(oauth.genericGrantRequest(client, exchange, asked), (error: Error & { error?: string }) => {
      assert.match(error.error ?? '', /^(invalid_request|unauthorized_client)$/)
      assert.match(JSON.stringify(error), /not allowed for this client/)
      return true
    })
  })

  it('are not even looked for at origins that are not allowed', async () => {
    const elsewhere = [
      origin.replace('127.0.0.1', 'localhost'),
      'https://127.0.0.1',
      origin.replace('https:', 'http:'),
      `${origin}@evil.example`,
      `https://user@${new URL(origin).host}`,
    ]
    for (const place of elsewhere) {
      const query = new URLSearchParams({ client_id: `${place}/app.json`, redirect_uri: CALLBACK, scope: 'openid' })
      const answer = await openBrowser().request(`${provider.issuer}/auth?${query}`)
      assert.equal(answer.status, 400, place)
    }
    for (const path of ['/a/../app.json', '/%2e%2e/app.json', '/app.json#x']) {
      const query = new URLSearchParams({ client_id: idOf(path), redirect_uri: CALLBACK, scope: 'openid' })
      assert.equal((await openBrowser().request(`${provider.issuer}/auth?${query}`)).status, 400, path)
    }
    assert.deepEqual(fetched, [])
  })
})
