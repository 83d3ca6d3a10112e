import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { startVault } from '../upstreams/vault.ts'
import { eventually, logIn, openPlace, type Place, refresh, run, send, tokensOf } from './program.ts'

describe('countersign keys', function () {
  this.timeout(60_000)
  let place: Place
  beforeEach(async () => {
    place = await openPlace()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const signer = { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'ES256' } }
  const keySet = async () => JSON.parse((await send(`${place.issuer}/keys`)).body) as { keys: Record<string, string>[] }
  const kids = async () => (await keySet()).keys.map(({ kid }) => kid)
  const keyFile = () => `${place.lowdb.config.file}.key`
  const sealingKeys = async () => (await readFile(keyFile(), 'utf8')).trim().split('\n')
  const command = (...args: string[]) => run(['keys', ...args, place.file], { cwd: place.folder })
  const printed = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ +/))
      .map(([state, algorithm, , , kid]) => `${state} ${algorithm} ${kid}`)
  const userinfo = (token: string) =>
    send(`${place.issuer}/userinfo`, { headers: { Authorization: `Bearer ${token}` } })
  const withTwo = () => eventually('two keys', async () => ((await kids()).length >= 2 ? true : undefined))

  it('rotates and lists the keys of a running server, whose tokens go on to verify', async () => {
    await using server = await place.serve({ storage: place.lowdb, signer })
    await withTwo()
    const [first, second] = await kids()
    const before = await logIn(place.issuer)
    const listed = await command('list')
    assert.equal(listed.stderr, '')
    assert.deepEqual(printed(listed.stdout), [`signing ES256 ${first}`, `next ES256 ${second}`])
    const rotated = await command('rotate')
    assert.equal(rotated.stderr, '')
    assert.equal(rotated.code, 0)
    const [, , third] = await kids()
    assert.deepEqual(await kids(), [second, first, third])
    assert.deepEqual(printed(rotated.stdout), [
      `signing ES256 ${second}`,
      `retired ES256 ${first}`,
      `next ES256 ${third}`,
    ])
    const after = await logIn(place.issuer)
    assert.equal(decodeProtectedHeader(after.id_token).kid, second)
    for (const { id_token, access_token } of [before, after]) {
      await jwtVerify(id_token, createLocalJWKSet(await keySet()))
      assert.equal((await userinfo(access_token)).status, 200)
    }
    await server.printed(/keys rotated.*asked for on the command line/)
    assert.ok(!(await readdir(join(place.folder, 'state'))).some((name) => name.includes('request')))
  })

  it('rotates in the store of a server that is stopped', async () => {
    let first: string | undefined
    let second: string | undefined
    {
      await using server = await place.serve({ storage: place.lowdb, signer })
      await withTwo()
      ;[first, second] = await kids()
      await server.stop('SIGTERM')
    }
    const files = async () => (await readFile(place.lowdb.config.file, 'utf8')).length
    const size = await files()
    assert.deepEqual(printed((await command('list')).stdout), [`signing ES256 ${first}`, `next ES256 ${second}`])
    assert.equal(await files(), size)
    const rotated = await command('rotate')
    assert.equal(rotated.code, 0, rotated.stderr)
    await using _server = await place.serve()
    assert.deepEqual((await kids()).slice(0, 2), [second, first])
  })

  it('refuses with a sentence what cannot be done', async () => {
    await place.configure({ signer })
    const memory = await command('rotate')
    assert.equal(memory.code, 2)
    assert.match(memory.stderr, /^error: the store is in the memory of the running server.*restart it/)
    const nothing = await command('reseal')
    assert.match(nothing.stderr, /^error: a store of type "memory" has no key file/)
    assert.equal(nothing.code, 2)
    const missing = await run(['keys', 'rotate', join(place.folder, 'none.yaml')])
    assert.equal(missing.code, 2)
    assert.match(missing.stderr, /there is no such file/)
  })

  it('seals the store with a new key, and can do without the former ones afterwards', async () => {
    await using upstream = await closing(startOidcUpstream())
    const config = { issuer: upstream.issuer, ...upstreamClient, redirectURI: `${place.issuer}/callback` }
    const connectors = [
      { type: 'oidc', id: 'up', name: 'Up', config: { ...config, scopes: ['profile', 'offline_access'] } },
    ]
    await place.configure({ storage: place.lowdb, signer, connectors })
    const browse = { connector: 'up' }
    let tokens: Awaited<ReturnType<typeof logIn>>
    let set: string[]
    {
      await using server = await place.serve()
      await withTwo()
      tokens = await logIn(place.issuer, browse)
      const held = await command('reseal')
      assert.equal(held.code, 2)
      assert.match(held.stderr, /in use by process \d+ .*Sealing anew needs the store to itself/)
      set = (await kids()) as string[]
      await server.stop('SIGTERM')
    }
    const [old] = await sealingKeys()
    const sealed = await command('reseal')
    assert.equal(sealed.stderr, '')
    // Two keys, and the upstream's token in the record of the login.
    assert.match(sealed.stdout, /3 texts in the store are sealed with it\.\nThe former key stays in the file/)
    const both = await sealingKeys()
    assert.equal(both.length, 2)
    assert.equal(both[1], old)
    assert.equal((await stat(keyFile())).mode & 0o777, 0o600)
    {
      await using server = await place.serve()
      assert.deepEqual(await kids(), set)
      assert.equal((await userinfo(tokens.access_token)).status, 200)
      tokens = tokensOf(await refresh(place.issuer, tokens.refresh_token!))
      await server.stop('SIGTERM')
    }
    const forgotten = await command('reseal', '--forget')
    assert.equal(forgotten.stderr, '')
    assert.match(forgotten.stdout, /The former keys are forgotten/)
    const [only, ...more] = await sealingKeys()
    assert.deepEqual(more, [])
    assert.ok(!both.includes(only!))
    await using _server = await place.serve()
    assert.deepEqual(await kids(), set)
    tokensOf(await refresh(place.issuer, tokens.refresh_token!))
    await jwtVerify(tokens.id_token, createLocalJWKSet(await keySet()))
  })

  it('leaves the rotation of keys in Vault to Vault, and lists them', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ed25519')
    await place.configure({
      storage: place.lowdb,
      signer: { type: 'vault', config: { keyName: 'dex', addr: vault.addr, token: vault.token } },
    })
    const rotated = await command('rotate')
    assert.equal(rotated.code, 2)
    assert.match(rotated.stderr, /^error: the keys are Vault's: .*vault write -f transit\/keys\/dex\/rotate/)
    const listed = await command('list')
    assert.equal(listed.stderr, '')
    assert.match(listed.stdout, /^signing +EdDSA/m)
  })

  it('is ready only as long as Vault signs', async () => {
    await using vault = await startVault()
    vault.create('dex', 'ecdsa-p256')
    const config = { keyName: 'dex', addr: vault.addr, token: vault.token }
    await using server = await place.serve({ signer: { type: 'vault', config } })
    await logIn(place.issuer)
    const ready = async () => (await send(`${place.telemetry}/healthz/ready`)).status
    await eventually('ready', async () => ((await ready()) === 200 ? true : undefined))
    vault.sealed = true
    await assert.rejects(logIn(place.issuer), /503/)
    const body = await eventually('not ready', async () => {
      const answer = await send(`${place.telemetry}/healthz/ready`)
      return answer.status === 503 ? answer.body : undefined
    })
    assert.match(body, /Vault is sealed/)
    vault.sealed = false
    await eventually('ready again', async () => ((await ready()) === 200 ? true : undefined))
    assert.ok(!server.stderr().includes(vault.token))
    assert.match(server.stderr(), /Vault does not sign/)
  })
})

/** Of a fake that is closed by a method. */
async function closing<T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T & AsyncDisposable> {
  const opened = await opening
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() })
}
