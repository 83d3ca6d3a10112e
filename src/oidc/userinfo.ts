/** What userinfo says of a token that was found good. */
import type { Clients } from './clients.ts'
import { clientOf, type IssuedClaims } from './issued.ts'
import type { SigningKeys } from './keys.ts'

/** Claims of the token itself, not of the person. */
const ofTheToken = new Set(['exp', 'iat', 'jti', 'nonce', 'at_hash', 'c_hash', 'azp'])

/**
 * The signed answer that the token's client registered for (OpenID Connect Core, 5.3.2), `undefined` for one that gets
 * plain JSON. It is no token of ours: without `exp` and `jti` no endpoint takes it for one.
 */
export async function signedUserinfo(
  claims: IssuedClaims,
  { clients, keys }: { clients: Clients; keys: Pick<SigningKeys, 'sign'> },
): Promise<string | undefined> {
  const id = clientOf(claims)
  if (!(await clients.load(id))?.signedUserinfo) return undefined
  const told = Object.entries(claims).filter(([name]) => !ofTheToken.has(name))
  return keys.sign({ ...Object.fromEntries(told), aud: id })
}
