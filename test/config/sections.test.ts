import assert from 'node:assert/strict'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const withWeb = (web: string) => `issuer: https://dex.example.com/dex\nstorage: {type: memory}\nweb: {${web}}\n`
const allFiles = { readable: async () => true, read: async () => undefined, isFolder: async () => true }

describe('issuer', () => {
  const warned = async (issuer: string) =>
    (await load(BASE.replace(/https\S+/, issuer))).warnings.map(({ message }) => message)
  it('is kept to the letter', async () => {
    for (const issuer of ['https://dex.example.com/', 'https://dexé.example/a', 'https://$(HOST)/dex']) {
      assert.equal((await settingsOf(BASE.replace(/https\S+/, issuer))).oidc.issuer, issuer)
    }
  })
  it('is doubtful with plain http, but for loopback addresses', async () => {
    assert.match((await warned('http://dex.example.com/dex'))[0]!, /plain http/)
    assert.deepEqual(await warned('http://127.0.0.1:5556/dex'), [])
    assert.deepEqual(await warned('http://localhost:5556/dex'), [])
  })
  it('is doubtful with a slash at the end, a query, or a variable', async () => {
    assert.match((await warned('https://a.example/'))[0]!, /ends with a slash/)
    assert.match((await warned('https://a.example/?x'))[0]!, /query/)
    assert.match((await warned('https://$(HOST)/dex'))[0]!, /nothing expands it/)
  })
  it('must be an address', async () => {
    assert.match(
      at((await load(BASE.replace(/https\S+/, 'dex.example.com'))).faults, 'issuer').message,
      /absolute address/,
    )
    assert.match(at((await load(BASE.replace(/https\S+/, '""'))).faults, 'issuer').message, /must not be empty/)
  })
})

describe('web', () => {
  it('needs an address', async () => {
    assert.match(at((await load(withWeb(''))).faults, 'web.http').message, /needs an address/)
    assert.match(at((await load(withWeb('http: 127.0.0.1'))).faults, 'web.http').message, /address and a port/)
    assert.equal((await settingsOf(withWeb('http: "[::1]:80"'))).web.http, '[::1]:80')
  })
  it('needs a certificate and a key for https, and they must be there', async () => {
    assert.deepEqual(places((await load(withWeb('https: ":1"'))).faults), ['3 web.tlsCert', '3 web.tlsKey'])
    const { faults } = await load(withWeb('https: ":1", tlsCert: /no/a, tlsKey: /no/b'))
    assert.match(at(faults, 'web.tlsKey').message, /names \/no\/b, which cannot be read/)
  })
  it('does not look at certificates that nothing uses', async () => {
    assert.equal((await settingsOf(withWeb('http: ":1", tlsCert: /no/a'))).web.tls, undefined)
  })
  it('has TLS 1.2 as its oldest version unless told otherwise', async () => {
    const keys = 'https: ":1", tlsCert: a, tlsKey: b'
    const tls = async (more: string) => (await settingsOf(withWeb(`${keys}${more}`), { files: allFiles })).web.tls
    assert.deepEqual(await tls(''), { cert: 'a', key: 'b', minVersion: 'TLSv1.2' })
    assert.deepEqual(await tls(', tlsMinVersion: "1.3", tlsMaxVersion: "1.3"'), {
      cert: 'a',
      key: 'b',
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
    })
  })
  it('refuses versions that are not known or the wrong way round', async () => {
    assert.equal(
      at((await load(withWeb('http: ":1", tlsMinVersion: "1.1"'))).faults, 'web.tlsMinVersion').nearest,
      '1.2',
    )
    const { faults } = await load(withWeb('http: ":1", tlsMinVersion: "1.3", tlsMaxVersion: "1.2"'))
    assert.match(at(faults, 'web.tlsMinVersion').message, /newer than/)
  })
  it('has the headers that Dex knows, and leaves out others with a warning', async () => {
    const { settings, warnings } = await load(
      withWeb('http: ":1", headers: {x-frame-options: DENY, X-XSS-Protection: "", Server: x}'),
    )
    assert.deepEqual(settings?.web.headers, { 'X-Frame-Options': 'DENY' })
    assert.deepEqual(places(warnings), ['3 web.headers.Server'])
  })
  it('warns of an origin that no browser sends', async () => {
    const { settings, warnings } = await load(
      withWeb('http: ":1", allowedOrigins: ["*", https://a.example, https://a.example/]'),
    )
    assert.deepEqual(settings?.web.cors, {
      origins: ['*', 'https://a.example', 'https://a.example/'],
      headers: ['Authorization'],
    })
    assert.equal(at(warnings, 'web.allowedOrigins[2]').nearest, 'https://a.example')
  })
  it('believes a header only from named proxies', async () => {
    const both = await settingsOf(
      withWeb('http: ":1", clientRemoteIP: {header: X-Real-IP, trustedProxies: [10.0.0.0/8, "fd00::/8"]}'),
    )
    assert.deepEqual(both.web.clientAddress, { header: 'X-Real-IP', trustedProxies: ['10.0.0.0/8', 'fd00::/8'] })
    const { settings, warnings } = await load(withWeb('http: ":1", clientRemoteIP: {header: X-Real-IP}'))
    assert.equal(settings?.web.clientAddress, undefined)
    assert.match(at(warnings, 'web.clientRemoteIP.header').message, /no effect without trustedProxies/)
  })
  it('refuses what is no network', async () => {
    const { faults } = await load(
      withWeb('http: ":1", clientRemoteIP: {header: X, trustedProxies: [10.0.0.1, 10.0.0.0/33, proxy]}'),
    )
    assert.deepEqual(
      faults.map(({ nearest }) => nearest),
      ['10.0.0.1/32', undefined, undefined],
    )
  })
  it('listens nowhere twice', async () => {
    assert.deepEqual(places((await load(`${BASE}telemetry: {http: 127.0.0.1:5556}\n`)).faults), ['4 telemetry.http'])
  })
})

