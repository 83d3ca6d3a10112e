import assert from 'node:assert/strict'
import { formatFault } from '../../src/config/index.ts'
import { BASE, load, settingsOf } from './fixture.ts'

const client = (more: string) => `staticClients: [{id: a, public: true, name: A, ${more}}]\n`
const totp = '{id: totp, type: TOTP}'
const file = (authenticator: string, more = '') => `${BASE}mfa: {authenticators: [${authenticator}]}\n${more}`
const faultsOf = async (content: string): Promise<string[]> => (await load(content)).faults.map(formatFault)
const warningsOf = async (content: string): Promise<string[]> => (await load(content)).warnings.map(formatFault)

describe('second factors in a file', () => {
  it('are none by default', async () => {
    const none = { authenticators: [], defaultChain: [], rememberFor: 0 }
    for (const text of ['', 'mfa: {}\n', 'mfa:\n', 'mfa: {authenticators: [], defaultMFAChain: []}\n']) {
      assert.deepEqual((await settingsOf(`${BASE}${text}`)).login.mfa, none)
    }
  })

  it('have defaults from the issuer and the frontend', async () => {
    const both = await settingsOf(`${file(`${totp}, {id: key, type: WebAuthn}`)}frontend: {issuer: "Acme: Login"}\n`)
    assert.deepEqual(both.login.mfa.authenticators, [
      { id: 'totp', type: 'TOTP', issuer: 'Acme  Login', connectorTypes: [] },
      {
        id: 'key',
        type: 'WebAuthn',
        connectorTypes: [],
        rpName: 'dex.example.com',
        rpId: 'dex.example.com',
        origins: ['https://dex.example.com'],
        attestation: 'indirect',
        timeout: 60_000,
        userVerification: 'preferred',
      },
    ])
  })

  it('take all keys of Dex, whatever their case', async () => {
    const { login, oidc } = await settingsOf(`${BASE}MFA:
  authenticators:
  - id: app
    type: TOTP
    config: {issuer: Acme}
    connectorTypes: [oidc, local, ldap]
  - id: key
    type: WebAuthn
    config:
      rpDisplayName: Acme
      rpid: example.com
      rpOrigins: [https://dex.example.com, "https://example.com:8443"]
      attestationPreference: direct
      timeout: 2m30s
      userVerification: required
      authenticatorAttachment: cross-platform
  defaultMfaChain: [app, key]
sessions: {}
${client('mfaChain: [key]')}`)
    assert.deepEqual(login.mfa, {
      authenticators: [
        { id: 'app', type: 'TOTP', issuer: 'Acme', connectorTypes: ['oidc', 'local', 'ldap'] },
        {
          id: 'key',
          type: 'WebAuthn',
          connectorTypes: [],
          rpName: 'Acme',
          rpId: 'example.com',
          origins: ['https://dex.example.com', 'https://example.com:8443'],
          attestation: 'direct',
          timeout: 150_000,
          userVerification: 'required',
          attachment: 'cross-platform',
        },
      ],
      defaultChain: ['app', 'key'],
      rememberFor: 0,
    })
    assert.deepEqual(oidc.clients[0]!.mfaChain, ['key'])
  })

  it('tell a chain that is empty from one that is absent', async () => {
    const chainOf = async (more: string) => (await settingsOf(file(totp, client(more)))).oidc.clients[0]!.mfaChain
    assert.deepEqual(await chainOf('mfaChain: []'), [])
    assert.equal(await chainOf('logoURL: ""'), undefined)
    assert.equal(await chainOf('mfaChain: null'), undefined)
  })

  it('expand no variable, as in Dex', async () => {
    const { login } = await settingsOf(file('{id: totp, type: TOTP, config: {issuer: $NAME}}'))
    assert.equal((login.mfa.authenticators[0] as { issuer: string }).issuer, '$NAME')
  })

  const key = (config: string) => `{id: key, type: WebAuthn, config: {${config}}}`
  for (const [content, ...reasons] of [
    [file('{type: TOTP}'), /authenticators\[0\].*id/],
    [file('{id: "", type: TOTP}'), /authenticators\[0\]\.id/],
    [file('{id: a}'), /authenticators\[0\].*type/],
    [file('{id: a, type: totp}'), /authenticators\[0\]\.type: .*did you mean "TOTP"/],
    [file('{id: a, type: SMS}'), /authenticators\[0\]\.type: /],
    [file(`${totp}, ${totp}`), /authenticators\[1\]\.id: "totp" is also the id of mfa\.authenticators\[0\]/],
    [file('{id: a, type: TOTP, config: {issuer: 5}}'), /config\.issuer: must be text/],
    [file('{id: a, type: TOTP, config: {issuer: "a:b"}}'), /config\.issuer: must hold no colon/],
    [file('{id: a, type: TOTP, config: Acme}'), /config: must be a group of keys/],
    [file('{id: a, type: TOTP, connectorTypes: [oidcc]}'), /connectorTypes\[0\]: "oidcc" is no .*did you mean "oidc"/],
    [file(totp, client('mfaChain: [totpp]')), /staticClients\[0\]\.mfaChain\[0\]: "totpp" .*did you mean "totp"/],
    [file(totp, client('mfaChain: [1]')), /staticClients\[0\]\.mfaChain\[0\]: must be text/],
    [`${BASE}${client('mfaChain: [a]')}`, /mfaChain\[0\]: "a" is the id of no authenticator/],
    [`${BASE}mfa: {defaultMFAChain: [a]}\n`, /mfa\.defaultMFAChain\[0\]: "a" is the id of no authenticator/],
    [file(key('rpID: example.org')), /"https:\/\/dex\.example\.com" does not belong to the rpID "example\.org"/],
    [file(key('rpID: 10.0.0.1')), /rpID: needs a domain/],
    [file(key('rpID: "https://dex.example.com"')), /rpID: needs a domain/],
    [file(key('rpOrigins: [https://example.com]')), /lacks https:\/\/dex\.example\.com/, /does not belong/],
    [
      file(key('rpOrigins: [https://dex.example.com/, https://dex.example.com]')),
      /rpOrigins\[0\]: .* is no origin: write it as/,
    ],
    [
      file(key('rpOrigins: [http://dex.example.com, https://dex.example.com]')),
      /rpOrigins\[0\]: .* is plain http, where browsers offer no keys/,
    ],
    [file(key('timeout: 1d')), /config\.timeout: .*1d/],
    [file(key('timeout: -1m')), /config\.timeout: must be more than nothing/],
    [file(key('userVerification: always')), /userVerification: /],
    [file(key('authenticatorAttachment: usb')), /authenticatorAttachment: /],
    [file(key('attestationPreference: enterprise')), /attestationPreference: /],
    [file(key('')).replace('https://dex', 'http://dex'), /issuer: .*plain http, where browsers offer no keys/],
    [file(key('')).replace('https://dex.example.com', 'http://127.0.0.1'), /needs a domain .*use localhost/],
    [`${BASE}mfa: {rememberFor: soon}\nsessions: {}\n`, /mfa\.rememberFor: /],
  ] as [string, ...RegExp[]][]) {
    it(`refuse ${content.slice(BASE.length).trim().slice(0, 90)}`, async () => {
      const faults = await faultsOf(content)
      assert.equal(faults.length, reasons.length, faults.join('\n'))
      for (const [each, reason] of reasons.entries()) assert.match(faults[each]!, reason)
      assert.ok(faults.every((fault) => /^config\.yaml:\d+:\d+: /.test(fault)))
    })
  }

  it('run on localhost without TLS', async () => {
    const { login } = await settingsOf(file(key('')).replace('https://dex.example.com', 'http://localhost:5556'))
    const [found] = login.mfa.authenticators
    assert.deepEqual(found?.type === 'WebAuthn' && [found.rpId, found.origins], [
      'localhost',
      ['http://localhost:5556'],
    ])
  })

  it('warn of what has no effect', async () => {
    assert.match(
      (await warningsOf(`${BASE}mfa: {rememberFor: 1h}\n`)).join(),
      /mfa\.rememberFor: has no effect without/,
    )
    assert.match((await warningsOf(file('{id: a, type: TOTP, config: {isuer: x}}'))).join(), /did you mean "issuer"/)
    assert.match((await warningsOf(file(totp, client('mfaChain: [totp, totp]')))).join(), /\[1\]: "totp" stands twice/)
  })
})
