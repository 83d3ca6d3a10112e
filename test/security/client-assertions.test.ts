/** Assertions that clients sign to say who they are (RFC 7523): each that is not quite right is refused, each good one works once. */
import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { type BrowserAnswer, clientOrigin } from '../flows/browser.ts'
import { authorize, errorOf, type FlowServer, logIn, startServer, stopClock, web } from '../flows/server.ts'

type Keys = Awaited<ReturnType<typeof generateKeyPair>>

const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const signer = { id: 'signer', redirectUri: `${clientOrigin}signer/callback` }
const now = () => Math.floor(Date.now() / 1000)
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

describe('assertions of clients', () => {
  let server: FlowServer
  let keys: Keys
  let rsa: Keys
  let others: Keys
  let published: Server
  let publish: { keys: object[] } = { keys: [] }

  before(async () => {
    keys = await generateKeyPair('ES256', { extractable: true })
    rsa = await generateKeyPair('RS256', { extractable: true })
    others = await generateKeyPair('ES256')
    published = createServer((_, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(publish))
    })
    await new Promise<void>((resolve) => published.listen(0, '127.0.0.1', resolve))
    const entry = (id: string, more: object) => ({
      id,
      name: id,
      redirectURIs: [`${clientOrigin}${id}/callback`],
      tokenEndpointAuthMethod: 'private_key_jwt',
      ...more,
    })
    const jwks = { keys: [await exportJWK(keys.publicKey), await exportJWK(rsa.publicKey)] }
    server = await startServer({
      staticClients: [
        { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
        entry('signer', { jwks }),
        entry('other', { jwks: { keys: [await exportJWK(others.publicKey)] } }),
        entry('strict', { jwks, tokenEndpointAuthSigningAlg: 'RS256' }),
        entry('remote', { jwksURI: `http://127.0.0.1:${(published.address() as AddressInfo).port}/jwks` }),
      ],
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    published?.close()
  })

  const good = (more: JWTPayload = {}): JWTPayload => ({
    iss: 'signer',
    sub: 'signer',
    aud: server.issuer,
    jti: randomUUID(),
    iat: now(),
    exp: now() + 60,
    ...more,
  })
  const sign = (claims: JWTPayload, key = keys.privateKey, header: object = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'ES256', ...header }).sign(key)
  const proof = (assertion: string, more: Record<string, string> = {}) => ({
    client_assertion_type: type,
    client_assertion: assertion,
    ...more,
  })
  /** At introspection, which takes any client that can prove who it is. */
  const present = (fields: Record<string, string>): Promise<BrowserAnswer> =>
    server.post('/token/introspect', { token: 'no-token', ...fields })

  it('are taken with the issuer, the token endpoint or the endpoint itself as audience', async () => {
    const audiences = [
      server.issuer,
      server.url('/token'),
      server.url('/token/introspect'),
      ['https://elsewhere.example', server.issuer],
    ]
    for (const aud of audiences) {
      const answer = await present(proof(await sign(good({ aud }))))
      assert.equal(answer.status, 200, `${aud}: ${answer.text}`)
    }
    assert.equal((await present(proof(await sign(good()), { client_id: 'signer' }))).status, 200)
    // A clock that is a little ahead.
    assert.equal((await present(proof(await sign(good({ iat: now() + 5, nbf: now() + 5 }))))).status, 200)
  })

  const wrong: Record<string, JWTPayload> = {
    'another audience': { aud: 'https://other.example/dex' },
    'no audience': { aud: undefined as never },
    'an empty list of audiences': { aud: [] },
    'an audience that only begins like ours': { aud: 'http://127.0.0.1' },
    'another issuer': { iss: 'other' },
    'no issuer': { iss: undefined as never },
    'the id of another client': { iss: 'other', sub: 'other' },
    'the id of no client': { iss: 'nobody', sub: 'nobody' },
    'no subject': { sub: undefined as never },
    'another subject': { sub: 'other' },
    'no jti': { jti: undefined as never },
    'a number as jti': { jti: 7 as never },
    'no end': { exp: undefined as never },
    'an end in the past': { exp: 1_700_000_000 },
    'an end as text': { exp: '9999999999' as never },
    'an end that is too far': { exp: 4_000_000_000 },
    'a beginning in the future': { nbf: 4_000_000_000 },
  }
  for (const [what, claims] of Object.entries(wrong)) {
    it(`are refused with ${what}`, async () => {
      const answer = await present(proof(await sign(good(claims))))
      assert.equal(errorOf(answer), '401 invalid_client', answer.text)
    })
  }

  it('are refused when another key signed them, or none', async () => {
    const signed = await sign(good())
    const [header, payload, signature = ''] = signed.split('.')
    const none = `${encode({ alg: 'none' })}.${encode(good())}.`
    // The public key is no secret: an HMAC made with it proves nothing (algorithm confusion).
    const hmac = async (secret: string) => {
      const text = `${encode({ alg: 'HS256' })}.${encode(good())}`
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    }
    const forged = [
      await sign(good(), others.privateKey),
      none,
      none.replace(/\.$/, `.${signature}`),
      await hmac(await exportSPKI(rsa.publicKey)),
      await hmac(JSON.stringify(await exportJWK(rsa.publicKey))),
      await hmac(''),
      `${header}.${encode(good())}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
      `${header}.${payload}.`,
      await sign(good(), others.privateKey, { jwk: await exportJWK(others.publicKey) }),
      await sign(good(), others.privateKey, { kid: '../../dev/null' }),
    ]
    for (const assertion of forged) {
      assert.equal(errorOf(await present(proof(assertion))), '401 invalid_client', assertion)
    }
  })

  it('are refused where they are no assertion at all', async () => {
    for (const assertion of ['x', 'a.b.c', '....', '{}']) {
      assert.match(errorOf(await present(proof(assertion))), /^40[01] invalid_(request|client)$/)
    }
    const assertion = await sign(good())
    const faults = [
      { client_assertion: assertion },
      proof(assertion, { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' }),
      proof(assertion, { client_secret: 'x' }),
      proof(assertion, { client_id: 'web' }),
    ]
    for (const fault of faults) assert.equal(errorOf(await present(fault)), '400 invalid_request')
  })

  it('keep to the algorithm that is registered', async () => {
    const claims = () => good({ iss: 'strict', sub: 'strict' })
    assert.equal((await present(proof(await sign(claims(), rsa.privateKey, { alg: 'RS256' })))).status, 200)
    assert.equal(errorOf(await present(proof(await sign(claims())))), '401 invalid_client')
  })

  it('are no way in for a client with a secret, nor a secret for a client with keys', async () => {
    const claims = good({ iss: 'web', sub: 'web' })
    assert.equal(errorOf(await present(proof(await sign(claims)))), '401 invalid_client')
    for (const secret of ['', 'x']) {
      const answer = await present({ client_id: 'signer', client_secret: secret })
      assert.equal(errorOf(answer), '401 invalid_client')
    }
    assert.equal(errorOf(await present({ client_id: 'signer' })), '401 invalid_client')
  })

  it('work once, at whichever endpoint', async () => {
    const assertion = await sign(good({ aud: server.issuer }))
    assert.equal((await present(proof(assertion))).status, 200)
    const again = await present(proof(assertion))
    assert.equal(errorOf(again), '401 invalid_client')
    assert.match(String(again.json().error_description), /only be used once/)
    const arrived = await authorize(server, { client: signer })
    assert.equal(errorOf(await server.redeem({ ...arrived, client: signer }, proof(assertion))), '401 invalid_client')
    // The code was not used up by that.
    assert.equal((await server.redeem({ ...arrived, client: signer }, proof(await sign(good())))).status, 200)
  })

  it('work once of fifty at the same moment', async () => {
    const assertion = await sign(good())
    const answers = await Promise.all(Array.from({ length: 50 }, () => present(proof(assertion))))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter((answer) => answer.status === 401).length, 49)
  })

  it('are remembered as long as they are good', async () => {
    using clock = stopClock()
    const assertion = await sign(good({ exp: now() + 600 }))
    assert.equal((await present(proof(assertion))).status, 200)
    clock.advance(599)
    assert.match(String((await present(proof(assertion))).json().error_description), /only be used once/)
    clock.advance(20)
    assert.equal(errorOf(await present(proof(assertion))), '401 invalid_client')
  })

  it('are refused when a parameter comes twice', async () => {
    const assertion = await sign(good())
    const form = new URLSearchParams({ token: 'x', ...proof(assertion) })
    form.append('client_assertion', assertion)
    const answer = await server.request(server.url('/token/introspect'), { form })
    assert.equal(errorOf(answer), '400 invalid_request')
  })

  it('are checked with the keys that the client publishes', async () => {
    publish = { keys: [{ kty: 'future', x: 'y' }, await exportJWK(keys.publicKey)] }
    const claims = () => good({ iss: 'remote', sub: 'remote' })
    assert.equal((await present(proof(await sign(claims())))).status, 200)
    assert.equal(errorOf(await present(proof(await sign(claims(), others.privateKey)))), '401 invalid_client')
  })

  it('never stand in the log, and refusals say why', async () => {
    const assertion = await sign(good({ aud: 'https://other.example' }))
    assert.match((await present(proof(assertion))).text, /audience/)
    assert.ok(!server.logged().includes(assertion))
    assert.ok(!server.logged().includes(assertion.split('.')[2]!))
    assert.ok(server.audited().some(({ type, client_id }) => type === 'client_refused' && client_id === 'signer'))
  })

  it('bind code and refresh token to the client that proved itself', async () => {
    const arrived = await authorize(server, { client: signer })
    const other = proof(await sign(good({ iss: 'other', sub: 'other' }), others.privateKey))
    assert.equal(
      errorOf(await server.redeem({ ...arrived, client: { ...signer, id: 'other' } }, other)),
      '400 invalid_grant',
    )
    const { tokens } = await logIn(server, { client: web, scope: 'openid offline_access' })
    const answer = await server.token({
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token!,
      ...proof(await sign(good())),
    })
    assert.equal(errorOf(answer), '400 invalid_grant')
  })
})
