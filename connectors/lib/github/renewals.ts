/**
 * Renewing tokens that end with their renewal: GitHub takes a refresh token once, and ends the old access token with it.
 *
 * The new ones reach the store only with the identity they were used for. If that fails half-way, or two logins of one
 * person renew at once, the old refresh token comes here again; it is answered with what it was exchanged for.
 */
import { createHash } from 'node:crypto'
import type { OAuthTokens } from '../oauth.ts'
import { isExpired } from './tokens.ts'

/** Exchanges that are remembered; the oldest are forgotten first. */
const mostRemembered = 1000

/** Exchanges in a row that one call follows. */
const longestChain = 8

/** @returns a function that gives tokens which are good at the time, renewed where that is needed and possible */
export function renewals(
  renew: (refreshToken: string) => Promise<OAuthTokens>,
  now: () => Date,
): (kept: OAuthTokens) => Promise<OAuthTokens> {
  const remembered = new Map<string, Promise<OAuthTokens>>()

  const exchange = (refreshToken: string): Promise<OAuthTokens> => {
    const key = createHash('sha256').update(refreshToken).digest('base64')
    const known = remembered.get(key)
    if (known) return known
    const renewed = renew(refreshToken)
    remembered.set(key, renewed)
    renewed.catch(() => remembered.delete(key))
    const [oldest] = remembered.keys()
    if (remembered.size > mostRemembered && oldest !== undefined) remembered.delete(oldest)
    return renewed
  }

  return async (kept) => {
    let tokens = kept
    for (let step = 0; step < longestChain; step++) {
      if (tokens.refreshToken === undefined || !isExpired(tokens, now())) return tokens
      tokens = { refreshToken: tokens.refreshToken, ...(await exchange(tokens.refreshToken)) }
    }
    return tokens
  }
}
