/** What the rest of the server knows of signing keys, wherever they are kept. */
import type { SigningAlgorithm } from './algorithms.ts'
import type { Claims } from './token.ts'

export interface SignOptions {
  /** Of the header, such as `at+jwt` or `logout+jwt`. */
  typ?: string
  /**
   * What the client asks for (`signingAlgorithm`). As long as no key of it signs, which is so shortly after the operator
   * first named it, the default algorithm's key signs.
   */
  algorithm?: SigningAlgorithm | undefined
}

/** A key without its private half, for the operator. */
export interface KeyInfo {
  kid: string
  algorithm: SigningAlgorithm
  state: 'next' | 'signing' | 'retired'
  /** Unix seconds at which it came into this state; absent when nobody knows. */
  since?: number
  /** Of a retired key: Unix seconds from which it is not published any more. */
  until?: number
}

export interface SigningKeys {
  /**
   * Algorithm of the key that signs by default: a key of the former algorithm signs until the next rotation, as in Dex.
   * Before there is a key, the configured one.
   */
  readonly algorithm: SigningAlgorithm
  /** All that tokens are signed with now, the default first. Never empty. */
  readonly algorithms: readonly SigningAlgorithm[]
  /**
   * A JWT (RFC 7519) in compact form. Its header has `alg`, `kid` and, if given, `typ`. Waits for the first key.
   * @throws SignerUnavailable when a signer outside does not sign: an OAuth error for the client
   */
  sign(claims: object, options?: SignOptions): Promise<string>
  /**
   * Left half of the hash that belongs to the signing algorithm (OpenID Connect Core, 3.1.3.6): `at_hash`, `c_hash`.
   * Nothing may be awaited between this and `sign` with the same `algorithm`, or a rotation could come between them.
   */
  halfHash(value: string, algorithm?: SigningAlgorithm): string
  /**
   * The claims of a token that a published key has signed, `undefined` for anything else and for logout tokens. Neither issuer nor audience
   * nor times are checked: callers do.
   */
  verify(token: string): Promise<Claims | undefined>
  /** The published key set (RFC 7517): the signing keys, the default first, then retired ones, the next keys last. */
  jwks(): { keys: Record<string, string>[] }
  /** Calls whenever the published set has changed. */
  onChange(listener: () => void): void
  /**
   * Makes the next keys sign now, however short they have been published. Of replicas that do this at once one rotates;
   * when it resolves, the keys that were signing when it was called sign no more here.
   * @throws with a sentence for the operator where keys are rotated elsewhere
   */
  rotate(reason: string): Promise<void>
  list(): KeyInfo[]
  /** Resolves when there is a key that can sign. @throws SignerUnavailable when a signer outside does not tell its keys */
  ready(): Promise<void>
  /** Rejects with a sentence for the operator when no token can be signed now. */
  check(): Promise<void>
  close(): Promise<void>
}
