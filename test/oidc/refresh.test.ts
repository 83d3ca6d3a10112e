import assert from 'node:assert/strict'
import { errors } from 'oidc-provider'
import { type FailureCode, failure, type Identity, type Scopes } from '../../connectors/contract.ts'
import type { ConfiguredConnector } from '../../src/login/connectors.ts'
import { LoginEnded, refreshSource } from '../../src/oidc/refresh.ts'
import type { GrantSource } from '../../src/oidc/state.ts'
import { browserConnector, configured, connectorsOf, jane, openData } from '../login/fixture.ts'
import { silent } from '../storage/contract.ts'

const source: GrantSource = {
  kind: 'refresh',
  login: { connectorId: 'corp', identity: jane, authTime: 1000, sealedData: '"first"' },
  scopes: ['openid', 'groups', 'offline_access'],
  nonce: 'n',
}
const client = { id: 'web', allowedConnectors: [] as string[] }

type Answer = (identity: Identity, scopes: Scopes) => Promise<Identity>

const refreshed = (answer: Answer | undefined, more: Partial<ConfiguredConnector> = {}, of = client) => {
  const counted: string[] = []
  const audited: { type: string }[] = []
  const connector = configured(browserConnector(answer && { refresh: answer }))
  const result = refreshSource(source, of, {
    connectors: connectorsOf({ ...connector, ...more }),
    connectorData: openData,
    metrics: { refresh: (id, outcome) => void counted.push(`${id} ${outcome}`) },
    audit: (event) => void audited.push(event),
    log: silent,
  })
  return { result, counted, audited }
}

const rejection = async (result: Promise<unknown>) => {
  try {
    await result
  } catch (error) {
    return error as errors.OIDCProviderError
  }
  return assert.fail('it was not refused')
}

describe('who a person is at a refresh', () => {
  it('is what the upstream says now, the login being the same', async () => {
    const { result, counted, audited } = refreshed(async () => ({
      userId: 'jane',
      email: 'new@example.com',
      groups: [],
      connectorData: 'second',
    }))
    const { login, ...rest } = await result
    assert.deepEqual(rest, { kind: 'refresh', scopes: source.scopes, nonce: 'n' })
    assert.deepEqual(login, {
      connectorId: 'corp',
      identity: { userId: 'jane', email: 'new@example.com', groups: [] },
      authTime: 1000,
      sealedData: '"second"',
    })
    assert.deepEqual([counted, audited], [['corp success'], []])
  })

  it('has the groups that were known where the upstream does not say, and no other leftover', async () => {
    const { login } = await refreshed(async () => ({ userId: 'jane' })).result
    assert.deepEqual(login.identity, { userId: 'jane', groups: ['staff'] })
    assert.equal(login.sealedData, '"first"', 'data stays when the connector gives none')
  })

  it('is asked of the connector with its data and the scopes of the login', async () => {
    let asked: unknown
    await refreshed(async (identity, scopes) => {
      asked = [identity, scopes]
      return jane
    }).result
    assert.deepEqual(asked, [
      { ...jane, connectorData: 'first' },
      { groups: true, offlineAccess: true },
    ])
  })

  it('stays as it was for a connector that cannot say', async () => {
    assert.equal(await refreshed(undefined).result, source)
  })

  const refusals: [what: string, refused: () => ReturnType<typeof refreshed>, reason: string][] = [
    ['the connector is gone', () => refreshed(undefined, { id: 'other' }), 'connector_gone'],
    [
      'the client may not use the connector',
      () => refreshed(undefined, {}, { id: 'web', allowedConnectors: ['x'] }),
      'connector_not_allowed',
    ],
    ['the connector must not be used so', () => refreshed(undefined, { allows: () => false }), 'grant_not_allowed'],
  ]
  for (const [what, refused, reason] of refusals) {
    it(`is not asked when ${what}`, async () => {
      const { result, counted, audited } = refused()
      assert.ok((await rejection(result)) instanceof errors.InvalidGrant)
      assert.deepEqual(counted, [`corp ${reason}`])
      assert.deepEqual(
        audited.map(({ type }) => type),
        ['refresh_refused'],
      )
    })
  }

  it('is nobody when the upstream answers for somebody else, which ends the login', async () => {
    assert.ok((await rejection(refreshed(async () => ({ userId: 'john' })).result)) instanceof LoginEnded)
  })

  const failures: [code: FailureCode, error: string, status: number, ends: boolean][] = [
    ['identity_gone', 'invalid_grant', 400, true],
    ['login_refused', 'invalid_grant', 400, true],
    ['account_disabled', 'invalid_grant', 400, true],
    ['account_locked', 'invalid_grant', 400, false],
    ['password_expired', 'invalid_grant', 400, false],
    ['not_in_required_groups', 'invalid_grant', 400, false],
    ['upstream_unavailable', 'temporarily_unavailable', 503, false],
    ['rate_limited', 'temporarily_unavailable', 503, false],
    ['groups_incomplete', 'temporarily_unavailable', 503, false],
    ['upstream_invalid_response', 'server_error', 502, false],
    ['misconfigured', 'server_error', 502, false],
  ]
  for (const [code, error, status, ends] of failures) {
    it(`is answered ${status} ${error} for ${code}, which ${ends ? 'ends' : 'does not end'} the login`, async () => {
      const { result, counted } = refreshed(async () => {
        throw failure(code, 'internal')
      })
      const told = await rejection(result)
      assert.deepEqual([told.error, told.statusCode, told instanceof LoginEnded], [error, status, ends])
      assert.doesNotMatch(told.error_description ?? '', /internal/)
      assert.deepEqual(counted, [`corp ${code}`])
    })
  }

  it('is no answer for a defect, which stays what it is', async () => {
    const { result } = refreshed(async () => {
      throw new TypeError('defect')
    })
    await assert.rejects(result, TypeError)
  })
})
