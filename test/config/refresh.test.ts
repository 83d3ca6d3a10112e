import assert from 'node:assert/strict'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const connector = (refresh: string) =>
  `${BASE}connectors: [{type: mockCallback, id: mock, name: Mock, refresh: ${refresh}}]\n`
const client = (more: string, rest = '') => `${BASE}${rest}staticClients: [{id: web, secret: s, name: Web, ${more}}]\n`
const endless = 'expiry: {refreshTokens: {absoluteLifetime: 720h}}\n'

describe('refresh', () => {
  it('of a connector is read member by member', async () => {
    const read = async (refresh: string) => (await settingsOf(connector(refresh))).login.connectors[0]?.refresh
    assert.equal(await read('{}'), undefined)
    assert.equal(await read('~'), undefined)
    assert.deepEqual(await read('{upstream: always, onOutage: deny}'), { upstream: 'always', onOutage: 'deny' })
    assert.deepEqual(await read('{upstream: {maxAge: 5m}}'), { upstream: { maxAge: 300 } })
    assert.deepEqual(await read('{onOutage: {StaleFor: 15m}}'), { onOutage: { staleFor: 900 } })
  })

  it('of a client is read likewise, with how many refresh tokens a person may have', async () => {
    const read = async (more: string, rest = '') => (await settingsOf(client(more, rest))).oidc.clients[0]
    const { refresh, refreshTokens } = (await read(
      'refresh: {upstream: never, maxPerUserAndClient: 3}',
      'expiry: {refreshTokens: {absoluteLifetime: 24h, maxPerUserAndClient: 10}}\n',
    ))!
    assert.deepEqual(refresh, { upstream: 'never' })
    assert.deepEqual(refreshTokens, {
      rotate: true,
      reuseInterval: 3,
      absoluteLifetime: 86_400,
      maxPerUserAndClient: 3,
    })
    const lifted = await read(
      'refresh: {maxPerUserAndClient: 0}',
      'expiry: {refreshTokens: {maxPerUserAndClient: 10}}\n',
    )
    assert.deepEqual(lifted?.refreshTokens, { rotate: true, reuseInterval: 3 })
    assert.equal(lifted?.refresh, undefined)
  })

  const faults: [refresh: string, path: string, message: RegExp, nearest?: string][] = [
    ['{upstream: alway}', 'upstream', /must be "always" or "never", not "alway"/, 'always'],
    ['{upstream: 5m}', 'upstream', /must be "always" or "never"/],
    ['{upstream: {}}', 'upstream.maxAge', /is missing/],
    ['{upstream: {maxAge: 300}}', 'upstream.maxAge', /must be text/],
    ['{upstream: {maxAge: 300s300}}', 'upstream.maxAge', /has no unit/],
    ['{upstream: {maxAge: 0s}}', 'upstream.maxAge', /write "upstream: always"/],
    ['{upstream: {maxAge: ""}}', 'upstream.maxAge', /write "upstream: always"/],
    ['{upstream: [always]}', 'upstream', /must be/],
    ['{onOutage: denny}', 'onOutage', /must be "deny", not "denny"/, 'deny'],
    ['{onOutage: {staleFor: -5m}}', 'onOutage.staleFor', /write "onOutage: deny"/],
    ['never', '', /must be a group of keys/],
  ]
  for (const [refresh, path, message, nearest] of faults) {
    it(`refuses ${refresh}`, async () => {
      const places = [
        { found: (await load(connector(refresh))).faults, entry: 'connectors[0].refresh' },
        { found: (await load(client(`refresh: ${refresh}`))).faults, entry: 'staticClients[0].refresh' },
      ]
      for (const { found, entry } of places) {
        assert.equal(found.length, 1, JSON.stringify(found))
        const fault = at(found, path === '' ? entry : `${entry}.${path}`)
        assert.match(fault.message, message)
        assert.equal(fault.nearest, nearest)
      }
    })
  }

  it('refuses a number of tokens that is none', async () => {
    for (const most of ['-1', '1.5', 'many']) {
      const { faults } = await load(client(`refresh: {maxPerUserAndClient: ${most}}`))
      assert.deepEqual(places(faults), ['4 staticClients[0].refresh.maxPerUserAndClient'])
    }
  })

  it('names the nearest key for one that is not there', async () => {
    const { warnings } = await load(connector('{upstreams: always, onOutage: {stalefr: 1m, staleFor: 2m}}'))
    assert.deepEqual(
      warnings.map(({ nearest }) => nearest),
      ['upstream', 'staleFor'],
    )
  })

  it('warns of what has no effect, and of groups that nobody ever looks at again', async () => {
    const warned = async (text: string) => places((await load(text)).warnings)
    assert.deepEqual(await warned(connector('{upstream: {maxAge: 5m}, onOutage: {staleFor: 5m}}')), [
      '4 connectors[0].refresh.onOutage.staleFor',
    ])
    assert.deepEqual(await warned(connector('{upstream: never, onOutage: {staleFor: 5m}}')), [
      '4 connectors[0].refresh.upstream',
      '4 connectors[0].refresh.onOutage',
    ])
    assert.deepEqual(await warned(connector('{upstream: never}') + endless), [])
    assert.deepEqual(await warned(client('refresh: {upstream: never}')), ['4 staticClients[0].refresh.upstream'])
    const limited = 'refresh: {upstream: never}, expiry: {refreshTokens: {absoluteLifetime: 24h}}'
    assert.deepEqual(await warned(client(limited)), [])
    assert.deepEqual(await warned(connector('{upstream: {maxAge: 5m}, onOutage: {staleFor: 6m}}')), [])
  })
})

