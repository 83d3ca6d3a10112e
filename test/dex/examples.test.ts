import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { connectorTypes } from '../../connectors/index.ts'
import { type Loaded, loadConfiguration } from '../../src/config/index.ts'
import { storageTypes } from '../../src/storage/index.ts'

const folder = join(import.meta.dirname, 'examples')
const env = {
  DEX_CLIENT_ID: 'a',
  DEX_CLIENT_SECRET: 'b',
  GITHUB_CLIENT_ID: 'c',
  GITHUB_CLIENT_SECRET: 'd',
  CLIENT_SECRET: 'e',
}

const load = (name: string): Promise<Loaded> =>
  loadConfiguration(join(folder, name), {
    env,
    connectorTypes: async (type) => connectorTypes[type],
    connectorTypeNames: Object.keys(connectorTypes),
    storageTypes,
    // The certificates that some of them name are those of a container.
    files: { readable: async () => true, read: async () => undefined, isFolder: async () => true },
  })

describe('configurations made for Dex', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
    it(`loads ${name}`, async () => {
      const { settings, faults } = await load(name)
      assert.deepEqual(faults, [])
      assert.ok(settings)
    })
  }

  const warned: Record<string, string[]> = {
    'default.yaml': [],
    'default-everything.yaml': ['grpc', 'expiry.signingKeys'],
    'development.yaml': [],
    'conformance.yaml': ['staticPasswords[0].userID'],
    'kargo-chart.yaml': [],
  }
  for (const [name, paths] of Object.entries(warned)) {
    it(`warns in ${name} of ${paths.join(', ') || 'nothing'}`, async () => {
      const { warnings } = await load(name)
      assert.deepEqual(
        warnings.map(({ path }) => path),
        paths,
      )
    })
  }

  it("KA-1: reads Kargo's chart as it is meant", async () => {
    const { settings } = await load('kargo-chart.yaml')
    assert.deepEqual(settings?.web.tls, { cert: '/etc/dex/tls.crt', key: '/etc/dex/tls.key', minVersion: 'TLSv1.2' })
    assert.deepEqual(settings.log, { level: 0, format: 'text', excludeFields: [] })
    assert.deepEqual(
      settings.oidc.clients.map(({ id, public: isPublic, redirectURIs }) => ({ id, isPublic, redirectURIs })),
      [
        { id: 'kargo.example.com', isPublic: true, redirectURIs: ['https://kargo.example.com/login'] },
        { id: 'kargo.example.com-cli', isPublic: true, redirectURIs: [] },
      ],
    )
    assert.deepEqual(settings.login.connectors, [])
    assert.equal(settings.login.skipApprovalScreen, true)
  })

  it("OK-2, KA-3: takes Kargo's Okta snippet with its trailing slash, the secret from the environment", async () => {
    const { settings } = await load('kargo-okta.yaml')
    const config = settings?.login.connectors[0]?.config as Record<string, unknown>
    assert.equal(config.issuer, 'https://acme.okta.com/')
    assert.equal(config.clientSecret, 'e')
    assert.deepEqual(config.scopes, ['openid', 'profile', 'email', 'groups'])
  })
})
