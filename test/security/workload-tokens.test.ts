/**
 * Lessons, rows 29, 33, 38, 40: tokens of a workload issuer, bent one by one. Everything that is not the one good token is
 * refused, with the code of RFC 8693, 2.2.2, and tells the client nothing of what it holds.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { exportSPKI, importJWK } from 'jose'
import { clientOrigin } from '../flows/browser.ts'
import { errorOf, type FlowServer, startServer, stopClock } from '../flows/server.ts'
import { githubJob, startWorkloadIssuer, type WorkloadIssuer, workloadKey } from '../upstreams/workload-issuer.ts'

const aud = 'https://sign-in.example.com'
const ci = { id: 'ci', redirectUri: clientOrigin }
const now = (): number => Math.floor(Date.now() / 1000)
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('tokens of a workload issuer, bent', () => {
  let issuer: WorkloadIssuer
  let other: WorkloadIssuer
  let server: FlowServer
  before(async () => {
    issuer = await startWorkloadIssuer()
    other = await startWorkloadIssuer({ alg: 'ES256' })
    server = await startServer({
      tokenIssuers: [
        { id: 'ci-system', issuer: issuer.issuer, audience: [aud], maxLifetime: '1h' },
        { id: 'other', issuer: other.issuer, audience: [aud] },
      ],
      staticClients: [
        {
          id: ci.id,
          name: 'CI',
          public: true,
          tokenExchange: ['ci-system', 'other'].map((id) => ({
            issuer: id,
            claims: { repository: 'octo-org/*' },
            identity: { userID: '{{sub}}' },
          })),
        },
      ],
    })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    for (const each of [issuer, other]) await each[Symbol.asyncDispose]()
  })

  const exchange = (token: string, more: Record<string, string> = {}) =>
    server.token(
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        ...more,
      },
      ci,
    )
  const claims = (more: Record<string, unknown> = {}) => ({ ...githubJob(issuer.issuer, aud), ...more })
  const refused = async (token: string, more: Record<string, string> = { connector_id: 'ci-system' }) => {
    const answer = await exchange(token, more)
    assert.equal(errorOf(answer), '400 invalid_request', answer.text)
    assert.doesNotMatch(answer.text, /octo|sign-in\.example/)
  }
  const accepted = async (token: string) => assert.equal((await exchange(token)).status, 200)

  beforeEach(async () => accepted(await issuer.sign(claims())))

  const bentClaims: [what: string, claims: () => Record<string, unknown>][] = [
    ['iss of somebody else', () => ({ iss: 'https://evil.example.com' })],
    ['iss with a slash more', () => ({ iss: `${issuer.issuer}/` })],
    ['iss of another issuer that is configured', () => ({ iss: other.issuer })],
    ['iss of this server', () => ({ iss: server.issuer })],
    ['iss missing', () => ({ iss: undefined })],
    ['iss in a list', () => ({ iss: [issuer.issuer] })],
    ['aud of somebody else', () => ({ aud: 'https://other.example.com' })],
    ['aud that begins the same', () => ({ aud: `${aud}.evil.example` })],
    ['aud missing', () => ({ aud: undefined })],
    ['aud empty', () => ({ aud: [] })],
    ['aud with somebody else beside us', () => ({ aud: [aud, 'https://other.example.com'] })],
    ['aud with something that is no text', () => ({ aud: [aud, 1] })],
    ['exp past', () => ({ exp: now() - 31 })],
    ['exp missing', () => ({ exp: undefined })],
    ['exp as text', () => ({ exp: String(now() + 300) })],
    ['exp without end', () => ({ exp: 1e300 })],
    ['iat missing', () => ({ iat: undefined })],
    ['iat in the future', () => ({ iat: now() + 60, exp: now() + 300 })],
    ['iat as text', () => ({ iat: String(now()) })],
    ['iat so early that it lives too long', () => ({ iat: now() - 3500 })],
    ['exp so late that it lives too long', () => ({ exp: now() + 3700 })],
    ['nbf in the future', () => ({ nbf: now() + 60 })],
    ['nbf as text', () => ({ nbf: 'now' })],
    ['sub missing', () => ({ sub: undefined })],
    ['sub empty', () => ({ sub: '' })],
    ['sub as a number', () => ({ sub: 12 })],
    ['jti as a number', () => ({ jti: 12 })],
    ['the events of a logout token', () => ({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } })],
    ['a claim of another client', () => ({ repository: 'evil/repo' })],
    ['the prototype instead of a claim', () => ({ repository: undefined, __proto__: { repository: 'octo-org/x' } })],
  ]
  for (const [what, bent] of bentClaims) {
    it(`${what}`, async () => refused(await issuer.sign(claims(bent()))))
  }

  const bentHeaders: [what: string, header: Record<string, unknown>][] = [
    ['typ of an access token', { typ: 'at+jwt' }],
    ['typ of a logout token', { typ: 'logout+jwt' }],
    ['typ of a request object', { typ: 'oauth-authz-req+jwt' }],
    ['typ of a client assertion', { typ: 'client-authentication+jwt' }],
    ['typ as a list', { typ: ['JWT'] }],
    ['kid that is unknown', { kid: 'key-9' }],
    ['critical extensions', { crit: ['b64'], b64: true }],
  ]
  for (const [what, header] of bentHeaders) {
    it(`${what}`, async () => refused(await issuer.sign(claims(), header)))
  }

  it('what does no harm: no typ, its letters in another case, no kid, azp and nonce of the issuer’s own', async () => {
    for (const header of [{ typ: undefined }, { typ: 'jwt' }, { kid: undefined }]) {
      await accepted(await issuer.sign(claims(), header))
    }
    await accepted(await issuer.sign(claims({ azp: 'somebody', nonce: 'n', nbf: undefined })))
  })

  it('clocks that differ by half a minute do no harm, and no more than that', async () => {
    using clock = stopClock()
    const token = await issuer.sign(claims({ exp: now() + 10 }))
    clock.advance(35)
    await accepted(token)
    clock.advance(10)
    await refused(token)
  })

  it('keys that the token brings itself, or points to', async () => {
    const evil = await workloadKey('key-1')
    for (const header of [
      {},
      { jwk: evil.publicJwk },
      { jku: `${other.issuer}/.well-known/jwks` },
      { x5u: `${other.issuer}/x` },
      { kid: `${other.issuer}/.well-known/jwks` },
    ]) {
      await refused(await issuer.sign(claims(), header, evil))
    }
  })

  it('the key of another issuer that is configured', async () => {
    await refused(await issuer.sign(claims(), { kid: other.key.kid }, other.key))
    // Named by what the token says itself, it is judged by that issuer's rule and key alone.
    await refused(await issuer.sign(claims({ iss: other.issuer })), {})
  })

  it('no signature, a signature by the public key as a secret, another algorithm than is listed', async () => {
    const payload = encode(claims())
    const publicKey = await exportSPKI(
      (await importJWK(issuer.key.publicJwk, 'RS256')) as Parameters<typeof exportSPKI>[0],
    )
    const secret = (key: string) => {
      const text = `${encode({ alg: 'HS256', typ: 'JWT', kid: 'key-1' })}.${payload}`
      return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
    }
    const tokens = [
      ...['none', 'None', 'NONE', ''].map((alg) => `${encode({ alg, typ: 'JWT' })}.${payload}.`),
      secret(publicKey),
      secret(publicKey.trimEnd()),
      secret(JSON.stringify(issuer.key.publicJwk)),
    ]
    for (const token of tokens) await refused(token)
    const later = await workloadKey('key-1', 'RS384')
    issuer.published = [issuer.key.publicJwk, later.publicJwk]
    await refused(await issuer.sign(claims(), {}, later))
    issuer.published = [issuer.key.publicJwk]
  })

  it('a key that is published for something else', async () => {
    const keys = await Promise.all(['enc', 'ops', 'alg'].map((kid) => workloadKey(kid)))
    const [encryption, operations, algorithm] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
    issuer.published = [
      issuer.key.publicJwk,
      { ...encryption.publicJwk, use: 'enc' },
      { ...operations.publicJwk, use: undefined, key_ops: ['encrypt'] },
      { ...algorithm.publicJwk, alg: 'RS512' },
      { kty: 'oct', kid: 'key-7', k: 'c2VjcmV0' },
      { kty: 'unheard-of' },
    ]
    for (const key of keys) await refused(await issuer.sign(claims(), {}, key))
    issuer.published = [issuer.key.publicJwk]
  })

  it('every part cut, lengthened or swapped', async () => {
    const token = await issuer.sign(claims())
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const mine = encode(claims({ sub: 'somebody-else' }))
    const bent = [
      `${header}.${mine}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      `${token}.`,
      `${token}A`,
      token.slice(0, -2),
      ` ${token}`,
      `${token}.${payload}.${signature}`,
      encode({ payload, signatures: [{ protected: header, signature }] }),
      JSON.stringify({ payload, protected: header, signature }),
      'x',
      'a.b.c',
      `${encode([])}.${payload}.${signature}`,
      `${encode('x')}.${payload}.${signature}`,
      `${encode(null)}.${payload}.${signature}`,
    ]
    for (const each of bent) await refused(each)
  })

  it('one that is too long, before anything is asked', async () => {
    issuer.asked.length = 0
    await refused(await issuer.sign(claims({ filling: 'x'.repeat(20_000) }), { kid: 'key-9' }))
    assert.deepEqual(issuer.asked, [])
  })

  it('unknown keys make us ask again five times a minute at most', async () => {
    issuer.asked.length = 0
    using clock = stopClock()
    clock.advance(61)
    for (let times = 0; times < 20; times++) await refused(await issuer.sign(claims(), { kid: `key-${100 + times}` }))
    assert.ok(issuer.asked.length <= 5, String(issuer.asked.length))
    assert.ok(issuer.asked.length > 0)
  })

  it('nothing of a token stands in the log', async () => {
    const token = await issuer.sign(claims())
    await accepted(token)
    await refused(`${token}A`)
    const [, payload, signature] = token.split('.') as [string, string, string]
    for (const secret of [payload.slice(20, 60), signature]) assert.ok(!server.logged().includes(secret))
  })
})
