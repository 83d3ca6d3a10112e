import assert from 'node:assert/strict'
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { failure } from '../../connectors/contract.ts'
import type { Logger } from '../../src/lib/logger.ts'
import { openVaultKeys, type VaultOptions } from '../../src/oidc/keys/vault.ts'
import { jwksMaxAge, type SigningKeys } from '../../src/oidc/keys.ts'
import { openUpstream } from '../../src/telemetry/upstream.ts'
import { silent, start, testClock } from '../storage/contract.ts'
import { type KeyType, startVault, type Vault } from '../upstreams/vault.ts'
import { encode, kids } from './keys-fixture.ts'

/** Seconds after which a version that was published signs. */
const seen = jwksMaxAge + 60

describe('signing keys in Vault', () => {
  let vault: Vault
  let clock: ReturnType<typeof testClock>
  let opened: { close(): Promise<void> }[]
  let logged: string[]
  /** Looks that were planned, for the test to let them happen. */
  let looks: (() => unknown)[]
  const real = globalThis.setTimeout
  beforeEach(async () => {
    clock = testClock()
    vault = await startVault(() => clock.now())
    opened = []
    logged = []
    looks = []
    globalThis.setTimeout = ((look: () => unknown, milliseconds: number) => {
      if (milliseconds !== 30_000) return real(look, milliseconds)
      looks.push(look)
      return { unref() {} }
    }) as unknown as typeof setTimeout
  })
  afterEach(async () => {
    globalThis.setTimeout = real
    for (const each of opened) await each.close()
    await vault[Symbol.asyncDispose]()
  })

  const open = async (more: Partial<VaultOptions> = {}): Promise<SigningKeys> => {
    const at =
      (level: string) =>
      (message: string, attributes: Record<string, unknown> = {}) =>
        void logged.push(`${level}: ${message} ${String(attributes.reason ?? '')} ${inspect(attributes)}`)
    const log: Logger = { ...silent, info: at('info'), warn: at('warn'), error: at('error') }
    const metrics = { upstreamCall() {}, connectorUp() {} }
    const upstream = openUpstream({ connector: 'signer:vault', metrics, log, failure, timeoutMs: 400 })
    const options = { addr: vault.addr, token: vault.token, keyName: 'dex', ...more }
    const keys = await openVaultKeys({ options, fetch: upstream.http(), log, now: () => clock.now() })
    opened.push(keys, upstream)
    return keys
  }
  const inspect = (value: unknown) => JSON.stringify(value, (_, each) => (each instanceof Error ? each.stack : each))
  /** Lets the planned looks happen and waits for what they ask. */
  const look = async () => {
    for (const each of looks.splice(0)) await each()
  }
  const signs = () => vault.asked.filter((call) => call.includes('/sign/')).length
  const reads = () => vault.asked.filter((call) => call.includes('/keys/')).length

  const types: [KeyType, string, number][] = [
    ['rsa-2048', 'RS256', 16],
    ['rsa-3072', 'RS256', 16],
    ['ecdsa-p256', 'ES256', 16],
    ['ecdsa-p384', 'ES384', 24],
    ['ecdsa-p521', 'ES512', 32],
    ['ed25519', 'EdDSA', 32],
  ]
  for (const [type, algorithm, half] of types) {
    it(`signs with ${algorithm} by a key of type ${type}, in one call`, async () => {
      vault.create('dex', type)
      const keys = await open()
      assert.deepEqual([reads(), signs()], [1, 1])
      for (let turn = 0; turn < 3; turn += 1) {
        const token = await keys.sign({ sub: 'Ä', turn }, { typ: 'at+jwt' })
        const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys.jwks()))
        assert.deepEqual(payload, { sub: 'Ä', turn })
        assert.deepEqual(protectedHeader, { alg: algorithm, kid: kids(keys)[0], typ: 'at+jwt' })
        assert.deepEqual(await keys.verify(token), payload)
      }
      assert.equal(signs(), 4)
      assert.equal(reads(), 1)
      assert.deepEqual([keys.algorithm, keys.algorithms], [algorithm, [algorithm]])
      assert.equal(Buffer.from(keys.halfHash('x'), 'base64url').length, half)
      const [jwk] = keys.jwks().keys
      assert.equal(jwk!.kid, await calculateJwkThumbprint(jwk as never))
      assert.deepEqual([jwk!.use, jwk!.alg, jwk!.d], ['sig', algorithm, undefined])
    })
  }

  it('takes Ed25519 keys in base64 too, as OpenBao may tell them', async () => {
    vault.rawEd25519 = true
    vault.create('dex', 'ed25519')
    const keys = await open()
    await jwtVerify(await keys.sign({}), createLocalJWKSet(keys.jwks()))
  })

  it('never sends the claims of RSA and ECDSA tokens, only their digest', async () => {
    vault.create('dex', 'ecdsa-p256')
    await (await open()).sign({ email: 'jane@example.com' })
    assert.equal(Buffer.from(String(vault.signed.at(-1)!.input), 'base64').length, 32)
    assert.equal(vault.signed.at(-1)!.prehashed, true)
  })

  it('publishes a new version before it signs, and keeps the former until Vault does not verify with it', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    const [first] = kids(keys)
    const token = await keys.sign({ sub: 'a' })
    let changes = 0
    keys.onChange(() => {
      changes += 1
    })
    clock.seconds += 3600
    vault.rotate('dex')
    await look()
    const second = kids(keys)[1]!
    assert.deepEqual(kids(keys), [first, second])
    assert.deepEqual(
      keys.list().map(({ state }) => state),
      ['signing', 'next'],
    )
    assert.equal(changes, 1)
    clock.seconds += seen - 1
    assert.equal(decodeProtectedHeader(await keys.sign({})).kid, first)
    clock.seconds += 1
    assert.equal(decodeProtectedHeader(await keys.sign({})).kid, second)
    await look()
    assert.deepEqual(kids(keys), [second, first])
    assert.equal(changes, 2)
    assert.deepEqual(await keys.verify(token), { sub: 'a' })

    vault.configure('dex', { minDecryption: 2, minEncryption: 2 })
    await look()
    assert.deepEqual(kids(keys), [second])
    assert.equal(await keys.verify(token), undefined)
  })

  it('signs with the new version at once when the operator forbids the former', async () => {
    vault.create('dex', 'rsa-2048')
    const keys = await open()
    const [first] = kids(keys)
    clock.seconds += 60
    vault.rotate('dex')
    vault.configure('dex', { minEncryption: 2 })
    // Nothing was read since: Vault refuses the version, and the key is read and used anew.
    const token = await keys.sign({ sub: 'a' })
    const { kid } = decodeProtectedHeader(token)
    assert.notEqual(kid, first)
    assert.deepEqual(kids(keys), [kid, first])
    await jwtVerify(token, createLocalJWKSet(keys.jwks()))
    await keys.check()
  })

  it('never shows a client a token whose key its set does not have, through twenty rotations', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    const step = 100
    const clients = Array.from({ length: jwksMaxAge / step }, (_, at) => ({
      fetched: start + at * step,
      set: kids(keys),
    }))
    const reigns = new Set<string>()
    for (let turn = 0; reigns.size <= 20; turn += 1) {
      if (turn % 9 === 8) vault.rotate('dex')
      await look()
      for (const client of clients)
        if (clock.seconds - client.fetched > jwksMaxAge)
          Object.assign(client, { fetched: clock.seconds, set: kids(keys) })
      const { kid } = decodeProtectedHeader(await keys.sign({}))
      for (const { fetched, set } of clients) assert.ok(set.includes(kid!), `set of ${fetched} at ${clock.seconds}`)
      reigns.add(kid!)
      clock.seconds += step
    }
  })

  it('verifies what another server has signed with a version that it has not read of, and asks seldom for strangers', async () => {
    vault.create('dex', 'ecdsa-p256')
    const one = await open()
    clock.seconds += 60
    vault.rotate('dex')
    vault.configure('dex', { minEncryption: 2 })
    const other = await open()
    const token = await other.sign({ sub: 'a' })
    const before = reads()
    assert.deepEqual(await one.verify(token), { sub: 'a' })
    assert.equal(reads(), before + 1)
    const stranger = (kid: string) => `${encode({ alg: 'ES256', kid })}.${encode({})}.AAAA`
    for (let at = 0; at < 20; at += 1) assert.equal(await one.verify(stranger(`${at}`.padEnd(43, 'x'))), undefined)
    assert.equal(reads(), before + 1)
    clock.seconds += 5
    await one.verify(stranger('not a thumbprint'))
    assert.equal(reads(), before + 1)
    await one.verify(stranger('y'.repeat(43)))
    assert.equal(reads(), before + 2)
  })

  const broken: [string, RegExp, () => Partial<VaultOptions> | undefined][] = [
    [
      'a wrong token',
      /refuses the token, or its policies do not allow transit\/keys\/dex \(/,
      () => ({ token: 'hvs.wrong' }),
    ],
    ['a missing key', /nothing at transit\/keys\/other: is the key there/, () => ({ keyName: 'other' })],
    ['another path', /nothing at|refuses/, () => ({ addr: `${vault.addr}/vault` })],
    [
      'a sealed Vault',
      /sealed or in maintenance \(Vault is sealed\)/,
      () => void Object.assign(vault, { sealed: true }),
    ],
    ['a namespace that is missing', /refuses/, () => void Object.assign(vault, { namespace: 'team' })],
    ['a key that encrypts', /type "aes256-gcm96", which does not sign/, () => void vault.create('dex', 'aes256-gcm96')],
    ['a derived key', /derived/, () => void vault.create('dex', 'ed25519', { derived: true })],
    ['a Vault that hangs', /no answer within 0\.4 s/, () => void Object.assign(vault, { hanging: true })],
    [
      'a redirect to another scheme',
      /redirects to https:/,
      () => void Object.assign(vault, { standbyOf: 'https://127.0.0.1:1' }),
    ],
  ]
  for (const [name, sentence, spoil] of broken) {
    it(`is open and not ready with ${name}, and says so`, async () => {
      vault.create('dex', 'ecdsa-p256')
      const keys = await open(spoil() ?? {})
      assert.deepEqual(keys.jwks(), { keys: [] })
      await assert.rejects(keys.check(), ({ message }: Error) => sentence.test(message))
      await assert.rejects(keys.ready(), { error: 'temporarily_unavailable', statusCode: 503 })
      await assert.rejects(keys.sign({}), { error: 'temporarily_unavailable', statusCode: 503 })
      assert.match(logged.join('\n'), sentence)
      assert.ok(!logged.join('\n').includes(vault.token))
    })
  }

  it('refuses to sign while Vault does not answer, verifies meanwhile, and is well again by itself', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    const token = await keys.sign({ sub: 'a' })
    await vault.stop()
    await assert.rejects(keys.sign({}), { error: 'temporarily_unavailable', error_description: /try again later/ })
    await assert.rejects(keys.check(), /Vault does not answer/)
    assert.deepEqual(await keys.verify(token), { sub: 'a' })
    assert.equal(kids(keys).length, 1)
    await vault.start()
    assert.ok(await keys.sign({}))
    await keys.check()
    const text = logged.join('\n')
    assert.match(text, /error: Vault does not sign Vault does not answer: .*ECONNREFUSED/)
    assert.match(text, /info: Vault signs again/)
    assert.ok(!text.includes(vault.token) && !text.includes('canary'))
  })

  it('sends once more what failed in passing, and nothing that was refused', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    for (const status of [412, 429, 500, 502, 503]) {
      vault.trouble = [status]
      await keys.sign({})
    }
    assert.equal(signs(), 11)
    vault.trouble = [503, 503]
    await assert.rejects(keys.sign({}))
    assert.equal(signs(), 13)
    vault.revoke(vault.token)
    await assert.rejects(keys.sign({}))
    assert.equal(signs(), 14)
    await assert.rejects(keys.check(), /policies do not allow transit\/sign\/dex/)
  })

  it('says that the policy lacks the right to sign', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open({ token: vault.issue({ 'keys/dex': ['read'] }) })
    await assert.rejects(keys.check(), /do not allow transit\/sign\/dex/)
    assert.equal(kids(keys).length, 1)
    await assert.rejects(keys.sign({}), { statusCode: 503 })
  })

  it('hands out no token whose signature the published key denies', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    vault.forge = true
    await assert.rejects(keys.sign({}), { statusCode: 503 })
    await assert.rejects(keys.check(), /a signature that its public key denies/)
  })

  it('follows a standby to the active node, and names its namespace', async () => {
    await using standby = await startVault()
    standby.standbyOf = vault.addr
    vault.namespace = 'team/one'
    vault.create('dex', 'ecdsa-p256')
    const keys = await open({ addr: `${standby.addr}/`, namespace: 'team/one' })
    await jwtVerify(await keys.sign({}), createLocalJWKSet(keys.jwks()))
    assert.equal(standby.asked.length, 3)
  })

  it('signs logout tokens, and takes none of them for a token that somebody may bring', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    const token = await keys.sign({ sub: 'a', events: {} }, { typ: 'logout+jwt' })
    await jwtVerify(token, createLocalJWKSet(keys.jwks()), { typ: 'logout+jwt' })
    assert.equal(await keys.verify(token), undefined)
  })

  it('leaves rotation to Vault, and says how', async () => {
    vault.create('dex', 'ecdsa-p256')
    const keys = await open()
    await assert.rejects(keys.rotate('test'), /vault write -f transit\/keys\/dex\/rotate/)
  })
})
