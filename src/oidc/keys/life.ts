/**
 * The life of a key: `next` (published, does not sign yet), `signing`, `retired` (published, signs no more), gone. Each
 * algorithm in use has a chain of its own. Pure functions over the list as it is stored, which stands in the order of
 * publication: the signing keys with that of the default algorithm first, retired ones with the youngest first, the next
 * keys.
 */
import type { LocalAlgorithm } from './algorithms.ts'

/** Seconds for which clients may keep the published key set. */
export const jwksMaxAge = 600

/** Seconds after which every replica has noticed what another one wrote; each looks twice in this time. */
export const replicaLag = 60

/** Seconds by which clocks may differ, and by which a replica may go on signing with a key that another one retired. */
const skew = 300

/** A key that is not in the list yet. */
export type NewKey = {
  kid: string
  algorithm: LocalAlgorithm
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
  /** Of clients that ask for none. A change takes effect at the next rotation. */
  algorithm: LocalAlgorithm
  /** Further ones, that clients ask for. */
  clientAlgorithms?: readonly LocalAlgorithm[]
  /** Seconds for which a key signs. */
  rotationPeriod: number
  /** Seconds; the longest life of a token. */
  tokenLifetime: number
}

/** One thing that happens to the list. */
export type Move =
  | { do: 'make'; algorithm: LocalAlgorithm; state: 'signing' | 'next' }
  /** A next key signs from now on. */
  | { do: 'promote'; key: KeyEntry }
  | { do: 'retire'; key: KeyEntry }
  | { do: 'drop'; key: KeyEntry }

/** Moves that belong together, and what is told of them. */
export interface Step {
  moves: Move[]
  /** The default algorithm from then on, when that changes. */
  first?: LocalAlgorithm
  /** In the words of the log, when another key signs afterwards. */
  reason?: string
}

interface Rotation extends Step {
  /** Unix seconds. */
  due: number
  /** The key that signs no more. */
  from?: string
}

/** The algorithms that this server is to sign with, the default first. */
export const wantedAlgorithms = ({ algorithm, clientAlgorithms = [] }: SigningKeyOptions): LocalAlgorithm[] => [
  ...new Set([algorithm, ...clientAlgorithms]),
]

/**
 * What has to happen to the list now; `undefined`: nothing. On an empty list the first keys sign at once, since there are
 * no others; every later one is published first.
 */
export function whatIsDue(keys: readonly KeyEntry[], options: SigningKeyOptions, at: number): Step | undefined {
  const wanted = wantedAlgorithms(options)
  if (!defaultOf(keys)) {
    const moves = wanted.map((algorithm) => ({ do: 'make', algorithm, state: 'signing' }) as const)
    return { moves, first: options.algorithm, reason: 'missing signing key' }
  }
  const missing = wanted.filter((algorithm) => !keyThat('next', algorithm, keys))
  if (missing.length > 0) return { moves: missing.map((algorithm) => ({ do: 'make', algorithm, state: 'next' })) }
  const rotation = rotations(keys, options).find(({ due }) => due <= at)
  if (rotation) return rotation
  const over = keys.filter((key) => isOver(key, at))
  return over.length > 0 ? { moves: over.map((key) => ({ do: 'drop', key })) } : undefined
}

/** What lets the keys of these ids sign no more, however short the next ones have been published. */
export function replacing(kids: ReadonlySet<string>, keys: readonly KeyEntry[], options: SigningKeyOptions): Step[] {
  return rotations(keys, options).filter(({ from }) => from !== undefined && kids.has(from))
}

/** Unix seconds at which something is due next; `undefined` before there is a key. */
export function nextDue(keys: readonly KeyEntry[], options: SigningKeyOptions): number | undefined {
  const due = rotations(keys, options).map((rotation) => rotation.due)
  return due.length > 0 ? Math.min(...due) : undefined
}

/** Unix seconds of the next rotation of the default algorithm's chain. */
export function nextRotation(keys: readonly KeyEntry[], options: SigningKeyOptions): number {
  const kid = defaultOf(keys)?.kid
  return rotations(keys, options).find(({ from }) => from === kid)?.due ?? 0
}

/**
 * The planned change of each chain. A key signs for its period, but the next one does not follow before every client must
 * have seen it; a period that is too short for that counts for both. What no client asks for any more goes only when its
 * time has come: another replica, with a newer file, may ask for it already.
 */
