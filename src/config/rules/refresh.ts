/** Refresh tokens: how long they live, and when a refresh asks the upstream. */
import type { RefreshPolicy } from '../../login/options.ts'
import type { ClientOptions, OidcOptions, RefreshTokenOptions } from '../../oidc/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { readDuration } from './duration.ts'

type ClientEntry = Part<'staticClients'>[number]
type Lives = NonNullable<NonNullable<ClientEntry['expiry']>['refreshTokens']>
type PolicyEntry = NonNullable<Part<'connectors'>[number]['refresh']>

/** Seconds in which a refresh token may come again when the file does not say: the tabs of a browser, a lost answer. */
const REUSE_INTERVAL = 3
const forAll: RefreshTokenOptions = { rotate: true, reuseInterval: REUSE_INTERVAL }

/** @param standard what counts where the part says nothing */
export const readRefreshTokens = (
  pointer: string,
  part: Lives & { maxPerUserAndClient?: number },
  reading: Reading,
  standard: RefreshTokenOptions = forAll,
): RefreshTokenOptions => {
  const said = (key: 'absoluteLifetime' | 'validIfNotUsedFor' | 'reuseInterval'): number | undefined => {
    const at = child(pointer, key)
    const seconds = readDuration(at, part[key], reading)
    return !part[key] || reading.report.broken(at) ? undefined : seconds
  }
  const absoluteLifetime = said('absoluteLifetime') ?? standard.absoluteLifetime
  const validIfNotUsedFor = said('validIfNotUsedFor') ?? standard.validIfNotUsedFor
  const most = part.maxPerUserAndClient ?? standard.maxPerUserAndClient
  return {
    rotate: part.disableRotation === undefined ? standard.rotate : !part.disableRotation,
    reuseInterval: Math.max(0, said('reuseInterval') ?? standard.reuseInterval),
    // Zero is Dex's word for no limit.
    ...(absoluteLifetime && { absoluteLifetime }),
    ...(validIfNotUsedFor && { validIfNotUsedFor }),
    ...(most && { maxPerUserAndClient: most }),
  }
}

/** What a client's entry says of its tokens. @param server what `expiry` says */
export const readClientTokens = (
  { expiry, refresh }: Pick<ClientEntry, 'expiry' | 'refresh'>,
  pointer: string,
  server: Pick<OidcOptions, 'lifetimes' | 'refreshTokens'>,
  reading: Reading,
): Pick<ClientOptions, 'refresh' | 'lifetimes' | 'refreshTokens'> => {
  const at = child(pointer, 'expiry')
  const life = (key: 'idTokens' | 'accessTokens') => readDuration(child(at, key), expiry?.[key], reading) || undefined
  const idTokens = life('idTokens')
  const accessTokens = life('accessTokens')
  const most = refresh?.maxPerUserAndClient
  const own = { ...expiry?.refreshTokens, ...(most !== undefined && { maxPerUserAndClient: most }) }
  const tokens =
    Object.keys(own).length > 0
      ? readRefreshTokens(child(at, 'refreshTokens'), own, reading, server.refreshTokens)
      : undefined
  const policy = readPolicy(refresh, child(pointer, 'refresh'), reading)
  warnOfEndless(policy, child(pointer, 'refresh'), tokens ?? server.refreshTokens, reading)
  return {
    ...(policy && { refresh: policy }),
    ...((idTokens !== undefined || accessTokens !== undefined) && {
      lifetimes: {
        idTokens: idTokens ?? server.lifetimes.tokens,
        accessTokens: accessTokens ?? idTokens ?? server.lifetimes.tokens,
      },
    }),
    ...(tokens && { refreshTokens: tokens }),
  }
}

/** The members that are given; `undefined` when there is none. */
export const readPolicy = (
  entry: PolicyEntry | undefined,
  pointer: string,
  reading: Reading,
): Partial<RefreshPolicy> | undefined => {
  const { upstream, onOutage } = entry ?? {}
  const { report } = reading
  /** @returns seconds; `undefined` when they are at fault */
  const length = (
    key: 'upstream' | 'onOutage',
    inner: 'maxAge' | 'staleFor',
    text: string | undefined,
    none: string,
  ) => {
    const at = child(child(pointer, key), inner)
    if (report.broken(at)) return undefined
    // An empty text is zero, and zero is another policy.
    const seconds = text ? readDuration(at, text, reading) : 0
    if (report.broken(at)) return undefined
    if (seconds > 0) return seconds
    report.fault(at, `must be longer than 0: write "${key}: ${none}"`)
    return undefined
  }
  const policy: Partial<RefreshPolicy> = {}
  if (typeof upstream === 'object') {
    const maxAge = length('upstream', 'maxAge', upstream.maxAge, 'always')
    if (maxAge !== undefined) policy.upstream = { maxAge }
  } else if (upstream) policy.upstream = upstream as 'always' | 'never'
  if (typeof onOutage === 'object') {
    const staleFor = length('onOutage', 'staleFor', onOutage.staleFor, 'deny')
    if (staleFor !== undefined) policy.onOutage = { staleFor }
  } else if (onOutage) policy.onOutage = 'deny'
  warnOfIdle(policy, pointer, reading)
  return Object.keys(policy).length > 0 ? policy : undefined
}

const warnOfIdle = ({ upstream, onOutage }: Partial<RefreshPolicy>, pointer: string, { report }: Reading): void => {
  if (typeof onOutage !== 'object') return
  const at = child(pointer, 'onOutage')
  if (upstream === 'never') report.warn(at, 'has no effect, since the upstream is never asked')
  if (typeof upstream === 'object' && onOutage.staleFor <= upstream.maxAge) {
    report.warn(child(at, 'staleFor'), 'never helps: the upstream is asked when its last answer is older than maxAge')
  }
}

/** Who is never asked about again keeps what they had. */
export const warnOfEndless = (
  policy: Partial<RefreshPolicy> | undefined,
  pointer: string,
  { absoluteLifetime }: RefreshTokenOptions,
  { report }: Reading,
): void => {
  if (policy?.upstream !== 'never' || absoluteLifetime !== undefined) return
  report.warn(
    child(pointer, 'upstream'),
    '"never" lets whoever logged in once keep their groups for ever: limit it by absoluteLifetime of the refresh tokens',
  )
}
