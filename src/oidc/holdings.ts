/** What is held in a person's name: their sessions, and the applications that can go on without them. */
import type { Login } from '../login/identity.ts'
import { type Session, sessionIndex } from '../login/sessions.ts'
import type { StorageDriver } from '../storage/contract.ts'
import { accountOf, type Family, hashOf } from './family.ts'

/** An application that holds a refresh token. */
export interface HeldToken {
  /** Of the family of refresh tokens. */
  id: string
  clientId: string
  origin: NonNullable<Family['source']['origin']>
  /** Milliseconds since the epoch. */
  issuedAt: number
  usedAt: number
  sid?: string
}

export interface Holdings {
  sessions: Session[]
  tokens: HeldToken[]
}

/** More than this nobody reads; `all` in the person's hands still ends all. */
const longestList = 100

/** The youngest first. */
export async function holdingsOf(
  driver: Pick<StorageDriver, 'find'>,
  login: Login,
  limit: number = longestList,
): Promise<Holdings> {
  const sessions: Session[] = []
  for await (const [id, { body }] of driver.find('session', { person: sessionIndex.person(login) })) {
    const { secret: _, former: _former, ...rest } = body as unknown as Session & { secret: string; former?: unknown }
    sessions.push({ ...rest, id })
  }
  const tokens: HeldToken[] = []
  for await (const [id, { body }] of driver.find('refresh-family', { person: personOf(login) })) {
    const { clientId, source, issuedAt, usedAt } = body as unknown as Family
    const { origin = {}, sid } = source
    tokens.push({ id, clientId, origin, issuedAt, usedAt, ...(sid !== undefined && { sid }) })
  }
  return {
    sessions: sessions.toSorted((a, b) => b.usedAt - a.usedAt).slice(0, limit),
    tokens: tokens.toSorted((a, b) => b.usedAt - a.usedAt).slice(0, limit),
  }
}

const personOf = (login: Login): string => hashOf(accountOf({ login }))