describe('frontend', () => {
  it('takes old names of themes for the default', async () => {
    for (const theme of ['coreos', 'tectonic', '""'])
      assert.equal((await settingsOf(`${BASE}frontend: {theme: ${theme}}\n`)).frontend.theme, 'auto')
    assert.equal((await settingsOf(`${BASE}frontend: {theme: dark}\n`)).frontend.theme, 'dark')
  })
  it('warns of a theme that is nowhere', async () => {
    assert.match(
      at((await load(`${BASE}frontend: {theme: acme}\n`)).warnings, 'frontend.theme').message,
      /names no theme/,
    )
  })
  it('has names and texts of the operator', async () => {
    const { frontend } = await settingsOf(
      `${BASE}frontend: {issuer: Acme, LogoURL: theme/logo.png, extra: {Tos: /tos}}\n`,
    )
    assert.deepEqual(frontend, { issuer: 'Acme', logoURL: 'theme/logo.png', theme: 'auto', extra: { Tos: '/tos' } })
  })
  it('takes its folder from the environment when the file names none', async () => {
    const env = { DEX_FRONTEND_DIR: '/srv/web' }
    assert.equal((await settingsOf(BASE, { env, files: allFiles })).frontend.dir, '/srv/web')
    assert.equal((await settingsOf(`${BASE}frontend: {dir: /own}\n`, { env, files: allFiles })).frontend.dir, '/own')
  })
  it('refuses a folder that is not there', async () => {
    assert.match(at((await load(`${BASE}frontend: {dir: /no/such}\n`)).faults, 'frontend.dir').message, /no folder/)
  })
  it('warns of each changed template, with the view that makes the page', async () => {
    const files = {
      ...allFiles,
      read: async (path: string) => (path.endsWith('/password.html') ? Buffer.from('<p>') : undefined),
    }
    const { warnings } = await load(`${BASE}frontend: {dir: /own}\n`, { files })
    assert.equal(warnings.length, 1)
    assert.match(
      warnings[0]!.message,
      /\/own\/templates\/password\.html, which is not used: the page is made by views\/password\.eta/,
    )
  })
})

