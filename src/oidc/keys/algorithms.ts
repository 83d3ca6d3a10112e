/** The signature algorithms that a signing key may have: RFC 7518, 3.3 and 3.4, and RFC 8037, 3.1. */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export type SigningAlgorithm = 'RS256' | 'ES256' | 'EdDSA'

interface Algorithm {
  /** What node:crypto hashes before it signs; `null` where the signature scheme has a hash of its own. */
  digest: 'sha256' | null
  /** The hash of `at_hash` and `c_hash` (OpenID Connect Core, 3.1.3.6). */
  hash: 'sha256' | 'sha512'
  /** A new key pair, made on the thread pool: RSA takes some hundred milliseconds. */
  generate(): Promise<{ privateKey: KeyObject; publicKey: KeyObject }>
}

const generate = promisify(generateKeyPair)

export const algorithms: Readonly<Record<SigningAlgorithm, Algorithm>> = {
  RS256: { digest: 'sha256', hash: 'sha256', generate: () => generate('rsa', { modulusLength: 2048 }) },
  ES256: { digest: 'sha256', hash: 'sha256', generate: () => generate('ec', { namedCurve: 'P-256' }) },
  // Of the two curves of EdDSA ours is Ed25519, whose own hash is SHA-512.
  EdDSA: { digest: null, hash: 'sha512', generate: () => generate('ed25519') },
}
