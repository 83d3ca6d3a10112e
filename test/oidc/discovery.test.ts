import assert from 'node:assert/strict'
import { discoveryDocument, paths } from '../../src/oidc/discovery.ts'
import type { OidcOptions } from '../../src/oidc/options.ts'

const documentOf = (issuer: string, more: Partial<OidcOptions> = {}, algorithms = ['RS256']) =>
  discoveryDocument(
    {
      issuer,
      clients: [],
      grantTypes: ['refresh_token', 'authorization_code'],
      responseTypes: ['code'],
      pkce: { enforce: false, methods: ['S256'] },
      ...more,
    } as OidcOptions,
    algorithms,
  ) as Record<string, unknown>

describe('the discovery document', () => {
  for (const [issuer, base] of [
    ['https://dex.example/dex', 'https://dex.example/dex'],
    ['https://dex.example/dex/', 'https://dex.example/dex'],
    ['https://dex.example', 'https://dex.example'],
    ['https://dex.example:8443/', 'https://dex.example:8443'],
  ] as const) {
    it(`names the endpoints below ${issuer}, and the issuer to the letter (X-12)`, () => {
      const document = documentOf(issuer)
      assert.equal(document.issuer, issuer)
      assert.equal(document.authorization_endpoint, `${base}/auth`)
      assert.equal(document.token_endpoint, `${base}/token`)
      assert.equal(document.jwks_uri, `${base}/keys`)
      assert.equal(document.userinfo_endpoint, `${base}/userinfo`)
      assert.equal(document.device_authorization_endpoint, `${base}/device/code`)
      assert.equal(document.introspection_endpoint, `${base}/token/introspect`)
    })
  }

  it('promises only what is served', () => {
    const document = documentOf('https://dex.example/dex', {}, ['ES256', 'EdDSA'])
    assert.deepEqual(document.grant_types_supported, ['authorization_code', 'refresh_token'])
    assert.deepEqual(document.response_types_supported, ['code'])
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['ES256', 'EdDSA'])
    assert.deepEqual(document.code_challenge_methods_supported, ['S256'])
    assert.deepEqual(document.scopes_supported, ['openid', 'email', 'groups', 'profile', 'offline_access'])
    assert.equal(document.request_parameter_supported, false)
    const urls = Object.values(document).filter((value) => String(value).startsWith('https://dex.example/dex/'))
    for (const url of urls) assert.ok(Object.values(paths).includes(String(url).slice(23) as never), String(url))
  })

  it('lists the response types of the file, and what they let clients ask for besides', () => {
    const typesOf = (...responseTypes: string[]) => documentOf('https://a', { responseTypes }).response_types_supported
    assert.deepEqual(typesOf('id_token token', 'code'), ['code', 'id_token token'])
    assert.deepEqual(typesOf('code', 'id_token'), ['code', 'code id_token', 'id_token'])
    // Dex lists it, though it never answers it.
    assert.deepEqual(typesOf('token'), ['token'])
  })

  it('lists `plain` only where the operator allows it (X-9)', () => {
    const pkce = { enforce: false, methods: ['S256', 'plain'] } as OidcOptions['pkce']
    assert.deepEqual(documentOf('https://a', { pkce }).code_challenge_methods_supported, ['S256', 'plain'])
  })

  it('names the endpoint for pushed requests, signed answers and proofs', () => {
    const document = documentOf('https://dex.example/dex', {}, ['ES256'])
    assert.equal(document.pushed_authorization_request_endpoint, 'https://dex.example/dex/par')
    assert.deepEqual(document.authorization_signing_alg_values_supported, ['ES256'])
    assert.deepEqual(document.dpop_signing_alg_values_supported, ['PS256', 'ES256', 'Ed25519', 'EdDSA'])
    const modes = document.response_modes_supported as string[]
    assert.deepEqual(modes.slice(3), ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'])
  })

  it('offers request objects where the keys of a client are known, and RS256 unless all of them are of FAPI', () => {
    const client = (more: object) =>
      ({ id: 'a', keys: { jwks: { keys: [] } }, ...more }) as unknown as OidcOptions['clients'][0]
    const documentFor = (clients: OidcOptions['clients']) => documentOf('https://a', { clients })
    assert.equal(documentFor([{ id: 'b' } as OidcOptions['clients'][0]]).request_parameter_supported, false)
    const plain = documentFor([client({}), client({ profile: 'fapi2' })])
    assert.equal(plain.request_parameter_supported, true)
    assert.ok((plain.request_object_signing_alg_values_supported as string[]).includes('RS256'))
    const fapi = documentFor([client({ profile: 'fapi2' })])
    assert.deepEqual(fapi.request_object_signing_alg_values_supported, ['PS256', 'ES256', 'Ed25519', 'EdDSA'])
  })
})
