/** Addresses that strangers make this server fetch (SSRF): none leads into the operator's network, however it is written. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { isPublicAddress } from '../../src/lib/addresses.ts'
import { openOutbound } from '../../src/telemetry/outbound.ts'
import { openBrowser } from '../flows/browser.ts'
import { errorOf, startServer } from '../flows/server.ts'

const token = 'an-initial-access-token'

describe('addresses of strangers', () => {
  let inside: Server
  let port: number
  let asked = 0
  before(async () => {
    inside = createServer((_, response) => {
      asked += 1
      response.end('{"keys":[]}')
    })
    await new Promise<void>((resolve) => inside.listen(0, resolve))
    port = (inside.address() as AddressInfo).port
  })
  after(() => void inside?.close())
  beforeEach(() => {
    asked = 0
  })

  const options = {
    metrics: { upstreamCall() {} },
    log: { debug() {} },
    env: {},
    userAgent: 'test',
    operators: new Set<string>(),
    privateNetworks: [],
  }
  const outbound = (operators: string[] = [], env = {}) =>
    openOutbound({ ...options, operators: new Set(operators), env })

  const hosts = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0.0.0.0',
    '0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[fd00::1]',
    '[fe80::1]',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '127。0。0。1',
    'localhost',
    'localhost.',
    'LOCALHOST',
  ]
  for (const host of hosts) {
    it(`are not followed to ${host}`, async () => {
      const { fetch, close } = outbound()
      await assert.rejects(fetch(`https://${host}:${port}/`), /no address of the public internet/)
      await close()
      assert.equal(asked, 0)
    })
  }

  it('are not followed without TLS, with a password, or by another scheme', async () => {
    const { fetch, close } = outbound()
    for (const url of ['http://example.com/', 'https://user:pass@example.com/', 'file:///etc/passwd', 'data:,x']) {
      await assert.rejects(fetch(url), { name: 'ForbiddenAddress' }, url)
    }
    await close()
  })

  it('are looked at when the connection is made, not only before (DNS rebinding)', async () => {
    const answers = ['93.184.216.34', '127.0.0.1']
    const { fetch, close } = openOutbound({
      ...options,
      lookup: (_host, _options, done) => done(null, [{ address: answers.shift()!, family: 4 }]),
    })
    await assert.rejects(fetch(`https://rebound.example:${port}/`), (error: Error) => {
      assert.match(error.message, /no address of the public internet/)
      return true
    })
    await close()
    assert.deepEqual(answers, [])
    assert.equal(asked, 0)
  })

  it('are refused when one of several addresses of a name is inside', async () => {
    const addresses = ['93.184.216.34', '10.0.0.1'].map((address) => ({ address, family: 4 }))
    const { fetch, close } = openOutbound({ ...options, lookup: (_host, _options, done) => done(null, addresses) })
    await assert.rejects(fetch('https://mixed.example/'), { name: 'ForbiddenAddress' })
    await close()
  })

  it('are refused where a proxy would connect in our place', async () => {
    const { fetch, close } = outbound([], { HTTPS_PROXY: `http://127.0.0.1:${port}` })
    for (const host of ['127.0.0.1', 'localhost', '10.0.0.1', '[::1]']) {
      await assert.rejects(fetch(`https://${host}/`), { name: 'ForbiddenAddress' })
    }
    await close()
    assert.equal(asked, 0)
  })

  it('are another matter where the operator wrote them down', async () => {
    const url = `http://127.0.0.1:${port}/jwks`
    const { fetch, close } = outbound([url])
    assert.equal((await fetch(url)).status, 200)
    for (const other of [`${url}/`, `${url}?x`, `http://127.0.0.1:${port}/`]) await assert.rejects(fetch(other))
    await close()
    assert.equal(asked, 1)
  })

  it('may lie in networks that the operator names, and only there', () => {
    assert.equal(isPublicAddress('10.1.2.3', ['10.0.0.0/8']), true)
    assert.equal(isPublicAddress('::ffff:10.1.2.3', ['10.0.0.0/8']), true)
    assert.equal(isPublicAddress('192.168.0.1', ['10.0.0.0/8']), false)
    assert.equal(isPublicAddress('fd00::1', ['fd00::/8']), true)
    assert.equal(isPublicAddress('93.184.216.34'), true)
    assert.equal(isPublicAddress('2606:2800:220:1::1'), true)
    for (const no of ['', 'x', '1.2.3', 'example.com']) assert.equal(isPublicAddress(no), false)
  })

  it('in a registration bring no call, and no proof of anything', async () => {
    await using server = await startServer({
      dynamicClients: { registration: { initialAccessTokens: [token] }, documents: { origins: ['*'] } },
    })
    const keys = await generateKeyPair('ES256')
    const jwks_uri = `https://localhost:${port}/jwks`
    const registered = await server.request(server.url('/register'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        redirect_uris: ['https://app.example.com/'],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri,
      }),
    })
    const { client_id } = registered.json() as { client_id: string }
    const assertion = await new SignJWT({ jti: 'one' })
      .setProtectedHeader({ alg: 'ES256', jwk: await exportJWK(keys.publicKey) })
      .setIssuer(client_id)
      .setSubject(client_id)
      .setAudience(server.issuer)
      .setExpirationTime('1m')
      .sign(keys.privateKey)
    const answer = await server.post('/token/introspect', {
      token: 'x',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
    assert.equal(errorOf(answer), '401 invalid_client')
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '169.254.169.254']) {
      const query = new URLSearchParams({
        client_id: `https://${host}:${port}/app.json`,
        redirect_uri: 'https://a.example/',
      })
      assert.equal((await openBrowser().request(server.url(`/auth?${query}`))).status, 400)
    }
    assert.equal(asked, 0)
  })

  it('are fetched so often and no more', async () => {
    await using server = await startServer({
      dynamicClients: { documents: { origins: ['*'] } },
      web: { http: '127.0.0.1:0', clientRemoteIP: { header: 'X-Real-IP', trustedProxies: ['127.0.0.1/32'] } },
    })
    const ask = (at: number) =>
      server.request(server.url(`/auth?client_id=${encodeURIComponent(`https://127.0.0.1:${port}/${at}`)}`), {
        headers: { 'x-real-ip': '198.51.100.7' },
      })
    for (let at = 0; at < 35; at++) assert.equal((await ask(at)).status, 400)
    const reasons = server.logged().match(/fetch not allowed/g) ?? []
    assert.equal(reasons.length, 5)
  })
})
