/**
 * A logout that goes on at the upstream: what comes after it, sealed in a cookie of that logout, so that only the browser
 * that was sent there can take it up again. Nobody is logged in here any more, so nothing of it is secret or urgent.
 */
import type { Json } from '../lib/json.ts'
import type { Sealer } from '../storage/seal.ts'
import { type CookieJar, cookieOf } from './stash.ts'

export interface LogoutTrip {
  /** Goes round with the browser in clear, 256 bits; names the cookie. */
  state: string
  connectorId: string
  /** What the connector wants back. */
  memo?: Json
  /** Where the logout leads in the end. */
  ending: Json
  /** Unix seconds. */
  expiresAt: number
}

export interface LogoutTrips {
  save(trip: LogoutTrip, jar: CookieJar): void
  /** The logout of that state, if this browser is on it and it has not run out. */
  load(state: string, jar: CookieJar): LogoutTrip | undefined
  drop(state: string, jar: CookieJar): void
}

export interface LogoutTripsContext {
  sealer: Sealer
  /** Path of the issuer without a trailing slash. */
  mount: string
  /** Whether the issuer is https. */
  secure: boolean
  now(): Date
}

/** Seconds: the upstream may ask the person. */
export const tripLifetime = 600
/** Letters of the state in the cookie's name. */
const nameLength = 16

export function openLogoutTrips({ sealer, mount, secure, now }: LogoutTripsContext): LogoutTrips {
  const path = `${mount}/logout`
  const nameOf = (state: string) => `logout_${state.slice(0, nameLength)}`
  const purposeOf = (state: string) => `logout trip ${state}`
  const write = (state: string, value: string, maxAge: number) =>
    `${nameOf(state)}=${value}; Path=${path}; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`

  return {
    save(trip, jar) {
      jar.append(write(trip.state, sealer.seal(trip as unknown as Json, purposeOf(trip.state)), tripLifetime))
    },
    load(state, jar) {
      const sealed = cookieOf(jar.header, nameOf(state))
      const trip = (sealed && sealer.open(sealed, purposeOf(state))) as LogoutTrip | undefined
      return trip && trip.expiresAt > now().getTime() / 1000 ? trip : undefined
    },
    drop: (state, jar) => jar.append(write(state, '', 0)),
  }
}
