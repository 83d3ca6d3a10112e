/** Coming back from the upstream, the password form, and the form that leaves by POST. */
import type { Context, Next } from 'koa'
import { asFailure, PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import { randomState } from '../../login/random.ts'
import type { Stash } from '../../login/stash.ts'
import { grantOf, restrictionOf } from '../../oidc/judge.ts'
import { mustPush } from '../../oidc/profile.ts'
import { redirectAllowed, redirectTo } from '../../oidc/redirects.ts'
import { servedResponseTypes } from '../../oidc/response-types.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { targetsOf } from './client-answer.ts'
import { failLogin, finishLogin, onwardsAddress, requireFactors } from './finish.ts'

const startAgain = 'Go back to the application and log in again. If this page comes again, allow cookies for this site.'

/**
 * The login that this browser began.
 * @throws PageFailure 400 when it did not or when it is over, 403 when it would not be let in any more
 */
export async function stashOf(ctx: Context, services: Services, state: string | null | undefined): Promise<Stash> {
  const stash = state ? await services.stashes.load(state, jarOf(ctx)) : undefined
  if (stash && (await mayGoOn(stash, services))) return stash
  if (stash) {
    throw new PageFailure(403, 'This application may not log in like this any more.', {
      next: 'Go back to the application and start again.',
    })
  }
  throw new PageFailure(400, 'It has ended, took too long, or was started in another browser.', {
    title: 'There is no login to continue',
    next: startAgain,
  })
}

/** What was right when the login began may have been taken away since; the browser carries it through a restart. */
async function mayGoOn(
  { clientId, connectorId, purpose }: Stash,
  { clients, policy, oidc }: Services,
): Promise<boolean> {
  const client = await clients.load(clientId)
  if (!client) return false
  const { redirect_uri: redirectUri = '', response_type: responseType = '' } =
    purpose.kind === 'authorize' ? purpose.params : {}
  if (purpose.kind === 'authorize') {
    if (!redirectAllowed(client, redirectUri)) return false
    if (!servedResponseTypes(oidc.responseTypes).includes(responseType)) return false
    if (mustPush(client) && purpose.pushedId === undefined) return false
  }
  if (connectorId === '') return true
  return restrictionOf(grantOf(purpose), { client, connectorId }, policy) === undefined
}

/** `/callback` and `/callback/{connector}`, as GET. */
export const callback = (services: Services) => async (ctx: Context, next: Next) => {
  const query = new URLSearchParams(ctx.querystring)
  const posted = query.get('posted')
  const params = posted === null ? query : await takePosted(services, posted)
  await arrive(ctx, next, services, params)
}

/**
 * The upstream answered with a cross-site POST, which brings no Lax cookie: its fields wait under a handle that works once,
 * while the browser comes to a page of ours with its cookie.
 */
export const callbackForm =
  ({ waiting, mount, connectors }: Services) =>
  async (ctx: Context) => {
    const expected = connectors.all.some(({ opened }) => opened?.style === 'browser' && opened.returnsBy === 'form')
    if (!expected) throw new PageFailure(400, 'No upstream answers in this way.', { next: startAgain })
    const form = await readForm(ctx.req)
    if (!form.get('state') && !form.get('RelayState')) {
      throw new PageFailure(400, 'User session error.', { next: startAgain })
    }
    const handle = randomState()
    await waiting.keep(`posted ${handle}`, { form: form.toString() }, postedLifetime)
    redirectTo(ctx, `${mount}${ctx.path}?posted=${handle}`)
  }

/** Seconds. */
const postedLifetime = 120

/** Fields that waited for the browser to come with its cookie; once. @throws PageFailure 400 */
export async function takePosted({ driver }: Services, handle: string): Promise<URLSearchParams> {
  const id = `posted ${handle}`
  const stored = await driver.get('login', id)
  const taken = stored && (await driver.commit([{ do: 'delete', kind: 'login', id, version: stored.version }])).ok
  if (!taken) throw new PageFailure(400, 'This answer was used already.', { next: startAgain })
  return new URLSearchParams((stored.body as { form: string }).form)
}

async function arrive(ctx: Context, next: Next, services: Services, params: URLSearchParams): Promise<void> {
  const stash = await stashOf(ctx, services, params.get('state') ?? params.get('RelayState'))
  const named = ctx.params.connector as string | undefined
  if (named !== undefined && named !== stash.connectorId) {
    throw new PageFailure(400, 'Requested resource does not exist.', { next: startAgain })
  }
  // By the back button, from the page that asks for approval.
  if (stash.login) {
    requireFactors(services, stash, stash.login)
    throw new PageFailure(400, 'Nothing is wrong: you have logged in already.', {
      title: 'You are logged in',
      next: 'What is missing is that you say whether the application may know who you are.',
      button: { href: onwardsAddress(services, stash), text: messagesFor(stash.locales).post.submit },
    })
  }
  try {
    const headers = new Map(
      Object.entries(ctx.req.headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    )
    // Where the connector is not named in the address, nobody vouches for headers, as in Dex.
    const login = await services.flow.finish(stash, { params, headers: named === undefined ? new Map() : headers })
    await finishLogin(ctx, next, services, stash, login)
  } catch (error) {
    if (asFailure(error)?.details.offlineAccessRefused) await departAgain(ctx, services, stash)
    else await failLogin(ctx, services, stash, error)
  }
}

/** Clients wish for a refresh token wherever discovery offers one; without one at the upstream the login is shorter, not lost. */
async function departAgain(ctx: Context, services: Services, stash: Stash): Promise<void> {
  const { connectors, flow, stashes, log } = services
  log.warn('the upstream refused offline_access, which the client asked for; it is asked once more without', {
    connector_id: stash.connectorId,
    advice: 'addScopes: false spares the detour',
  })
  stashes.drop(stash.state, jarOf(ctx))
  const scopes = stash.scopes.filter((scope) => scope !== 'offline_access')
  const again: Stash = { ...stash, state: randomState(), scopes }
  try {
    const address = await flow.start(connectors.get(stash.connectorId)!, again, {})
    await stashes.save(again, jarOf(ctx))
    redirectTo(ctx, address)
  } catch (error) {
    await failLogin(ctx, services, again, error)
  }
}

/** Of a login that waits for approval as well, so that who went back can log in as somebody else. */
async function passwordStash(ctx: Context, services: Services): Promise<{ stash: Stash; prompt: string }> {
  const stash = await stashOf(ctx, services, new URLSearchParams(ctx.querystring).get('state'))
  const configured = services.connectors.get(stash.connectorId)
  if (!configured || ctx.params.connector !== stash.connectorId) {
    throw new PageFailure(400, 'Requested resource does not exist.', { next: startAgain })
  }
  const connector = await configured.open()
  if (connector.style !== 'password')
    throw new PageFailure(400, 'Requested resource does not exist.', { next: startAgain })
  return { stash, prompt: connector.prompt }
}

interface Shown {
  username?: string
  remember?: boolean
  invalid?: boolean
  message?: string
  status?: number
}

function showPassword(
  ctx: Context,
  { pages, mount, connectors, clients, sessions }: Services,
  { stash, prompt }: { stash: Stash; prompt: string },
  { status = 200, remember = sessions?.options.rememberByDefault, ...shown }: Shown = {},
): void {
  const { name } = connectors.get(stash.connectorId)!
  const { name: clientName, links } = clients.get(stash.clientId) ?? {}
  const action = `${mount}/auth/${encodeURIComponent(stash.connectorId)}/login?state=${stash.state}`
  const page = {
    action,
    prompt,
    connectorName: name,
    ...(clientName !== undefined && { clientName }),
    ...(links && { links }),
    ...(stash.backUrl !== undefined && { backUrl: stash.backUrl }),
    ...(sessions && { remember: remember ?? false }),
    ...shown,
  }
  sendPage(ctx, pages.password(page, stash.locales), { status, targets: targetsOf(stash) })
}

/** `GET /auth/{connector}/login`. */
export const passwordForm = (services: Services) => async (ctx: Context) => {
  const found = await passwordStash(ctx, services)
  const { loginHint: username } = found.stash
  showPassword(ctx, services, found, username === undefined ? {} : { username })
}

/** `POST /auth/{connector}/login`: `login` and `password`. */
export const password = (services: Services) => async (ctx: Context, next: Next) => {
  const { limits, flow, audit, addressOf, origin } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const { stash, prompt } = await passwordStash(ctx, services)
  const username = form.get('login') ?? ''
  const remember = form.get('remember_me') === 'on'
  const attempt = { name: username, address: addressOf(ctx.req) }
  const { connectorId } = stash

  const limited = await limits.password(connectorId, attempt)
  if (limited) {
    const { key, retryAfter } = limited
    audit({ type: 'rate_limited', what: 'password', key, connector_id: connectorId, user: username })
    ctx.set('Retry-After', String(retryAfter))
    const message = messagesFor(stash.locales).tooMany(retryAfter)
    return showPassword(ctx, services, { stash, prompt }, { username, remember, message, status: 429 })
  }
  try {
    const login = await flow.password(stash, username, form.get('password') ?? '')
    if (!login)
      return showPassword(ctx, services, { stash, prompt }, { username, remember, invalid: true, status: 401 })
    await limits.passwordAccepted(connectorId, attempt)
    await finishLogin(ctx, next, services, { ...stash, ...(services.sessions && { remember }) }, login)
  } catch (error) {
    await failLogin(ctx, services, stash, error)
  }
}

/** `GET /auth/{connector}/post`: the form that takes the browser to the upstream by POST. */
export const departByPost = (services: Services) => async (ctx: Context) => {
  const stash = await stashOf(ctx, services, new URLSearchParams(ctx.querystring).get('state'))
  if (!stash.post || ctx.params.connector !== stash.connectorId) {
    throw new PageFailure(400, 'Requested resource does not exist.', { next: startAgain })
  }
  const { name } = services.connectors.get(stash.connectorId) ?? { name: stash.connectorId }
  const page = services.pages.post({ ...stash.post, title: `Log in with ${name}` }, stash.locales)
  sendPage(ctx, page, { targets: [new URL(stash.post.action).origin] })
}