function rotations(keys: readonly KeyEntry[], options: SigningKeyOptions): Rotation[] {
  const { algorithm: standard, rotationPeriod } = options
  const wanted = wantedAlgorithms(options)
  const first = defaultOf(keys)?.algorithm
  const forClients = new Set(options.clientAlgorithms)
  const publishedFor = Math.min(rotationPeriod, jwksMaxAge + replicaLag)
  const seen = (key: KeyEntry | undefined) => (key ? key.since + publishedFor : 0)

  return chainsOf(keys).flatMap(({ algorithm, signing, next }): Rotation[] => {
    const stays = wanted.includes(algorithm)
    const succeed: Move[] = !next
      ? []
      : stays
        ? [{ do: 'promote', key: next }, makeNext(algorithm)]
        : [{ do: 'drop', key: next }]
    if (!signing) {
      if (!stays) return [{ due: next!.since + rotationPeriod, moves: succeed }]
      // The default's successor waits for its turn.
      if (!forClients.has(algorithm) && first !== undefined) return []
      return [{ due: seen(next), moves: succeed, reason: `first ${algorithm} key` }]
    }
    const from = signing.kid
    const over = signing.since + rotationPeriod
    const retire: Move = { do: 'retire', key: signing }
    if (algorithm === first && first !== standard) {
      const heir = keyThat('signing', standard, keys) ? undefined : keyThat('next', standard, keys)
      const due = Math.max(over, seen(heir), stays ? seen(next) : 0)
      const inherit: Move[] = heir ? [{ do: 'promote', key: heir }, makeNext(standard)] : []
      return [{ due, from, first: standard, moves: [...inherit, retire, ...succeed], reason: 'expired' }]
    }
    if (!stays) return [{ due: over, from, moves: [retire, ...succeed] }]
    return [{ due: Math.max(over, seen(next)), from, moves: [retire, ...succeed], reason: 'expired' }]
  })
}

const makeNext = (algorithm: LocalAlgorithm): Move => ({ do: 'make', algorithm, state: 'next' })

/** What the moves of a step need beside the list. */
export interface Means {
  /** For each `make`, in their order. */
  made: readonly NewKey[]
  /** Public JWK of a key, sealed. */
  publicOf(key: KeyEntry): string
}

/** The list after a step. */
export function apply(
  keys: readonly KeyEntry[],
  { moves, first = defaultOf(keys)?.algorithm }: Pick<Step, 'moves' | 'first'>,
  { made, publicOf }: Means,
  { tokenLifetime }: SigningKeyOptions,
  at: number,
): KeyEntry[] {
  const fresh = [...made]
  const touched = new Set(moves.flatMap((move) => (move.do === 'make' ? [] : [move.key.kid])))
  const kept = keys.filter(({ kid }) => !touched.has(kid))
  const changed = moves.flatMap((move): KeyEntry[] => {
    if (move.do === 'make') return [{ ...fresh.shift()!, state: move.state, since: at }]
    if (move.do === 'promote') return [{ ...move.key, state: 'signing', since: at }]
    if (move.do === 'drop') return []
    const { key } = move
    return [{ ...key, state: 'retired', since: at, until: at + tokenLifetime + skew, sealed: publicOf(key) }]
  })
  const signing = inState('signing', [...kept, ...changed])
  return [
    ...signing.filter(({ algorithm }) => algorithm === first),
    ...signing.filter(({ algorithm }) => algorithm !== first),
    ...inState('retired', [...changed, ...kept]).filter((key) => !isOver(key, at)),
    ...inState('next', [...kept, ...changed]),
  ]
}

const inState = (state: KeyEntry['state'], keys: readonly KeyEntry[]) => keys.filter((key) => key.state === state)

export function isOver({ until }: KeyEntry, at: number): boolean {
  return until !== undefined && until <= at
}

/** The key that signs by default: the first in the list that signs. */
export function defaultOf(keys: readonly KeyEntry[]): KeyEntry | undefined {
  return keys.find(({ state }) => state === 'signing')
}

function keyThat(state: 'signing' | 'next', algorithm: LocalAlgorithm, keys: readonly KeyEntry[]) {
  return keys.find((key) => key.state === state && key.algorithm === algorithm)
}

/** Those that somebody signs or will sign with, the default first. */
function chainsOf(keys: readonly KeyEntry[]) {
  const living = keys.filter(({ state }) => state !== 'retired')
  return [...new Set(living.map(({ algorithm }) => algorithm))].map((algorithm) => ({
    algorithm,
    signing: keyThat('signing', algorithm, keys),
    next: keyThat('next', algorithm, keys),
  }))
}
