import assert from 'node:assert/strict'
import type { BrowserConnector, ConnectorFailure, Identity, Scopes } from '../../connectors/contract.ts'
import { jane, type OidcUpstream, startOidcUpstream } from '../upstreams/oidc.ts'
import { context } from './context.ts'
import { failsWith, logIn, openOidc } from './oidc-login.ts'

const scopes: Scopes = { groups: true, offlineAccess: true }
const idToken = 'urn:ietf:params:oauth:token-type:id_token'
const accessToken = 'urn:ietf:params:oauth:token-type:access_token'

describe('oidc connector after the login', () => {
  let up: OidcUpstream
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  const groups = { insecureEnableGroups: true, scopes: ['profile', 'email', 'groups'] }
  const open = (config: Record<string, unknown> = {}) =>
    openOidc({ issuer: up.issuer, ...groups, ...config }, context())
  const refresh = (connector: BrowserConnector, identity: Identity) => {
    assert.ok(connector.refresh)
    return connector.refresh(identity, scopes)
  }
  const start = async (config: Record<string, unknown> = {}) => {
    const connector = await open(config)
    return { connector, identity: await logIn(connector, up, { scopes }) }
  }

  describe('refresh', () => {
    it('asks the upstream and tells the new groups and name (OK-8)', async () => {
      const { connector, identity } = await start()
      up.bends.claims = { groups: ['fresh'], name: 'Jane Changed' }
      const next = await refresh(connector, identity)
      assert.deepEqual(next.groups, ['fresh'])
      assert.equal(next.username, 'Jane Changed')
      assert.equal(up.asked.at(-1)?.form.get('grant_type'), 'refresh_token')
    })

    it('keeps the new refresh token, and the old one when none comes', async () => {
      const { connector, identity } = await start()
      const second = await refresh(connector, identity)
      assert.notDeepEqual(second.connectorData, identity.connectorData)
      const claims = { ...jane, iss: up.issuer, aud: 'countersign', iat: 1, exp: 9999999999 }
      const id_token = await up.sign(claims)
      up.bends.answers = {
        '/token': () => ({ status: 200, body: { access_token: 'a', token_type: 'bearer', id_token } }),
      }
      assert.deepEqual((await refresh(connector, second)).connectorData, second.connectorData)
    })

    it('hands on the new refresh token when something fails after it came', async () => {
      const { connector, identity } = await start({ getUserInfo: true })
      up.bends.answers = { '/userinfo': () => ({ status: 503, body: '' }) }
      const error = await refresh(connector, identity).then(
        () => assert.fail('it did not fail'),
        (reason: unknown) => reason as ConnectorFailure,
      )
      assert.equal(error.code, 'upstream_unavailable')
      const { connectorData } = error.details
      assert.ok(connectorData)
      assert.notDeepEqual(connectorData, identity.connectorData)
      up.bends.answers = {}
      const next = await refresh(connector, { ...identity, connectorData })
      assert.equal(next.userId, identity.userId)
      up.bends.answers = { '/token': () => ({ status: 400, body: { error: 'invalid_grant' } }) }
      const refused = await refresh(connector, next).catch((reason: unknown) => reason as ConnectorFailure)
      assert.equal((refused as ConnectorFailure).details.connectorData, undefined, 'nothing was given')
    })

    it('tells a refusal from an outage and from a limit (OK-8, OK-10)', async () => {
      const { connector, identity } = await start()
      const at = (status: number, body: unknown, headers: Record<string, string> = {}) => {
        up.bends.answers = { '/token': () => ({ status, body, headers }) }
        return refresh(connector, identity)
      }
      await failsWith('identity_gone', at(400, { error: 'invalid_grant' }))
      await failsWith('identity_gone', at(403, { error: 'access_denied' }))
      await failsWith('misconfigured', at(401, { error: 'invalid_client' }))
      await failsWith('upstream_unavailable', at(503, {}))
      await failsWith('upstream_unavailable', at(502, '<html>', { 'content-type': 'text/html' }))
      await assert.rejects(
        at(429, {}, { 'retry-after': '7' }),
        (error: { code?: string; details?: { retryAfter?: number } }) => {
          assert.equal(error.code, 'rate_limited')
          assert.equal(error.details?.retryAfter, 7)
          return true
        },
      )
      up.bends.answers = {}
      assert.equal((await refresh(connector, identity)).userId, jane.sub, 'a refusal in between changes nothing here')
    })

    it('calls an upstream that is down unavailable', async () => {
      const { connector, identity } = await start()
      await up.close()
      await failsWith('upstream_unavailable', refresh(connector, identity))
    })

    it('uses userinfo when no ID token comes, and then keeps groups that userinfo does not know', async () => {
      const { connector, identity } = await start()
      up.bends.idToken = () => undefined
      const { groups: _, ...known } = jane
      up.bends.userinfo = { ...known, name: 'From Userinfo' }
      const next = await refresh(connector, identity)
      assert.equal(next.username, 'From Userinfo')
      assert.equal(next.groups, undefined)
    })

    it('refuses tokens and userinfo of somebody else', async () => {
      const first = await start()
      up.bends.claims = { sub: '00u1other' }
      await failsWith('upstream_invalid_response', refresh(first.connector, first.identity))
      up.bends.claims = {}
      const second = await start({ userIDKey: 'email' })
      assert.equal(second.identity.userId, 'jane@example.com')
      up.bends.idToken = () => undefined
      up.bends.userinfo = { ...jane, sub: '00u1other' }
      await failsWith('upstream_invalid_response', refresh(second.connector, second.identity))
    })

    it('ends for somebody who left the allowed groups', async () => {
      const { connector, identity } = await start({ allowedGroups: ['devops'] })
      up.bends.claims = { groups: ['Everyone'] }
      await failsWith('not_in_required_groups', refresh(connector, identity))
    })

    it('says why it cannot be when the upstream gave no refresh token', async () => {
      const { connector, identity } = await start({ addScopes: false })
      await failsWith('identity_gone', refresh(connector, identity), /offline_access/)
    })
  })

  describe('token exchange', () => {
    const exchange = async (connector: BrowserConnector, type: string, value: string) => {
      assert.ok(connector.exchange)
      return connector.exchange({ type, value })
    }
    const claims = (changes: Record<string, unknown> = {}) => {
      const now = Math.floor(Date.now() / 1000)
      return { ...jane, iss: up.issuer, aud: 'another-client', iat: now, exp: now + 60, ...changes }
    }

    it('takes an ID token of this issuer for any audience', async () => {
      const identity = await exchange(await open(), idToken, await up.sign(claims()))
      assert.equal(identity.userId, jane.sub)
      assert.equal(identity.connectorData, undefined)
    })

    it('refuses one that is forged, expired, of another issuer, or no ID token', async () => {
      const connector = await open()
      const forged = `${(await up.sign(claims())).slice(0, -8)}AAAAAAAA`
      await failsWith('upstream_invalid_response', exchange(connector, idToken, forged))
      await failsWith('upstream_invalid_response', exchange(connector, idToken, 'x'))
      for (const changes of [
        { exp: 1 },
        { iss: 'https://evil.example.com' },
        { exp: undefined },
        { iat: undefined },
        { nbf: 9999999999 },
      ]) {
        await failsWith('login_refused', exchange(connector, idToken, await up.sign(claims(changes))))
      }
      await failsWith('login_refused', exchange(connector, 'urn:ietf:params:oauth:token-type:saml2', 'x'))
    })

    it('takes an access token only with getUserInfo', async () => {
      await failsWith('misconfigured', exchange(await open(), accessToken, 'x'), /getUserInfo/)
      const connector = await open({ getUserInfo: true })
      await failsWith('login_refused', exchange(connector, accessToken, 'unknown'))
      await logIn(connector, up)
      const bearer = up.asked.findLast(({ path }) => path === '/userinfo')?.authorization?.replace('Bearer ', '')
      assert.equal((await exchange(connector, accessToken, bearer ?? '')).userId, jane.sub)
    })
  })

  describe('logout', () => {
    it('sends the browser to the end session endpoint, where there is one', async () => {
      const { connector, identity } = await start()
      const returnTo = new URL('https://login.example.com/dex/logout/callback')
      const departure = await connector.logout?.({ identity, returnTo, state: 's' })
      assert.ok(departure?.via === 'redirect')
      assert.equal(departure.url.pathname, '/logout')
      assert.equal(departure.url.searchParams.get('post_logout_redirect_uri'), returnTo.href)
      assert.equal(departure.url.searchParams.get('client_id'), 'countersign')
      up.bends.discovery = { end_session_endpoint: undefined }
      assert.equal(await (await open()).logout?.({ identity, returnTo, state: 's' }), undefined)
    })
  })
})
