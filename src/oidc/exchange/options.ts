/** One entry of `tokenIssuers:`. */
export interface TokenIssuerOptions {
  /** Stands in `sub` where a connector's id does. */
  id: string
  /** As tokens have it in `iss`. */
  issuer: string
  /** Absent: as its discovery document says. */
  jwksURI?: string
  /** A token must be for one of them and for nobody else, unless a rule says otherwise. */
  audience: string[]
  algorithms: string[]
  /** Further trusted certificates: files, base64 of PEM, or PEM. */
  rootCAs: string[]
  /** Seconds from `iat` to `exp` at most. */
  maxLifetime: number
  /** A token is taken once, by its `jti`. */
  singleUse: boolean
}

/** Tokens of this server itself; no entry has that id. */
export const ownIssuer = 'self'

/** One entry of `staticClients[].tokenExchange:`. All of it has to fit. */
export interface ExchangeRule {
  /** Id of a token issuer, or `self`. */
  issuer: string
  audience?: string[]
  /** By claim or JSON pointer (RFC 6901): patterns, one of which has to match; see `compileGlob`. */
  claims: Record<string, string[]>
  /** Templates; absent for `self`, where the person stays who they are. */
  identity?: IdentityTemplate
}

export interface IdentityTemplate {
  userID: string
  username?: string
  preferredUsername?: string
  email?: string
  emailVerified?: boolean
  groups?: string[]
}
