/** What went wrong upstream, in the words of the contract. */
import * as client from 'openid-client'
import { type ConnectorFailure, type FailureDetails, failure } from '../../contract.ts'
import type { OidcSettings, UpstreamError } from './settings.ts'

/** Errors of RFC 6749 4.1.2.1 and OpenID Connect Core 3.1.2.6 that an authorization response may carry. */
const refusals = new Set([
  'access_denied',
  'login_required',
  'interaction_required',
  'account_selection_required',
  'consent_required',
])
const outages = new Set(['server_error', 'temporarily_unavailable'])
const ourFaults = new Set([
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'invalid_request_uri',
  'invalid_request_object',
  'request_not_supported',
  'request_uri_not_supported',
  'registration_not_supported',
])

/** The answer to the authorization request was an error. The description is for the log only. */
export function authorizationFailure(
  error: UpstreamError,
  settings: OidcSettings,
  addedOfflineAccess = false,
): ConnectorFailure {
  const recognised = settings.recognise?.(error)
  if (recognised) return recognised
  const message = `the upstream answered ${describe(error)}`
  const details: FailureDetails = isKnown(error.code) ? { upstreamCode: error.code } : {}
  if (outages.has(error.code)) return failure('upstream_unavailable', message, details)
  if (error.code === 'invalid_scope' && addedOfflineAccess) {
    const advice = 'addScopes: false leaves out what only clients asked for'
    return failure('misconfigured', `${message}; ${advice}`, { ...details, offlineAccessRefused: true })
  }
  if (ourFaults.has(error.code)) return failure('misconfigured', message, details)
  return failure('login_refused', message, details)
}

/** Which call failed; a refusal of a refresh token means something else than one of a code. */
export type Call = 'code' | 'refresh' | 'userinfo'

/**
 * Turns whatever a call threw into a failure of the contract.
 * @param now for `Retry-After` and `X-Rate-Limit-Reset`
 */
export function callFailure(error: unknown, call: Call, settings: OidcSettings, now: Date): ConnectorFailure {
  const known = ownFailure(error)
  if (known) return known
  const { status, headers } = responseOf(error)
  if (status === 429) {
    const retryAfter = secondsToWait(headers, now)
    return failure('rate_limited', `the upstream limits our requests (${call})`, {
      cause: error,
      ...(retryAfter !== undefined && { retryAfter }),
    })
  }
  const told = errorOf(error)
  if (told) return toldFailure(told, call, settings, error)
  if (timedOut(error))
    return failure('upstream_unavailable', `the upstream did not answer in time (${call})`, { cause: error })
  if (status !== undefined && (status >= 500 || status === 408)) {
    return failure('upstream_unavailable', `the upstream answered ${status} (${call})`, { cause: error })
  }
  const reason = error instanceof Error ? reasons(error) : 'unknown'
  return failure('upstream_invalid_response', `the answer of the upstream was refused (${call}): ${reason}`, {
    cause: error,
  })
}

function toldFailure(told: UpstreamError, call: Call, settings: OidcSettings, cause: unknown): ConnectorFailure {
  const recognised = settings.recognise?.(told)
  if (recognised) return recognised
  const message = `the upstream answered ${describe(told)} (${call})`
  const { code } = told
  if (call === 'userinfo')
    return failure(code === 'invalid_token' ? 'login_refused' : 'upstream_invalid_response', message, { cause })
  if (outages.has(code)) return failure('upstream_unavailable', message, { cause, upstreamCode: code })
  const refused = code === 'invalid_grant' || code === 'access_denied' || code === 'interaction_required'
  if (call === 'refresh' && refused) return failure('identity_gone', message, { cause })
  if (refusals.has(code)) return failure('login_refused', message, { cause, upstreamCode: code })
  if (code === 'invalid_client' || ourFaults.has(code) || code === 'unsupported_grant_type') {
    return failure('misconfigured', message, { cause })
  }
  return failure('upstream_invalid_response', message, { cause })
}

/** A network error, or a failure that the fetch of the context threw, becomes one of the contract. */
export const guarded =
  (fetch: typeof globalThis.fetch): typeof globalThis.fetch =>
  async (input, init) => {
    try {
      return await fetch(input, init)
    } catch (error) {
      throw ownFailure(error) ?? failure('upstream_unavailable', 'the upstream cannot be reached', { cause: error })
    }
  }

/** The OAuth error in an answer, also in one that came with status 200. */
export function errorOf(error: unknown): UpstreamError | undefined {
  if (error instanceof client.ResponseBodyError) {
    return { code: error.error, description: error.error_description ?? '' }
  }
  if (error instanceof client.WWWAuthenticateChallengeError) {
    const parameters = error.cause
      .map((challenge) => challenge.parameters)
      .find(({ error: code }) => code !== undefined)
    const code = parameters?.error ?? (error.status === 401 ? 'invalid_client' : undefined)
    return code === undefined ? undefined : { code, description: parameters?.error_description ?? '' }
  }
  for (const cause of causes(error)) {
    const body = (cause as { body?: unknown }).body
    if (typeof body !== 'object' || body === null) continue
    const { error: code, error_description: description } = body as Record<string, unknown>
    if (typeof code === 'string' && code !== '') {
      return { code, description: typeof description === 'string' ? description : '' }
    }
  }
  return undefined
}

/** The failure of the contract in an error's chain of causes, by its code, so that a copy of the class is known too. */
export function ownFailure(error: unknown): ConnectorFailure | undefined {
  return causes(error).find(
    (cause): cause is ConnectorFailure => cause instanceof Error && cause.name === 'ConnectorFailure',
  )
}

function isKnown(code: string): boolean {
  return refusals.has(code) || outages.has(code) || ourFaults.has(code)
}

/** Free text of the upstream for the log: one line, limited in length. */
function describe({ code, description }: UpstreamError): string {
  const line = (text: string) => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').slice(0, 200)
  return description ? `${line(code)}: ${line(description)}` : line(code)
}

function responseOf(error: unknown): { status?: number; headers?: Headers } {
  for (const cause of causes(error)) {
    if (cause instanceof Response) return { status: cause.status, headers: cause.headers }
    const { response } = cause as { response?: unknown }
    if (response instanceof Response) return { status: response.status, headers: response.headers }
  }
  return {}
}

/** From `Retry-After` (RFC 9110, 10.2.3; seconds only) or Okta's `X-Rate-Limit-Reset` (Unix seconds). */
function secondsToWait(headers: Headers | undefined, now: Date): number | undefined {
  const number = (name: string) => {
    const text = headers?.get(name)
    return text && /^\d{1,12}$/.test(text) ? Number(text) : undefined
  }
  const reset = number('x-rate-limit-reset')
  return (
    number('retry-after') ?? (reset === undefined ? undefined : Math.max(1, reset - Math.floor(now.getTime() / 1000)))
  )
}

function timedOut(error: unknown): boolean {
  return causes(error).some((cause) => {
    const { name } = cause as { name?: unknown }
    return (
      name === 'TimeoutError' || name === 'AbortError' || (cause instanceof TypeError && cause.message === 'terminated')
    )
  })
}

function reasons(error: Error): string {
  const messages = causes(error).flatMap((cause) => (cause instanceof Error && cause.message ? [cause.message] : []))
  return [...new Set(messages)].join(': ')
}

/** An error and what caused it, outermost first. */
function causes(error: unknown): object[] {
  const chain: object[] = []
  let current = error
  while (typeof current === 'object' && current !== null && chain.length < 8 && !chain.includes(current)) {
    chain.push(current)
    current = (current as { cause?: unknown }).cause
  }
  return chain
}
