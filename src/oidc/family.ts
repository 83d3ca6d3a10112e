/**
 * A refresh token and its successors: one record whose id stays. A token is that id and a secret; the record holds hashes of
 * the secrets only. What a repeated refresh is answered lies sealed under the secret that was presented first.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Json } from '../lib/json.ts'
import type { NewRecord } from '../storage/contract.ts'
import { sealUnder } from '../storage/seal.ts'
import { checkSlot } from './oldest-checks.ts'
import type { RefreshTokenOptions } from './options.ts'
import { checkedAt } from './refresh-policy.ts'
import type { GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

export interface Family {
  clientId: string
  accountId: string
  grantId: string
  source: GrantSource
  /** What the token is bound to and may be used for, in the engine's words. */
  engine?: { jkt?: string; 'x5t#S256'?: string; resource?: string | string[] }
  /** Hash of the secret that is good now. */
  current: string
  /** Hashes of former secrets, the newest first. */
  spent: string[]
  /** The token that is good now, sealed under the secret before it. */
  successor?: string
  /** Milliseconds since the epoch. */
  issuedAt: number
  usedAt: number
}

/** What a presented token is to its family. */
export type Standing =
  /** `again`: it does not rotate, and was used within the interval. */
  | { is: 'current'; again: boolean }
  /** The one before, presented again within the interval: `token` is what its first use was answered. */
  | { is: 'repeated'; token: string }
  /** One that was used before; `since` milliseconds ago. */
  | { is: 'spent'; since: number }
  | { is: 'unknown' }

const sizes = { id: 16, secret: 32 } as const
const idLetters = 22
const tokenForm = /^[\w-]{65}$/
/** Of former secrets; a thief seldom comes with an older one. */
const remembered = 10
const purpose = 'refresh token successor'

export const newFamilyId = (): string => randomBytes(sizes.id).toString('base64url')
export const newSecret = (): string => randomBytes(sizes.secret).toString('base64url')
export const hashOf = (secret: string): string => hash('sha256', secret, 'base64url')
export const tokenOf = (id: string, secret: string): string => `${id}${secret}`

/** Id and secret of a token; `undefined` when it cannot be one of ours. */
export function parseToken(token: string): { id: string; secret: string } | undefined {
  if (!tokenForm.test(token)) return undefined
  return { id: token.slice(0, idLetters), secret: token.slice(idLetters) }
}

/** @param now when the token came, milliseconds since the epoch */
export function standingOf(
  family: Family,
  secret: string,
  { rotate, reuseInterval }: Pick<RefreshTokenOptions, 'rotate' | 'reuseInterval'>,
  now: number,
): Standing {
  const hashed = hashOf(secret)
  if (equal(hashed, family.current)) {
    const used = !rotate && reuseInterval > 0 && family.usedAt > family.issuedAt
    return { is: 'current', again: used && now - family.usedAt <= reuseInterval * 1000 }
  }
  const place = family.spent.findIndex((each) => equal(each, hashed))
  if (place < 0) return { is: 'unknown' }
  const since = now - family.usedAt
  if (place === 0 && since <= reuseInterval * 1000 && family.successor !== undefined) {
    const token = sealUnder(secret).open(family.successor, purpose)
    if (typeof token === 'string') return { is: 'repeated', token }
  }
  return { is: 'spent', since }
}

const equal = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

/** The family with `next` in the place of `secret`. */
export function rotated(
  family: Family,
  {
    id,
    secret,
    next,
    keepSuccessor,
    now,
  }: { id: string; secret: string; next: string; keepSuccessor: boolean; now: number },
): Family {
  const { successor: _, ...rest } = family
  return {
    ...rest,
    current: hashOf(next),
    spent: [family.current, ...family.spent].slice(0, remembered),
    ...(keepSuccessor && { successor: sealUnder(secret).seal(tokenOf(id, next), purpose) }),
    usedAt: now,
  }
}

export function familyRecord(family: Family, options: RefreshTokenOptions): NewRecord {
  const expiresAt = expiryOf(family, options)
  return {
    ...(expiresAt !== undefined && { expiresAt }),
    index: {
      grant: family.grantId,
      ...ownersOf(family),
      ...(family.source.sid !== undefined && { session: family.source.sid }),
      checked: checkSlot(family.source.login.connectorId, checkedAt(family.source)),
    },
    body: family as unknown as Json,
  }
}

/** Indexes by which the refresh tokens of a person with a client are found. */
export const ownersOf = ({ accountId, clientId }: Pick<Family, 'accountId' | 'clientId'>) => ({
  person: hashOf(accountId),
  client: clientId,
})

/** Unix seconds from which on the family is not good any more; `undefined`: never. */
export function expiryOf(
  { issuedAt, usedAt }: Pick<Family, 'issuedAt' | 'usedAt'>,
  { absoluteLifetime, validIfNotUsedFor }: RefreshTokenOptions,
): number | undefined {
  const ends = [
    absoluteLifetime === undefined ? undefined : issuedAt / 1000 + absoluteLifetime,
    validIfNotUsedFor === undefined ? undefined : usedAt / 1000 + validIfNotUsedFor,
  ].filter((end) => end !== undefined)
  return ends.length === 0 ? undefined : Math.floor(Math.min(...ends))
}

export const accountOf = ({ login }: Pick<GrantSource, 'login'>): string =>
  encodeSubject(login.identity.userId, login.connectorId)
