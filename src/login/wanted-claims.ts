/** What a request asks for beyond its scopes (OpenID Connect Core, 5.5), as it travels from the login to the tokens. */
import type { Json } from '../lib/json.ts'

/** What is asked of one claim. */
export interface WantedClaim {
  essential?: true
  /** The only values that are wanted; absent: any. */
  values?: Json[]
}

/** By name; only claims that exist here. */
export type ClaimSet = Record<string, WantedClaim>

export interface WantedClaims {
  idToken?: ClaimSet
  /** Told by userinfo, and so in the access token, whose claims that tells. */
  userinfo?: ClaimSet
  /** The client asked how surely the person was authenticated (`acr_values` or claim `acr`): it is told in any case. */
  acr?: true
}

/**
 * The scope that a claim belongs to. A claim can be asked for by its name where its scope could be: whoever approves the one
 * approves the other, and is shown the scope's sentence.
 */
export const scopeOfClaim: Readonly<Record<string, string>> = {
  email: 'email',
  email_verified: 'email',
  groups: 'groups',
  name: 'profile',
  preferred_username: 'profile',
  federated_claims: 'federated:id',
}

/** Claims about the login itself, which need no scope. */
export const loginClaims: ReadonlySet<string> = new Set(['sub', 'auth_time', 'acr', 'amr'])

/** The scopes of a request and those that its single claims belong to: what is fetched, shown, approved and remembered. */
export function coveredScopes(scopes: readonly string[], wanted: WantedClaims | undefined): string[] {
  if (!wanted) return [...scopes]
  const names = [wanted.idToken, wanted.userinfo].flatMap((set) => Object.keys(set ?? {}))
  return [...new Set([...scopes, ...names.flatMap((name) => scopeOfClaim[name] ?? [])])]
}
