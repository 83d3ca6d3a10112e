import assert from 'node:assert/strict'
import { type Arrival, failure, type StartRequest } from '../../connectors/contract.ts'
import type { ConfiguredConnector } from '../../src/login/connectors.ts'
import { connectorScopes, openLoginFlow } from '../../src/login/flow.ts'
import type { AuditEvent } from '../../src/telemetry/audit.ts'
import { silent } from '../storage/contract.ts'
import { browserConnector, configured, connectorsOf, jane, openData, passwordConnector, stashOf } from './fixture.ts'

const flowOf = (connector: ConfiguredConnector, issuer = 'https://dex.example/dex') => {
  const audited: AuditEvent[] = []
  const counted: string[] = []
  const flow = openLoginFlow({
    connectors: connectorsOf(connector),
    connectorData: openData,
    clients: new Map(),
    issuer,
    mount: '/dex',
    audit: (event) => void audited.push(event),
    metrics: { login: (id, outcome) => void counted.push(`${id} ${outcome}`) },
    log: silent,
    sessions: false,
    now: () => new Date(1_000_500),
  })
  return { flow, audited, counted, connector }
}
const arrival = (params = '', headers: [string, string][] = []) => ({
  params: new URLSearchParams(params),
  headers: new Map(headers),
})
const rejectsWith = (code: string, work: Promise<unknown>) =>
  assert.rejects(work, (error) => (error as { code?: string }).code === code)

describe('the departure of a login', () => {
  it('leads to the upstream, with the memo kept for the way back', async () => {
    const asked: StartRequest[] = []
    const { flow, connector } = flowOf(
      configured(
        browserConnector({
          async start(request) {
            asked.push(request)
            return { via: 'redirect', url: new URL('https://idp.example/?x=1'), memo: { nonce: 'n' } }
          },
        }),
      ),
    )
    const stash = stashOf({ scopes: ['openid', 'offline_access'] })
    assert.equal(await flow.start(connector, stash, { loginHint: 'jane' }), 'https://idp.example/?x=1')
    assert.deepEqual(stash.memo, { nonce: 'n' })
    assert.deepEqual(asked, [
      {
        scopes: { groups: false, offlineAccess: true },
        callbackUrl: new URL('https://dex.example/dex/callback'),
        state: stash.state,
        wishes: { loginHint: 'jane' },
      },
    ])
  })

  it('leads to a page of ours for a form that leaves by POST, and for a password', async () => {
    const post = flowOf(
      configured(
        browserConnector({
          start: async () => ({ via: 'post', action: new URL('https://idp.example/saml'), fields: { a: 'b' } }),
        }),
        'a b',
      ),
    )
    const stash = stashOf()
    assert.equal(await post.flow.start(post.connector, stash, {}), `/dex/auth/a%20b/post?state=${stash.state}`)
    assert.deepEqual(stash.post, { action: 'https://idp.example/saml', fields: { a: 'b' } })
    const typed = flowOf(configured(passwordConnector()))
    assert.equal(await typed.flow.start(typed.connector, stashOf(), {}), `/dex/auth/corp/login?state=${stash.state}`)
  })

  it('names one callback for issuers with and without a slash at the end', async () => {
    for (const issuer of ['https://dex.example/dex', 'https://dex.example/dex/']) {
      let callback = ''
      const { flow, connector } = flowOf(
        configured(
          browserConnector({
            async start({ callbackUrl }) {
              callback = callbackUrl.href
              return { via: 'redirect', url: callbackUrl }
            },
          }),
        ),
        issuer,
      )
      await flow.start(connector, stashOf(), {})
      assert.equal(callback, 'https://dex.example/dex/callback')
    }
  })
})

