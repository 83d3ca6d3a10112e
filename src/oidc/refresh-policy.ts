/** What a refresh asks the upstream, by configuration; and whether the settings still allow the login to be used. */
import { errors } from 'oidc-provider'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import type { RefreshPolicy } from '../login/options.ts'
import type { ClientOptions } from './options.ts'
import { scopeFaults, type TrustingClients } from './scopes.ts'
import type { GrantSource } from './state.ts'

const standard: RefreshPolicy = { upstream: 'always', onOutage: 'deny' }

/** A client's word is taken over the connector's, member by member. */
export const policyOf = (
  connector: { readonly refresh?: Partial<RefreshPolicy> } | undefined,
  client: Pick<ClientOptions, 'refresh'> | undefined,
): RefreshPolicy => ({ ...standard, ...connector?.refresh, ...client?.refresh })

/** When the upstream last said who the person is, milliseconds since the epoch. */
export const checkedAt = ({ checkedAt: time, login }: Pick<GrantSource, 'checkedAt' | 'login'>): number =>
  time ?? login.authTime * 1000

/** Whether the upstream has to be asked, `age` milliseconds after it was asked last. */
export function isDue({ upstream }: RefreshPolicy, age: number): boolean {
  if (typeof upstream === 'object') return age >= upstream.maxAge * 1000
  return upstream === 'always'
}

/** Whether an answer that is `age` milliseconds old may stand in for one that cannot be had. */
export const mayBeStale = ({ onOutage }: RefreshPolicy, age: number): boolean =>
  onOutage !== 'deny' && age <= onOutage.staleFor * 1000

export interface Refusal {
  /** For metrics and audit. */
  reason: string
  error: errors.OIDCProviderError
}

export interface RefreshSettings {
  connectors: Pick<Connectors, 'get'>
  clients: TrustingClients
  factors: Pick<Factors, 'missing'>
}

/**
 * What of the settings speaks against a refresh now, whatever they were at the login. The token stays, since an operator
 * may take a mistake back.
 * @param asked the scopes that the client wants, which may be fewer than were granted (RFC 6749, 6)
 */
export function refusalBySettings(
  { login, scopes }: GrantSource,
  client: Pick<ClientOptions, 'id' | 'allowedConnectors' | 'mfaChain'>,
  asked: readonly string[],
  { connectors, clients, factors }: RefreshSettings,
): Refusal | undefined {
  const { connectorId } = login
  const refuse = (reason: string, description: string): Refusal => ({
    reason,
    error: new errors.InvalidGrant(description),
  })
  const connector = connectors.get(connectorId)
  if (!connector) return refuse('connector_gone', 'the connector is not configured any more')
  if (client.allowedConnectors.length > 0 && !client.allowedConnectors.includes(connectorId)) {
    return refuse('connector_not_allowed', 'connector not allowed for this client')
  }
  if (!connector.allows('refresh_token')) {
    return refuse('grant_not_allowed', 'the connector does not allow this grant type')
  }
  if (factors.missing(client, connectorId, login.factors).length > 0) {
    return refuse('factors_missing', 'this client needs a second factor now, which the login did not have')
  }
  if (!scopes.includes('offline_access')) return refuse('no_offline_access', 'offline_access was not granted')
  const { untrusted } = scopeFaults(asked, client.id, clients)
  if (untrusted.length === 0) return undefined
  const description = 'the named audience does not trust this client any more'
  return { reason: 'audience_not_allowed', error: new errors.InvalidScope(description, untrusted.join(' ')) }
}
