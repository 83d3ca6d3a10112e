/** What a refresh asks the upstream, by configuration; and whether the settings still allow the login to be used. */
import { errors } from 'oidc-provider'
import type { Factors } from '../login/factors/factors.ts'
import type { RefreshPolicy } from '../login/options.ts'
import { type PolicyContext, refusalOf } from './judge.ts'
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

/** Of a client: who it is, and what restricts it. */
export type RefreshingClient = Pick<
  ClientOptions,
  'id' | 'allowedConnectors' | 'requiredGroups' | 'sessionBound' | 'mfaChain'
>

export interface RefreshSettings {
  policy: PolicyContext
  clients: TrustingClients
  factors: Pick<Factors, 'missing'>
}

/**
 * What of the settings speaks against a refresh now, whatever they were at the login. The token stays, since an operator
 * may take a mistake back.
 * @param asked the scopes that the client wants, which may be fewer than were granted (RFC 6749, 6)
 */
export async function refusalBySettings(
  { login, scopes, sid }: GrantSource,
  client: RefreshingClient,
  asked: readonly string[],
  { policy, clients, factors }: RefreshSettings,
): Promise<Refusal | undefined> {
  const { connectorId } = login
  const refuse = (reason: string, description: string): Refusal => ({
    reason,
    error: new errors.InvalidGrant(description),
  })
  // Groups are judged as the upstream has them now, once it was asked.
  const refused = await refusalOf('refresh_token', { client, connectorId, sid }, policy)
  if (refused) return { reason: refused.restriction, error: refused.error }
  if (factors.missing(client, connectorId, login.factors).length > 0) {
    return refuse('factors_missing', 'this client needs a second factor now, which the login did not have')
  }
  if (!scopes.includes('offline_access')) return refuse('no_offline_access', 'offline_access was not granted')
  const { untrusted } = scopeFaults(asked, client.id, clients)
  if (untrusted.length === 0) return undefined
  const description = 'the named audience does not trust this client any more'
  return { reason: 'audience_not_allowed', error: new errors.InvalidScope(description, untrusted.join(' ')) }
}
