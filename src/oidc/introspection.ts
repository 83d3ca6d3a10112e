/** What Dex tells of a token beyond RFC 7662, 2.2. */
import { scopeOfClaim } from '../login/wanted-claims.ts'
import { personalClaims, type RuledClients } from './claims.ts'
import type { FoundToken } from './dialect/refresh-token.ts'

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

export function introspectionAnswer(
  body: Body,
  entities: Record<string, object | undefined>,
  clients: RuledClients,
): Body {
  const { AccessToken, RefreshToken } = entities
  const claims = RefreshToken
    ? claimsOf(RefreshToken as FoundToken, clients)
    : ((AccessToken as { extra?: Body })?.extra ?? {})
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
function claimsOf({ family }: FoundToken, clients: RuledClients): Body {
  const { login, scopes, sid } = family.source
  const granted = new Set(scopes)
  const claims = Object.entries(personalClaims(login, clients.get(family.clientId)))
  return {
    ...(sid !== undefined && { sid }),
    ...Object.fromEntries(claims.filter(([name, value]) => value !== undefined && granted.has(scopeOfClaim[name]!))),
  }
}
