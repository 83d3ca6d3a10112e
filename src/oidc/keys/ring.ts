/**
 * The keys that this server knows, as it last saw them in the store: one of each algorithm in use signs, all are published
 * and verify.
 */
import type { Logger } from '../../lib/logger.ts'
import type { SigningAlgorithm } from './algorithms.ts'
import { isOver, type KeyEntry } from './life.ts'
import type { OpenKey } from './sealed-key.ts'
import { type Signer, signerOf } from './token.ts'

export interface Signing {
  key: OpenKey
  sign: Signer
}

export interface Ring {
  /** The key that signs by default; absent until the first key is there. */
  readonly signing: Signing | undefined
  /** The key of an algorithm that signs; the default one when no key of that algorithm does. */
  signingFor(algorithm: SigningAlgorithm | undefined): Signing | undefined
  /** Algorithms of the keys that sign, the default first. */
  readonly algorithms: readonly SigningAlgorithm[]
  /** The list as it is stored. */
  readonly entries: readonly KeyEntry[]
  /** Resolves when there is a key that signs. */
  readonly first: Promise<void>
  /** Takes over a list; one that cannot be opened leaves everything as it was, and throws. */
  adopt(entries: readonly KeyEntry[]): void
  /** A published key whose tokens may still be alive. */
  find(kid: string, at: number): OpenKey | undefined
  jwks(): { keys: Record<string, string>[] }
  onChange(listener: () => void): void
  /** Disappoints who waits for the first key. */
  close(): void
}

export function openRing(open: (entry: KeyEntry) => OpenKey, log: Logger): Ring {
  let held: { entry: KeyEntry; key: OpenKey }[] = []
  /** In the order of the list, so that the default comes first. */
  let signing: ReadonlyMap<SigningAlgorithm, Signing> = new Map()
  let standard: Signing | undefined
  const listeners: (() => void)[] = []
  const first = Promise.withResolvers<void>()
  first.promise.catch(() => {})

  const signerFor = (key: OpenKey): Signing => {
    const known = signing.get(key.algorithm)
    return known?.key === key ? known : { key, sign: signerOf(key) }
  }

  const notify = () => {
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        log.error('a change of the published keys was not taken up', { error })
      }
    }
  }

  return {
    get signing() {
      return standard
    },
    signingFor: (algorithm) => (algorithm && signing.get(algorithm)) ?? standard,
    get algorithms() {
      return [...signing.keys()]
    },
    get entries() {
      return held.map(({ entry }) => entry)
    },
    first: first.promise,

    adopt(entries) {
      const known = new Map(held.map(({ entry, key }) => [entry.sealed, key]))
      const adopted = entries.map((entry) => ({ entry, key: known.get(entry.sealed) ?? open(entry) }))
      const keys = adopted.flatMap(({ entry, key }) => (entry.state === 'signing' ? [key] : []))
      // An emptied store is no reason to stop signing; a new key is on its way.
      if (keys.length === 0) return
      const published = kidsOf(held)
      signing = new Map(keys.map((key) => [key.algorithm, signerFor(key)] as const))
      standard = signing.get(keys[0]!.algorithm)
      held = adopted
      first.resolve()
      if (kidsOf(held) !== published) notify()
    },

    find(kid, at) {
      return held.find(({ entry }) => entry.kid === kid && !isOver(entry, at))?.key
    },

    jwks: () => ({ keys: held.map(({ key }) => ({ ...key.jwk })) }),

    onChange(listener) {
      listeners.push(listener)
    },

    close() {
      first.reject(new Error('the signing keys were closed before there was one'))
    },
  }
}

/** The same key id is the same key, so this stands for the published set and its order. */
function kidsOf(held: { entry: KeyEntry }[]): string {
  return held.map(({ entry }) => entry.kid).join(' ')
}
