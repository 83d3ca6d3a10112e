/** Logout tokens of the upstream (OpenID Connect Back-Channel Logout 1.0, 2.4 to 2.8). */
import { decodeProtectedHeader } from 'jose'
import { type ConnectorContext, type Ended, failure, type Inbound, type Received, type Reply } from '../../contract.ts'
import type { Claims } from './claims.ts'
import { ownFailure } from './failures.ts'
import type { Lazily } from './lazily.ts'
import type { OidcSettings } from './settings.ts'
import type { Upstream } from './upstream.ts'

const event = 'http://schemas.openid.net/event/backchannel-logout'
/** Seconds that clocks may differ. */
export const tolerance = 30
/** Seconds after which a message is stale, however long it says that it is good: so long a used one is remembered. */
export const longestAge = 600

/** Judges a logout token. Standalone refresh tokens outlive a logout (2.7); those of the session end with it. */
export async function receiveLogoutToken(
  { method, headers, body }: Inbound,
  settings: OidcSettings,
  upstream: Lazily<Upstream>,
  { now, log }: Pick<ConnectorContext, 'now' | 'log'>,
): Promise<Received> {
  if (method !== 'POST') return { answer: { status: 405 }, ended: [] }
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  const tokens = new URLSearchParams(body).getAll('logout_token')
  if (type !== 'application/x-www-form-urlencoded' || tokens.length !== 1) {
    return { answer: invalid('logout_token is expected once, in a form'), ended: [] }
  }
  try {
    const found = await upstream.get()
    const ended = await judge(tokens[0]!, settings, found, Math.floor(now().getTime() / 1000))
    return { answer: { status: 200 }, ended: [ended], repeated: invalid('the token was used already') }
  } catch (error) {
    const answer = refusal(error)
    const known = ownFailure(error)
    log[known?.code === 'login_refused' ? 'info' : 'warn']('a logout token was refused', {
      reason: known?.message,
      err: error,
    })
    return { answer, ended: [] }
  }
}

/** @throws ConnectorFailure when it is not good */
async function judge(
  token: string,
  { clientID, userIDKey }: OidcSettings,
  { metadata, keys }: Upstream,
  time: number,
): Promise<Ended> {
  const claims = await keys.verify(token, metadata.id_token_signing_alg_values_supported)
  const { typ } = decodeProtectedHeader(token)
  // Early ones have none; an ID token or an access token may say what it is.
  if (typ !== undefined && !/^((application\/)?logout\+jwt|jwt)$/i.test(typ)) throw refuse('it is of another type')
  if (claims.iss !== metadata.issuer) throw refuse('another issuer')
  if (!isFor(claims, clientID)) throw refuse('another audience')
  const once = onceOf(claims, time)
  const { events, nonce, sub, sid } = claims
  const said = typeof events === 'object' && events !== null && Object.hasOwn(events, event)
  if (!said || typeof (events as Claims)[event] !== 'object' || (events as Claims)[event] === null) {
    throw refuse('it says nothing of a logout')
  }
  if (nonce !== undefined) throw refuse('it has a nonce, as ID tokens have')
  if (typeof sid === 'string' && sid !== '') return { sid, once }
  if (typeof sub !== 'string' || sub === '') throw refuse('neither "sid" nor "sub"')
  if (userIDKey && userIDKey !== 'sub')
    throw refuse('it has no "sid", and userIDKey names another claim than its "sub"')
  return { userId: sub, once }
}

export function isFor({ aud }: Claims, audience: string | undefined): boolean {
  return Boolean(audience) && (Array.isArray(aud) ? aud.includes(audience) : aud === audience)
}

/**
 * By what a used message is known again: it must have come now and have an id.
 * @throws ConnectorFailure when it has expired, is of the future, stale, or lacks `jti`
 */
export function onceOf({ iat, exp, jti }: Claims, time: number): { id: string; until: number } {
  if (typeof iat !== 'number' || iat > time + tolerance) throw refuse('missing "iat" claim, or one of the future')
  if (typeof exp !== 'number' || exp <= time - tolerance) throw refuse('it has expired')
  if (iat < time - longestAge) throw refuse('it is stale')
  if (typeof jti !== 'string' || jti === '') throw refuse('missing "jti" claim')
  return { id: jti, until: time + longestAge + 2 * tolerance }
}

export const refuse = (reason: string) => failure('login_refused', `failed to verify token: ${reason}`)

/** What the sender is told of a failure. */
export function refusal(error: unknown): Reply {
  const known = ownFailure(error)
  if (!known) throw error
  if (known.code === 'login_refused') return invalid(known.message)
  if (known.code === 'upstream_invalid_response') return invalid('the token cannot be verified')
  // Our side, or the keys out of reach: worth another try.
  return { status: 503, ...json({ error: 'temporarily_unavailable' }) }
}

export const invalid = (description: string): Reply => ({
  status: 400,
  ...json({ error: 'invalid_request', error_description: description }),
})

export const json = (value: object): Pick<Reply, 'body' | 'contentType'> => ({
  body: JSON.stringify(value),
  contentType: 'application/json',
})
