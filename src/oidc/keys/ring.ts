/** The keys that this server knows, as it last saw them in the store: one signs, all are published and verify. */
import type { Logger } from '../../lib/logger.ts'
import { isOver, type KeyEntry, keyThat } from './life.ts'
import type { OpenKey } from './sealed-key.ts'
import { type Signer, signerOf } from './token.ts'

export interface Ring {
  /** The key that signs; absent until the first key is there. */
  readonly signing: { key: OpenKey; sign: Signer } | undefined
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
  let signing: Ring['signing']
  const listeners: (() => void)[] = []
  const first = Promise.withResolvers<void>()
  first.promise.catch(() => {})

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
      return signing
    },
    first: first.promise,

    adopt(entries) {
      const known = new Map(held.map(({ entry, key }) => [entry.sealed, key]))
      const adopted = entries.map((entry) => ({ entry, key: known.get(entry.sealed) ?? open(entry) }))
      const kid = keyThat('signing', entries)?.kid
      const key = adopted.find(({ entry }) => entry.kid === kid)?.key
      // An emptied store is no reason to stop signing; a new key is on its way.
      if (!key) return
      const published = kidsOf(held)
      if (key !== signing?.key) signing = { key, sign: signerOf(key) }
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
