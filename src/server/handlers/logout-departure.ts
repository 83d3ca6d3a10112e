/** From the end of a session here to the upstream that the person logged in at. */
import type { Context } from 'koa'
import type { Json } from '../../lib/json.ts'
import { tripLifetime } from '../../login/logout-trip.ts'
import { randomState } from '../../login/random.ts'
import type { Session } from '../../login/sessions.ts'
import { paths } from '../../oidc/discovery.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'

/** Where a logout leads in the end. */
export interface Ending {
  clientId?: string
  /** A registered address of that client. */
  redirectUri?: string
  state?: string
  locales: string[]
}

export const tripPaths = {
  /** Registered at upstreams. */
  callback: `${paths.logout}/callback`,
  post: `${paths.logout}/post`,
} as const

/** The address that upstreams return to. */
export const returnTo = ({ issuer }: Services): URL => new URL(`${issuer.replace(/\/$/, '')}${tripPaths.callback}`)

/**
 * Reads what is needed before the session ends, since its records end with it.
 * @returns where the browser goes then; an upstream that is out of reach keeps nobody logged in here
 */
export async function prepareDeparture(
  services: Services,
  { login }: Session,
): Promise<(ctx: Context, ending: Ending) => Promise<string | undefined>> {
  const { connectors, connectorData, log, logoutTrips, waiting, mount, now } = services
  const { connectorId, identity } = login
  const configured = connectors.get(connectorId)
  const warn = (error: unknown) =>
    log.warn('the person could not be logged out at the upstream', { connector_id: connectorId, err: error })
  try {
    const connector = await configured?.open()
    if (!connector?.logout) return async () => undefined
    const owner = { connector, connectorId, userId: identity.userId }
    const data = await connectorData.open(owner, login)
    const known = { ...identity, ...(data !== undefined && { connectorData: data }) }
    return async (ctx, ending) => {
      try {
        const state = randomState()
        const departure = await connector.logout?.({ identity: known, returnTo: returnTo(services), state })
        if (!departure) return undefined
        if (departure.via === 'post') {
          const form = { action: departure.action.href, fields: departure.fields }
          await waiting.keep(postId(state), form, tripLifetime)
        }
        const expiresAt = Math.floor(now().getTime() / 1000) + tripLifetime
        const { memo } = departure
        const trip = { state, connectorId, ending: ending as unknown as Json, expiresAt }
        logoutTrips.save({ ...trip, ...(memo !== undefined && { memo }) }, jarOf(ctx))
        return departure.via === 'redirect' ? departure.url.href : `${mount}${tripPaths.post}?state=${state}`
      } catch (error) {
        warn(error)
        return undefined
      }
    }
  } catch (error) {
    warn(error)
    return async () => undefined
  }
}

/** Of what waits for a departure by POST. */
export const postId = (state: string): string => `logout post ${state}`
