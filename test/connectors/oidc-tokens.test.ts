/** The upstream-token mutation table: what must not log anybody in, and what must not stop a good login. */
import assert from 'node:assert/strict'
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { exportJWK, exportSPKI, importJWK, type JWK, SignJWT } from 'jose'
import { jane, type OidcUpstream, startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { context } from './context.ts'
import { failsWith, logIn, openOidc } from './oidc-login.ts'

const now = () => Math.floor(Date.now() / 1000)
const b64u = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('ID tokens of an upstream', () => {
  let up: OidcUpstream
  /** Signed rightly, with a header that a library would not write. */
  const forgeHead = async (claims: Record<string, unknown>, head: Record<string, unknown>) => {
    const input = `${b64u(head)}.${b64u(claims)}`
    const key = createPrivateKey({ key: await exportJWK(up.key().privateKey), format: 'jwk' })
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  const logInNow = async (config: Record<string, unknown> = {}) =>
    logIn(await openOidc({ issuer: up.issuer, getUserInfo: true, ...config }, context()), up)
  const without = (name: string) => (claims: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))

  const mutations: Record<string, (claims: Record<string, unknown>) => Record<string, unknown>> = {
    'of another issuer': (claims) => ({ ...claims, iss: 'https://evil.example.com' }),
    'whose issuer has a slash more': (claims) => ({ ...claims, iss: `${String(claims.iss)}/` }),
    'for another audience': (claims) => ({ ...claims, aud: 'somebody' }),
    'for no audience': without('aud'),
    'for several audiences without an authorized party': (claims) => ({
      ...claims,
      aud: [upstreamClient.clientID, 'x'],
    }),
    'whose authorized party is another client': (claims) => ({ ...claims, azp: 'somebody' }),
    'that has expired': (claims) => ({ ...claims, exp: now() - 60 }),
    'without an expiry': without('exp'),
    'that is not valid yet': (claims) => ({ ...claims, nbf: now() + 600 }),
    'without a nonce': without('nonce'),
    'with the nonce of another login': (claims) => ({ ...claims, nonce: 'other' }),
    'without a subject': without('sub'),
    'with an empty subject': (claims) => ({ ...claims, sub: '' }),
    'whose subject is a number': (claims) => ({ ...claims, sub: 7 }),
    'without a time of issue': without('iat'),
  }
  for (const [title, mutate] of Object.entries(mutations)) {
    it(`refuses one ${title}, before userinfo is asked`, async () => {
      up.bends.idTokenClaims = mutate
      await failsWith('upstream_invalid_response', logInNow())
      assert.equal(up.calls().includes('GET /userinfo'), false)
    })
  }

  const forgeries: Record<string, (claims: Record<string, unknown>) => Promise<string> | string> = {
    'that is not signed (alg none)': (claims) => `${b64u({ alg: 'none' })}.${b64u(claims)}.`,
    'signed by HS256 with the public key': async (claims) => {
      const key = await importJWK({ ...up.key().publicJwk }, 'RS256', { extractable: true })
      assert.ok(!(key instanceof Uint8Array))
      const input = `${b64u({ alg: 'HS256', kid: up.key().kid })}.${b64u(claims)}`
      return `${input}.${createHmac('sha256', await exportSPKI(key))
        .update(input)
        .digest('base64url')}`
    },
    'of an unknown key': (claims) => up.sign(claims, { kid: 'unknown' }),
    'of a foreign key under a known name': async (claims) => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: up.key().kid }).sign(privateKey)
    },
    'whose claims were changed after signing': async (claims) => {
      const [head, , signature] = (await up.sign(claims)).split('.')
      return `${head}.${b64u({ ...claims, sub: 'admin' })}.${signature}`
    },
    'by an algorithm that the upstream does not list': async (claims) => {
      const key = await importJWK(await exportJWK(up.key().privateKey), 'PS256')
      return new SignJWT(claims).setProtectedHeader({ alg: 'PS256', kid: up.key().kid }).sign(key)
    },
    'with a critical header that nobody knows': (claims) =>
      forgeHead(claims, { alg: 'RS256', kid: up.key().kid, crit: ['x'], x: 1 }),
    'that is no JWT': () => 'opaque',
  }
  for (const [title, forge] of Object.entries(forgeries)) {
    it(`refuses one ${title}, before userinfo is asked`, async () => {
      up.bends.idToken = forge
      await failsWith('upstream_invalid_response', logInNow())
      assert.equal(up.calls().includes('GET /userinfo'), false)
    })
  }

  it('refuses HS256 also when the upstream lists it', async () => {
    up.bends.discovery = { id_token_signing_alg_values_supported: ['HS256', 'RS256'] }
    up.bends.idToken = (claims) => {
      const input = `${b64u({ alg: 'HS256' })}.${b64u(claims)}`
      return `${input}.${createHmac('sha256', upstreamClient.clientSecret).update(input).digest('base64url')}`
    }
    await failsWith('upstream_invalid_response', logInNow())
  })

  it('refuses an answer without one', async () => {
    up.bends.idToken = () => undefined
    await failsWith('upstream_invalid_response', logInNow())
  })

  it('refuses userinfo about somebody else', async () => {
    for (const sub of ['00u1admin', '', undefined]) {
      up.bends.userinfo = { ...jane, sub }
      await failsWith('upstream_invalid_response', logInNow())
    }
  })

  it('accepts several audiences when we are the authorized party', async () => {
    up.bends.idTokenClaims = (claims) => ({
      ...claims,
      aud: [upstreamClient.clientID, 'x'],
      azp: upstreamClient.clientID,
    })
    assert.equal((await logInNow()).userId, jane.sub)
  })

  describe('key sets', () => {
    const oddKeys: unknown[] = [
      { kty: 'XYZ', kid: 'a' },
      { kty: 'EC', crv: 'secp256k1', kid: 'b', x: 'AA', y: 'AA' },
      { kty: 'RSA', kid: 'key-1', alg: 'RS257', n: 'AQAB', e: 'AQAB' },
      { kty: 'RSA', kid: 'key-1', use: 'enc', n: 'AQAB', e: 'AQAB' },
      { kty: 'RSA', kid: 'key-1', n: '!!', e: 7 },
      { kty: 'oct', k: 'AA' },
      null,
      'text',
      {},
    ]

    it('of odd keys beside the good one work, whatever the order', async () => {
      up.bends.jwks = (keys) => [...oddKeys, ...keys]
      assert.equal((await logInNow()).userId, jane.sub)
      up.bends.jwks = (keys) => [...keys, ...oddKeys]
      assert.equal((await logInNow()).userId, jane.sub)
    })

    it('of several keys work for a token that names none', async () => {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      up.bends.jwks = (keys) => [{ ...publicKey.export({ format: 'jwk' }), kid: 'x' }, ...keys]
      up.bends.idToken = (claims) => up.sign(claims, { kid: undefined })
      assert.equal((await logInNow()).userId, jane.sub)
    })

    it('are fetched again once for an unknown key, and then kept (OK-16)', async () => {
      const connector = await openOidc({ issuer: up.issuer }, context())
      const fetched = () => up.calls().filter((call) => call === 'GET /keys').length
      await logIn(connector, up)
      await up.rotate('key-2')
      await logIn(connector, up)
      await logIn(connector, up)
      assert.equal(fetched(), 2)
      await up.rotate('key-2')
      await logIn(connector, up)
      assert.equal(fetched(), 3)
    })

    it('are not fetched without end for tokens of unknown keys', async () => {
      const connector = await openOidc({ issuer: up.issuer }, context())
      await logIn(connector, up)
      up.bends.idToken = (claims) => up.sign(claims, { kid: 'unknown' })
      for (let i = 0; i < 12; i += 1) await failsWith('upstream_invalid_response', logIn(connector, up))
      assert.ok(up.calls().filter((call) => call === 'GET /keys').length <= 6)
    })

    it('that cannot be had are an outage', async () => {
      up.bends.answers = { '/keys': () => ({ status: 503, body: '' }) }
      await failsWith('upstream_unavailable', logInNow())
    })

    it('are public keys only, even where an upstream publishes more', async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      up.bends.discovery = { id_token_signing_alg_values_supported: ['ES256'] }
      up.bends.jwks = () => [{ ...privateKey.export({ format: 'jwk' }), kid: 'ec' } as JWK]
      up.bends.idToken = (claims) =>
        new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'ec' }).sign(privateKey)
      assert.equal((await logInNow()).userId, jane.sub)
    })
  })
})
