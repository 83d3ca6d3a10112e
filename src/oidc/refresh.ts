/** At a refresh: who this person is now, as the upstream says (OpenID Connect Core, 12.2). */
import { errors } from 'oidc-provider'
import type { Identity } from '../../connectors/contract.ts'
import type { Logger } from '../lib/logger.ts'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Connectors } from '../login/connectors.ts'
import { asFailure, failureTable } from '../login/failures.ts'
import { connectorScopes } from '../login/flow.ts'
import { personOf } from '../login/identity.ts'
import { coveredScopes } from '../login/wanted-claims.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ClientOptions } from './options.ts'
import type { GrantSource } from './state.ts'

export interface RefreshContext {
  connectors: Connectors
  connectorData: ConnectorData
  metrics: Pick<Metrics, 'refresh'>
  audit: Audit
  log: Logger
}

/** The upstream takes back what it vouched for: the refresh token goes with it. */
const revoking = new Set(['login_refused', 'identity_gone', 'account_disabled'])

/** The login is over at the upstream. */
export class LoginEnded extends errors.InvalidGrant {}

/**
 * The source with what the upstream says of the person now. Absent groups mean that it did not say: those that were known
 * stay. The user id never changes.
 * @throws LoginEnded when the upstream refuses; errors.OIDCProviderError when it cannot be asked or is not to be used
 */
export async function refreshSource(
  source: GrantSource,
  client: Pick<ClientOptions, 'id' | 'allowedConnectors'>,
  context: RefreshContext,
): Promise<GrantSource> {
  const { login, scopes, wanted } = source
  const { connectorId, identity } = login
  const { connectors, connectorData, metrics, audit, log } = context

  const refuse = (reason: string, error: Error): never => {
    metrics.refresh(connectorId, reason)
    audit({ type: 'refresh_refused', client_id: client.id, reason, ...personOf(login) })
    throw error
  }
  const configured = connectors.get(connectorId)
  if (!configured) return refuse('connector_gone', new errors.InvalidGrant('the connector is not configured any more'))
  if (client.allowedConnectors.length > 0 && !client.allowedConnectors.includes(connectorId)) {
    return refuse('connector_not_allowed', new errors.InvalidGrant('connector not allowed for this client'))
  }
  if (!configured.allows('refresh_token')) {
    return refuse('grant_not_allowed', new errors.InvalidGrant('the connector does not allow this grant type'))
  }
  try {
    const connector = await configured.open()
    if (!connector.refresh) return source
    const owner = { connector, connectorId, userId: identity.userId }
    const data = await connectorData.open(owner, login)
    const known: Identity = { ...identity, ...(data !== undefined && { connectorData: data }) }
    const { connectorData: next, ...fresh } = await connector.refresh(
      known,
      connectorScopes(coveredScopes(scopes, wanted)),
    )
    if (fresh.userId !== identity.userId) {
      return refuse('identity_gone', new LoginEnded('the upstream answered for somebody else'))
    }
    const groups = fresh.groups ?? identity.groups
    // Of the login, which a refresh is none of (OpenID Connect Core, 12.2).
    const { authentication } = identity
    const kept = next === undefined ? {} : await connectorData.keep({ ...owner, scopes, dataId: login.dataId }, next)
    const { authentication: _, ...person } = fresh
    const current: Identity = { ...person, ...(groups && { groups }), ...(authentication && { authentication }) }
    metrics.refresh(connectorId, 'success')
    return { ...source, login: { ...login, ...kept, identity: current } }
  } catch (error) {
    if (error instanceof errors.OIDCProviderError) throw error
    const known = asFailure(error)
    if (!known) throw error
    const { level, grant, message } = failureTable[known.code]
    log[level]('refresh failed', { connector_id: connectorId, reason: known.code, err: known })
    if (grant !== 'invalid_grant') return refuse(known.code, new Outage(grant, message, known.details.retryAfter))
    const Refusal = revoking.has(known.code) ? LoginEnded : errors.InvalidGrant
    return refuse(known.code, new Refusal(known.details.safe ?? message))
  }
}

/** The client may try again with the same token, perhaps only after some seconds. */
export class Outage extends errors.CustomOIDCProviderError {
  readonly retryAfter: number | undefined

  constructor(code: 'temporarily_unavailable' | 'server_error', description: string, retryAfter?: number) {
    super(code, description)
    this.retryAfter = retryAfter
    const status = code === 'temporarily_unavailable' ? 503 : 502
    Object.assign(this, { status, statusCode: status, expose: true })
  }
}
