/** The signature algorithms that a signing key may have: RFC 7518, 3.3 and 3.4, and RFC 8037, 3.1. */
import { generateKeyPair, hash, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

/** Algorithms of keys that are made here. */
export const localAlgorithms = ['RS256', 'ES256', 'EdDSA'] as const
export type LocalAlgorithm = (typeof localAlgorithms)[number]

/** The larger curves come from a signer outside only. */
export type SigningAlgorithm = LocalAlgorithm | 'ES384' | 'ES512'

interface Algorithm {
  /** What node:crypto hashes before it signs; `null` where the signature scheme has a hash of its own. */
  digest: 'sha256' | 'sha384' | 'sha512' | null
  /** The hash of `at_hash` and `c_hash` (OpenID Connect Core, 3.1.3.6). */
  hash: 'sha256' | 'sha384' | 'sha512'
}

export const algorithms: Readonly<Record<SigningAlgorithm, Algorithm>> = {
  RS256: { digest: 'sha256', hash: 'sha256' },
  ES256: { digest: 'sha256', hash: 'sha256' },
  ES384: { digest: 'sha384', hash: 'sha384' },
  ES512: { digest: 'sha512', hash: 'sha512' },
  // Of the two curves of EdDSA ours is Ed25519, whose own hash is SHA-512.
  EdDSA: { digest: null, hash: 'sha512' },
}

const generate = promisify(generateKeyPair)

const generators: Readonly<Record<LocalAlgorithm, () => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>>> = {
  RS256: () => generate('rsa', { modulusLength: 2048 }),
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generate('ed25519'),
}

/** A new key pair, made on the thread pool: RSA takes some hundred milliseconds. */
export const generateKey = (algorithm: LocalAlgorithm) => generators[algorithm]()

/** Left half of the hash that belongs to an algorithm (OpenID Connect Core, 3.1.3.6), in base64url. */
export function halfHashOf(algorithm: SigningAlgorithm, value: string): string {
  const digest = hash(algorithms[algorithm].hash, value, 'buffer')
  return digest.subarray(0, digest.length / 2).toString('base64url')
}
