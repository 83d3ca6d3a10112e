import assert from 'node:assert/strict'
import { type GitHubOptions, type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { accessTokenOf, type Opened, openGitHub } from './github-login.ts'
import { failsWith } from './oidc-login.ts'

const hour = 3_600_000

describe('github connector, refresh', () => {
  let up: GitHubStandIn
  afterEach(() => up.close())

  const start = async (config: Record<string, unknown> = {}, options: GitHubOptions = {}): Promise<Opened> => {
    up = await startGitHub(options)
    return openGitHub(up, config)
  }
  const acme = { orgs: [{ name: 'acme' }] }
  const renewals = () => up.calls.filter((call) => call.endsWith('access_token')).length - 1

  it('reads person and groups anew with the kept token', async () => {
    const { logIn, refresh } = await start(acme)
    const identity = await logIn()
    up.account.person.name = 'Octavia'
    up.account.organisations.acme!.teams.pop()
    const now = await refresh(identity)
    assert.equal(now.username, 'Octavia')
    assert.deepEqual(now.groups, ['acme:Core Team'])
    assert.equal(accessTokenOf(now), accessTokenOf(identity))
    assert.equal(renewals(), 0)
  })

  it('keeps the id when the login is renamed (GH-11)', async () => {
    for (const config of [{}, { useLoginAsID: true }]) {
      const { logIn, refresh } = await start(config)
      const identity = await logIn()
      up.account.person.login = 'octavia'
      const now = await refresh(identity)
      assert.equal(now.userId, identity.userId)
      assert.equal(now.preferredUsername, 'octavia')
      if (config.useLoginAsID === undefined) await up.close()
    }
  })

  it('refuses somebody who was removed from the organisation (GH-9)', async () => {
    const { logIn, refresh } = await start(acme)
    const identity = await logIn()
    up.account.organisations.acme!.membership = 'none'
    await failsWith('identity_gone', refresh(identity), /not in required orgs or teams/)
  })

  it('refuses somebody who was removed from the team (GH-9)', async () => {
    const { logIn, refresh } = await start({ orgs: [{ name: 'acme', teams: ['ops'] }] })
    const identity = await logIn()
    up.account.organisations.acme!.teams.pop()
    await failsWith('identity_gone', refresh(identity))
  })

  it('refuses when the token was revoked', async () => {
    const { logIn, refresh } = await start()
    const identity = await logIn()
    up.account.tokens.clear()
    await failsWith('identity_gone', refresh(identity), /Bad credentials/)
  })

  it('refuses a suspended account', async () => {
    const { logIn, refresh } = await start()
    const identity = await logIn()
    up.account.person.suspended = true
    await failsWith('identity_gone', refresh(identity))
  })

  it('does not take an outage or a limit for a refusal', async () => {
    const { logIn, refresh } = await start(acme)
    const identity = await logIn()
    up.disturb('/user', { status: 503 })
    await failsWith('upstream_unavailable', refresh(identity))
    up.disturb('/user/teams', { status: 429 })
    await failsWith('rate_limited', refresh(identity))
    up.disturb('/orgs/acme', { status: 500 })
    up.disturb('/user/teams', { status: 500 })
    await failsWith('upstream_unavailable', refresh(identity))
  })

  it('refuses when nothing was kept', async () => {
    const { refresh } = await start()
    for (const connectorData of [null, 'x', {}, { accessToken: '' }]) {
      await failsWith('identity_gone', refresh({ userId: '583231', connectorData }))
    }
  })

  it('keeps the data of a person, and the newest token also without offline access', async () => {
    const { connector, logIn, refresh } = await start()
    assert.equal(connector.dataPer, 'person')
    const first = await logIn()
    let latest = first
    for (let i = 0; i < 10; i++) latest = await logIn({ scopes: { offlineAccess: false } })
    await failsWith('identity_gone', refresh(first))
    assert.equal((await refresh(latest)).userId, '583231')
  })

  it('can go on with what Dex kept', async () => {
    const { logIn, refresh } = await start({}, { app: 'app' })
    const { connectorData } = await logIn()
    const { accessToken, refreshToken } = connectorData as { accessToken: string; refreshToken: string }
    const never = { accessToken, expiry: '0001-01-01T00:00:00Z' }
    assert.equal((await refresh({ userId: '583231', connectorData: never })).userId, '583231')
    const past = { accessToken, refreshToken, expiry: '2020-01-01T00:00:00.5Z' }
    assert.notEqual(accessTokenOf(await refresh({ userId: '583231', connectorData: past })), accessToken)
  })

  describe('of tokens that expire (GH-8)', () => {
    const app: GitHubOptions = { app: 'app' }

    it('leaves a token that still holds', async () => {
      const { logIn, refresh } = await start({}, app)
      const identity = await logIn()
      up.advance(7 * hour)
      await refresh(identity)
      assert.equal(renewals(), 0)
    })

    it('renews it before the groups are read, and keeps both new tokens', async () => {
      const { logIn, refresh } = await start(acme, app)
      const identity = await logIn()
      up.advance(8 * hour)
      const now = await refresh(identity)
      assert.deepEqual(now.groups, ['acme:Core Team', 'acme:ops'])
      assert.notEqual(accessTokenOf(now), accessTokenOf(identity))
      up.advance(8 * hour)
      await refresh(now)
      assert.equal(renewals(), 2)
    })

    it('loses no token when reading the groups fails after the renewal', async () => {
      const { logIn, refresh } = await start(acme, app)
      const identity = await logIn()
      up.advance(8 * hour)
      up.disturb('/user/teams', { status: 503 })
      await failsWith('upstream_unavailable', refresh(identity))
      assert.equal((await refresh(identity)).userId, '583231')
      up.advance(8 * hour)
      assert.equal((await refresh(identity)).userId, '583231')
      assert.equal(renewals(), 2)
    })

    it('renews once when two ask at once', async () => {
      const { logIn, refresh } = await start({}, app)
      const identity = await logIn()
      up.advance(8 * hour)
      const [one, two] = await Promise.all([refresh(identity), refresh(identity)])
      assert.equal(accessTokenOf(one), accessTokenOf(two))
      assert.equal(renewals(), 1)
    })

    it('refuses when the refresh token is refused', async () => {
      const { logIn, refresh } = await start({}, app)
      const identity = await logIn()
      up.account.refreshTokens.clear()
      up.advance(8 * hour)
      await failsWith('identity_gone', refresh(identity), /bad_refresh_token/)
    })
  })
})
