import assert from 'node:assert/strict'
import { startRealProvider } from '../upstreams/oidc-real.ts'
import { context } from './context.ts'
import { callbackUrl, failsWith, logIn, openOidc } from './oidc-login.ts'

describe('oidc connector with a real OpenID provider', () => {
  it('logs in with PKCE and iss, refreshes with rotation, and is refused a used refresh token', async () => {
    const up = await startRealProvider(callbackUrl.href)
    try {
      const scopes = { groups: true, offlineAccess: true }
      const connector = await openOidc({ issuer: up.issuer, insecureEnableGroups: true, getUserInfo: true }, context())
      const identity = await logIn(connector, up, { scopes })
      assert.equal(identity.userId, 'jane')
      assert.equal(identity.emailVerified, true)
      assert.deepEqual(identity.groups, ['devops'])
      assert.ok(connector.refresh)
      const next = await connector.refresh(identity, scopes)
      assert.deepEqual(
        { ...next, authentication: 0, connectorData: 0 },
        { ...identity, authentication: 0, connectorData: 0 },
      )
      assert.notDeepEqual(next.connectorData, identity.connectorData)
      await failsWith('identity_gone', connector.refresh(identity, scopes))
      await failsWith(
        'upstream_invalid_response',
        logIn(connector, up, { bring: (query) => query.delete('iss') }),
        /iss/,
      )
    } finally {
      await up.close()
    }
  })
})
