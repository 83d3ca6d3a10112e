/**
 * The signing keys of the provider. They live in the store, sealed, and are shared by all replicas; a key is published
 * long before it signs and stays published as long as its tokens live, so that no client ever meets a token whose key
 * it cannot know. `keys/life.ts` has the rules, `keys/rotation.ts` applies them.
 */
import { hash } from 'node:crypto'
import type { Logger } from '../lib/logger.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import { algorithms, type SigningAlgorithm } from './keys/algorithms.ts'
import { jwksMaxAge, type SigningKeyOptions } from './keys/life.ts'
import { openRing } from './keys/ring.ts'
import { startRotation } from './keys/rotation.ts'
import { makeKey, openKey, sealPublic } from './keys/sealed-key.ts'
import { openKeyStore } from './keys/store.ts'
import { type Claims, claimsOf, parseToken } from './keys/token.ts'

export { jwksMaxAge, type SigningAlgorithm, type SigningKeyOptions }

export interface SigningKeys {
  /**
   * Algorithm of the key that signs now: a key of the former algorithm signs until the next rotation, as in Dex.
   * Before there is a key, the configured one.
   */
  readonly algorithm: SigningAlgorithm
  /** A JWT (RFC 7519) in compact form. Its header has `alg`, `kid` and, if given, `typ`. Waits for the first key. */
  sign(claims: object, options?: { typ?: string }): Promise<string>
  /**
   * Left half of the hash that belongs to the signing algorithm (OpenID Connect Core, 3.1.3.6): `at_hash`, `c_hash`.
   * Nothing may be awaited between this and `sign`, or a rotation could come between them.
   */
  halfHash(value: string): string
  /**
   * The claims of a token that a published key has signed, `undefined` for anything else. Neither issuer nor audience
   * nor times are checked: callers do.
   */
  verify(token: string): Promise<Claims | undefined>
  /** The published key set (RFC 7517): the signing key, then retired ones, the next key last. Empty before `ready`. */
  jwks(): { keys: Record<string, string>[] }
  /** Calls whenever the published set has changed. */
  onChange(listener: () => void): void
  /**
   * Makes the next key sign now, however short it has been published. Of replicas that do this at once one rotates;
   * when it resolves, the key that was signing when it was called signs no more here.
   */
  rotate(reason: string): Promise<void>
  /** Resolves when there is a key that can sign. */
  ready(): Promise<void>
  close(): Promise<void>
}

export interface SigningKeysContext {
  driver: StorageDriver
  sealer: Sealer
  options: SigningKeyOptions
  log: Logger
  audit: Audit
  now?: () => Date
}

/** Seconds between two looks into the store for a key id that is not known. */
const lookEvery = 5

/**
 * Resolves when the store was read; a key that is missing is then still being made, see `ready`.
 * @throws with a sentence for the operator when the stored keys cannot be opened
 */
export async function openSigningKeys(context: SigningKeysContext): Promise<SigningKeys> {
  const { driver, sealer, options, log, audit, now = () => new Date() } = context
  const seconds = () => Math.floor(now().getTime() / 1000)
  const ring = openRing((entry) => openKey(entry, sealer), log)
  const store = openKeyStore(driver, ring.adopt)
  await store.read()

  if (options.rotationPeriod < jwksMaxAge)
    log.warn('signing keys rotate faster than clients read them again', {
      rotation_period: options.rotationPeriod,
      jwks_max_age: jwksMaxAge,
    })
  const rotation = startRotation({
    store,
    make: (algorithm) => makeKey(algorithm, sealer),
    publicOf: (entry) => sealPublic(openKey(entry, sealer), sealer),
    options,
    log,
    audit,
    seconds,
  })
  const algorithm = () => ring.signing?.key.algorithm ?? options.algorithm

  let looked = Number.NEGATIVE_INFINITY
  let looking: Promise<unknown> = Promise.resolve()
  /** Another replica may have made a key that we have not noticed; strangers cannot make us ask more often. */
  const lookFor = async (kid: string) => {
    if (Math.abs(seconds() - looked) >= lookEvery) {
      looked = seconds()
      looking = store.read().catch((error) => log.error('signing keys could not be read', { error }))
    }
    await looking
    return ring.find(kid, seconds())
  }

  return {
    get algorithm() {
      return algorithm()
    },

    async sign(claims, { typ } = {}) {
      if (!ring.signing) await ring.first
      return ring.signing!.sign(claims, typ)
    },

    halfHash(value) {
      const digest = hash(algorithms[algorithm()].hash, value, 'buffer')
      return digest.subarray(0, digest.length / 2).toString('base64url')
    },

    async verify(token) {
      const parsed = parseToken(token)
      if (!parsed) return undefined
      const key = ring.find(parsed.kid, seconds()) ?? (await lookFor(parsed.kid))
      const claims = key && claimsOf(parsed, key)
      // A logout token says something of its sender to one client, and nothing of who brings it.
      return claims?.events === undefined ? claims : undefined
    },

    jwks: ring.jwks,
    onChange: ring.onChange,
    rotate: rotation.rotate,
    ready: () => ring.first,

    async close() {
      await rotation.close()
      ring.close()
    },
  }
}
