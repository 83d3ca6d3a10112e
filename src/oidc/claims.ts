/** The claims of ID tokens and access tokens, which Dex makes alike. */
import { hash, randomUUID } from 'node:crypto'
import { errors } from 'oidc-provider'
import type { Login } from '../login/identity.ts'
import { mayNameAudience, peerOf, type TrustingClients } from './scopes.ts'
import type { GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

export type TokenClaims = Record<string, unknown> & { sub: string; exp: number; iat: number; jti: string }

export interface ClaimsRequest {
  issuer: string
  clientId: string
  clients: TrustingClients
  login: Login
  /** As granted. */
  scopes: ReadonlySet<string>
  nonce?: string | undefined
  sid?: string | undefined
  /** Whether `auth_time` is told, see `tellsAuthTime`. */
  withAuthTime: boolean
  /** Seconds. */
  lifetime: number
  /** Unix seconds. */
  now: number
  /** Made new where it is not given. */
  jti?: string | undefined
}

/**
 * The `jti` of what a code is redeemed for. It is made from the code, so that a code that comes again can take its tokens
 * back without a record of them.
 */
export const tokenIdOf = (code: string, token: 'access' | 'id'): string =>
  hash('sha256', `${token} ${code}`, 'base64url')

/** What comes of no login, or without a browser, tells no `auth_time`, as in Dex; a refresh does where a session is behind it. */
export const tellsAuthTime = ({ kind, sid }: GrantSource): boolean =>
  kind === 'code' || kind === 'device' || kind === 'implicit' || (kind === 'refresh' && sid !== undefined)

/**
 * Claims by scope (OpenID Connect Core, 5.4, and Dex's): absent rather than empty.
 * @throws errors.InvalidScope when a client that is named as audience does not trust this one any more
 */
export function tokenClaims(request: ClaimsRequest): TokenClaims {
  const { issuer, login, scopes, nonce, sid, withAuthTime, lifetime, now, jti = randomUUID() } = request
  const { identity, connectorId } = login
  const claims: TokenClaims = {
    iss: issuer,
    sub: encodeSubject(identity.userId, connectorId),
    ...audience(request),
    exp: now + lifetime,
    iat: now,
    jti,
  }
  if (nonce !== undefined) claims.nonce = nonce
  if (withAuthTime) claims.auth_time = login.authTime
  if (sid !== undefined) claims.sid = sid
  if (scopes.has('email')) {
    if (identity.email) claims.email = identity.email
    claims.email_verified = identity.emailVerified ?? false
  }
  if (scopes.has('groups') && identity.groups && identity.groups.length > 0) claims.groups = identity.groups
  if (scopes.has('profile')) {
    const name = identity.username ?? identity.userId
    if (name) claims.name = name
    if (identity.preferredUsername) claims.preferred_username = identity.preferredUsername
  }
  if (scopes.has('federated:id')) {
    claims.federated_claims = {
      ...(connectorId && { connector_id: connectorId }),
      ...(identity.userId && { user_id: identity.userId }),
    }
  }
  return claims
}

/** `aud` and `azp`: the clients that the scopes name, then the requesting one (OpenID Connect Core, 2). */
function audience({ scopes, clientId, clients }: ClaimsRequest): { aud: string | string[]; azp?: string } {
  const named: string[] = []
  for (const scope of scopes) {
    const peer = peerOf(scope)
    if (peer === undefined) continue
    if (!mayNameAudience(clientId, peer, clients)) {
      throw new errors.InvalidScope('the named audience does not trust this client', scope)
    }
    named.push(peer)
  }
  if (!named.includes(clientId)) named.push(clientId)
  return named.length === 1 ? { aud: named[0]! } : { aud: named, azp: clientId }
}

/**
 * Claims of an access token for a resource (RFC 9068, 2.2): they say for whom it is and whose, and cannot be taken for those
 * of an ID token.
 */
export function forResource(
  claims: TokenClaims,
  audience: readonly string[],
  clientId: string,
  scopes: ReadonlySet<string>,
): TokenClaims {
  const { nonce: _nonce, azp: _azp, ...rest } = claims
  return {
    ...rest,
    aud: audience.length === 1 ? audience[0] : audience,
    client_id: clientId,
    ...(scopes.size > 0 && { scope: [...scopes].join(' ') }),
  }
}

/** Whether a token of ours may stand for an earlier login (`id_token_hint`): not one for a resource, not a signed answer. */
export const isIdToken = (
  claims: Record<string, unknown> | undefined,
  issuer: string,
): claims is Record<string, unknown> & { sub: string } =>
  claims?.iss === issuer && typeof claims.sub === 'string' && claims.client_id === undefined
