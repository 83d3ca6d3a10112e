/** A key between its two forms: sealed text in the store, and key objects that node:crypto signs and verifies with. */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Json } from '../../lib/json.ts'
import type { Sealer } from '../../storage/seal.ts'
import { generateKey, type LocalAlgorithm, type SigningAlgorithm } from './algorithms.ts'
import type { KeyEntry, NewKey } from './life.ts'
import { keysRecord } from './store.ts'

export interface OpenKey {
  kid: string
  algorithm: SigningAlgorithm
  publicKey: KeyObject
  /** Absent once the key has retired. */
  privateKey?: KeyObject
  /** As it is published (RFC 7517), its members in Dex's order. */
  jwk: Record<string, string>
}

/** Makes a key and seals it. */
export async function makeKey(algorithm: LocalAlgorithm, sealer: Sealer): Promise<NewKey> {
  const kid = randomBytes(20).toString('hex')
  const { privateKey } = await generateKey(algorithm)
  return { kid, algorithm, sealed: seal({ kid, algorithm }, privateKey, sealer) }
}

/**
 * The key objects of a sealed key.
 * @throws with a sentence for the operator when this server's sealing keys do not open it
 */
export function openKey({ kid, algorithm, sealed }: NewKey, sealer: Sealer): OpenKey {
  const jwk = sealer.open(sealed, purposeOf(kid)) as (JsonWebKey & { alg: string }) | undefined
  if (jwk?.alg !== algorithm)
    throw new Error(
      `storage: the signing key ${kid} cannot be opened: it is damaged, or sealed with another key than this server's. ` +
        'Start with the sealing key that the store was written with.',
    )
  const input = { key: jwk, format: 'jwk' } as const
  if (jwk.d === undefined) return publishedKey(kid, algorithm, createPublicKey(input))
  const privateKey = createPrivateKey(input)
  return { ...publishedKey(kid, algorithm, createPublicKey(privateKey)), privateKey }
}

/** A key of which only the public half is known. */
export function publishedKey(kid: string, algorithm: SigningAlgorithm, publicKey: KeyObject): OpenKey {
  const { kty, crv, ...values } = publicKey.export({ format: 'jwk' }) as Record<string, string>
  const jwk = { use: 'sig', kty: kty!, kid, ...(crv && { crv }), alg: algorithm, ...values }
  return { kid, algorithm, publicKey, jwk }
}

/** Seals the public half alone, for a key that signs no more. */
export function sealPublic(key: OpenKey, sealer: Sealer): string {
  return seal(key, key.publicKey, sealer)
}

/** For the store's list of keys: seals each of them anew. */
export function resealSigningKeys(kind: string, body: Json, again: (text: string, purpose: string) => string): Json {
  if (kind !== keysRecord.kind) return body
  const { keys } = body as { keys: KeyEntry[] }
  return { keys: keys.map((key) => ({ ...key, sealed: again(key.sealed, purposeOf(key.kid)) })) }
}

/** Bound into the seal, so that no key can be put in the place of another. */
function purposeOf(kid: string): string {
  return `signing key ${kid}`
}

function seal({ kid, algorithm }: Pick<OpenKey, 'kid' | 'algorithm'>, key: KeyObject, sealer: Sealer): string {
  return sealer.seal({ ...(key.export({ format: 'jwk' }) as Record<string, Json>), alg: algorithm }, purposeOf(kid))
}
