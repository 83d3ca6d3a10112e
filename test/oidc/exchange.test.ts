import assert from 'node:assert/strict'
import type { Provider } from 'oidc-provider'
import { failure, type Identity } from '../../connectors/contract.ts'
import { openClients } from '../../src/oidc/clients.ts'
import { openTokenIssuers } from '../../src/oidc/exchange/issuers.ts'
import { addTokenExchange, exchangeGrant } from '../../src/oidc/exchange.ts'
import type { ClientOptions } from '../../src/oidc/options.ts'
import { browserConnector, configured, connectorsOf, jane } from '../login/fixture.ts'
import { silent } from '../storage/contract.ts'

const idToken = 'urn:ietf:params:oauth:token-type:id_token'
const accessToken = 'urn:ietf:params:oauth:token-type:access_token'

const client = (id: string, allowedConnectors: string[] = []): ClientOptions => ({
  id,
  name: id,
  public: false,
  redirectURIs: [],
  trustedPeers: [],
  allowedConnectors,
})
const clients = openClients([client('ci'), client('bound', ['other'])])

const good = { connector_id: 'corp', subject_token: 't', subject_token_type: accessToken, scope: 'openid groups' }

/** The engine, as far as a grant type sees it. */
const exchanged = async (
  params: Record<string, string | undefined>,
  { answer = async (): Promise<Identity> => jane, clientId = 'ci', allows = true } = {},
) => {
  const shown: object[] = []
  const corp = {
    ...configured(
      browserConnector({
        exchange: (token) => {
          shown.push(token)
          return answer()
        },
      }),
    ),
    allows: () => allows,
  }
  let handler: ((ctx: unknown) => Promise<void>) | undefined
  let parameters: unknown
  const provider = {
    registerGrantType(name: string, served: typeof handler, known: unknown) {
      assert.equal(name, exchangeGrant)
      handler = served
      parameters = known
    },
    AccessToken: class {
      save = async () => 'an access token'
    },
    IdToken: class {
      issue = async () => 'an ID token'
    },
  }
  const connectors = connectorsOf(corp, configured(browserConnector(), 'plain'))
  addTokenExchange(provider as unknown as Provider, {
    options: { issuer: 'https://dex.example' },
    connectors,
    factors: { chain: () => [] },
    policy: { connectors },
    tokenIssuers: openTokenIssuers([], { http: () => fetch, now: () => new Date() }),
    issued: { read: async () => undefined },
    clients,
    log: silent,
    lifetimes: { idTokens: () => 30, accessTokens: () => 60 },
  })
  const ctx = { oidc: { client: { clientId }, params: { ...good, ...params } }, state: {} as { source?: object } }
  await handler!(ctx)
  return { body: (ctx as { body?: unknown }).body, source: ctx.state.source, shown, parameters }
}

const errorOf = async (...args: Parameters<typeof exchanged>) => {
  try {
    await exchanged(...args)
    return 'no error'
  } catch (error) {
    const { statusCode, error: code } = error as { statusCode: number; error: string }
    return `${statusCode} ${code}`
  }
}

describe('token exchange', () => {
  it('gives an access token by default, made from what the connector said', async () => {
    const { body, source, shown } = await exchanged({})
    assert.deepEqual(body, {
      access_token: 'an access token',
      issued_token_type: accessToken,
      token_type: 'Bearer',
      expires_in: 60,
    })
    const { login, ...rest } = source as { login: { authTime: number } }
    assert.deepEqual(rest, { kind: 'exchange', scopes: ['openid', 'groups'] })
    assert.deepEqual({ ...login, authTime: 0 }, { connectorId: 'corp', identity: jane, authTime: 0 })
    assert.deepEqual(shown, [{ type: accessToken, value: 't' }])
  })

  it('gives an ID token when that is asked for', async () => {
    const { body } = await exchanged({ requested_token_type: idToken })
    assert.deepEqual(body, {
      access_token: 'an ID token',
      issued_token_type: idToken,
      token_type: 'Bearer',
      expires_in: 30,
    })
  })

  const faults: [params: Record<string, string | undefined>, error: string][] = [
    [{ subject_token: undefined }, '400 invalid_request'],
    [{ subject_token_type: undefined }, '400 invalid_request'],
    [{ subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, '400 invalid_request'],
    [{ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, '400 invalid_request'],
    [{ connector_id: undefined }, '400 invalid_request'],
    [{ connector_id: 'nowhere' }, '400 invalid_request'],
    [{ connector_id: 'plain' }, '400 invalid_request'],
    [{ scope: 'openid bogus' }, '400 invalid_scope'],
    [{ scope: 'audience:server:client_id:bound' }, '400 invalid_scope'],
  ]
  for (const [params, error] of faults) {
    it(`answers ${error} to ${JSON.stringify(params)}`, async () => assert.equal(await errorOf(params), error))
  }

  it('is for clients and connectors that may', async () => {
    assert.equal(await errorOf({}, { clientId: 'bound' }), '400 invalid_grant')
    assert.equal(await errorOf({}, { allows: false }), '400 invalid_request')
  })

  it('tells a refusal from an outage and from a defect', async () => {
    const failing = (error: Error) => ({
      answer: async () => {
        throw error
      },
    })
    assert.equal(await errorOf({}, failing(failure('login_refused', 'no'))), '401 access_denied')
    assert.equal(await errorOf({}, failing(failure('upstream_unavailable', 'no'))), '503 temporarily_unavailable')
    await assert.rejects(exchanged({}, failing(new TypeError('defect'))), TypeError)
  })
})
