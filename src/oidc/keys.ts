/**
 * The signing keys of the provider. They live in the store, sealed, and are shared by all replicas; a key is published
 * long before it signs and stays published as long as its tokens live, so that no client ever meets a token whose key
 * it cannot know. `keys/life.ts` has the rules, `keys/rotation.ts` applies them. Keys that Vault keeps: `keys/vault.ts`.
 */
import type { Logger } from '../lib/logger.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import { halfHashOf, type LocalAlgorithm, type SigningAlgorithm } from './keys/algorithms.ts'
import { jwksMaxAge, type KeyEntry, type SigningKeyOptions, wantedAlgorithms } from './keys/life.ts'
import { openRing } from './keys/ring.ts'
import { startRotation } from './keys/rotation.ts'
import { makeKey, openKey, sealPublic } from './keys/sealed-key.ts'
import { openKeyStore } from './keys/store.ts'
import { claimsBrought, parseToken } from './keys/token.ts'
import type { KeyInfo, SigningKeys } from './keys/types.ts'

export type { KeyInfo, SigningKeys, SignOptions } from './keys/types.ts'
export { jwksMaxAge, type LocalAlgorithm, type SigningAlgorithm, type SigningKeyOptions }

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
      return ring.signing?.key.algorithm ?? options.algorithm
    },
    get algorithms() {
      return ring.algorithms.length > 0 ? ring.algorithms : wantedAlgorithms(options)
    },

    async sign(claims, { typ, algorithm } = {}) {
      if (!ring.signing) await ring.first
      return ring.signingFor(algorithm)!.sign(claims, typ)
    },

    halfHash: (value, algorithm) =>
      halfHashOf(ring.signingFor(algorithm)?.key.algorithm ?? algorithm ?? options.algorithm, value),

    async verify(token) {
      const parsed = parseToken(token)
      if (!parsed) return undefined
      const key = ring.find(parsed.kid, seconds()) ?? (await lookFor(parsed.kid))
      return key && claimsBrought(parsed, key)
    },

    jwks: ring.jwks,
    onChange: ring.onChange,
    rotate: rotation.rotate,
    list: () => ring.entries.map(infoOf),
    ready: () => ring.first,
    check: () => ring.first,

    async close() {
      await rotation.close()
      ring.close()
    },
  }
}

/** The keys in a store, without opening them. */
export async function storedKeys(driver: StorageDriver): Promise<KeyInfo[]> {
  const { keys } = await openKeyStore(driver, () => {}).read()
  return keys.map(infoOf)
}

const infoOf = ({ sealed: _, ...entry }: KeyEntry): KeyInfo => entry
