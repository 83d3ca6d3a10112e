/** Keys and certificates of clients, and clients that do not stand in the file, as an operator writes them. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { BASE, load } from './fixture.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwk = JSON.stringify(publicKey.export({ format: 'jwk' }))
const secretJwk = JSON.stringify(privateKey.export({ format: 'jwk' }))
const jwks = `jwks: {keys: [${jwk}]}`

const client = (keys: string) => `${BASE}staticClients:\n- {id: app, name: App, ${keys}}\n`
const dynamic = (keys: string) => `${BASE}dynamicClients: {${keys}}\n`
const faultsOf = async (content: string, env?: Record<string, string>) =>
  (await load(content, env ? { env } : {})).faults.map(({ path, message }) => `${path} ${message}`)
const warningsOf = async (content: string) =>
  (await load(content)).warnings.map(({ path, message }) => `${path} ${message}`)

describe('keys and certificates of clients', () => {
  it('stand in the place of a secret', async () => {
    const { settings, faults } = await load(client(`tokenEndpointAuthMethod: private_key_jwt, ${jwks}`))
    assert.deepEqual(faults, [])
    const [app] = settings!.oidc.clients
    assert.deepEqual(app?.authentication, { method: 'private_key_jwt' })
    assert.deepEqual(app?.keys, { jwks: { keys: [JSON.parse(jwk)] } })
    assert.equal(app?.secret, undefined)
  })

  it('leave out a secret that stands beside them for another server, and say so', async () => {
    const content = client(`secret: old, tokenEndpointAuthMethod: private_key_jwt, ${jwks}`)
    assert.equal((await load(content)).settings?.oidc.clients[0]?.secret, undefined)
    assert.match((await warningsOf(content)).join('\n'), /secret is not accepted here/)
  })

  const wrong: [keys: string, fault: RegExp][] = [
    ['tokenEndpointAuthMethod: private_key_jwt', /needs the public keys/],
    ['tokenEndpointAuthMethod: private_key', /tokenEndpointAuthMethod/],
    [`tokenEndpointAuthMethod: private_key_jwt, jwks: {keys: [${secretJwk}]}`, /is a private key/],
    ['tokenEndpointAuthMethod: private_key_jwt, jwks: {keys: [{kty: oct, k: AAAA}]}', /is a shared secret/],
    ['tokenEndpointAuthMethod: private_key_jwt, jwks: {keys: [{kty: EC, x: a}]}', /is no public key/],
    ['tokenEndpointAuthMethod: private_key_jwt, jwks: {keys: []}', /holds no key/],
    ['tokenEndpointAuthMethod: private_key_jwt, jwksURI: nowhere', /must be an address/],
    [`tokenEndpointAuthMethod: private_key_jwt, ${jwks}, jwksURI: "https://a.example/"`, /stands beside jwks/],
    [`public: true, tokenEndpointAuthMethod: private_key_jwt, ${jwks}`, /the client is public/],
    [
      `tokenEndpointAuthMethod: private_key_jwt, tokenEndpointAuthSigningAlg: HS256, ${jwks}`,
      /algorithm of public keys/,
    ],
    ['secret: short, tokenEndpointAuthMethod: client_secret_jwt', /at least 32 bytes/],
    ['secret: s, tokenEndpointAuthMethod: none', /only a public client/],
    ['tokenEndpointAuthMethod: tls_client_auth', /needs to know the certificate/],
    ['tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSubjectDN: app', /is no subject/],
    ['tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSanIP: app', /is no IP address/],
    ['tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSanDNS: "*.example.com"', /one whole name/],
    ['tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSanDNS: a, tlsClientAuthSanURI: b', /stands beside/],
    ['tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSanDNS: a', /clientCertificates is needed for "app"/],
    [`tokenEndpointAuthMethod: self_signed_tls_client_auth, ${jwks}`, /holds no certificate/],
    ['public: true, tlsClientCertificateBoundAccessTokens: true', /a public client cannot have it/],
    ['tokenEndpointAuthMethod: client_secret_basic', /secret is missing/],
  ]
  for (const [keys, fault] of wrong) {
    it(`is a fault: ${keys.slice(0, 90)}`, async () => assert.match((await faultsOf(client(keys))).join('\n'), fault))
  }

  it('need a way on which a certificate arrives', async () => {
    const app = `staticClients:\n- {id: app, name: App, tokenEndpointAuthMethod: tls_client_auth, tlsClientAuthSanDNS: a}\n`
    const web = (more: string) => BASE.replace('5556}', `5556, ${more}}`) + app
    assert.match(
      (await faultsOf(web('clientCertificates: {header: X-Cert}'))).join('\n'),
      /needs clientRemoteIP.trustedProxies/,
    )
    const proxies = 'clientRemoteIP: {trustedProxies: [10.0.0.0/8]}'
    const unverified = web(`${proxies}, clientCertificates: {header: X-Cert}`)
    assert.match((await faultsOf(unverified)).join('\n'), /needs ca with https, or verifiedHeader/)
    const good = web(`${proxies}, clientCertificates: {header: X-Cert, verifiedHeader: X-Verified}`)
    assert.deepEqual(await faultsOf(good), [])
    assert.deepEqual(await warningsOf(good), [])
  })
})

describe('clients that do not stand in the file', () => {
  const token = 'sixteen-letters-x'

  it('are none by default', async () => {
    assert.equal((await load(BASE)).settings?.oidc.dynamicClients, undefined)
  })

  it('register with a token of the file or of the environment', async () => {
    const content = dynamic(
      `registration: {initialAccessTokens: [${token}], initialAccessTokenFromEnv: T, unusedFor: 24h}`,
    )
    const { settings, faults } = await load(content, { env: { T: `${token}-2` } })
    assert.deepEqual(faults, [])
    assert.deepEqual(settings?.oidc.dynamicClients, {
      registration: { initialAccessTokens: [token, `${token}-2`], maxClients: 1000, unusedFor: 86_400 },
      allowedConnectors: [],
      privateNetworks: [],
    })
  })

  it('may be anybody only where that is said, with a warning', async () => {
    const content = dynamic('registration: {open: true}')
    assert.deepEqual(await faultsOf(content), [])
    assert.match((await warningsOf(content)).join('\n'), /lets anybody register/)
  })

  const wrong: [keys: string, fault: RegExp][] = [
    ['registration: {}', /needs initialAccessTokens/],
    ['registration: {initialAccessTokens: [short]}', /at least 16 letters/],
    ['registration: {initialAccessTokens: ["sixteen letters x"]}', /at least 16 letters/],
    ['registration: {initialAccessTokenFromEnv: NOWHERE}', /NOWHERE, which is not set/],
    [`registration: {open: true, initialAccessTokens: [${token}]}`, /take one of them out/],
    [`registration: {initialAccessTokens: [${token}], maxClients: 0}`, /maxClients/],
    [`registration: {initialAccessTokens: [${token}], unusedFor: soon}`, /unusedFor/],
    ['documents: {origins: []}', /names no origin/],
    ['documents: {origins: ["http://app.example.com"]}', /must be an origin/],
    ['documents: {origins: ["https://app.example.com/path"]}', /is more than an origin/],
    ['documents: {origins: ["*"]}, allowedScopes: [email]', /must include openid/],
    ['documents: {origins: ["*"]}, allowedScopes: [openid, emial]', /is no scope/],
    ['documents: {origins: ["*"]}, privateNetworks: [10.0.0.1]', /must be a network/],
  ]
  for (const [keys, fault] of wrong) {
    it(`are at fault with ${keys}`, async () => assert.match((await faultsOf(dynamic(keys))).join('\n'), fault))
  }
})
