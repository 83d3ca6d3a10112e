/** Answers of the token endpoint, with the ID token judged (OpenID Connect Core, 3.1.3.7 and 12.2). */
import * as client from 'openid-client'
import { type Arrival, failure } from '../../contract.ts'
import type { Claims } from './claims.ts'
import type { Memo } from './request.ts'
import type { OidcSettings } from './settings.ts'
import type { Upstream } from './upstream.ts'

export interface Tokens {
  accessToken: string
  refreshToken?: string
  idToken?: string
  /** Of the ID token, after every check. */
  claims?: Claims
}

/** Redeems the code. State, `iss` (RFC 9207), nonce and PKCE are required to fit before and after. */
export async function redeemCode(
  settings: OidcSettings,
  upstream: Upstream,
  arrival: Arrival,
  memo: Memo,
): Promise<Tokens & { claims: Claims }> {
  const address = new URL(arrival.callbackUrl)
  address.search = arrival.params.toString()
  const answer = await upstream.atTokenEndpoint((configuration) =>
    client.authorizationCodeGrant(configuration, address, {
      expectedState: arrival.state,
      expectedNonce: memo.nonce,
      idTokenExpected: true,
      ...(memo.verifier !== undefined && { pkceCodeVerifier: memo.verifier }),
    }),
  )
  const claims = await judged(settings, upstream, answer)
  if (!claims) throw failure('upstream_invalid_response', 'no id_token in token response')
  return { ...kept(answer), claims }
}

/**
 * Redeems a refresh token.
 * @param subject whom the new ID token must name, if one comes
 * @param given hears of a new refresh token before anything else can fail: the former one may be good for nothing by then
 */
export async function redeemRefreshToken(
  settings: OidcSettings,
  upstream: Upstream,
  refreshToken: string,
  subject: string | undefined,
  given: (refreshToken: string) => void,
): Promise<Tokens> {
  const answer = await upstream.atTokenEndpoint((configuration) =>
    client.refreshTokenGrant(configuration, refreshToken),
  )
  if (answer.refresh_token !== undefined) given(answer.refresh_token)
  const claims = await judged(settings, upstream, answer)
  if (claims && subject !== undefined && claims.sub !== subject) {
    throw failure('upstream_invalid_response', 'the ID token of the refresh names somebody else')
  }
  return { ...kept(answer), ...(claims && { claims }) }
}

/**
 * Whose ID token this is, for token exchange. As in Dex any audience will do: that a client may exchange tokens
 * of this connector is the operator's decision.
 * @throws ConnectorFailure `login_refused` when signature, issuer or times are wrong
 */
export async function foreignIdToken(upstream: Upstream, token: string, now: Date): Promise<Claims> {
  const claims = await upstream.keys.verify(token, upstream.metadata.id_token_signing_alg_values_supported)
  const time = Math.floor(now.getTime() / 1000)
  const refuse = (reason: string) => failure('login_refused', `failed to verify token: ${reason}`)
  if (claims.iss !== upstream.metadata.issuer) throw refuse('another issuer')
  if (typeof claims.sub !== 'string' || claims.sub === '') throw refuse('missing "sub" claim')
  if (typeof claims.iat !== 'number') throw refuse('missing "iat" claim')
  if (typeof claims.exp !== 'number' || claims.exp <= time - tolerance) throw refuse('it has expired')
  if (claims.nbf !== undefined && !(typeof claims.nbf === 'number' && claims.nbf <= time + tolerance)) {
    throw refuse('it is not valid yet')
  }
  return claims
}

/** Seconds that clocks may differ, as openid-client has it. */
const tolerance = 30

/** The client library has checked the claims; here the signature, with our own key set, and what it leaves open. */
async function judged(
  settings: OidcSettings,
  upstream: Upstream,
  answer: client.TokenEndpointResponse,
): Promise<Claims | undefined> {
  if (answer.id_token === undefined) return undefined
  const claims = await upstream.keys.verify(answer.id_token, upstream.metadata.id_token_signing_alg_values_supported)
  if (claims.sub === '') throw failure('upstream_invalid_response', 'missing "sub" claim')
  if (claims.azp !== undefined && claims.azp !== settings.clientID) {
    throw failure('upstream_invalid_response', 'failed to verify ID Token: its authorized party is another client')
  }
  return claims
}

const kept = ({ access_token, refresh_token, id_token }: client.TokenEndpointResponse): Tokens => ({
  accessToken: access_token,
  ...(id_token !== undefined && { idToken: id_token }),
  ...(refresh_token !== undefined && { refreshToken: refresh_token }),
})