describe('logger', () => {
  it('takes levels in any case and with offsets, as slog does', async () => {
    const levels: [string, number][] = [
      ['DEBUG', -4],
      ['Info', 0],
      ['info+2', 2],
      ['ERROR-1', 7],
      ['warn', 4],
    ]
    for (const [text, level] of levels)
      assert.equal((await settingsOf(`${BASE}logger: {level: ${text}}\n`)).log.level, level, text)
  })
  it('takes formats in any case', async () => {
    assert.equal((await settingsOf(`${BASE}logger: {format: JSON}\n`)).log.format, 'json')
  })
  it('refuses other words', async () => {
    const { faults } = await load(`${BASE}logger: {level: warning, format: jsn}\n`)
    assert.deepEqual(
      faults.map(({ nearest }) => nearest),
      ['warn', 'json'],
    )
  })
})

describe('expiry', () => {
  it('is read in seconds', async () => {
    const { oidc } = await settingsOf(`${BASE}expiry:
  idTokens: 1h30m
  authRequests: 10m
  deviceRequests: 90s
  refreshTokens: {disableRotation: true, reuseInterval: 3s, absoluteLifetime: 3960h, validIfNotUsedFor: 2160h}
`)
    assert.deepEqual(oidc.lifetimes, { tokens: 5400, authRequests: 600, deviceRequests: 90 })
    assert.deepEqual(oidc.refreshTokens, {
      rotate: false,
      reuseInterval: 3,
      absoluteLifetime: 14_256_000,
      validIfNotUsedFor: 7_776_000,
    })
  })
  it('takes zero for the default, and takes negative ones with a warning', async () => {
    const { settings, warnings } = await load(
      `${BASE}expiry: {idTokens: "0", authRequests: 0s, deviceRequests: -5m, refreshTokens: {absoluteLifetime: "0"}}\n`,
    )
    assert.deepEqual(settings?.oidc.lifetimes, { tokens: 86_400, authRequests: 86_400, deviceRequests: -300 })
    assert.deepEqual(settings?.oidc.refreshTokens, { rotate: true, reuseInterval: 3 })
    assert.deepEqual(places(warnings), ['4 expiry.deviceRequests'])
  })
  it('has no days', async () => {
    assert.match(at((await load(`${BASE}expiry: {idTokens: 1d}\n`)).faults, 'expiry.idTokens').message, /write "24h"/)
  })
})

describe('signer', () => {
  it('rotates as the deprecated expiry.signingKeys says when there is no block', async () => {
    const { settings, warnings } = await load(`${BASE}expiry: {signingKeys: 12h}\n`)
    assert.deepEqual(settings?.oidc.signer, { type: 'local', algorithm: 'RS256', rotationPeriod: 43_200 })
    assert.match(at(warnings, 'expiry.signingKeys').message, /deprecated/)
  })
  it('may use ES256', async () => {
    const { settings, warnings } = await load(
      `${BASE}expiry: {signingKeys: 12h}\nsigner: {type: local, config: {keysRotationPeriod: $P, algorithm: ES256}}\n`,
      { env: { P: '1h' } },
    )
    assert.deepEqual(settings?.oidc.signer, { type: 'local', algorithm: 'ES256', rotationPeriod: 3600 })
    assert.match(at(warnings, 'expiry.signingKeys').message, /no effect/)
  })
  it('needs a type and a period when there is a block', async () => {
    for (const block of ['', ' {}']) assert.equal((await load(`${BASE}signer:${block}\n`)).faults.length, 1)
    assert.equal(
      at((await load(`${BASE}signer: {type: local}\n`)).faults, 'signer.config.keysRotationPeriod').message,
      'is missing',
    )
    const { faults } = await load(`${BASE}signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: RS512}}\n`)
    assert.deepEqual(places(faults), ['4 signer.config.algorithm'])
  })
})

