/** A Transit key as Vault tells it: its versions, which of them are published, and which one signs. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import type { SigningAlgorithm } from './algorithms.ts'
import { jwksMaxAge, replicaLag } from './life.ts'
import { type OpenKey, publishedKey } from './sealed-key.ts'
import { VaultError } from './vault-client.ts'

export interface KeyVersion {
  version: number
  key: OpenKey
  /** Unix seconds at which Vault made it. */
  created: number
}

export interface VaultKey {
  /** Published, the newest first. */
  versions: KeyVersion[]
  /** Versions before this one do not sign, as the operator set it. */
  oldestToSign: number
}

const curves: Record<string, SigningAlgorithm> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

/** @throws VaultError with a sentence for the operator when this is no key that signs tokens */
export async function readVaultKey(data: unknown): Promise<VaultKey> {
  const { keys, min_decryption_version, min_encryption_version, supports_signing, type, derived } = data as Record<
    string,
    unknown
  >
  if (supports_signing === false) throw new VaultError(`the key in Vault is of type "${type}", which does not sign`)
  if (derived === true) throw new VaultError('the key in Vault is derived: each context has another public key')
  if (typeof keys !== 'object' || keys === null) throw new VaultError('Vault tells no versions of the key')
  const oldest = Number(min_decryption_version) || 1
  const versions = await Promise.all(
    Object.entries(keys)
      .filter(([version]) => Number(version) >= oldest)
      .map(([version, told]) => versionOf(Number(version), told)),
  )
  if (versions.length === 0) throw new VaultError('Vault tells no version of the key that verifies')
  versions.sort((a, b) => b.version - a.version)
  return { versions, oldestToSign: Math.max(oldest, Number(min_encryption_version) || 1) }
}

/**
 * The version that signs: the newest that every client must have seen. Of versions that are all younger the oldest one,
 * since a client that asks again knows it at least as long.
 */
export function signingVersion({ versions, oldestToSign }: VaultKey, at: number): KeyVersion {
  const able = versions.filter(({ version }) => version >= oldestToSign)
  const seen = able.find(({ created }) => created + jwksMaxAge + replicaLag <= at)
  const signing = seen ?? able.at(-1)
  if (!signing) throw new VaultError('min_encryption_version of the key in Vault is above its latest version')
  return signing
}

async function versionOf(version: number, told: unknown): Promise<KeyVersion> {
  const { public_key, creation_time } = (told ?? {}) as { public_key?: unknown; creation_time?: unknown }
  const publicKey = readPublicKey(public_key)
  if (!publicKey)
    throw new VaultError(`Vault tells no public key of version ${version}: tokens need RSA, ECDSA or Ed25519`)
  const kid = await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as JWK, 'sha256')
  const created = Date.parse(String(creation_time))
  return {
    version,
    key: publishedKey(kid, algorithmOf(publicKey), publicKey),
    created: Number.isNaN(created) ? 0 : Math.floor(created / 1000),
  }
}

/** PEM; of Ed25519 also the 32 bytes, or SubjectPublicKeyInfo, in base64. */
function readPublicKey(text: unknown): KeyObject | undefined {
  if (typeof text !== 'string' || text === '') return undefined
  try {
    if (text.includes('-----BEGIN')) return createPublicKey(text)
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length !== 32) return createPublicKey({ key: bytes, format: 'der', type: 'spki' })
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' })
  } catch {
    return undefined
  }
}

function algorithmOf(key: KeyObject): SigningAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') return 'RS256'
  if (type === 'ed25519') return 'EdDSA'
  const algorithm = type === 'ec' ? curves[details?.namedCurve ?? ''] : undefined
  if (!algorithm)
    throw new VaultError(`tokens cannot be signed with the key in Vault, which is ${details?.namedCurve ?? type}`)
  return algorithm
}
