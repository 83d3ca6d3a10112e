/**
 * Single sign-on sessions: who is logged in in this browser, at which connector, since when, and which clients know of it.
 * The cookie holds the session's id, which clients learn as `sid`, and a secret that only this browser has; the store holds
 * the hash of the secret.
 */
import { hash, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Scopes } from '../../connectors/contract.ts'
import type { Json } from '../lib/json.ts'
import type { NewRecord, StorageDriver } from '../storage/contract.ts'
import { type Sealer, sealerOf } from '../storage/seal.ts'
import type { Unit } from '../storage/unit.ts'
import type { Login } from './identity.ts'
import type { SessionOptions } from './options.ts'
import { randomState } from './random.ts'
import { type CookieJar, cookieOf } from './stash.ts'

export interface Session {
  /** Claim `sid` (OpenID Connect Back-Channel Logout 1.0, 2.1). */
  id: string
  login: Login
  /** What the connector was asked for; a client that wants more cannot be served from the session. */
  asked: Scopes
  /** Unix seconds. */
  createdAt: number
  /** Unix seconds, to some accuracy: see `precision`. */
  usedAt: number
  /** The cookie outlives the browser. */
  remember: boolean
  clients: Record<string, SessionClient>
  /** `User-Agent` of the browser. */
  agent?: string
}

/** A client that was told of the session. */
export interface SessionClient {
  /** Unix seconds. */
  since: number
  /** The person logged in for this client, so it may share the session; one that was let in by sharing may not. */
  direct: boolean
}

export interface NewSession {
  login: Login
  asked: Scopes
  remember: boolean
  clientId: string
  agent?: string | undefined
}

export interface Sessions {
  readonly options: SessionOptions
  /** The session of this browser; a cookie that is no good any more is taken away. */
  load(jar: CookieJar): Promise<Session | undefined>
  /** A session that has not ended, by its id. */
  get(id: string): Promise<Session | undefined>
  /**
   * A person has logged in: stages a new session and sets its cookie. The same person keeps the session with a new secret;
   * the session of somebody else in this browser is `replaced` and has to be ended.
   */
  begin(unit: Unit, jar: CookieJar, start: NewSession): Promise<{ session: Session; replaced?: Session }>
  /** Notes that a client learns of the session, and that it was used; keeps it from idling out. */
  join(session: Session, clientId: string, jar: CookieJar): Promise<void>
  /** Changes a session, whoever else does at the same time; `undefined` when it has ended. */
  update(id: string, change: (session: Session) => Session): Promise<Session | undefined>
  /** Takes the cookie away. */
  forget(jar: CookieJar): void
}

export interface SessionsContext {
  options: SessionOptions
  driver: Pick<StorageDriver, 'get' | 'commit'>
  /** Path of the issuer without a trailing slash. */
  mount: string
  /** Whether the issuer is https. */
  secure: boolean
  now(): Date
}

type Stored = Omit<Session, 'id'> & {
  /** Hash of the secret in the cookie. */
  secret: string
  /** The secret before the last login, for requests that were on their way; with its end in Unix seconds. */
  former?: { secret: string; until: number }
}

/** Seconds for which a use need not be written again: a session in use costs a write a minute. */
const precision = 60
/** Seconds. */
const formerSecretLifetime = 60
/** Who writes the same session at the same moment tries again. */
const tries = 10
const purpose = 'session cookie'

export const sessionIndex = {
  person: (login: Login) => hashOf(JSON.stringify([login.connectorId, login.identity.userId])),
  upstream: (connectorId: string, sid: string) => hashOf(JSON.stringify([connectorId, sid])),
}

const hashOf = (value: string): string => hash('sha256', value, 'base64url')

