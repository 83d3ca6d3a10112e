/** Token exchange (RFC 8693) as Dex has it: a connector says whose token of its upstream it is. */
import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import { asFailure, failureTable } from '../login/failures.ts'
import { personOf } from '../login/identity.ts'
import type { Clients } from './clients.ts'
import type { Lifetimes } from './lifetimes.ts'
import type { ClientOptions } from './options.ts'
import { Outage } from './refresh.ts'
import { scopeFaults, splitScopes } from './scopes.ts'
import { stateOf } from './state.ts'

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const types = {
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
} as const

interface ExchangeParameters {
  connector_id?: string
  subject_token?: string
  subject_token_type?: string
  requested_token_type?: string
}

export interface ExchangeContext {
  connectors: Connectors
  clients: Clients
  factors: Pick<Factors, 'chain'>
  log: Logger
  lifetimes: Pick<Lifetimes, 'idTokens' | 'accessTokens'>
}

/** Adds the grant type to the engine. */
export function addTokenExchange(provider: Provider, context: ExchangeContext): void {
  provider.registerGrantType<ExchangeParameters>(exchangeGrant, (ctx) => exchange(provider, ctx, context), [
    'connector_id',
    'subject_token',
    'subject_token_type',
    'requested_token_type',
    'scope',
    'audience',
    'resource',
  ])
}

async function exchange(
  provider: Provider,
  ctx: TokenEndpointGrantContext<ExchangeParameters>,
  { connectors, factors, clients, log, lifetimes }: ExchangeContext,
): Promise<void> {
  const { client, params } = ctx.oidc
  const asked = readRequest(params)
  const scopes = splitScopes(params.scope)
  const { unknown, untrusted } = scopeFaults(scopes, client.clientId, clients)
  const fault = [...unknown, ...untrusted]
  if (fault.length > 0) throw new errors.InvalidScope('unknown scope, or not for this client', fault.join(' '))

  const identity = await identify(asked, clients.get(client.clientId), { connectors, factors, log })
  const login = { connectorId: asked.connectorId, identity, authTime: Math.floor(Date.now() / 1000) }
  const state = stateOf(ctx)
  state.source = { kind: 'exchange', login, scopes }
  const token =
    asked.requested === types.idToken ? await idToken(provider, ctx, scopes) : await accessToken(provider, ctx, scopes)
  log.info('token exchange successful', {
    client_id: client.clientId,
    ...personOf(login),
    groups: identity.groups ?? [],
    subject_token_type: asked.type,
    requested_token_type: asked.requested,
  })
  const life = (asked.requested === types.idToken ? lifetimes.idTokens : lifetimes.accessTokens)(client.clientId)
  ctx.body = { access_token: token, issued_token_type: asked.requested, token_type: 'Bearer', expires_in: life }
}

/** Faults with the codes of RFC 8693, 2.2.2. */
function readRequest({ connector_id, subject_token, subject_token_type, requested_token_type }: ExchangeParameters) {
  if (subject_token_type !== types.idToken && subject_token_type !== types.accessToken) {
    throw new errors.InvalidRequest(`subject_token_type must be ${types.idToken} or ${types.accessToken}`)
  }
  const requested = requested_token_type ?? types.accessToken
  if (requested !== types.idToken && requested !== types.accessToken) {
    throw new errors.InvalidRequest(`requested_token_type must be ${types.idToken} or ${types.accessToken}`)
  }
  if (!subject_token) throw new errors.InvalidRequest("missing required parameter 'subject_token'")
  if (!connector_id) throw new errors.InvalidRequest("missing required parameter 'connector_id'")
  return { connectorId: connector_id, token: subject_token, type: subject_token_type, requested }
}

async function identify(
  { connectorId, token, type }: ReturnType<typeof readRequest>,
  client: ClientOptions | undefined,
  { connectors, factors, log }: Pick<ExchangeContext, 'connectors' | 'factors' | 'log'>,
) {
  const configured = connectors.get(connectorId)
  if (!configured) throw new errors.InvalidRequest('requested connector does not exist')
  if (client && client.allowedConnectors.length > 0 && !client.allowedConnectors.includes(connectorId)) {
    throw new errors.InvalidGrant('connector not allowed for this client')
  }
  if (!configured.allows(exchangeGrant)) {
    throw new errors.InvalidRequest('requested connector does not support this grant type')
  }
  if (client && factors.chain(client, connectorId).length > 0) {
    throw new errors.AccessDenied('this client needs a second factor, which can only be shown in a browser')
  }
  try {
    const connector = await configured.open()
    if (!connector.exchange) throw new errors.InvalidRequest('requested connector does not support token exchange')
    return await connector.exchange({ type, value: token })
  } catch (error) {
    const known = asFailure(error)
    if (!known) throw error
    log[failureTable[known.code].level]('token exchange failed', { connector_id: connectorId, err: known })
    if (failureTable[known.code].client === 'temporarily_unavailable') {
      throw new Outage('temporarily_unavailable', failureTable[known.code].message, known.details.retryAfter)
    }
    const refused = new errors.AccessDenied('the subject token was not accepted')
    throw Object.assign(refused, { status: 401, statusCode: 401 })
  }
}

type ExchangeRequest = TokenEndpointGrantContext<ExchangeParameters>

async function accessToken(provider: Provider, ctx: ExchangeRequest, scopes: string[]): Promise<string> {
  const token = new provider.AccessToken({
    client: ctx.oidc.client,
    accountId: '-',
    grantId: '-',
    gty: 'exchange',
  } as never)
  Object.assign(token, { scope: scopes.join(' ') })
  return token.save()
}

async function idToken(provider: Provider, ctx: ExchangeRequest, scopes: string[]): Promise<string> {
  const token = new provider.IdToken({}, { ctx })
  Object.assign(token, { scope: scopes.join(' ') })
  return token.issue({ use: 'idtoken' })
}
