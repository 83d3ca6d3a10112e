/** What the password grant makes of connectors that fail; whole grants are in test/flows/password.test.ts. */

import assert from 'node:assert/strict'
import type { Provider } from 'oidc-provider'
import { type FailureCode, type FailureDetails, failure } from '../../connectors/contract.ts'
import type { LoginFlow } from '../../src/login/flow.ts'
import { openClients } from '../../src/oidc/clients.ts'
import { addPasswordGrant, passwordGrant } from '../../src/oidc/password.ts'
import { configured, connectorsOf, passwordConnector } from '../login/fixture.ts'
import { silent } from '../storage/contract.ts'

const client = { id: 'web', name: 'Web', public: false, redirectURIs: [], trustedPeers: [], allowedConnectors: [] }

/** The error of a grant whose login goes as `login` says, and how often a right password was counted. */
async function refused(login: LoginFlow['password']) {
  let handler: ((ctx: unknown) => Promise<void>) | undefined
  let accepted = 0
  const provider = {
    registerGrantType(name: string, served: typeof handler) {
      assert.equal(name, passwordGrant)
      handler = served
    },
  }
  const connectors = connectorsOf(configured(passwordConnector()))
  addPasswordGrant(provider as unknown as Provider, {
    connectorId: 'corp',
    connectors,
    policy: { connectors },
    clients: openClients([client]),
    factors: { chain: () => [] },
    flow: { password: login },
    limits: {
      password: async () => undefined,
      passwordAccepted: async () => {
        accepted += 1
      },
    },
    addressOf: () => ({ address: '192.0.2.1', countable: true }),
    mayRefresh: async () => false,
    audit: () => {},
    log: silent,
  })
  const params = { username: 'jane', password: 'right', scope: 'openid' }
  try {
    await handler!({ req: {}, oidc: { client: { clientId: 'web' }, params }, state: {} })
  } catch (error) {
    return { error: error as Error & Record<string, unknown>, accepted }
  }
  return assert.fail('tokens came')
}

describe('the password grant, where the connector fails', () => {
  const failures: [code: FailureCode, details: FailureDetails, told: unknown[]][] = [
    ['upstream_unavailable', { retryAfter: 7 }, [503, 'temporarily_unavailable', 7]],
    ['rate_limited', {}, [503, 'temporarily_unavailable', undefined]],
    ['upstream_invalid_response', {}, [502, 'server_error', undefined]],
    ['misconfigured', {}, [502, 'server_error', undefined]],
    ['account_locked', {}, [400, 'invalid_grant', undefined]],
    ['not_in_required_groups', {}, [400, 'invalid_grant', undefined]],
    ['login_refused', { safe: 'Only staff may.' }, [400, 'invalid_grant', undefined]],
  ]
  for (const [code, details, told] of failures) {
    it(`tells the client ${told.slice(0, 2).join(' ')} for ${code}, and leaves the try counted`, async () => {
      const { error, accepted } = await refused(async () => {
        throw failure(code, 'cause for the log', details)
      })
      assert.deepEqual([error.statusCode, error.error, error.retryAfter], told)
      assert.doesNotMatch(`${error.error_description} ${error.error_detail}`, /cause for the log/)
      if (details.safe) assert.equal(error.error_detail, details.safe)
      assert.equal(accepted, 0)
    })
  }

  it('lets a defect be one', async () => {
    const { error } = await refused(async () => {
      throw new TypeError('a defect')
    })
    assert.equal(error.name, 'TypeError')
  })
})
