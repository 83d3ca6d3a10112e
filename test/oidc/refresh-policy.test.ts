import assert from 'node:assert/strict'
import { errors } from 'oidc-provider'
import type { Authenticator } from '../../src/login/factors/chain.ts'
import { isDue, mayBeStale, policyOf, refusalBySettings } from '../../src/oidc/refresh-policy.ts'
import type { GrantSource } from '../../src/oidc/state.ts'
import { browserConnector, configured, connectorsOf, jane } from '../login/fixture.ts'

describe('the policy of a refresh', () => {
  it("is the client's over the connector's over the standard one, member by member", () => {
    assert.deepEqual(policyOf(undefined, undefined), { upstream: 'always', onOutage: 'deny' })
    const connector = { refresh: { upstream: { maxAge: 60 }, onOutage: { staleFor: 600 } } }
    assert.deepEqual(policyOf(connector, {}), connector.refresh)
    assert.deepEqual(policyOf(connector, { refresh: { onOutage: 'deny' } }), {
      upstream: { maxAge: 60 },
      onOutage: 'deny',
    })
    assert.deepEqual(policyOf({}, { refresh: { upstream: 'never' } }), { upstream: 'never', onOutage: 'deny' })
  })

  it('asks always, never, or from the age on that it names', () => {
    const due = (upstream: Parameters<typeof isDue>[0]['upstream'], age: number) =>
      isDue({ upstream, onOutage: 'deny' }, age)
    assert.deepEqual([due('always', 0), due('never', 1e12)], [true, false])
    assert.deepEqual([due({ maxAge: 60 }, 59_999), due({ maxAge: 60 }, 60_000)], [false, true])
  })

  it('takes an old answer up to the age that it names', () => {
    const stale = (onOutage: Parameters<typeof mayBeStale>[0]['onOutage'], age: number) =>
      mayBeStale({ upstream: 'always', onOutage }, age)
    assert.equal(stale('deny', 0), false)
    assert.deepEqual([stale({ staleFor: 60 }, 60_000), stale({ staleFor: 60 }, 60_001)], [true, false])
  })
})

describe('settings at a refresh', () => {
  const source: GrantSource = {
    kind: 'refresh',
    login: { connectorId: 'corp', identity: jane, authTime: 0 },
    scopes: ['openid', 'audience:server:client_id:peer', 'offline_access'],
  }
  const settings = (trustedPeers: string[], allows = true, missing: Authenticator[] = []) => ({
    factors: { missing: () => missing },
    policy: { connectors: connectorsOf({ ...configured(browserConnector()), allows: () => allows }) },
    clients: new Map([['peer', { trustedPeers }]]),
  })
  const client = { id: 'web', allowedConnectors: [] as string[] }
  const refusal = (more: Partial<GrantSource>, allowedConnectors: string[], by = settings(['web'])) =>
    refusalBySettings({ ...source, ...more }, { ...client, allowedConnectors }, source.scopes, by)

  it('say nothing against one that they allow', async () => assert.equal(await refusal({}, ['corp']), undefined))

  const app: Authenticator = { id: 'app', type: 'TOTP', issuer: 'Acme', connectorTypes: [] }
  const gone = { ...source.login, connectorId: 'gone' }
  const refusals: [what: string, found: () => ReturnType<typeof refusal>, reason: string][] = [
    ['a connector that is gone', () => refusal({ login: gone }, []), 'connector_gone'],
    ['a connector that the client may not use', () => refusal({}, ['other']), 'connector_not_allowed'],
    ['a connector that may not be used so', () => refusal({}, [], settings(['web'], false)), 'grant_not_allowed'],
    ['a login without a factor', () => refusal({}, [], settings(['web'], true, [app])), 'factors_missing'],
    ['a login without offline_access', () => refusal({ scopes: ['openid'] }, []), 'no_offline_access'],
  ]
  for (const [what, found, reason] of refusals) {
    it(`refuse ${what}`, async () => {
      const told = await found()
      assert.equal(told?.reason, reason)
      assert.ok(told?.error instanceof errors.InvalidGrant)
    })
  }

  it('refuse an audience that does not trust the client any more, unless it is not asked for', async () => {
    const by = settings([])
    const found = await refusalBySettings(source, client, source.scopes, by)
    assert.deepEqual([found?.reason, found?.error.error], ['audience_not_allowed', 'invalid_scope'])
    assert.equal(await refusalBySettings(source, client, ['openid'], by), undefined)
  })
})
