/** What is told, logged, counted and audited of tokens that were handed out or refused. */
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { refusalOf } from './client-auth.ts'
import { Outage } from './refresh.ts'
import { peerOf } from './scopes.ts'
import { type GrantSource, stateOf } from './state.ts'
import { encodeSubject } from './subject.ts'

interface AccountContext {
  log: Logger
  audit: Audit
  metrics: Metrics
}

/** Events of the engine that are answered by `accountForRefusal`. */
export const refusals = [
  'grant.error',
  'introspection.error',
  'revocation.error',
  'device_authorization.error',
  'pushed_authorization_request.error',
] as const

/** Logs why, and tells the client more than the engine does: which check failed, though nothing of what was checked. */
export function accountForRefusal(
  ctx: KoaContextWithOIDC,
  error: errors.OIDCProviderError,
  { log, audit }: Pick<AccountContext, 'log' | 'audit'>,
): void {
  // A fault that our own reading of the form found.
  const misread = error.error === 'invalid_request' && error.cause instanceof errors.OIDCProviderError
  const told = misread ? (error.cause as errors.OIDCProviderError) : error
  const reason = told.error_detail ?? told.error_description
  const { client_id, grant_type } = (ctx.oidc.body ?? {}) as Record<string, unknown>
  const id = ctx.oidc.client?.clientId ?? (typeof client_id === 'string' ? client_id : undefined)
  ctx.status = told.statusCode
  if (told instanceof Outage && told.retryAfter !== undefined) ctx.set('Retry-After', String(told.retryAfter))
  const refused = told.error === 'invalid_client'
  const { scope } = told as { scope?: string }
  ctx.body = {
    error: told.error,
    error_description: refused ? refusalOf(ctx, told) : reason,
    ...(scope !== undefined && { scope }),
  }
  if (told.error === 'authorization_pending' || told.error === 'slow_down') return
  log.info('token request refused', { client_id: id, grant_type, error: told.error, reason })
  if (refused && id !== undefined) audit({ type: 'client_refused', client_id: id, reason: reason ?? told.error })
}

/** Counts and audits what was handed out. */
export function accountForTokens(
  ctx: KoaContextWithOIDC,
  grantType: string,
  { audit, metrics }: Pick<AccountContext, 'audit' | 'metrics'>,
): void {
  const { source } = stateOf(ctx)
  const { client } = ctx.oidc
  metrics.tokensIssued(grantType)
  if (!source || !client) return
  const event = { client_id: client.clientId, scopes: shown(source), ...personOfSource(source) }
  audit(
    grantType === 'refresh_token'
      ? { type: 'tokens_refreshed', ...event }
      : { type: 'tokens_issued', grant_type: grantType, ...event },
  )
}

const shown = ({ scopes }: GrantSource): string[] => scopes.filter((scope) => peerOf(scope) === undefined)

function personOfSource({ login }: GrantSource) {
  const { connectorId, identity } = login
  const sub = encodeSubject(identity.userId, connectorId)
  // The client itself.
  if (connectorId === '') return { sub }
  return {
    sub,
    connector_id: connectorId,
    user_id: identity.userId,
    ...(identity.email !== undefined && { email: identity.email }),
  }
}
