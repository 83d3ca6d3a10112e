import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from '../server/certificate.ts'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const vault = (config: string) => `${BASE}signer: {type: vault, config: ${config}}\n`
const client = (more: string) =>
  `${BASE}staticClients: [{id: web, secret: s, name: Web${more}}, {id: cli, public: true, name: CLI}]\n`

describe('signer: vault', () => {
  it('takes address and token from the file, with variables expanded', async () => {
    const env = { A: 'https://vault.example.com:8200', T: 'hvs.secret', VAULT_ADDR: 'https://other', VAULT_TOKEN: 'x' }
    const { oidc } = await settingsOf(vault('{keyName: dex, addr: $A, token: "${T}"}'), { env })
    assert.deepEqual(oidc.signer, { type: 'vault', addr: env.A, token: env.T, keyName: 'dex' })
  })

  it('takes from the environment what the file does not say, and what Vault’s own clients read there', async () => {
    const { cert: certificate } = selfSigned('vault')
    const file = join(tmpdir(), `ca-${process.pid}.pem`)
    await writeFile(file, certificate)
    const env = {
      VAULT_ADDR: 'https://vault.example.com:8200',
      VAULT_TOKEN: 'hvs.secret',
      VAULT_NAMESPACE: 'team/one',
      VAULT_CACERT: file,
      VAULT_SKIP_VERIFY: 'true',
    }
    const { settings, faults, warnings } = await load(vault('{keyName: dex}'), { env })
    assert.deepEqual(faults, [])
    assert.deepEqual(settings?.oidc.signer, {
      type: 'vault',
      addr: env.VAULT_ADDR,
      token: env.VAULT_TOKEN,
      keyName: 'dex',
      namespace: 'team/one',
      ca: certificate,
      skipVerify: true,
    })
    assert.match(at(warnings, 'VAULT_SKIP_VERIFY').message, /anybody between here and Vault/)
  })

  it('names everything that is missing at once', async () => {
    const { faults } = await load(`${BASE}signer: {type: vault}\n`)
    assert.deepEqual(places(faults), ['4 signer.config.keyName', '4 signer.config.addr', '4 signer.config.token'])
    assert.match(at(faults, 'signer.config.addr').message, /give the address of Vault here or in .* VAULT_ADDR/)
  })

  it('refuses an address that is none, and doubts plain http beyond this machine', async () => {
    const faults = async (addr: string) => (await load(vault(`{keyName: k, token: t, addr: "${addr}"}`))).faults
    for (const addr of ['vault.example.com', 'unix:///run/vault.sock', 'https://u:p@vault', 'https://vault/?a=1'])
      assert.deepEqual(places(await faults(addr)), ['4 signer.config.addr'], addr)
    const { warnings } = await load(vault('{keyName: k, token: t, addr: "http://vault:8200"}'))
    assert.match(at(warnings, 'signer.config.addr').message, /plain http/)
    assert.deepEqual((await load(vault('{keyName: k, token: t, addr: "http://127.0.0.1:8200"}'))).warnings, [])
    const env = { VAULT_ADDR: 'nonsense' }
    assert.equal(at((await load(vault('{keyName: k, token: t}'), { env })).faults, 'VAULT_ADDR').file, 'environment')
  })

  it('refuses a token that cannot be one, without repeating it', async () => {
    const env = { T: 'hvs.secret\n' }
    const { faults } = await load(vault('{keyName: k, addr: "https://vault", token: $T}'), { env })
    const fault = at(faults, 'signer.config.token')
    assert.match(fault.message, /line end/)
    assert.ok(!fault.message.includes('secret'))
  })

  it('refuses authorities that it cannot read', async () => {
    const env = { VAULT_ADDR: 'https://vault', VAULT_TOKEN: 't', VAULT_CACERT: '/nowhere/ca.pem' }
    assert.match(at((await load(vault('{keyName: k}'), { env })).faults, 'VAULT_CACERT').message, /cannot be read/)
    const here = { ...env, VAULT_CACERT: import.meta.filename }
    assert.match(
      at((await load(vault('{keyName: k}'), { env: here })).faults, 'VAULT_CACERT').message,
      /no certificate/,
    )
  })

  it('does not take an algorithm of a client, and names unknown keys with the nearest one', async () => {
    const config = '{keyname: k, adr: x, addr: "https://vault", token: t}'
    const { faults, warnings } = await load(
      `${client(', signingAlgorithm: ES256')}signer: {type: vault, config: ${config}}\n`,
    )
    assert.match(at(faults, 'staticClients[0].signingAlgorithm').message, /whose one key signs for all clients/)
    assert.equal(at(warnings, 'signer.config.adr').nearest, 'addr')
  })
})

describe('signing algorithms', () => {
  it('may be EdDSA by default', async () => {
    const { oidc } = await settingsOf(
      `${BASE}signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: EdDSA}}\n`,
    )
    assert.deepEqual(oidc.signer, { type: 'local', algorithm: 'EdDSA', rotationPeriod: 21_600 })
  })

  it('may be another one for a client', async () => {
    const { oidc } = await settingsOf(client(', signingAlgorithm: EdDSA'))
    assert.deepEqual(
      oidc.clients.map(({ signingAlgorithm }) => signingAlgorithm),
      ['EdDSA', undefined],
    )
    const { faults } = await load(client(', signingAlgorithm: ES25'))
    assert.equal(at(faults, 'staticClients[0].signingAlgorithm').nearest, 'ES256')
  })
})
