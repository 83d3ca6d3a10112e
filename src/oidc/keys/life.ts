/**
 * The life of a key: `next` (published, does not sign yet), `signing`, `retired` (published, signs no more), gone.
 * Pure functions over the list as it is stored, which stands in the order of publication: the signing key, retired ones
 * with the youngest first, the next key.
 */
import type { SigningAlgorithm } from './algorithms.ts'

/** Seconds for which clients may keep the published key set. */
export const jwksMaxAge = 600

/** Seconds after which every replica has noticed what another one wrote; each looks twice in this time. */
const replicaLag = 60

/** Seconds by which clocks may differ, and by which a replica may go on signing with a key that another one retired. */
const skew = 300

/** A key that is not in the list yet. */
export type NewKey = {
  kid: string
  algorithm: SigningAlgorithm
  /** The JWK, sealed: the private one, and of a retired key the public one. */
  sealed: string
}

export type KeyEntry = NewKey & {
  state: 'next' | 'signing' | 'retired'
  /** Unix seconds at which it came into this state. */
  since: number
  /** Of a retired key: Unix seconds from which it is not published any more. */
  until?: number
}

export interface SigningKeyOptions {
  /** Of keys that are made from now on. */
  algorithm: SigningAlgorithm
  /** Seconds for which a key signs. */
  rotationPeriod: number
  /** Seconds; the longest life of a token. */
  tokenLifetime: number
}

/** What has to happen to the list now. */
export type Due = 'begin' | 'prepare' | 'rotate' | 'drop' | undefined

/** @param insist whether a next key of another algorithm than the configured one has to be replaced */
export function whatIsDue(keys: readonly KeyEntry[], options: SigningKeyOptions, at: number, insist: boolean): Due {
  if (!keyThat('signing', keys)) return 'begin'
  const next = keyThat('next', keys)
  if (!next || (insist && next.algorithm !== options.algorithm)) return 'prepare'
  if (at >= nextRotation(keys, options)) return 'rotate'
  if (keys.some((key) => isOver(key, at))) return 'drop'
  return undefined
}

/**
 * Unix seconds of the next rotation: when the signing key has signed for its period, but not before every client must
 * have seen the next key. A period that is too short for that counts for both.
 */
export function nextRotation(keys: readonly KeyEntry[], { rotationPeriod }: SigningKeyOptions): number {
  const signing = keyThat('signing', keys)
  const next = keyThat('next', keys)
  const publishedFor = Math.min(rotationPeriod, jwksMaxAge + replicaLag)
  return Math.max((signing?.since ?? 0) + rotationPeriod, (next?.since ?? 0) + publishedFor)
}

/** The first key signs at once: there is no other. */
export function begin(keys: readonly KeyEntry[], key: NewKey, at: number): KeyEntry[] {
  return [{ ...key, state: 'signing', since: at }, ...keys]
}

/** Publishes a next key, in place of one that nobody has signed with. */
export function prepare(keys: readonly KeyEntry[], key: NewKey, at: number): KeyEntry[] {
  return [...keys.filter(({ state }) => state !== 'next'), { ...key, state: 'next', since: at }]
}

export interface Succession {
  signing: KeyEntry
  next: KeyEntry
  /** Public JWK of the key that has signed so far, sealed. */
  retired: string
  /** The next key but one. */
  fresh: NewKey
}

/** The next key signs, the signing key retires, and a fresh one is published for the rotation after this. */
export function rotate(
  keys: readonly KeyEntry[],
  { signing, next, retired, fresh }: Succession,
  { tokenLifetime }: SigningKeyOptions,
  at: number,
): KeyEntry[] {
  return [
    { ...next, state: 'signing', since: at },
    { ...signing, state: 'retired', since: at, until: at + tokenLifetime + skew, sealed: retired },
    ...withoutOver(keys, at).filter(({ state }) => state === 'retired'),
    { ...fresh, state: 'next', since: at },
  ]
}

/** Leaves out the retired keys whose last token has expired. */
export function withoutOver(keys: readonly KeyEntry[], at: number): KeyEntry[] {
  return keys.filter((key) => !isOver(key, at))
}

export function isOver({ until }: KeyEntry, at: number): boolean {
  return until !== undefined && until <= at
}

/** The key that signs, or the one that is next. */
export function keyThat(state: 'signing' | 'next', keys: readonly KeyEntry[]): KeyEntry | undefined {
  return keys.find((key) => key.state === state)
}
