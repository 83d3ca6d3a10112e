/**
 * A login in progress: what has to come back with the browser, sealed in a cookie of that login, so that any replica can
 * go on with it and nothing is stored for a stranger. The cookie binds the login to the browser that began it.
 */
import type { Json } from '../lib/json.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Login } from './identity.ts'
import { randomState } from './random.ts'
import { openWaiting } from './waiting.ts'
import type { WantedClaims } from './wanted-claims.ts'

/** What the login is for. */
export type Purpose =
  /** An authorization request that was judged good; `seed` is what its code is made from. */
  | {
      kind: 'authorize'
      params: Record<string, string>
      seed: string
      askApproval: boolean
      /** Where the pushed request lies that is used up when the code is issued. */
      pushedId?: string
    }
  /** A device that waits; `id` names its request in the store. */
  | { kind: 'device'; id: string }

/** An authorization request that did not stand in the address, while the person chooses how to log in. */
export interface ParkedRequest {
  params: Record<string, string | string[] | undefined>
  via?: 'pushed' | 'object'
  pushedId?: string
}

export interface Stash {
  /** Goes round in clear, 256 bits; names the cookie. */
  state: string
  connectorId: string
  clientId: string
  /** Scopes as the client asked for them. */
  scopes: string[]
  /** What the client asked for beyond them. */
  wanted?: WantedClaims
  purpose: Purpose
  /** What the connector wants back. */
  memo?: Json
  /** Leaves by a cross-site POST: shown as a form. */
  post?: { action: string; fields: Record<string, string> }
  /** Set once the person is known and has to approve the client. */
  login?: Login
  /** The session that `login` comes from; absent when the person has just logged in. */
  sessionId?: string
  /** The person wants to stay logged in when the browser is closed. */
  remember?: boolean
  parked?: ParkedRequest
  /** Leads back to the choice of connectors. */
  backUrl?: string
  /** The name that the password form begins with (`login_hint`). */
  loginHint?: string
  /** Languages that the client asked pages in (`ui_locales`). */
  locales?: string[]
  /** Unix seconds. */
  expiresAt: number
}

/** Reads and writes `Cookie` and `Set-Cookie`, so that this room knows no framework. */
export interface CookieJar {
  /** The request header. */
  header: string | undefined
  /** Appends one response header. */
  append(setCookie: string): void
}

export interface Stashes {
  save(stash: Stash, jar: CookieJar): Promise<void>
  /** The login of that state, if this browser began it and it has not run out. */
  load(state: string, jar: CookieJar): Promise<Stash | undefined>
  drop(state: string, jar: CookieJar): void
}

export interface StashContext {
  sealer: Sealer
  driver: Pick<StorageDriver, 'get' | 'commit'>
  /** Path of the issuer without a trailing slash. */
  mount: string
  /** Whether the issuer is https. */
  secure: boolean
  now(): Date
}

const prefix = 'login_'
/** Letters of the state in the cookie's name: tabs do not collide, and a look-up needs no search. */
const nameLength = 16
/** Browsers drop cookies above 4,096 bytes, name and attributes included. */
const largestValue = 3500
/** Seconds that one may lie in the store; who needs longer starts again. */
const longestWait = 3600
/** What a browser may carry of logins that were never finished; proxies refuse headers of some 8 kB. */
const largestTotal = 6000

export function openStashes({ sealer, driver, mount, secure, now }: StashContext): Stashes {
  const path = mount === '' ? '/' : mount
  const nameOf = (state: string) => `${prefix}${state.slice(0, nameLength)}`
  const purposeOf = (state: string) => `login ${state}`
  const strangers = openWaiting({ driver, now })
  /** Of people who have logged in: nobody else can use up their share. */
  const known = openWaiting({ driver, now })
  const seconds = () => Math.floor(now().getTime() / 1000)

  const write = (name: string, value: string, maxAge: number) =>
    `${name}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`

  return {
    async save(stash, jar) {
      const name = nameOf(stash.state)
      const maxAge = Math.max(1, stash.expiresAt - seconds())
      let sealed = sealer.seal(stash as unknown as Json, purposeOf(stash.state))
      if (sealed.length > largestValue) {
        // Too large to travel: the cookie only says where it lies, and only this browser has the cookie.
        const handle = randomState()
        await (stash.login ? known : strangers).keep(handle, { sealed }, Math.min(maxAge, longestWait))
        sealed = sealer.seal({ handle }, purposeOf(stash.state))
      }
      const value = `${now().getTime().toString(36)}.${sealed}`
      jar.append(write(name, value, maxAge))
      for (const old of surplus(jar.header, name, value.length)) jar.append(write(old, '', 0))
    },

    async load(state, jar) {
      const value = cookieOf(jar.header, nameOf(state))
      const sealed = value?.slice(value.indexOf('.') + 1)
      if (!sealed) return undefined
      let opened = sealer.open(sealed, purposeOf(state)) as Partial<Stash & { handle: string }> | undefined
      if (opened?.handle !== undefined) {
        const stored = await driver.get('login', opened.handle)
        const { sealed: inner } = (stored?.body ?? {}) as { sealed?: string }
        opened = inner === undefined ? undefined : (sealer.open(inner, purposeOf(state)) as Partial<Stash> | undefined)
      }
      const stash = opened as Stash | undefined
      return stash && stash.expiresAt > seconds() ? stash : undefined
    },

    drop(state, jar) {
      jar.append(write(nameOf(state), '', 0))
    },
  }
}

/** Cookies of unfinished logins that must go, the oldest first, so that the rest stays small beside the new one. */
function surplus(header: string | undefined, current: string, size: number): string[] {
  const others = cookies(header)
    .filter(([name]) => name.startsWith(prefix) && name !== current)
    .map(([name, value]) => ({ name, size: value.length, since: Number.parseInt(value, 36) || 0 }))
    .toSorted((a, b) => b.since - a.since)
  let total = size
  return others
    .filter((cookie) => {
      total += cookie.size
      return total > largestTotal
    })
    .map(({ name }) => name)
}

export const cookieOf = (header: string | undefined, name: string): string | undefined =>
  cookies(header).find(([each]) => each === name)?.[1]

/** RFC 6265, 4.2.1; our values need no unquoting. */
function cookies(header: string | undefined): [name: string, value: string][] {
  if (!header) return []
  return header.split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]]
  })
}
