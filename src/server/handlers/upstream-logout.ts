/** A logout that goes on at the upstream: the form that leads there, and the way back. */
import type { Context } from 'koa'
import { PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import { randomState } from '../../login/random.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm } from '../form.ts'
import type { Services } from '../services.ts'
import { takePosted } from './login.ts'
import { finishLogout, stillRight } from './logout.ts'
import type { Ending } from './logout-departure.ts'
import { postId, returnTo, tripPaths } from './logout-departure.ts'

const nothingToGoOnWith = {
  title: 'There is no logout to continue',
  next: 'You are logged out here. To log out of an application, use its own button.',
}

/** `GET /logout/post`: the form that takes the browser to the upstream by POST. */
export const departLogoutByPost = (services: Services) => async (ctx: Context) => {
  const { driver, logoutTrips, pages, connectors } = services
  const state = new URLSearchParams(ctx.querystring).get('state') ?? ''
  const trip = logoutTrips.load(state, jarOf(ctx))
  const stored = trip && (await driver.get('login', postId(state)))
  if (!trip || !stored) throw new PageFailure(400, 'No logout in progress.', nothingToGoOnWith)
  const form = stored.body as { action: string; fields: Record<string, string> }
  const { locales } = trip.ending as unknown as Ending
  const title = messagesFor(locales).loggedOut.atUpstream(connectors.get(trip.connectorId)?.name ?? trip.connectorId)
  sendPage(ctx, pages.post({ ...form, title }, locales), { targets: [new URL(form.action).origin] })
}

/** `POST /logout/callback`: cross-site, so it brings no Lax cookie. Its fields wait while the browser comes as GET. */
export const logoutCallbackForm =
  ({ waiting, connectors, mount }: Services) =>
  async (ctx: Context) => {
    const expected = connectors.all.some(({ opened }) => opened?.finishLogout !== undefined)
    if (!expected) throw new PageFailure(400, 'No logout in progress.', nothingToGoOnWith)
    const form = await readForm(ctx.req)
    if (!form.get('state') && !form.get('RelayState')) {
      throw new PageFailure(400, 'No logout in progress.', nothingToGoOnWith)
    }
    const handle = randomState()
    await waiting.keep(`posted ${handle}`, { form: form.toString() }, postedLifetime)
    redirectTo(ctx, `${mount}${tripPaths.callback}?posted=${handle}`)
  }

/** Seconds. */
const postedLifetime = 120

/** `GET /logout/callback`: the upstream is done with it. */
export const logoutCallback = (services: Services) => async (ctx: Context) => {
  const { logoutTrips, connectors, clients, log } = services
  const query = new URLSearchParams(ctx.querystring)
  const posted = query.get('posted')
  const params = posted === null ? query : await takePosted(services, posted)
  const states = [...params.getAll('state'), ...params.getAll('RelayState')]
  const [state = ''] = states
  const jar = jarOf(ctx)
  const trip = states.length === 1 ? logoutTrips.load(state, jar) : undefined
  if (!trip) throw new PageFailure(400, 'No logout in progress.', nothingToGoOnWith)
  logoutTrips.drop(state, jar)
  try {
    const connector = await connectors.get(trip.connectorId)?.open()
    const { memo } = trip
    const arrival = { callbackUrl: returnTo(services), params, headers: new Map(), state }
    const scopes = { groups: false, offlineAccess: false }
    await connector?.finishLogout?.({ ...arrival, scopes, ...(memo !== undefined && { memo }) })
  } catch (error) {
    log.warn('the person could not be logged out at the upstream', { connector_id: trip.connectorId, err: error })
  }
  finishLogout(ctx, services, await stillRight(trip.ending as unknown as Ending, clients), {
    wasLoggedIn: true,
    frames: [],
  })
}
