import assert from 'node:assert/strict'
import { errors } from 'oidc-provider'
import { type FailureCode, failure, type Identity, type Scopes } from '../../connectors/contract.ts'
import type { RefreshPolicy } from '../../src/login/options.ts'
import { LoginEnded, refreshSource } from '../../src/oidc/refresh.ts'
import type { GrantSource } from '../../src/oidc/state.ts'
import { browserConnector, configured, connectorsOf, jane } from '../login/fixture.ts'
import { silent } from '../storage/contract.ts'

const source: GrantSource = {
  kind: 'refresh',
  login: { connectorId: 'corp', identity: jane, authTime: 1000, sealedData: '"first"' },
  scopes: ['openid', 'groups', 'offline_access'],
  nonce: 'n',
}
const standard: RefreshPolicy = { upstream: 'always', onOutage: 'deny' }

type Answer = (identity: Identity, scopes: Scopes) => Promise<Identity>

interface Given {
  policy?: Partial<RefreshPolicy>
  /** Seconds since the upstream was asked last. */
  age?: number
  /** Of somebody who was there before. */
  failed?: Error
  gone?: boolean
}

const refreshed = (answer: Answer | undefined, { policy, age = 10, failed, gone = false }: Given = {}) => {
  const counted: string[] = []
  const ages: unknown[] = []
  const audited: { type: string }[] = []
  const kept: unknown[] = []
  const told: Error[] = []
  const connector = configured(browserConnector(answer && { refresh: answer }))
  const now = Math.floor(Date.now() / 1000)
  const result = refreshSource(
    {
      source: { ...source, login: { ...source.login, authTime: now - age } },
      client: { id: 'web' },
      policy: { ...standard, ...policy },
      held: {
        gone,
        open: async () => 'first',
        keep: async (_owner, data) => {
          kept.push(data)
          return { sealedData: JSON.stringify(data) }
        },
        settle: async () => {},
      },
      turns: [{ failed, fail: (error) => void told.push(error) }],
    },
    {
      connectors: connectorsOf(connector),
      metrics: {
        refresh: (id, outcome) => void counted.push(`${id} ${outcome}`),
        checkAge: (id, why, seconds) => void ages.push([id, why, Math.floor(seconds)]),
      },
      audit: (event) => void audited.push(event),
      log: silent,
    },
  )
  return { result, counted, ages, audited, kept, told }
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
    const { login, checkedAt, ...rest } = await result
    assert.deepEqual(rest, { kind: 'refresh', scopes: source.scopes, nonce: 'n' })
    assert.ok(Math.abs(checkedAt! - Date.now()) < 10_000)
    const { authTime: _, ...kept } = login
    assert.deepEqual(kept, {
      connectorId: 'corp',
      identity: { userId: 'jane', email: 'new@example.com', groups: [] },
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

  it('is not known any more from a connector that cannot say', async () => {
    const { result, counted } = refreshed(undefined)
    const refused = await rejection(result)
    assert.ok(refused instanceof errors.InvalidGrant && !(refused instanceof LoginEnded))
    assert.deepEqual(counted, ['corp cannot_refresh'])
  })

  const never = async (): Promise<Identity> => assert.fail('the upstream is asked')
  const out = async (): Promise<Identity> => {
    throw failure('upstream_unavailable', 'away')
  }
  const policies: [what: string, answer: Answer, given: Given, outcome: string, age: number | undefined][] = [
    ['never asked', never, { policy: { upstream: 'never' }, age: 1e6 }, 'kept', 1e6],
    ['not asked before maxAge is over', never, { policy: { upstream: { maxAge: 60 } }, age: 58 }, 'kept', 58],
    ['asked when maxAge is over', async () => jane, { policy: { upstream: { maxAge: 60 } }, age: 61 }, 'success', 0],
    ['away, and so is the answer', out, {}, 'upstream_unavailable', undefined],
    ['away, while what it said is good', out, { policy: { onOutage: { staleFor: 60 } }, age: 58 }, 'stale', 58],
    ['away for too long', out, { policy: { onOutage: { staleFor: 60 } }, age: 62 }, 'upstream_unavailable', undefined],
    [
      'away for somebody before',
      never,
      { failed: failure('upstream_unavailable', 'away'), policy: { onOutage: { staleFor: 60 } } },
      'stale',
      10,
    ],
    [
      'away for somebody before, and so is the answer',
      never,
      { failed: failure('upstream_unavailable', 'away') },
      'upstream_unavailable',
      undefined,
    ],
    [
      'of a store that knew nobody, which is a refusal',
      async () => {
        throw failure('identity_gone', 'deleted')
      },
      { policy: { onOutage: { staleFor: 1e9 } } },
      'identity_gone',
      undefined,
    ],
    [
      'misconfigured, which is no outage',
      async () => {
        throw failure('misconfigured', 'wrong secret')
      },
      { policy: { onOutage: { staleFor: 1e9 } } },
      'misconfigured',
      undefined,
    ],
  ]
  for (const [what, answer, given, outcome, age] of policies) {
    it(`by policy: the upstream is ${what}`, async () => {
      const { result, counted, ages } = refreshed(answer, given)
      const done = await result.catch(() => undefined)
      assert.deepEqual(counted, [`corp ${outcome}`])
      assert.equal(done !== undefined, age !== undefined)
      // A clock that goes on may be a second ahead.
      const [first] = ages as [string, string, number][]
      assert.equal(ages.length, age === undefined ? 0 : 1)
      if (first && age !== undefined)
        assert.ok(first[1] === outcome && first[2] - age <= 2 && first[2] >= age, `${first}`)
      if (done && outcome !== 'success') assert.equal(done.checkedAt, undefined, 'it was not asked')
    })
  }

  it('is nobody where the upstream took back what several logins share, whatever the policy', async () => {
    for (const policy of [{}, { upstream: 'never' }, { upstream: { maxAge: 1000 } }] as const) {
      const { result, counted } = refreshed(never, { policy, gone: true })
      assert.ok((await rejection(result)) instanceof LoginEnded)
      assert.deepEqual(counted, ['corp identity_gone'])
    }
  })

  it('tells who waits of an outage, and of nothing else', async () => {
    const away = refreshed(out)
    await rejection(away.result)
    assert.equal(away.told.length, 1)
    const gone = refreshed(async () => {
      throw failure('identity_gone', 'deleted')
    })
    await rejection(gone.result)
    assert.equal(gone.told.length, 0)
  })

  it('keeps what the upstream gave before something failed', async () => {
    const { result, kept } = refreshed(async () => {
      throw failure('upstream_unavailable', 'no userinfo', { connectorData: 'second' })
    })
    await rejection(result)
    assert.deepEqual(kept, ['second'])
  })

  it('is nobody when the upstream answers for somebody else, which ends the login', async () => {
    assert.ok((await rejection(refreshed(async () => ({ userId: 'john' })).result)) instanceof LoginEnded)
  })

  const failures: [code: FailureCode, error: string, status: number, ends: boolean][] = [
    ['identity_gone', 'invalid_grant', 400, true],
    ['login_refused', 'invalid_grant', 400, true],
    ['account_disabled', 'invalid_grant', 400, true],
    ['account_locked', 'invalid_grant', 400, true],
    ['password_expired', 'invalid_grant', 400, true],
    ['not_in_required_groups', 'invalid_grant', 400, true],
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
