/** Tokens that this server issued, read back: where somebody brings one, asks about one or revokes one. */
import type { StorageDriver } from '../storage/contract.ts'
import { idOf } from './ids.ts'
import type { SigningKeys } from './keys.ts'

export type IssuedClaims = Record<string, unknown> & { sub: string; jti: string; iat: number; exp: number }

export interface IssuedTokens {
  /** The claims of an ID or access token of ours that has not expired and was not revoked; `undefined` for anything else. */
  read(token: string): Promise<IssuedClaims | undefined>
}

export interface IssuedContext {
  keys: SigningKeys
  driver: Pick<StorageDriver, 'get'>
  issuer: string
  /** Whether it ended with its session, see `SessionEnder`. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
  now(): Date
}

/** Longer ones are nobody's: ours are bounded by the groups of one person. */
const longestToken = 64 * 1024
/** Tokens whose signature was found good lately; a gateway brings the same one again and again. */
const remembered = 1000

export function openIssuedTokens({ keys, driver, issuer, hasEnded, now }: IssuedContext): IssuedTokens {
  /** By the hash of the token, the oldest first. What can change (time, revocation) is looked at each time. */
  const verified = new Map<string, Record<string, unknown>>()
  // A key that is not published any more vouches for nothing.
  keys.onChange(() => verified.clear())

  const verify = async (token: string): Promise<Record<string, unknown> | undefined> => {
    const id = idOf(token)
    const known = verified.get(id)
    if (known) return known
    const claims = await keys.verify(token)
    if (!claims) return undefined
    if (verified.size >= remembered) verified.delete(verified.keys().next().value!)
    verified.set(id, claims)
    return claims
  }

  return {
    async read(token) {
      if (token.length > longestToken) return undefined
      const claims = await verify(token)
      if (!claims || claims.iss !== issuer) return undefined
      const { sub, jti, iat, exp } = claims
      if (typeof sub !== 'string' || typeof jti !== 'string') return undefined
      if (typeof iat !== 'number' || typeof exp !== 'number' || exp * 1000 <= now().getTime()) return undefined
      if (await driver.get('revoked', idOf(jti))) return undefined
      const { sid } = claims
      if (typeof sid === 'string' && (await hasEnded(clientOf(claims), sid))) return undefined
      return claims as IssuedClaims
    },
  }
}

/**
 * The client that a token of ours was made for: named by itself (RFC 9068, 2.2), as authorized party where there are several
 * audiences (OpenID Connect Core, 2), or the only audience.
 */
export function clientOf({ client_id: id, azp, aud }: Record<string, unknown>): string {
  return String(id ?? azp ?? (Array.isArray(aud) ? aud[0] : aud))
}
