/** At a refresh: who this person is now, as the upstream says (OpenID Connect Core, 12.2). */
import { errors } from 'oidc-provider'
import type { FailureCode, Identity, Json } from '../../connectors/contract.ts'
import type { Logger } from '../lib/logger.ts'
import type { Connectors } from '../login/connectors.ts'
import { asFailure, failureTable } from '../login/failures.ts'
import { connectorScopes } from '../login/flow.ts'
import { type Login, personOf } from '../login/identity.ts'
import type { RefreshPolicy } from '../login/options.ts'
import { coveredScopes } from '../login/wanted-claims.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Flight } from './flights.ts'
import type { ClientOptions } from './options.ts'
import { checkedAt, isDue, mayBeStale } from './refresh-policy.ts'
import type { GrantSource } from './state.ts'
import type { HeldData } from './upstream-data.ts'

export interface RefreshContext {
  connectors: Connectors
  metrics: Pick<Metrics, 'refresh' | 'checkAge'>
  audit: Audit
  log: Logger
}

export interface RefreshRequest {
  source: GrantSource
  client: Pick<ClientOptions, 'id' | 'requiredGroups'>
  policy: RefreshPolicy
  held: HeldData
  /** Of the refresh token, and of the upstream token where several share one. */
  turns: readonly Pick<Flight, 'failed' | 'fail'>[]
}

/** The upstream was not there to answer; whatever else goes wrong is an answer, or somebody's mistake. */
const outages: ReadonlySet<FailureCode> = new Set(['upstream_unavailable', 'rate_limited'])

/** The upstream takes back what it vouched for: the refresh token goes with it. */
export class LoginEnded extends errors.InvalidGrant {
  /** The upstream was asked and said no: its word goes for the whole session. */
  readonly refused: boolean

  constructor(description: string, { refused = true } = {}) {
    super(description)
    this.refused = refused
  }
}

/**
 * The source with what the upstream says of the person now, or as it is where the policy says so. Absent groups mean that
 * the upstream did not say: those that were known stay. The user id never changes.
 * @throws LoginEnded when the upstream refuses; errors.OIDCProviderError when it cannot be asked
 */
export async function refreshSource(request: RefreshRequest, context: RefreshContext): Promise<GrantSource> {
  const { source, client, policy, held, turns } = request
  const { login, scopes, wanted } = source
  const { connectorId, identity } = login
  const { connectors, metrics, audit, log } = context

  /** Milliseconds. */
  const age = Math.max(0, Date.now() - checkedAt(source))
  const account = (outcome: 'success' | 'kept' | 'stale', old: number): void => {
    metrics.refresh(connectorId, outcome)
    metrics.checkAge(connectorId, outcome, old / 1000)
  }
  const refuse = (reason: string, error: Error): never => {
    metrics.refresh(connectorId, reason)
    audit({ type: 'refresh_refused', client_id: client.id, reason, ...personOf(login) })
    throw error
  }
  if (held.gone) return refuse('identity_gone', new LoginEnded('the upstream has ended this login'))
  if (!isDue(policy, age)) {
    account('kept', age)
    return source
  }
  const failed = turns.find((turn) => turn.failed)?.failed
  try {
    if (failed) throw failed
    const fresh = await ask()
    account('success', 0)
    return fresh
  } catch (error) {
    if (error instanceof errors.OIDCProviderError) throw error
    const known = asFailure(error)
    if (!known) throw error
    const { level, grant, message } = failureTable[known.code]
    const { connectorData, safe, retryAfter } = known.details
    const kept = connectorData === undefined ? {} : await keep(connectorData)
    if (outages.has(known.code)) {
      for (const turn of turns) turn.fail(known)
      if (mayBeStale(policy, age)) return stale({ ...login, ...kept }, known)
    }
    log[failed ? 'debug' : level]('refresh failed', { connector_id: connectorId, reason: known.code, err: known })
    if (grant === 'invalid_grant') {
      return refuse(known.code, new LoginEnded(safe ?? message, { refused: known.details.notAsked !== true }))
    }
    return refuse(known.code, new Outage(grant, message, retryAfter))
  }

  async function ask(): Promise<GrantSource> {
    // What it says is at least as new as the question.
    const asked = Date.now()
    const connector = await connectors.get(connectorId)!.open()
    if (!connector.refresh) {
      return refuse('cannot_refresh', new errors.InvalidGrant('the connector cannot say who the person is now'))
    }
    const data = await held.open({ connector, connectorId, userId: identity.userId })
    const known: Identity = { ...identity, ...(data !== undefined && { connectorData: data }) }
    const { connectorData: next, ...fresh } = await connector.refresh(
      known,
      connectorScopes(coveredScopes(scopes, wanted), client),
    )
    if (fresh.userId !== identity.userId) {
      return refuse('identity_gone', new LoginEnded('the upstream answered for somebody else'))
    }
    const groups = fresh.groups ?? identity.groups
    // Of the login, which a refresh is none of (OpenID Connect Core, 12.2).
    const { authentication } = identity
    const { authentication: _, ...person } = fresh
    const kept = next === undefined ? {} : await keep(next)
    const current: Identity = { ...person, ...(groups && { groups }), ...(authentication && { authentication }) }
    const now: Login = { ...login, ...kept, identity: current }
    return { ...source, login: now, checkedAt: asked }
  }

  async function keep(data: Json): Promise<Partial<Login>> {
    const connector = await connectors.get(connectorId)!.open()
    return held.keep({ connector, connectorId, userId: identity.userId }, data)
  }

  /** What was known stays known; when the upstream said it does not change. */
  function stale(now: Login, error: Error & { code: string }): GrantSource {
    account('stale', age)
    log.warn('refresh answered from what the upstream said before, since it does not answer now', {
      connector_id: connectorId,
      client_id: client.id,
      user_id: identity.userId,
      age_seconds: Math.round(age / 1000),
      reason: error.code,
      err: error,
    })
    return { ...source, login: now }
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