describe('the arrival of a login', () => {
  it('gives who it is, when, and what the connector wants back, apart', async () => {
    const { flow, audited, counted } = flowOf(
      configured(browserConnector({ finish: async () => ({ ...jane, connectorData: { token: 't' } }) })),
    )
    const login = await flow.finish(stashOf(), arrival())
    assert.deepEqual(login, { connectorId: 'corp', identity: jane, authTime: 1000, sealedData: '{"token":"t"}' })
    assert.deepEqual(counted, ['corp success'])
    assert.equal(audited[0]?.type, 'login_succeeded')
    assert.equal(JSON.stringify(audited).includes('token'), false)
  })

  it('shows the connector memo, parameters and state, and of the headers those that it trusts', async () => {
    const arrivals: Arrival[] = []
    const { flow } = flowOf(
      configured(
        browserConnector({
          trustedHeaders: ['x-remote-user', 'x-absent'],
          async finish(one) {
            arrivals.push(one)
            return jane
          },
        }),
      ),
    )
    const headers: [string, string][] = [
      ['x-remote-user', 'jane'],
      ['cookie', 'secret'],
    ]
    await flow.finish(stashOf({ memo: 'm' }), arrival('code=1', headers))
    const [{ memo, params, headers: shown, state, scopes }] = arrivals as [Arrival]
    assert.deepEqual([memo, params.get('code'), state], ['m', '1', 's'.repeat(43)])
    assert.deepEqual([...shown], [['x-remote-user', 'jane']])
    assert.deepEqual(scopes, { groups: true, offlineAccess: false })
  })

  const outcomes = [
    ['login_refused', 'login_refused'],
    ['not_in_required_groups', 'login_refused'],
    ['upstream_unavailable', 'login_failed'],
    ['misconfigured', 'login_failed'],
  ] as const
  for (const [code, type] of outcomes) {
    it(`that ends with ${code} is audited as ${type} and counted`, async () => {
      const { flow, audited, counted } = flowOf(
        configured(
          browserConnector({
            async finish() {
              throw failure(code, 'no')
            },
          }),
        ),
      )
      await rejectsWith(code, flow.finish(stashOf(), arrival()))
      assert.deepEqual(audited, [{ type, connector_id: 'corp', client_id: 'web', reason: code }])
      assert.deepEqual(counted, [`corp ${code}`])
    })
  }

  it('by a defect is audited as a failure of ours, and stays what it is', async () => {
    const { flow, audited } = flowOf(
      configured(
        browserConnector({
          async finish() {
            throw new TypeError('defect')
          },
        }),
      ),
    )
    await assert.rejects(flow.finish(stashOf(), arrival()), TypeError)
    assert.deepEqual(audited, [
      { type: 'login_failed', connector_id: 'corp', client_id: 'web', reason: 'server_error' },
    ])
  })

  it('by a connector that is not configured any more is no login', async () => {
    const { flow } = flowOf(configured(browserConnector()))
    await rejectsWith('misconfigured', flow.finish(stashOf({ connectorId: 'gone' }), arrival()))
  })

  it('by a callback is nothing for a password connector, nor a password for one with a browser', async () => {
    await rejectsWith('login_refused', flowOf(configured(passwordConnector())).flow.finish(stashOf(), arrival()))
    await rejectsWith('login_refused', flowOf(configured(browserConnector())).flow.password(stashOf(), 'a', 'b'))
  })
})

describe('a login by password', () => {
  it('gives who it is', async () => {
    const { flow, counted } = flowOf(configured(passwordConnector()))
    assert.deepEqual((await flow.password(stashOf(), 'jane', 'right'))?.identity, jane)
    assert.deepEqual(counted, ['corp success'])
  })

  it('gives nobody for a wrong one, and says by which name it was tried, never the password', async () => {
    const { flow, audited, counted } = flowOf(configured(passwordConnector()))
    assert.equal(await flow.password(stashOf(), 'jane', 'wrong one'), undefined)
    assert.deepEqual(audited, [
      {
        type: 'login_refused',
        connector_id: 'corp',
        client_id: 'web',
        reason: 'invalid_credentials',
        user: 'jane',
      },
    ])
    assert.deepEqual(counted, ['corp invalid_credentials'])
  })
})

describe('scopes', () => {
  it('mean groups and offline access to a connector', () => {
    assert.deepEqual(connectorScopes(['openid']), { groups: false, offlineAccess: false })
    assert.deepEqual(connectorScopes(['groups', 'offline_access']), { groups: true, offlineAccess: true })
  })
})
