/** The claims of ID tokens and access tokens, which Dex makes alike. */
import { hash, randomUUID } from 'node:crypto'
import { errors } from 'oidc-provider'
import { methodsOf } from '../login/factors/chain.ts'
import type { Login } from '../login/identity.ts'
import { type ClaimSet, scopeOfClaim } from '../login/wanted-claims.ts'
import { isWanted } from './claims-request.ts'
import { groupsClaim, groupsFault } from './groups-claim.ts'
import type { ClientOptions } from './options.ts'
import { preferredUsername } from './preferred-username.ts'
import { mayNameAudience, peerOf } from './scopes.ts'
import type { GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

export type TokenClaims = Record<string, unknown> & { sub: string; exp: number; iat: number; jti: string }

/** What a client's entry says of its claims. */
export type ClaimRules = Pick<ClientOptions, 'groupsClaim' | 'preferredUsername'>

export interface RuledClients {
  get(id: string): ({ trustedPeers: readonly string[] } & ClaimRules) | undefined
}

export interface ClaimsRequest {
  issuer: string
  clientId: string
  clients: RuledClients
  login: Login
  /** As granted. */
  scopes: ReadonlySet<string>
  nonce?: string | undefined
  sid?: string | undefined
  /** Claims that this token is to have beside those of the scopes. */
  wanted?: ClaimSet | undefined
  /** The client asked for a level of authentication. */
  acrAsked?: boolean | undefined
  /** Whether `auth_time` is told, see `tellsAuthTime`. */
  withAuthTime: boolean
  /** Seconds. */
  lifetime: number
  /** Unix seconds. */
  now: number
  /** Unix seconds; absent: as long as `lifetime` says. */
  notAfter?: number | undefined
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
 * @throws errors.InvalidScope when a client that is named as audience does not trust this one any more,
 *   errors.InvalidGrant when the client wants groups that nobody knows and the grant had no earlier chance to refuse
 */
export function tokenClaims(request: ClaimsRequest): TokenClaims {
  const { issuer, clientId, clients, login, scopes, nonce, sid, wanted } = request
  const { lifetime, now, notAfter, jti = randomUUID() } = request
  const { identity, connectorId } = login
  const claims: TokenClaims = {
    iss: issuer,
    sub: encodeSubject(identity.userId, connectorId),
    ...audience(request),
    exp: Math.min(now + lifetime, notAfter ?? Number.POSITIVE_INFINITY),
    iat: now,
    jti,
  }
  if (nonce !== undefined) claims.nonce = nonce
  Object.assign(claims, authenticationClaims(request))
  if (sid !== undefined) claims.sid = sid
  const client = clients.get(clientId)
  const fault = groupsFault(identity, wanted?.groups ? [...scopes, 'groups'] : [...scopes], client)
  if (fault !== undefined) throw new errors.InvalidGrant(fault)
  for (const [name, value] of Object.entries(personalClaims(login, client))) {
    if (value === undefined) continue
    if (scopes.has(scopeOfClaim[name]!) || isWanted(wanted, name, value)) claims[name] = value
  }
  return claims
}

/** How and when the person was authenticated, as far as it is known: the upstream's word, passed on. */
function authenticationClaims({ login, withAuthTime, wanted, acrAsked }: ClaimsRequest): Record<string, unknown> {
  const { acr, amr: upstream } = login.identity.authentication ?? {}
  const amr = methodsOf(upstream, login.factors ?? [])
  // "0" is the standard's word for a login of which no level is vouched for (OpenID Connect Core, 2).
  const level = acr ?? (acrAsked || wanted?.acr ? '0' : undefined)
  return {
    ...((withAuthTime || wanted?.auth_time) && { auth_time: login.authTime }),
    ...(level !== undefined && { acr: level }),
    ...(amr && { amr }),
  }
}

/** All that can be said of a person to a client, by the claim's name; `undefined` for what is not known. */
export function personalClaims({ identity, connectorId }: Login, client?: ClaimRules): Record<string, unknown> {
  const { userId, username, email, emailVerified } = identity
  return {
    email: email || undefined,
    email_verified: emailVerified ?? false,
    groups: groupsClaim(identity, client),
    name: (username ?? userId) || undefined,
    preferred_username: preferredUsername(identity, encodeSubject(userId, connectorId), client?.preferredUsername),
    federated_claims: {
      ...(connectorId && { connector_id: connectorId }),
      ...(userId && { user_id: userId }),
    },
  }
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
