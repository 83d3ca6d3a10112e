import assert from 'node:assert/strict'
import { formatFault, loadConfiguration } from '../../src/config/index.ts'
import { at, BASE, load, places, settingsOf, storageTypes } from './fixture.ts'

describe('a configuration file', () => {
  it('gets the documented defaults', async () => {
    const { login, ...others } = await settingsOf(BASE)
    assert.deepEqual(login, {
      connectors: [],
      folder: login.folder,
      mfa: { authenticators: [], defaultChain: [], rememberFor: 0 },
      skipApprovalScreen: false,
      alwaysShowLoginScreen: false,
    })
    assert.deepEqual(others, {
      issuer: 'https://dex.example.com/dex',
      web: { http: '127.0.0.1:5556', headers: {}, cors: { origins: [], headers: ['Authorization'] } },
      frontend: { issuer: 'Countersign', theme: 'auto', extra: {} },
      telemetry: { enableProfiling: false },
      log: { level: 0, format: 'text', excludeFields: [] },
      storage: { type: 'memory', config: {} },
      oidc: {
        issuer: 'https://dex.example.com/dex',
        clients: [],
        layout: 'dex',
        grantTypes: [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
          'urn:ietf:params:oauth:grant-type:token-exchange',
        ],
        responseTypes: ['code'],
        pkce: { enforce: false, methods: ['S256'] },
        lifetimes: { tokens: 86_400, authRequests: 86_400, deviceRequests: 300 },
        refreshTokens: { rotate: true, reuseInterval: 3 },
        signer: { type: 'local', algorithm: 'RS256', rotationPeriod: 21_600 },
      },
      continueOnConnectorFailure: true,
      notes: [],
    })
  })

  it('may be JSON', async () => {
    const file = { issuer: 'https://a.example', storage: { type: 'memory' }, web: { http: ':5556' } }
    const settings = await settingsOf(JSON.stringify(file), { name: 'config.json' })
    assert.equal(settings.issuer, 'https://a.example')
    assert.equal(settings.web.http, ':5556')
  })

  it('matches keys in any case', async () => {
    const settings = await settingsOf(`ISSUER: https://a.example
Storage: {TYPE: memory}
web: {HTTP: ":1"}
staticclients:
- {ID: a, SECRET: s, Name: A, RedirectURIs: [x], logoUrl: https://l.example}
`)
    assert.deepEqual(settings.oidc.clients, [
      {
        id: 'a',
        secret: 's',
        name: 'A',
        public: false,
        redirectURIs: ['x'],
        trustedPeers: [],
        logoURL: 'https://l.example',
        allowedConnectors: [],
      },
    ])
  })

  it('takes of two spellings of a key the one that is last by its bytes, as Dex does, with a warning', async () => {
    const { settings, warnings } = await load(`${BASE}frontend:\n  logoUrl: second\n  logoURL: first\n`)
    assert.equal(settings?.frontend.logoURL, 'second')
    assert.match(at(warnings, 'frontend.logoURL').message, /different spelling/)
  })

  it('passes over unknown keys at any level, each with one warning, its line and the nearest name', async () => {
    const { settings, warnings } = await load(`${BASE}x-anchors: {}
loger: {level: debug}
staticClients:
- id: a
  name: A
  public: true
  redirectURI: x
  grantTypes: [x]
connectors:
- type: oidc
  id: o
  name: O
  config: {issuer: https://i.example, clientId: c, groupsKey: g, claimMapping: {group: g}}
`)
    assert.ok(settings)
    assert.deepEqual(settings.login.connectors[0]?.config, {
      issuer: 'https://i.example',
      clientID: 'c',
      claimMapping: {},
      promptType: 'consent',
    })
    assert.deepEqual(warnings.map(formatFault), [
      'config.yaml:4:1: x-anchors: is no known key and has no effect',
      'config.yaml:5:1: loger: is no known key and has no effect (did you mean "logger"?)',
      'config.yaml:10:3: staticClients[0].redirectURI: is no known key and has no effect (did you mean "redirectURIs"?)',
      'config.yaml:11:3: staticClients[0].grantTypes: is no known key and has no effect',
      'config.yaml:16:52: connectors[0].config.groupsKey: is no known key and has no effect',
      'config.yaml:16:81: connectors[0].config.claimMapping.group: is no known key and has no effect (did you mean "groups"?)',
    ])
  })

  it('says where a key belongs that slipped out of its config block', async () => {
    const { warnings } = await load(`${BASE}connectors:\n- {type: mockCallback, id: m, name: M, clientID: x}\n`)
    assert.match(at(warnings, 'connectors[0].clientID').message, /belongs into "config:"/)
  })

  it('refuses unknown keys, and only these, when Dex is told so', async () => {
    const env = { DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'true' }
    const text = `${BASE.replace('https', 'http')}x-a: 1\nconnectors:\n- {type: oidc, id: o, name: O, config: {issuer: i, x: 1}}\n`
    const { settings, faults, warnings } = await load(text, { env })
    assert.equal(settings, undefined)
    assert.deepEqual(places(faults), ['4 x-a', '6 connectors[0].config.x'])
    assert.deepEqual(places(warnings), ['1 issuer'])
  })

  it('refuses whatever is doubtful when it is read strictly', async () => {
    const { settings, faults, warnings } = await load(BASE.replace('https', 'http'), { strict: true })
    assert.equal(settings, undefined)
    assert.deepEqual(places(faults), ['1 issuer'])
    assert.deepEqual(warnings, [])
  })

  it('leaves the default where a value is null', async () => {
    const settings = await settingsOf(
      `${BASE}frontend:\nexpiry: {idTokens: ~, refreshTokens: null}\nconnectors: null\nlogger: {level: }\n`,
    )
    assert.equal(settings.oidc.lifetimes.tokens, 86_400)
  })

  it('takes an empty word for "not set" where only certain words are allowed', async () => {
    const { settings } = await load(
      `${BASE.replace('web: {', 'web: {tlsMinVersion: "", ')}connectors:\n- {type: github, id: g, name: G, config: {teamNameField: ""}}\n`,
    )
    assert.deepEqual(settings?.login.connectors[0]?.config, {})
  })

  it('needs text where text is wanted, and shows how to write it', async () => {
    const { faults } = await load(`issuer: 5
storage: {type: memory}
web: {http: 127.0.0.1:5556, tlsMinVersion: 1.2}
staticClients:
- {id: 0x10, name: N, public: true}
- {id: b, name: B, public: "yes", redirectURIs: x}
`)
    assert.deepEqual(faults.map(formatFault), [
      'config.yaml:1:1: issuer: must be text, but 5 without quotes means the number 5: write "5"',
      'config.yaml:3:29: web.tlsMinVersion: must be text, but 1.2 without quotes means the number 1.2: write "1.2"',
      'config.yaml:5:4: staticClients[0].id: must be text, but 0x10 without quotes means the number 16: write "0x10"',
      'config.yaml:5:14: staticClients[0].name: must be text, but N without quotes means false: write "N"',
      'config.yaml:6:20: staticClients[1].public: must be true or false, not text',
      'config.yaml:6:35: staticClients[1].redirectURIs: must be a list, not text',
    ])
  })

  it('leaves dates and times as text', async () => {
    const settings = await settingsOf(`${BASE}staticClients: [{id: 2024-06-01, name: 12:30:45, public: on}]\n`)
    assert.deepEqual([settings.oidc.clients[0]?.id, settings.oidc.clients[0]?.name], ['2024-06-01', '12:30:45'])
  })

  it('names all that is missing at once', async () => {
    const { faults } = await load(
      'connectors: [{}]\nstaticClients: [{}]\nenablePasswordDB: true\nstaticPasswords: [{}]\n',
    )
    assert.deepEqual(faults.map(({ path }) => path).toSorted(), [
      'connectors[0].id',
      'connectors[0].name',
      'connectors[0].type',
      'issuer',
      'staticClients[0].id',
      'staticClients[0].name',
      'staticClients[0].secret',
      'staticPasswords[0].hash',
      'web.http',
    ])
  })

  it('says so when there is none, or it is no configuration', async () => {
    const options = { env: {}, connectorTypes: async () => undefined, connectorTypeNames: [], storageTypes }
    const missing = await loadConfiguration('/no/such/file.yaml', options)
    assert.deepEqual(missing.faults.map(formatFault), ['/no/such/file.yaml: there is no such file'])
    assert.match((await load('just text')).faults[0]!.message, /must be a group of keys/)
    assert.match((await load('- a')).faults[0]!.message, /must be a group of keys/)
    assert.match((await load(Uint8Array.of(0xc3, 0x28))).faults[0]!.message, /no UTF-8/)
  })

  it('has flags that win over it', async () => {
    const flags = { webHttp: '127.0.0.1:1', telemetry: '127.0.0.1:2' }
    const settings = await settingsOf(BASE, { flags })
    assert.equal(settings.web.http, '127.0.0.1:1')
    assert.equal(settings.telemetry.http, '127.0.0.1:2')
    assert.equal((await settingsOf(BASE.replace(/web.*\n/, ''), { flags })).web.http, '127.0.0.1:1')
  })

  it('warns of switches in the environment that are no booleans', async () => {
    const { warnings } = await load(BASE, { env: { DEX_EXPAND_ENV: 'no' } })
    assert.deepEqual(warnings.map(formatFault), [
      'environment: DEX_EXPAND_ENV: must be true or false; true is taken instead of "no"',
    ])
    assert.equal(
      (await settingsOf(BASE, { env: { DEX_CONTINUE_ON_CONNECTOR_FAILURE: 'false' } })).continueOnConnectorFailure,
      false,
    )
  })
})
