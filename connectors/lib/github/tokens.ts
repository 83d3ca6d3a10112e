/** GitHub's tokens as they are kept, and the errors of its token endpoint. */
import { type ConnectorFailure, type FailureDetails, failure, type Json } from '../../contract.ts'
import type { OAuthCall, OAuthTokens } from '../oauth.ts'

/** Seconds before its end at which a token is not used any more. */
const margin = 60

export const isExpired = ({ expiresAt }: OAuthTokens, now: Date): boolean =>
  expiresAt !== undefined && expiresAt - margin <= now.getTime() / 1000

/** The tokens of a login, or of one that Dex kept (its `expiry` is a date); `undefined` when there are none. */
export function tokensFrom(data: Json | undefined): OAuthTokens | undefined {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  const { accessToken, refreshToken, expiresAt, expiry, scope } = data
  const token = typeof accessToken === 'string' ? accessToken : ''
  const renewal = typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined
  if (token === '' && renewal === undefined) return undefined
  const end = token === '' ? 0 : typeof expiresAt === 'number' ? expiresAt : dexExpiry(expiry)
  return {
    accessToken: token,
    ...(renewal !== undefined && { refreshToken: renewal }),
    ...(end !== undefined && { expiresAt: end }),
    ...(typeof scope === 'string' && { scope }),
  }
}

/** Go writes "never" as the year 1. */
function dexExpiry(expiry: Json | undefined): number | undefined {
  const time = typeof expiry === 'string' ? Date.parse(expiry) : Number.NaN
  return time > 0 ? Math.floor(time / 1000) : undefined
}

/** What GitHub means by codes of its own, most of which come with status 200. */
export function recogniseGitHubError(code: string, call: OAuthCall): ConnectorFailure | undefined {
  const known = errors[code]
  if (!known) return undefined
  const [failureCode, sentence, details = {}] = known
  const refused = call === 'refresh' && failureCode === 'upstream_invalid_response'
  return failure(refused ? 'identity_gone' : failureCode, sentence, {
    safe: `GitHub answered ${code}: ${sentence}.`,
    ...details,
  })
}

const errors: Readonly<Record<string, [ConnectorFailure['code'], string, FailureDetails?] | undefined>> = {
  bad_verification_code: ['upstream_invalid_response', 'the code is wrong or has expired'],
  bad_refresh_token: ['upstream_invalid_response', 'the refresh token is wrong or has expired'],
  incorrect_client_credentials: ['misconfigured', 'clientID or clientSecret is wrong'],
  redirect_uri_mismatch: ['misconfigured', 'redirectURI is not the callback address that is registered'],
  application_suspended: ['misconfigured', 'the application is suspended'],
  unverified_user_email: [
    'login_refused',
    'the primary e-mail address is not verified',
    { safe: 'Verify the primary e-mail address of your GitHub account, then log in again.' },
  ],
}
