import assert from 'node:assert/strict'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const client = (more: string) => `${BASE}staticClients:\n- {id: a, secret: s, name: A, ${more}}\n`
const clientOf = async (more: string) => (await settingsOf(client(more))).oidc.clients[0]!
const okta = BASE.replace(/issuer: \S+/, 'issuer: https://login.example.com/oauth2/default\nlayout: okta')

describe('layout', () => {
  it('is Dex’s unless told otherwise', async () => {
    assert.equal((await settingsOf(BASE)).oidc.layout, 'dex')
    assert.equal((await settingsOf(okta)).oidc.layout, 'okta')
    assert.deepEqual(places((await load(`${BASE}layout: auth0\n`)).faults), ['4 layout'])
  })
  it('lets scripts send what Okta’s library sends, unless headers are configured', async () => {
    const headersOf = async (file: string) => (await settingsOf(file)).web.cors.headers
    assert.deepEqual(await headersOf(okta), ['Authorization', 'Content-Type', 'X-Okta-User-Agent-Extended'])
    assert.deepEqual(await headersOf(okta.replace(/web: \{/, 'web: {allowedHeaders: [X-Own], ')), ['X-Own'])
    assert.deepEqual(await headersOf(BASE), ['Authorization'])
  })
  it('says where the paths are below an issuer without /oauth2', async () => {
    assert.match(at((await load(`${BASE}layout: okta\n`)).warnings, 'layout').message, /at \/oauth2\/v1\/…/)
    assert.deepEqual((await load(okta)).warnings, [])
  })
  it('has a switch for introspection by query, which does nothing alone', async () => {
    const query = 'oauth2: {introspectionQuery: true}\n'
    assert.equal((await settingsOf(okta + query)).oidc.introspectionQuery, true)
    const { settings, warnings } = await load(BASE + query)
    assert.equal(settings?.oidc.introspectionQuery, undefined)
    assert.match(at(warnings, 'oauth2.introspectionQuery').message, /without layout: okta/)
  })
})

describe('web.allowCredentials', () => {
  const withWeb = (more: string) => BASE.replace(/web: \{/, `web: {allowCredentials: true, ${more}`)
  it('needs origins that are listed by name', async () => {
    assert.equal((await settingsOf(withWeb('allowedOrigins: [https://a.example], '))).web.cors.credentials, true)
    for (const origins of ['', 'allowedOrigins: ["*"], ', 'allowedOrigins: ["*", https://a.example], ']) {
      const { settings, warnings } = await load(withWeb(origins))
      assert.equal(settings?.web.cors.credentials, undefined)
      assert.match(at(warnings, 'web.allowCredentials').message, /has no effect/)
    }
  })
})

describe('claims of a client', () => {
  it('are Dex’s unless told otherwise', async () => {
    const { defaultScopes, groupsClaim, preferredUsername, httpsLoopback } = await clientOf('public: false')
    assert.deepEqual([defaultScopes, groupsClaim, preferredUsername, httpsLoopback], Array(4).fill(undefined))
  })
  it('may have default scopes, with openid among them and none that does not exist', async () => {
    const scopes = ['openid', 'email', 'audience:server:client_id:b', 'federated:id']
    assert.deepEqual((await clientOf(`defaultScopes: [${scopes.map((scope) => `"${scope}"`)}]`)).defaultScopes, scopes)
    const { faults } = await load(client('defaultScopes: [email, profil]'))
    assert.deepEqual(places(faults), ['5 staticClients[0].defaultScopes', '5 staticClients[0].defaultScopes[1]'])
    assert.equal(at(faults, 'staticClients[0].defaultScopes[1]').nearest, 'profile')
  })
  it('tell of groups by one of three words', async () => {
    for (const word of ['omit', 'empty', 'fail'])
      assert.equal((await clientOf(`groupsClaim: ${word}`)).groupsClaim, word)
    assert.deepEqual(places((await load(client('groupsClaim: never'))).faults), ['5 staticClients[0].groupsClaim'])
  })
  it('make names by a rule with a suffix, unless told otherwise', async () => {
    const made = async (rule: string) => (await clientOf(`claims: {preferredUsername: {${rule}}}`)).preferredUsername
    assert.deepEqual(await made('form: kubernetes, maxLength: 32, cutDomain: true'), {
      cutDomain: true,
      form: 'kubernetes',
      maxLength: 32,
      suffix: 'always',
    })
    assert.deepEqual(await made('suffix: never'), { cutDomain: false, form: 'as-is', suffix: 'never' })
    const { faults } = await load(client('claims: {preferredUsername: {maxLength: 5, form: dns}}'))
    assert.deepEqual(places(faults), [
      '5 staticClients[0].claims.preferredUsername.maxLength',
      '5 staticClients[0].claims.preferredUsername.form',
    ])
  })
})

describe('httpsLoopback', () => {
  const uri = 'redirectURIs: [https://localhost/auth/callback]'
  it('takes away the warning of such an address, of a public client', async () => {
    assert.equal((await load(client(`public: true, ${uri}`))).warnings.length, 1)
    const { settings, warnings } = await load(client(`public: true, httpsLoopback: true, ${uri}`))
    assert.deepEqual(warnings, [])
    assert.equal(settings?.oidc.clients[0]?.httpsLoopback, true)
    assert.deepEqual(places((await load(client(`httpsLoopback: true, ${uri}`))).warnings), [
      '5 staticClients[0].httpsLoopback',
      '5 staticClients[0].redirectURIs[0]',
    ])
  })
})
