/** `profile`, `dpop`, pushed and signed requests, resources of `staticClients`; `oauth2.dpop`. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const jwk = JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }))
const keys = `tokenEndpointAuthMethod: private_key_jwt, jwks: {keys: [${jwk}]}`
const es256 = 'signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: ES256}}\n'
const secret = 'id: a, name: A, secret: s'
const bank = `id: a, name: A, redirectURIs: ["https://a.example/cb"], profile: fapi2`
const one = (entry: string, more = es256) => `${BASE}${more}staticClients:\n- {${entry}}\n`
const clientOf = async (entry: string) => (await settingsOf(one(entry))).oidc.clients[0]!

describe('what applications ask of themselves', () => {
  it('is nothing unless it stands there', async () => {
    const client = await clientOf(secret)
    for (const key of ['profile', 'dpop', 'accessToken', 'resources', 'requirePushedAuthorizationRequests']) {
      assert.equal(key in client, false, key)
    }
    assert.equal((await settingsOf(one(secret))).oidc.dpop, undefined)
  })

  it('is read', async () => {
    const client = await clientOf(
      `${secret}, dpop: required, requirePushedAuthorizationRequests: true, accessToken: {audience: "api://default"}, resources: ["https://api.example"]`,
    )
    assert.equal(client.dpop, 'required')
    assert.equal(client.requirePushedAuthorizationRequests, true)
    assert.deepEqual(client.accessToken, { audience: 'api://default' })
    assert.deepEqual(client.resources, ['https://api.example'])
    assert.equal('dpop' in (await clientOf(`${secret}, dpop: optional`)), false)
    const { oidc } = await settingsOf(one(secret, 'oauth2: {dpop: {requireNonce: true}}\n'))
    assert.equal(oidc.dpop?.requireNonce, true)
  })

  it('with profile: fapi2 brings bound tokens, by proof or by certificate', async () => {
    assert.equal((await clientOf(`${bank}, ${keys}`)).dpop, 'required')
    const bound = await load(one(`${bank}, ${keys}, tlsClientCertificateBoundAccessTokens: true`))
    assert.equal(bound.settings?.oidc.clients[0]?.dpop, undefined)
  })

  it('with profile: fapi2 narrows the cipher suites of the listener', async () => {
    const web = 'web: {https: "0.0.0.0:5556", tlsCert: cert, tlsKey: key}\n'
    const files = { readable: async () => true, read: async () => undefined, isFolder: async () => true }
    const text = (entry: string) => one(entry).replace(/^web:.*\n( .*\n)*/m, web)
    const narrow = (await load(text(`${bank}, ${keys}`), { files })).settings
    assert.equal(narrow?.web.tls?.recommendedOnly, true)
    const { settings } = await load(text(secret), { files })
    assert.ok(settings?.web.tls)
    assert.equal(settings.web.tls.recommendedOnly, undefined)
  })

  for (const [title, entry, place, message, more] of [
    [
      'a public client',
      `id: a, name: A, public: true, profile: fapi2, redirectURIs: ["https://a.example/"]`,
      'profile',
      /public/,
    ],
    ['a secret', `${bank}, secret: s`, 'profile', /private_key_jwt/],
    ['http', `${bank}, ${keys}`.replace('https://a', 'http://a'), 'redirectURIs[0]', /http/],
    ['no redirect URI', `id: a, name: A, profile: fapi2, ${keys}`, 'profile', /redirectURIs/],
    [
      'RS256 assertions',
      `${bank}, ${keys}, tokenEndpointAuthSigningAlg: RS256`,
      'tokenEndpointAuthSigningAlg',
      /PS256/,
    ],
    ['optional PKCE', `${bank}, ${keys}, pkce: optional`, 'pkce', /needs it/],
    ['tokens that are not bound', `${bank}, ${keys}, dpop: optional`, 'dpop', /binds tokens/],
    ['tokens signed with RS256', `${bank}, ${keys}`, 'profile', /signed with RS256/, ''],
    ['RS256 of its own', `${bank}, ${keys}, signingAlgorithm: RS256`, 'signingAlgorithm', /signed with RS256/],
  ] as [string, string, string, RegExp, string?][]) {
    it(`with profile: fapi2 is refused: ${title}`, async () => {
      const { faults } = await load(one(entry, more))
      assert.match(at(faults, `staticClients[0].${place}`).message, message)
    })
  }

  it('with profile: fapi2 may have an algorithm of its own beside the default one', async () => {
    const { oidc } = await settingsOf(one(`${bank}, ${keys}, signingAlgorithm: EdDSA`, ''))
    assert.equal(oidc.clients[0]?.signingAlgorithm, 'EdDSA')
  })

  it('says that YAML takes y for a truth, which keys of elliptic curves have', async () => {
    const { faults } = await load(one(`${bank}, ${keys.replace('"y":', 'y: ')}`))
    assert.match(at(faults, 'staticClients[0].jwks.keys[0]').message, /in quotes/)
  })

  it('names what does not fit', async () => {
    const { faults } = await load(
      one(
        `${secret}, requireSignedRequestObject: true, resources: [nonsense, "https://a.example/#x"], accessToken: {audience: ""}`,
      ),
    )
    assert.deepEqual(
      places(faults).map((place) => place.replace(/^\d+ /, '')),
      [
        'staticClients[0].requireSignedRequestObject',
        'staticClients[0].resources[0]',
        'staticClients[0].resources[1]',
        'staticClients[0].accessToken.audience',
      ],
    )
    const both = await load(
      one(
        `${secret}, ${keys.replace('private_key_jwt', 'client_secret_basic')}, dpop: required, tlsClientCertificateBoundAccessTokens: true`,
      ),
    )
    assert.match(at(both.faults, 'staticClients[0].dpop').message, /one of the two/)
  })
})
