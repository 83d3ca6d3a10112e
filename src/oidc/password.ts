/** The password grant (RFC 6749, 4.3) as Dex has it: one connector of the operator's choice answers it. */

import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import { asFailure, failureTable } from '../login/failures.ts'
import type { LoginFlow } from '../login/flow.ts'
import type { Attempt, Limits } from '../login/limits.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Clients } from './clients.ts'
import { judge, type PolicyContext, refusalOf } from './judge.ts'
import type { ClientOptions } from './options.ts'
import { answerTokens, readScopes } from './own-grants.ts'
import { Outage } from './refresh.ts'
import type { GrantSource } from './state.ts'

export const passwordGrant = 'password'

interface PasswordParameters {
  username?: string
  password?: string
  scope?: string
  nonce?: string
}

type PasswordRequest = TokenEndpointGrantContext<PasswordParameters>

export interface PasswordContext {
  /** Id of the connector that answers. */
  connectorId: string
  connectors: Connectors
  clients: Clients
  factors: Pick<Factors, 'chain'>
  flow: Pick<LoginFlow, 'password'>
  /** Shared with the password form, so that guesses at both are counted together. */
  limits: Pick<Limits, 'password' | 'passwordAccepted'>
  addressOf(request: PasswordRequest['req']): Attempt['address']
  /** Whether the source of this request gets a refresh token. */
  mayRefresh(clientId: string): Promise<boolean>
  policy: PolicyContext
  audit: Audit
  log: Logger
}

/** Adds the grant type to the engine. */
export function addPasswordGrant(provider: Provider, context: PasswordContext): void {
  provider.registerGrantType<PasswordParameters>(passwordGrant, (ctx) => grant(provider, ctx, context), [
    'username',
    'password',
    'scope',
    'nonce',
  ])
}

async function grant(provider: Provider, ctx: PasswordRequest, context: PasswordContext): Promise<void> {
  const { clients, connectorId } = context
  const { client, params } = ctx.oidc
  const { username, password, nonce } = params
  if (!username) throw new errors.InvalidRequest("missing required parameter 'username'")
  if (!password) throw new errors.InvalidRequest("missing required parameter 'password'")
  const scopes = readScopes(params.scope, client.clientId, clients)
  if (!scopes.includes('openid')) throw new errors.InvalidScope('missing required scope "openid"', 'openid')
  const options = clients.get(client.clientId)
  await checkConnector(options, context)
  const attempt = { name: username, address: context.addressOf(ctx.req) }
  await checkLimits(attempt, context)
  const request = { connectorId, clientId: client.clientId, scopes }
  const login = await logIn(request, username, password, context)
  if (!login) throw new errors.InvalidGrant('invalid username or password')
  await context.limits.passwordAccepted(connectorId, attempt)
  await judge(passwordGrant, { client: options, connectorId, person: login.identity }, context.policy)
  const source: GrantSource = { kind: 'password', login, scopes, ...(nonce && { nonce }) }
  await answerTokens(provider, ctx, source, { idToken: true, refreshToken: () => context.mayRefresh(client.clientId) })
}

/** Faults as the token exchange has them; wrong configuration is the operator's to read in the log. */
async function checkConnector(
  client: ClientOptions | undefined,
  { connectors, connectorId, factors, policy, log }: PasswordContext,
): Promise<void> {
  const configured = connectors.get(connectorId)
  if (!configured) log.warn('oauth2.passwordConnector is not configured', { connector_id: connectorId })
  const refused = await refusalOf(passwordGrant, { client, connectorId }, policy)
  if (refused) throw refused.error
  if (client && factors.chain(client, connectorId).length > 0) {
    throw new errors.AccessDenied('this client needs a second factor, which can only be shown in a browser')
  }
  // One that cannot be opened now fails in the login, which accounts for it.
  if (configured?.opened && configured.opened.style !== 'password') {
    log.warn('oauth2.passwordConnector takes no passwords', { connector_id: connectorId })
    throw new errors.InvalidRequest('the connector of this grant type takes no passwords')
  }
}

async function checkLimits(attempt: Attempt, { limits, connectorId, audit }: PasswordContext): Promise<void> {
  const limited = await limits.password(connectorId, attempt)
  if (!limited) return
  const { key, retryAfter } = limited
  audit({ type: 'rate_limited', what: 'password', key, connector_id: connectorId, user: attempt.name })
  throw new TooManyTries(retryAfter)
}

async function logIn(
  request: Parameters<LoginFlow['password']>[0],
  username: string,
  password: string,
  { flow, log }: PasswordContext,
) {
  try {
    return await flow.password(request, username, password)
  } catch (error) {
    const known = asFailure(error)
    if (!known) throw error
    const { level, grant: told, message } = failureTable[known.code]
    log[level]('password grant failed', { connector_id: request.connectorId, reason: known.code, err: known })
    if (told !== 'invalid_grant') throw new Outage(told, message, known.details.retryAfter)
    throw new errors.InvalidGrant(known.details.safe ?? message)
  }
}

/** RFC 6585, 4; the client may try again after some seconds. */
class TooManyTries extends Outage {
  constructor(retryAfter: number) {
    super('temporarily_unavailable', 'there were too many tries in a short time', retryAfter)
    Object.assign(this, { status: 429, statusCode: 429 })
  }
}
