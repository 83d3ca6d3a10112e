import assert from 'node:assert/strict'
import {
  claimsOf,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'

const scope = 'openid groups offline_access'
const minutes = 60

const client = (of: typeof web, more: object = {}) => ({
  id: of.id,
  secret: of.secret,
  name: of.id,
  redirectURIs: [of.redirectUri],
  ...more,
})
const open = (expiry: object) =>
  startServer({
    connectors: [corp('lifetimes')],
    expiry: { idTokens: '1h', refreshTokens: { absoluteLifetime: '8h', validIfNotUsedFor: '4h' } },
    staticClients: [client(web, { expiry }), client(peer)],
  })

describe('lifetimes of the tokens of one client', () => {
  const lives = (tokens: { id_token: string; access_token: string; expires_in: number }) => {
    const life = (token: string) => Number(claimsOf(token).exp) - Number(claimsOf(token).iat)
    return [life(tokens.id_token), life(tokens.access_token), tokens.expires_in]
  }

  it('are of ID and access tokens, at the login and at a refresh; other clients keep those of the server', async () => {
    await using server = await open({ idTokens: '10m', accessTokens: '5m' })
    const { tokens } = await logIn(server, { scope })
    assert.deepEqual(lives(tokens), [600, 300, 300])
    assert.deepEqual(lives(tokensOf(await server.refresh(tokens.refresh_token!))), [600, 300, 300])
    const other = await logIn(server, { client: peer, scope })
    assert.deepEqual(lives(other.tokens), [3600, 3600, 3600])
  })

  it('are of what a token exchange gives', async () => {
    await using server = await open({ idTokens: '10m', accessTokens: '5m' })
    const exchange = async (type: string) => {
      const answer = await server.token(
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          connector_id: 'corp',
          subject_token: 'x',
          subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
          requested_token_type: `urn:ietf:params:oauth:token-type:${type}`,
          scope: 'openid',
        },
        web,
      )
      const { access_token: token, expires_in: told } = tokensOf(answer)
      return [Number(claimsOf(token).exp) - Number(claimsOf(token).iat), told]
    }
    assert.deepEqual(await exchange('id_token'), [600, 600])
    assert.deepEqual(await exchange('access_token'), [300, 300])
  })

  it('end at every endpoint', async () => {
    using clock = stopClock()
    await using server = await open({
      idTokens: '10m',
      accessTokens: '5m',
      refreshTokens: { absoluteLifetime: '30m', validIfNotUsedFor: '12m' },
    })
    const { tokens } = await logIn(server, { scope })
    const good = async (token: string) => [
      (await server.userinfo(token)).status,
      (await server.introspect(token)).active,
    ]
    clock.advance(5 * minutes - 1)
    assert.deepEqual(await good(tokens.access_token), [200, true])
    clock.advance(1)
    assert.deepEqual(await good(tokens.access_token), [401, false])
    assert.deepEqual(await good(tokens.id_token), [200, true])
    clock.advance(5 * minutes)
    assert.deepEqual(await good(tokens.id_token), [401, false])
    let token = tokensOf(await server.refresh(tokens.refresh_token!)).refresh_token!
    const idle = (await logIn(server, { scope })).tokens.refresh_token!
    for (let step = 0; step < 2; step++) {
      clock.advance(9 * minutes)
      token = tokensOf(await server.refresh(token)).refresh_token!
    }
    for (const each of [idle]) {
      assert.equal(errorOf(await server.refresh(each)), '400 invalid_grant')
      assert.equal((await server.introspect(each)).active, false)
    }
    clock.advance(2 * minutes)
    assert.equal(errorOf(await server.refresh(token)), '400 invalid_grant')
    assert.equal((await server.introspect(token)).active, false)
  })

  it('decide how refresh tokens rotate and are repeated', async () => {
    using clock = stopClock()
    await using server = await open({ refreshTokens: { disableRotation: true, reuseInterval: '0' } })
    const { tokens } = await logIn(server, { scope })
    const again = tokensOf(await server.refresh(tokens.refresh_token!))
    assert.equal(again.refresh_token, tokens.refresh_token)
    const other = await logIn(server, { client: peer, scope })
    const rotated = tokensOf(await server.refresh(other.tokens.refresh_token!, peer))
    assert.notEqual(rotated.refresh_token, other.tokens.refresh_token)
    assert.equal(tokensOf(await server.refresh(other.tokens.refresh_token!, peer)).refresh_token, rotated.refresh_token)
    clock.advance(4 * 3600)
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant', "the server's rule holds")
  })

  it('longer than those of the server keep the keys published as long', async () => {
    using clock = stopClock()
    await using server = await open({ idTokens: '72h' })
    const { tokens } = await logIn(server, { scope })
    const { keys } = server.services
    const published = () => keys.jwks().keys.map(({ kid }) => kid)
    const [signing] = published()
    await keys.rotate('test')
    clock.advance(71 * 3600)
    await keys.rotate('test')
    assert.ok(published().includes(signing))
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
  })

  it('let a code that comes again take its tokens back as long as these live', async () => {
    using clock = stopClock()
    await using server: FlowServer = await open({ idTokens: '72h' })
    const login = await logIn(server, { scope })
    clock.advance(60)
    assert.equal(errorOf(await server.redeem(login)), '400 invalid_grant')
    for (const hours of [0, 70]) {
      clock.advance(hours * 3600)
      assert.equal((await server.userinfo(login.tokens.access_token)).status, 401)
    }
  })
})

describe('the age of what upstreams said', () => {
  it('is the oldest of all refresh tokens, by connector, at most five minutes too high', async () => {
    using clock = stopClock()
    const other = { ...corp('lifetimes'), id: 'other', name: 'Other' }
    await using server = await startServer({ connectors: [corp('lifetimes'), other], expiry: {} })
    const ages = async () => {
      const page = await server.metrics()
      const found = page.matchAll(/countersign_refresh_oldest_check_age_seconds\{connector="(\w+)"\} (\d+)/g)
      return Object.fromEntries([...found].map(([, name, age]) => [name, Number(age)]))
    }
    assert.deepEqual(await ages(), {})
    const about = (age: number | undefined, wanted: number) =>
      assert.ok(age !== undefined && age >= wanted && age <= wanted + 300, `${age}, not ${wanted}`)
    const { tokens } = await logIn(server, { scope, connector: 'corp' })
    clock.advance(3600)
    const second = await logIn(server, { scope, connector: 'corp' })
    const third = await logIn(server, { scope, connector: 'other' })
    about((await ages()).corp, 3600)
    about((await ages()).other, 0)
    tokensOf(await server.refresh(tokens.refresh_token!))
    about((await ages()).corp, 0)
    clock.advance(7200)
    about((await ages()).corp, 7200)
    for (const { refresh_token: token } of [second.tokens, third.tokens]) {
      await server.post('/token/revoke', { token: token! }, web)
    }
    const left = await ages()
    about(left.corp, 7200)
    assert.equal(left.other, undefined)
  })
})
