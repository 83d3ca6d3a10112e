import assert from 'node:assert/strict'
import type { ConfiguredConnector } from '../../src/login/connectors.ts'
import { connectorsFor, grantOf, readable, refusalOf } from '../../src/oidc/judge.ts'
import type { ClientOptions } from '../../src/oidc/options.ts'
import { encodeSubject } from '../../src/oidc/subject.ts'
import { browserConnector, configured, connectorsOf } from '../login/fixture.ts'

const only = (id: string, ...grantTypes: string[]): ConfiguredConnector => ({
  ...configured(browserConnector(), id),
  allows: (grantType) => grantTypes.length === 0 || grantTypes.includes(grantType),
})
const connectors = connectorsOf(only('a'), only('b', 'refresh_token'), only('c'))
const policy = { connectors, issuers: new Set(['ci']) }
const client = { allowedConnectors: [] as string[] }

describe('the policy', () => {
  it('names the connectors that a client and a grant type may use', () => {
    const ids = (allowedConnectors: string[], grant: Parameters<typeof connectorsFor>[1]) =>
      connectorsFor({ allowedConnectors }, grant, policy).map(({ id }) => id)
    assert.deepEqual(ids([], 'authorization_code'), ['a', 'c'])
    assert.deepEqual(ids([], 'refresh_token'), ['a', 'b', 'c'])
    assert.deepEqual(ids(['b', 'c'], 'authorization_code'), ['c'])
    assert.deepEqual(ids(['nowhere'], 'refresh_token'), [])
  })

  it('takes groups that nobody knows for no membership, and asks nobody where none are required', async () => {
    const refused = async (requiredGroups: string[], groups: string[] | undefined) =>
      (await refusalOf('refresh_token', { client: { ...client, requiredGroups }, person: { groups } }, policy))
        ?.restriction
    assert.equal(await refused(['x'], undefined), 'not_in_required_groups')
    assert.equal(await refused(['x'], []), 'not_in_required_groups')
    assert.equal(await refused(['x'], ['X']), 'not_in_required_groups')
    assert.equal(await refused(['x', 'y'], ['y']), undefined)
    assert.equal(await refused([], undefined), undefined)
  })

  it('asks the connector of a code that came with tokens for the implicit grant, as in Dex', async () => {
    const hybrid = { client, connectorId: 'b', connectorGrant: 'implicit' as const }
    const refused = async (allowed: string) =>
      (await refusalOf('authorization_code', hybrid, { connectors: connectorsOf(only('b', allowed)) }))?.restriction
    assert.equal(await refused('authorization_code'), 'grant_not_allowed')
    assert.equal(await refused('implicit'), undefined)
  })

  it('knows what a login is for', () => {
    const grants = [undefined, 'code', 'id_token', 'id_token token', 'code token'].map((type) =>
      grantOf({ kind: 'authorize', params: type === undefined ? {} : { response_type: type } }),
    )
    assert.deepEqual(grants, ['authorization_code', 'authorization_code', 'implicit', 'implicit', 'implicit'])
    assert.match(grantOf({ kind: 'device' }), /device_code$/)
  })
})

describe('a token that is read', () => {
  const sub = (connector: string) => encodeSubject('jane', connector)
  const clients = new Map<string, Pick<ClientOptions, 'allowedConnectors' | 'tokenExchange'>>([
    ['web', client],
    ['narrow', { allowedConnectors: ['c'] }],
    ['ci', { allowedConnectors: ['c'], tokenExchange: [{ issuer: 'ci', claims: {} }] }],
  ])
  const read = (claims: Record<string, unknown>) =>
    readable('userinfo', claims, { ...policy, clients: { load: async (id) => clients.get(id) as ClientOptions } })

  const cases: [what: string, claims: Record<string, unknown>, good: boolean][] = [
    ['of a client and a connector that are there', { aud: 'web', sub: sub('a') }, true],
    ['of a client that is gone', { aud: 'other', sub: sub('a') }, false],
    ['of a connector that is gone', { aud: 'web', sub: sub('z') }, false],
    ['of a connector that the client may not use', { aud: 'narrow', sub: sub('a') }, false],
    ['of a connector that is not for logins, which a token does not tell', { aud: 'web', sub: sub('b') }, true],
    ['of a client itself', { aud: 'web', sub: sub('') }, true],
    ['of a token issuer, with a rule', { aud: 'ci', sub: sub('ci') }, true],
    ['of a token issuer, without a rule any more', { aud: 'web', sub: sub('ci') }, false],
    ['for several audiences: the authorized party counts', { aud: ['other', 'web'], azp: 'web', sub: sub('a') }, true],
    ['for several audiences of a party that is gone', { aud: ['web', 'other'], azp: 'other', sub: sub('a') }, false],
    ['for a resource, which names its client', { aud: 'api://default', client_id: 'web', sub: sub('a') }, true],
    ['about a subject that is none of ours', { aud: 'web', sub: 'jane' }, false],
  ]
  for (const [what, claims, good] of cases)
    it(`${good ? 'good' : 'refused'}: ${what}`, async () => assert.equal(await read(claims), good))
})