export function openSessions({ options, driver, mount, secure, now }: SessionsContext): Sessions {
  const path = mount === '' ? '/' : mount
  const name = options.cookieName ?? `${secure ? (mount === '' ? '__Host-' : '__Secure-') : ''}dex_session`
  const sealer = options.cookieKeys.length === 0 ? undefined : cookieSealer(options.cookieKeys)
  const seconds = () => Math.floor(now().getTime() / 1000)
  const idle = Math.min(precision, options.validIfNotUsedFor / 10)

  const attributes = `Path=${path}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  const forget = (jar: CookieJar) => jar.append(`${name}=; Max-Age=0; ${attributes}`)
  const give = (jar: CookieJar, session: Session, secret: string) => {
    const clear = `${session.id}.${secret}`
    const value = sealer ? sealer.seal(clear, purpose) : clear
    const maxAge = session.createdAt + options.absoluteLifetime - seconds()
    jar.append(`${name}=${value}; ${session.remember ? `Max-Age=${Math.max(0, maxAge)}; ` : ''}${attributes}`)
  }
  const endOf = ({ createdAt, usedAt }: Pick<Session, 'createdAt' | 'usedAt'>) =>
    Math.floor(Math.min(createdAt + options.absoluteLifetime, usedAt + options.validIfNotUsedFor))
  const recordOf = (stored: Stored): NewRecord => {
    const { login } = stored
    const upstream = login.identity.authentication?.sid
    return {
      expiresAt: endOf(stored),
      index: {
        person: sessionIndex.person(login),
        ...(upstream !== undefined && { upstream: sessionIndex.upstream(login.connectorId, upstream) }),
      },
      body: stored as unknown as Json,
    }
  }
  const read = async (id: string) => {
    const record = await driver.get('session', id)
    return record && { version: record.version, stored: record.body as unknown as Stored }
  }

  /** Id and secret of the cookie. */
  const presented = (jar: CookieJar): [id: string, secret: string] | undefined => {
    const value = cookieOf(jar.header, name)
    const clear = value && sealer ? sealer.open(value, purpose) : value
    const [, id, secret] = /^([\w-]{43})\.([\w-]{43})$/.exec(typeof clear === 'string' ? clear : '') ?? []
    return id === undefined ? undefined : [id, secret!]
  }

  const write = async (id: string, change: (stored: Stored) => Stored): Promise<Stored | undefined> => {
    for (let each = 0; each < tries; each++) {
      const found = await read(id)
      if (!found) return undefined
      const stored = change(found.stored)
      const { ok } = await driver.commit([
        { do: 'replace', kind: 'session', id, version: found.version, record: recordOf(stored) },
      ])
      if (ok) return stored
    }
    throw new Error('a session is written by too many requests at once')
  }

  const load: Sessions['load'] = async (jar) => {
    const given = presented(jar)
    const found = given && (await read(given[0]))
    if (found && isSecretOf(found.stored, given[1], seconds())) return shown(given[0], found.stored)
    if (cookieOf(jar.header, name)) forget(jar)
    return undefined
  }

  return {
    options,
    load,
    forget,

    async get(id) {
      const found = await read(id)
      return found && shown(id, found.stored)
    },

    async begin(unit, jar, { login, asked, remember, clientId, agent }) {
      const time = seconds()
      const secret = randomState()
      const before = await load(jar)
      const fresh: Stored = {
        secret: hashOf(secret),
        login,
        asked,
        createdAt: time,
        usedAt: time,
        remember,
        clients: { [clientId]: { since: time, direct: true } },
        ...(agent !== undefined && { agent }),
      }
      if (before && isSamePerson(before.login, login)) {
        const renewed = await write(before.id, (stored) => ({
          ...fresh,
          clients: { ...stored.clients, ...fresh.clients },
          former: { secret: stored.secret, until: time + formerSecretLifetime },
        }))
        if (renewed) {
          const session = shown(before.id, renewed)
          give(jar, session, secret)
          return { session }
        }
      }
      const id = randomState()
      unit.create('session', id, recordOf(fresh))
      const session = shown(id, fresh)
      give(jar, session, secret)
      return { session, ...(before && { replaced: before }) }
    },

    async join(session, clientId, jar) {
      const time = seconds()
      if (session.clients[clientId] && time - session.usedAt < idle) return
      const joined = await write(session.id, (stored) => ({
        ...stored,
        usedAt: time,
        clients: { ...stored.clients, [clientId]: stored.clients[clientId] ?? { since: time, direct: false } },
      }))
      if (!joined) forget(jar)
    },

    async update(id, change) {
      const stored = await write(id, (before) => ({ ...before, ...withoutId(change(shown(id, before))) }))
      return stored && shown(id, stored)
    },
  }
}

export const isSamePerson = (a: Login, b: Login): boolean =>
  a.connectorId === b.connectorId && a.identity.userId === b.identity.userId

function shown(id: string, { secret: _, former: _former, ...rest }: Stored): Session {
  return { id, ...rest }
}

const withoutId = ({ id: _, ...rest }: Session): Omit<Session, 'id'> => rest

function isSecretOf({ secret, former }: Stored, presented: string, time: number): boolean {
  const hashed = hashOf(presented)
  return equal(hashed, secret) || (former !== undefined && former.until > time && equal(hashed, former.secret))
}

const equal = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

/** Dex's keys have 16, 24 or 32 bytes; ours 32, derived from them (RFC 5869). The first one seals, all open. */
function cookieSealer(keys: readonly string[]): Sealer {
  return sealerOf(keys.map((key) => new Uint8Array(hkdfSync('sha256', key, '', 'countersign: session cookie', 32))))
}