describe('oauth2', () => {
  it('narrows the grant types, unknown and unusable ones left out with a warning', async () => {
    const { settings, warnings } = await load(
      `${BASE}oauth2: {grantTypes: [implicit, password, refresh_token, authorization_code, authorisation_code]}\n`,
    )
    assert.deepEqual(settings?.oidc.grantTypes, ['authorization_code', 'refresh_token'])
    assert.deepEqual(
      warnings.map(({ nearest }) => nearest),
      [undefined, undefined, 'authorization_code'],
    )
  })
  it('offers plain only when it is listed', async () => {
    const pkce = async (methods: string) =>
      (await settingsOf(`${BASE}oauth2: {pkce: {enforce: true, codeChallengeMethodsSupported: ${methods}}}\n`)).oidc
        .pkce
    assert.deepEqual(await pkce('[]'), { enforce: true, methods: ['S256'] })
    assert.deepEqual(await pkce('[S256, plain]'), { enforce: true, methods: ['S256', 'plain'] })
  })
  it('refuses unknown words', async () => {
    const { faults } = await load(
      `${BASE}oauth2: {responseTypes: [codes], pkce: {codeChallengeMethodsSupported: [s256]}}\n`,
    )
    assert.deepEqual(
      faults.map(({ nearest }) => nearest),
      ['code', 'S256'],
    )
  })
  it('says how logins go', async () => {
    const { login } = await settingsOf(
      `${BASE}oauth2: {responseTypes: [code], skipApprovalScreen: true, alwaysShowLoginScreen: yes}\n`,
    )
    assert.deepEqual([login.skipApprovalScreen, login.alwaysShowLoginScreen], [true, true])
  })
})

describe('storage', () => {
  it('is the embedded store in the current folder when there is no block, which is said', async () => {
    const settings = await settingsOf(BASE.replace(/storage.*\n/, ''), { cwd: '/srv' })
    assert.deepEqual(settings.storage, { type: 'lowdb', config: { file: '/srv/countersign.db.json' } })
    assert.match(settings.notes[0]!, /state is kept in \/srv\/countersign\.db\.json/)
  })
  it('has its settings expanded and checked', async () => {
    const storage = 'storage: {type: lowdb, config: {FILE: "${DATA}/x.json", cache: 1}}'
    const { settings, warnings } = await load(BASE.replace('storage: {type: memory}', storage), {
      env: { DATA: '/data' },
    })
    assert.deepEqual(settings?.storage, { type: 'lowdb', config: { file: '/data/x.json' } })
    assert.deepEqual(places(warnings), ['2 storage.config.cache'])
    assert.equal(at((await load(BASE.replace('memory', 'lowdb'))).faults, 'storage.config.file').message, 'is missing')
  })
  it('names the nearest store for one that is not there', async () => {
    assert.equal(at((await load(BASE.replace('memory', 'Memory'))).faults, 'storage.type').nearest, 'memory')
    assert.match(at((await load(BASE.replace('memory', 'postgres'))).faults, 'storage.type').message, /not built yet/)
    assert.equal(at((await load(BASE.replace('{type: memory}', '{}'))).faults, 'storage.type').message, 'is missing')
  })
})

describe('grpc', () => {
  it('is checked, and answered with one warning', async () => {
    const { settings, warnings } = await load(
      `${BASE}grpc: {addr: 127.0.0.1:5557, tlsCert: a, tlsKey: b, tlsClientCA: c, reflection: true}\n`,
    )
    assert.ok(settings)
    assert.deepEqual(places(warnings), ['4 grpc'])
    assert.match(warnings[0]!.message, /nothing listens there yet/)
  })
  it('refuses what Dex refuses', async () => {
    const refused = async (grpc: string) => places((await load(`${BASE}grpc: {${grpc}}\n`)).faults)
    assert.deepEqual(await refused('tlsCert: a, tlsKey: b'), ['4 grpc.addr'])
    assert.deepEqual(await refused('addr: ":1", tlsCert: a'), ['4 grpc.tlsKey'])
    assert.deepEqual(await refused('addr: ":1", tlsClientCA: a'), ['4 grpc.tlsClientCA'])
    assert.deepEqual(await refused('addr: ":1", tlsMinVersion: "1.0"'), ['4 grpc.tlsMinVersion'])
    assert.deepEqual(await refused('addr: ":1", tlsMinVersion: "1.3", tlsMaxVersion: "1.2"'), ['4 grpc.tlsMinVersion'])
    assert.deepEqual(await refused('reflection: true'), [])
  })
})
