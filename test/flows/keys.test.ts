import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { selfSigned } from '../server/certificate.ts'
import { startVault } from '../upstreams/vault.ts'
import {
  authorize,
  claimsOf,
  cli,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { upstream } from './upstream.ts'

const algOf = (token: string) => decodeProtectedHeader(token).alg

const half = (algorithm: 'sha256' | 'sha384' | 'sha512', text: string) => {
  const digest = hash(algorithm, text, 'buffer')
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

const json = async (server: FlowServer, path: string) => (await server.request(server.url(path))).json()
const keySet = async (server: FlowServer) =>
  (await json(server, '/keys')) as unknown as { keys: Record<string, string>[] }

const clients = (algorithms: Record<string, string>) =>
  [
    { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
    { id: cli.id, name: 'Command line', public: true },
    { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri], trustedPeers: [web.id] },
    { id: device.id, name: 'Device', public: true, redirectURIs: ['/device/callback', '/dex/device/callback'] },
  ].map((client) => ({ ...client, ...(algorithms[client.id] && { signingAlgorithm: algorithms[client.id] }) }))

describe('an algorithm for each client', () => {
  const signer = { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'ES256' } }

  it('signs both tokens of a client with what it asks for, and takes them at every endpoint', async () => {
    const staticClients = clients({ [web.id]: 'EdDSA', [peer.id]: 'RS256' })
    await using server = await startServer({ signer, staticClients })
    const hashes = { EdDSA: 'sha512', RS256: 'sha256', ES256: 'sha256' } as const
    for (const [client, algorithm] of [
      [web, 'EdDSA'],
      [peer, 'RS256'],
      [cli, 'ES256'],
    ] as const) {
      const { tokens, claims, code } = await logIn(server, { client })
      assert.deepEqual([algOf(tokens.id_token), algOf(tokens.access_token)], [algorithm, algorithm])
      assert.equal(claims.at_hash, half(hashes[algorithm], tokens.access_token))
      assert.equal(claims.c_hash, half(hashes[algorithm], code))
      const set = createLocalJWKSet(await keySet(server))
      await jwtVerify(tokens.id_token, set, { issuer: server.issuer, audience: client.id })
      await jwtVerify(tokens.access_token, set, { issuer: server.issuer })
      assert.equal((await server.userinfo(tokens.access_token)).status, 200)
      assert.equal((await server.introspect(tokens.access_token, web)).active, true)
      await logIn(server, { client, params: { id_token_hint: tokens.id_token } })
      const revoked = await server.post('/token/revoke', { token: tokens.access_token }, client)
      assert.equal(revoked.status, 200)
      assert.equal((await server.userinfo(tokens.access_token)).status, 401)
    }
  })

  it('lists them all in discovery and in the key set, the default first', async () => {
    await using server = await startServer({ signer, staticClients: clients({ [web.id]: 'EdDSA' }) })
    await server.services.keys.ready()
    const document = await json(server, '/.well-known/openid-configuration')
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['ES256', 'EdDSA'])
    const { keys } = await keySet(server)
    assert.deepEqual(
      keys.slice(0, 2).map(({ alg }) => alg),
      ['ES256', 'EdDSA'],
    )
  })

  it('signs with it after a refresh too', async () => {
    const staticClients = clients({ [web.id]: 'EdDSA' })
    await using server = await startServer({ signer, staticClients, connectors: [corp('keys')] })
    upstream('keys')
    const { tokens } = await logIn(server, { scope: 'openid offline_access' })
    const refreshed = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.deepEqual([algOf(refreshed.id_token), algOf(refreshed.access_token)], ['EdDSA', 'EdDSA'])
    assert.equal(claimsOf(refreshed.id_token).at_hash, half('sha512', refreshed.access_token))
  })

  it('signs with EdDSA for everybody when the signer says so', async () => {
    const eddsa = { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'EdDSA' } }
    await using server = await startServer({ signer: eddsa })
    const { tokens, claims } = await logIn(server)
    assert.equal(claims.at_hash, half('sha512', tokens.access_token))
    await jwtVerify(tokens.id_token, createLocalJWKSet(await keySet(server)))
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    assert.equal((await server.introspect(tokens.access_token)).active, true)
  })
})

