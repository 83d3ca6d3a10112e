/** What Dex tells of a token beyond RFC 7662, 2.2. */
import type { FoundToken } from './dialect/refresh-token.ts'
import { federatedId } from './scopes.ts'

type Body = Record<string, unknown>

const shown = [
  'azp',
  'sid',
  'email',
  'email_verified',
  'groups',
  'name',
  'preferred_username',
  'federated_claims',
] as const

export function introspectionAnswer(body: Body, entities: Record<string, object | undefined>): Body {
  const { AccessToken, RefreshToken } = entities
  const claims = RefreshToken ? claimsOf(RefreshToken as FoundToken) : ((AccessToken as { extra?: Body })?.extra ?? {})
  const ext = Object.fromEntries(shown.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])))
  const { client_id, exp, iat, iss, scope, sub, aud } = body
  return {
    active: true,
    client_id,
    sub,
    ...(exp !== undefined && { exp }),
    iat,
    nbf: iat,
    ...(claims.preferred_username !== undefined && { username: claims.preferred_username }),
    aud: aud ?? client_id,
    iss,
    ...(scope !== undefined && { scope }),
    ...(body.cnf !== undefined && { cnf: body.cnf }),
    token_type: (AccessToken as { jkt?: string } | undefined)?.jkt === undefined ? 'Bearer' : 'DPoP',
    token_use: RefreshToken ? 'refresh_token' : 'access_token',
    ext,
  }
}

/** A refresh token stands for all that was granted. */
function claimsOf({ family }: FoundToken): Body {
  const { login, scopes, sid } = family.source
  const { identity, connectorId } = login
  const { email, emailVerified, groups, username, preferredUsername, userId } = identity
  return {
    ...(sid !== undefined && { sid }),
    ...(scopes.includes('email') && { ...(email && { email }), email_verified: emailVerified ?? false }),
    ...(scopes.includes('groups') && groups && groups.length > 0 && { groups }),
    ...(scopes.includes('profile') && {
      name: username ?? userId,
      ...(preferredUsername && { preferred_username: preferredUsername }),
    }),
    ...(scopes.includes(federatedId) && { federated_claims: { connector_id: connectorId, user_id: userId } }),
  }
}
