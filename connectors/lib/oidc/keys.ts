/**
 * The upstream's signing keys (RFC 7517), and the check of a signature against them.
 *
 * Keys that we cannot use are passed over, a token without `kid` is tried against every fitting key, and a token that no
 * known key fits makes us look once whether the upstream has new ones.
 */
import { type CryptoKey, compactVerify, decodeProtectedHeader, importJWK, type JWK } from 'jose'
import { failure } from '../../contract.ts'
import { ownFailure } from './failures.ts'

export interface KeySet {
  /**
   * @returns the payload of a compact JWS
   * @throws ConnectorFailure `upstream_invalid_response`, or what was given for it, when no key fits or the signature is wrong
   */
  verify(jws: string, algorithms: readonly string[]): Promise<Record<string, unknown>>
}

/** After this time (milliseconds) keys that the upstream took away are forgotten. */
const maxAge = 10 * 60 * 1000
/** So often within a minute an unfitting token makes us fetch the keys ahead of time. */
const refetchesPerMinute = 5

interface Fetched {
  keys: JWK[]
  at: number
  imported: WeakMap<JWK, Map<string, Promise<CryptoKey | undefined>>>
}

/** @param refused makes the error of a token that is at fault itself */
export function keySet(
  address: string,
  fetch: typeof globalThis.fetch,
  now: () => Date,
  refused: (reason: string) => Error = refusedIdToken,
): KeySet {
  let kept: Fetched | undefined
  let running: Promise<Fetched> | undefined
  let early: number[] = []

  const load = async (): Promise<Fetched> => {
    try {
      kept = { keys: await fetchKeys(address, fetch), at: now().getTime(), imported: new WeakMap() }
      return kept
    } finally {
      running = undefined
    }
  }
  const reload = (): Promise<Fetched> => {
    running ??= load()
    return running
  }
  const mayRefetch = (): boolean => {
    const time = now().getTime()
    early = early.filter((earlier) => time - earlier < 60_000)
    if (early.length >= refetchesPerMinute) return false
    early.push(time)
    return true
  }
  const current = async (): Promise<Fetched> => {
    if (!kept) return reload()
    if (now().getTime() - kept.at < maxAge) return kept
    const old = kept
    return reload().catch(() => old)
  }

  return {
    async verify(jws, algorithms) {
      const { alg, kid } = header(jws, refused)
      if (alg === undefined || !algorithms.includes(alg)) {
        throw refused(`signed with ${alg ?? 'nothing'}, but the upstream lists ${algorithms.join(', ')}`)
      }
      const before = kept
      const first = await current()
      const payload = await tryKeys(jws, alg, kid, first, refused)
      if (payload) return payload
      if (first === before && mayRefetch()) {
        const renewed = await tryKeys(jws, alg, kid, await reload(), refused)
        if (renewed) return renewed
      }
      throw refused('no key of the upstream fits its signature')
    },
  }
}

async function fetchKeys(address: string, fetch: typeof globalThis.fetch): Promise<JWK[]> {
  try {
    const response = await fetch(address, { headers: { accept: 'application/json, application/jwk-set+json' } })
    if (!response.ok) {
      await response.body?.cancel()
      throw failure('upstream_unavailable', `${address} answered ${response.status}`)
    }
    const set: unknown = await response.json()
    const keys = typeof set === 'object' && set !== null ? (set as { keys?: unknown }).keys : undefined
    if (!Array.isArray(keys)) throw failure('upstream_invalid_response', `${address} has no "keys"`)
    return keys.filter((key): key is JWK => typeof key === 'object' && key !== null)
  } catch (error) {
    throw ownFailure(error) ?? failure('upstream_invalid_response', `${address} is no key set`, { cause: error })
  }
}

async function tryKeys(
  jws: string,
  alg: string,
  kid: string | undefined,
  { keys, imported }: Fetched,
  refused: (reason: string) => Error,
) {
  for (const jwk of keys.filter((key) => fits(key, alg, kid))) {
    const key = await importOnce(jwk, alg, imported)
    if (!key) continue
    const verified = await compactVerify(jws, key, { algorithms: [alg] }).catch(() => undefined)
    if (verified) return parse(verified.payload, refused)
  }
  return undefined
}

function fits(jwk: JWK, alg: string, kid: string | undefined): boolean {
  if (kid !== undefined && jwk.kid !== kid) return false
  if (jwk.kty !== keyType(alg)) return false
  if (jwk.alg !== undefined && jwk.alg !== alg && !(isEdwards(jwk.alg) && isEdwards(alg))) return false
  if (jwk.use !== undefined && jwk.use !== 'sig') return false
  return !Array.isArray(jwk.key_ops) || jwk.key_ops.includes('verify')
}

const isEdwards = (alg: string): boolean => alg === 'EdDSA' || alg === 'Ed25519'

function keyType(alg: string): string {
  if (isEdwards(alg)) return 'OKP'
  return alg.startsWith('ES') ? 'EC' : 'RSA'
}

/** `undefined`: a key that this platform cannot use, such as one of an unknown curve. */
function importOnce(jwk: JWK, alg: string, imported: Fetched['imported']): Promise<CryptoKey | undefined> {
  const byAlgorithm = imported.get(jwk) ?? new Map<string, Promise<CryptoKey | undefined>>()
  imported.set(jwk, byAlgorithm)
  const known = byAlgorithm.get(alg)
  if (known) return known
  const { kty, n, e, crv, x, y } = jwk // the public members only
  const publicKey = JSON.parse(JSON.stringify({ kty, n, e, crv, x, y })) as JWK
  const importing = importJWK(publicKey, alg).then(
    (key) => (key instanceof Uint8Array ? undefined : key),
    () => undefined,
  )
  byAlgorithm.set(alg, importing)
  return importing
}

function header(jws: string, refused: (reason: string) => Error): { alg?: string; kid?: string } {
  try {
    const { alg, kid } = decodeProtectedHeader(jws)
    return { ...(alg !== undefined && { alg }), ...(typeof kid === 'string' && { kid }) }
  } catch {
    throw refused('it is no compact JWS')
  }
}

function parse(payload: Uint8Array, refused: (reason: string) => Error): Record<string, unknown> {
  try {
    const claims: unknown = JSON.parse(new TextDecoder().decode(payload))
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims))
      return claims as Record<string, unknown>
  } catch {
    // the same refusal as for a payload that is no object
  }
  throw refused('its payload is no JSON object')
}

const refusedIdToken = (reason: string): Error =>
  failure('upstream_invalid_response', `failed to verify ID Token: ${reason}`)