describe('a client that keeps the key set as long as it may', () => {
  const real = globalThis.setTimeout
  /** What the server has planned to look at in some seconds, which the stopped clock does not bring. */
  let looks: (() => unknown)[] = []
  beforeEach(() => {
    looks = []
    globalThis.setTimeout = ((look: () => unknown, milliseconds: number) => {
      if (milliseconds < 1000 || milliseconds > 30_000) return real(look, milliseconds)
      looks.push(look)
      return { unref() {} }
    }) as unknown as typeof setTimeout
  })
  afterEach(() => {
    globalThis.setTimeout = real
  })
  const keepUp = async () => {
    for (const look of looks.splice(0)) await look()
  }

  it('verifies every token at the moment at which it was made, through twenty rotations, one of them forced', async () => {
    using clock = stopClock()
    const signer = { type: 'local', config: { keysRotationPeriod: '1h', algorithm: 'ES256' } }
    await using server = await startServer({ signer, staticClients: clients({ [cli.id]: 'EdDSA' }) })
    const { keys } = server.services
    while (looks.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const kept = async () => {
      const answer = await server.request(server.url('/keys'))
      const maxAge = Number(/max-age=(\d+)/.exec(String(answer.headers.get('cache-control')))![1])
      return { set: createLocalJWKSet(answer.json() as never), until: Date.now() + maxAge * 1000 }
    }
    const reigns = new Set<string>()
    let cached = await kept()
    let forced = false
    for (let turn = 0; reigns.size <= 20 && turn < 400; turn += 1) {
      for (const client of [web, cli]) {
        if (Date.now() > cached.until) cached = await kept()
        const { tokens } = await logIn(server, { client })
        await jwtVerify(tokens.id_token, cached.set, { currentDate: new Date() })
        await jwtVerify(tokens.access_token, cached.set, { currentDate: new Date() })
        if (client === web) reigns.add(decodeProtectedHeader(tokens.id_token).kid!)
      }
      if (reigns.size === 8 && !forced) {
        clock.advance(1500)
        cached = await kept()
        await keys.rotate('forced')
        forced = true
        continue
      }
      clock.advance(598)
      await keepUp()
    }
    assert.ok(reigns.size > 20)
    assert.ok(forced)
  })
})

describe('a signer in Vault', () => {
  const vaultSigner = {
    type: 'vault',
    config: { keyName: 'dex', addr: '$VAULT_TEST_ADDR', token: '${VAULT_TEST_TOKEN}' },
  }

  it('signs the tokens of a login with two calls', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ed25519')
    const env = { VAULT_TEST_ADDR: vault.addr, VAULT_TEST_TOKEN: vault.token }
    await using server = await startServer({ signer: vaultSigner }, { env })
    const before = vault.asked.length
    const { tokens, claims } = await logIn(server)
    assert.deepEqual(vault.asked.slice(before), ['POST /v1/transit/sign/dex', 'POST /v1/transit/sign/dex'])
    assert.equal(algOf(tokens.id_token), 'EdDSA')
    assert.equal(claims.at_hash, half('sha512', tokens.access_token))
    await jwtVerify(tokens.id_token, createLocalJWKSet(await keySet(server)))
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    assert.equal((await server.introspect(tokens.access_token)).active, true)
    const document = await json(server, '/.well-known/openid-configuration')
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['EdDSA'])
    assert.ok(!server.logged().includes(vault.token))
  })

  it('takes address and token from the variables of Vault’s own clients', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ecdsa-p384')
    vault.namespace = 'team'
    const env = { VAULT_ADDR: vault.addr, VAULT_TOKEN: vault.token, VAULT_NAMESPACE: 'team' }
    await using server = await startServer({ signer: { type: 'vault', config: { keyName: 'dex' } } }, { env })
    const { tokens, claims } = await logIn(server)
    assert.equal(algOf(tokens.id_token), 'ES384')
    assert.equal(claims.at_hash, half('sha384', tokens.access_token))
  })

  it('trusts the authority of VAULT_CACERT, and nobody else', async () => {
    const pair = selfSigned('vault')
    await using vault = await startVault(undefined, pair)
    vault.create('dex', 'ecdsa-p256')
    const env = { VAULT_ADDR: vault.addr, VAULT_TOKEN: vault.token }
    const signer = { type: 'vault', config: { keyName: 'dex' } }
    await using server = await startServer({ signer }, { env })
    await assert.rejects(server.services.keys.check(), /self-signed certificate/)
    assert.deepEqual(vault.asked, [])
    const file = join(server.folder, 'vault-ca.pem')
    await writeFile(file, pair.cert)
    await using trusting = await startServer({ signer }, { env: { ...env, VAULT_CACERT: file } })
    await trusting.services.keys.check()
    await logIn(trusting)
  })

  it('answers 503 and uses nothing up while Vault is away', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ecdsa-p256')
    const env = { VAULT_ADDR: vault.addr, VAULT_TOKEN: vault.token }
    await using server = await startServer(
      { signer: { type: 'vault', config: { keyName: 'dex' } }, connectors: [corp('vault')] },
      { env },
    )
    upstream('vault')
    const arrived = await authorize(server, { scope: 'openid offline_access' })
    vault.sealed = true
    const commits = server.commits.length
    const refused = await server.redeem(arrived)
    assert.equal(errorOf(refused), '503 temporarily_unavailable')
    assert.match(String(refused.json().error_description), /try again later/)
    assert.ok(!JSON.stringify(refused.json()).includes('Vault'))
    // Neither the code nor a refresh token was touched.
    assert.equal(server.commits.length, commits)
    await assert.rejects(server.services.keys.check(), /sealed/)
    // What was issued before is verified all the same.
    vault.sealed = false
    const tokens = tokensOf(await server.redeem(arrived))
    vault.sealed = true
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '503 temporarily_unavailable')
    vault.sealed = false
    const refreshed = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.notEqual(refreshed.refresh_token, tokens.refresh_token)
    assert.ok(!server.logged().includes(vault.token))
  })

  it('is served while Vault is not there yet: no keys, no tokens, and well as soon as it comes', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ecdsa-p256')
    await vault.stop()
    const env = { VAULT_ADDR: vault.addr, VAULT_TOKEN: vault.token }
    await using server = await startServer({ signer: { type: 'vault', config: { keyName: 'dex' } } }, { env })
    assert.equal((await server.request(server.url('/keys'))).status, 503)
    await vault.start()
    assert.equal((await keySet(server)).keys.length, 1)
    await logIn(server)
  })
})