describe('expiry of a client', () => {
  const read = async (expiry: string, rest = '') =>
    (await settingsOf(client(`expiry: ${expiry}`, rest))).oidc.clients[0]!
  const server =
    'expiry: {idTokens: 1h, refreshTokens: {absoluteLifetime: 24h, validIfNotUsedFor: 2h, reuseInterval: 1s}}\n'

  it('is absent unless it says something', async () => {
    const { lifetimes, refreshTokens } = await read('{refreshTokens: {}}', server)
    assert.deepEqual([lifetimes, refreshTokens], [undefined, undefined])
  })

  it("takes the place of the server's, access tokens living as long as ID tokens", async () => {
    assert.deepEqual((await read('{idTokens: 5m}', server)).lifetimes, { idTokens: 300, accessTokens: 300 })
    assert.deepEqual((await read('{accessTokens: 5m}', server)).lifetimes, { idTokens: 3600, accessTokens: 300 })
    assert.deepEqual((await read('{idTokens: 5m, accessTokens: 6m}')).lifetimes, { idTokens: 300, accessTokens: 360 })
    assert.equal((await read('{idTokens: "0"}')).lifetimes, undefined)
  })

  it('takes the place of single rules of refresh tokens, zero being no limit', async () => {
    const refreshTokens = async (rules: string) => (await read(`{refreshTokens: ${rules}}`, server)).refreshTokens
    const standard = { rotate: true, reuseInterval: 1, absoluteLifetime: 86_400, validIfNotUsedFor: 7200 }
    assert.deepEqual(await refreshTokens('{disableRotation: true}'), { ...standard, rotate: false })
    assert.deepEqual(await refreshTokens('{absoluteLifetime: 1h}'), { ...standard, absoluteLifetime: 3600 })
    const { validIfNotUsedFor: _, ...unlimited } = standard
    assert.deepEqual(await refreshTokens('{validIfNotUsedFor: "0", reuseInterval: 0s}'), {
      ...unlimited,
      reuseInterval: 0,
    })
  })

  it('has no days, and places faults', async () => {
    const { faults } = await load(client('expiry: {idTokens: 1d, refreshTokens: {reuseInterval: x}}'))
    assert.deepEqual(places(faults), [
      '4 staticClients[0].expiry.idTokens',
      '4 staticClients[0].expiry.refreshTokens.reuseInterval',
    ])
  })
})
