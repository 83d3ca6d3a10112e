import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { jane, type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { context } from './context.ts'
import { depart, failsWith, logIn, openOidc } from './oidc-login.ts'

describe('discovery of an OpenID provider', () => {
  let up: OidcUpstream
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  it('happens at the first login only; an upstream that is down is no reason not to open, and is found when it is up again', async () => {
    const { port } = new URL(up.issuer)
    await up.close()
    const test = context()
    const connector = await openOidc({ issuer: up.issuer }, test)
    for (let i = 0; i < 6; i += 1) await failsWith('upstream_unavailable', depart(connector))
    up = await startOidcUpstream({}, { port: Number(port) })
    test.advance(10_000)
    assert.equal((await logIn(connector, up)).userId, jane.sub)
  })

  it('is not tried by every login while the upstream is down', async () => {
    up.bends.answers = { '/.well-known/openid-configuration': () => ({ status: 503, body: '' }) }
    const connector = await openOidc({ issuer: up.issuer }, context({ now: () => new Date(0) }))
    for (let i = 0; i < 20; i += 1) await failsWith('upstream_unavailable', depart(connector))
    assert.equal(up.asked.length, 2)
  })

  it('is one request for many logins at once', async () => {
    const connector = await openOidc({ issuer: up.issuer }, context())
    await Promise.all(Array.from({ length: 20 }, () => depart(connector)))
    assert.equal(up.asked.length, 1)
  })

  it('is repeated after an hour, and the old document serves on when that fails', async () => {
    const test = context()
    const connector = await openOidc({ issuer: up.issuer }, test)
    await depart(connector)
    test.advance(2 * 60 * 60 * 1000)
    up.bends.answers = { '/.well-known/openid-configuration': () => ({ status: 503, body: '' }) }
    await depart(connector)
    assert.equal(up.asked.length, 2)
  })

  it('tolerates an issuer that differs by a trailing slash, warns once and checks tokens against the discovered one (OK-2, X-12)', async () => {
    const test = context()
    const connector = await openOidc({ issuer: `${up.issuer}/` }, test)
    assert.equal((await logIn(connector, up)).userId, jane.sub)
    await logIn(connector, up)
    assert.equal(test.warnings.length, 1)
    up.bends.discovery = { issuer: `${up.issuer}/` }
    const other = await openOidc({ issuer: up.issuer }, context())
    await failsWith('upstream_invalid_response', logIn(other, up))
    up.bends.idTokenClaims = (claims) => ({ ...claims, iss: `${up.issuer}/` })
    assert.equal((await logIn(other, up)).userId, jane.sub)
  })

  it('refuses any other difference and prints both (OK-2)', async () => {
    up.bends.discovery = { issuer: 'https://other.example.com' }
    const connector = await openOidc({ issuer: up.issuer }, context())
    await failsWith('misconfigured', depart(connector), /127\.0\.0\.1.*https:\/\/other\.example\.com/)
    up.bends.discovery = {}
    assert.equal((await logIn(connector, up)).userId, jane.sub, 'repaired without a restart')
  })

  it('takes issuerAlias for what tokens carry', async () => {
    up.bends.discovery = { issuer: 'https://discovered.example.com' }
    up.bends.idTokenClaims = (claims) => ({ ...claims, iss: 'https://alias.example.com' })
    const config = { issuer: up.issuer, issuerAlias: 'https://alias.example.com' }
    assert.equal((await logIn(await openOidc(config, context()), up)).userId, jane.sub)
    up.bends.idTokenClaims = (claims) => ({ ...claims, iss: 'https://discovered.example.com' })
    await failsWith('upstream_invalid_response', logIn(await openOidc(config, context()), up))
  })

  it('lets the configuration replace endpoints, and still uses PKCE', async () => {
    up.bends.discovery = {
      token_endpoint: 'http://127.0.0.1:1/token',
      authorization_endpoint: 'http://127.0.0.1:1/authorize',
      jwks_uri: 'http://127.0.0.1:1/keys',
      userinfo_endpoint: 'http://127.0.0.1:1/userinfo',
    }
    const at = (path: string) => up.issuer + path
    const providerDiscoveryOverrides = {
      tokenURL: at('/token'),
      authURL: at('/authorize'),
      jwksURL: at('/keys'),
      userInfoURL: at('/userinfo'),
    }
    const connector = await openOidc({ issuer: up.issuer, providerDiscoveryOverrides, getUserInfo: true }, context())
    assert.equal((await logIn(connector, up)).userId, jane.sub)
    assert.equal(up.asked.find(({ path }) => path === '/authorize')?.query.get('code_challenge_method'), 'S256')
  })

  it('refuses a document that lacks what a login needs', async () => {
    const broken: [unknown, string][] = [
      ['<html>', 'upstream_invalid_response'],
      [[], 'upstream_invalid_response'],
      [{}, 'misconfigured'],
      [{ issuer: up.issuer }, 'upstream_invalid_response'],
    ]
    for (const [body, code] of broken) {
      up.bends.answers = { '/.well-known/openid-configuration': () => ({ status: 200, body }) }
      await failsWith(code, depart(await openOidc({ issuer: up.issuer }, context())))
    }
    up.bends.answers = {}
    for (const value of [undefined, 7, 'javascript:alert(1)', '/relative']) {
      up.bends.discovery = { authorization_endpoint: value }
      await failsWith('upstream_invalid_response', depart(await openOidc({ issuer: up.issuer }, context())))
    }
  })

  it('gives up on an upstream that hangs', async () => {
    up.bends.hanging = ['/.well-known/openid-configuration']
    await failsWith('upstream_unavailable', depart(await openOidc({ issuer: up.issuer }, context({ timeout: 100 }))))
  })

  it('uses the certificates and the verification of the configuration', async () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
    const file = join(mkdtempSync(join(tmpdir(), 'oidc-ca-')), 'ca.pem')
    writeFileSync(file, pem)
    const test = context()
    await openOidc({ issuer: up.issuer, rootCAs: [pem, Buffer.from(pem).toString('base64')] }, test)
    assert.deepEqual(test.httpOptions[0], { ca: [pem, pem] })
    await openOidc({ issuer: up.issuer, insecureSkipVerify: true }, test)
    assert.deepEqual(test.httpOptions[1], { skipVerify: true })
    await openOidc({ issuer: up.issuer }, test)
    assert.deepEqual(test.httpOptions[2], {})
    await failsWith('misconfigured', openOidc({ issuer: up.issuer, rootCAs: ['/no/such/file'] }, test), /rootCAs\[0\]/)
    await openOidc({ issuer: up.issuer, rootCAs: [file] }, test)
    assert.deepEqual(test.httpOptions[3]?.ca, [pem])
    rmSync(dirname(file), { recursive: true })
  })
})
