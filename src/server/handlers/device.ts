/** `/device`: the person enters the code that a device shows, and logs in for it (RFC 8628, 3.3). */
import type { Context, Next } from 'koa'
import type { ConfiguredConnector } from '../../login/connectors.ts'
import { PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import { randomState } from '../../login/random.ts'
import type { Stash } from '../../login/stash.ts'
import { deviceGrant, findDevice, type WaitingDevice } from '../../oidc/device.ts'
import { connectorsFor } from '../../oidc/judge.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { stateOf } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { failLogin, proceed } from './finish.ts'
import { stashOf } from './login.ts'
import { sessionFor } from './sso.ts'

/** Longer than any code; what is typed comes back on the page. */
const longestCode = 32
const verifyPath = '/device/auth/verify_code'

function showForm(
  ctx: Context,
  { mount, pages }: Services,
  page: { userCode?: string; message?: string },
  status = 200,
): void {
  sendPage(ctx, pages.device({ action: `${mount}${verifyPath}`, ...page }), { status })
}

/** The form; a code in the address only fills it in, so that nobody is led into a login by a link (RFC 8628, 5.4). */
export const devicePage = (services: Services) => async (ctx: Context) => {
  const userCode = new URLSearchParams(ctx.querystring).get('user_code')
  showForm(ctx, services, userCode ? { userCode: userCode.slice(0, longestCode) } : {})
}

/** Takes the code, and goes on to the login. */
export const verifyCode = (services: Services) => async (ctx: Context, next: Next) => {
  const { limits, audit, addressOf, origin, now, clients, policy, stashes } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const userCode = (form.get('user_code') ?? '').slice(0, longestCode)
  const limited = await limits.userCode(addressOf(ctx.req))
  if (limited) {
    audit({ type: 'rate_limited', what: 'user_code', key: limited.key })
    ctx.set('Retry-After', String(limited.retryAfter))
    return showForm(ctx, services, { userCode, message: messagesFor().tooMany(limited.retryAfter) }, 429)
  }
  const device = await findDevice(stateOf(ctx).unit, userCode, now())
  const client = device && (await clients.load(device.clientId))
  if (!device || !client) {
    return showForm(ctx, services, { userCode, message: messagesFor().device.wrong }, 400)
  }
  const usable = connectorsFor(client, deviceGrant, policy)
  if (usable.length === 0) throw new PageFailure(400, 'No connectors available for this client.')
  const stash = stashFor(device, services)
  if (usable.length === 1 && !services.login.alwaysShowLoginScreen) {
    return depart(ctx, next, services, stash, usable[0]!)
  }
  stash.backUrl = `${services.mount}${verifyPath}?state=${stash.state}`
  await stashes.save(stash, jarOf(ctx))
  redirectTo(ctx, stash.backUrl)
}

function stashFor({ id, clientId, scopes }: WaitingDevice, { now, oidc }: Services): Stash {
  return {
    state: randomState(),
    connectorId: '',
    clientId,
    scopes,
    purpose: { kind: 'device', id },
    expiresAt: Math.floor(now().getTime() / 1000 + oidc.lifetimes.deviceRequests),
  }
}

/** `GET` where the code was sent to: the choice of connectors, to which a person can come back. */
export const deviceChoice = (services: Services) => async (ctx: Context) => {
  const { mount, pages, clients, stashes } = services
  const state = new URLSearchParams(ctx.querystring).get('state')
  const stash = state === null ? undefined : await stashes.load(state, jarOf(ctx))
  if (!stash) return showForm(ctx, services, { message: messagesFor().device.over }, 400)
  await clients.load(stash.clientId)
  const offered = usableFor(stash, services).map(({ id, name, type }) => ({
    id,
    name,
    type,
    url: `${mount}/device/auth/${encodeURIComponent(id)}?state=${stash.state}`,
  }))
  const clientName = clients.get(stash.clientId)?.name ?? stash.clientId
  sendPage(ctx, pages.choose({ clientName, connectors: offered }))
}

/** Whoever is logged in has chosen for good. */
function usableFor({ purpose, login, clientId }: Stash, { clients, policy }: Services): ConfiguredConnector[] {
  const client = clients.get(clientId)
  if (client && purpose.kind === 'device' && !login) return connectorsFor(client, deviceGrant, policy)
  throw new PageFailure(400, 'Requested resource does not exist.', { next: 'Start again on your device.' })
}

/** `GET /device/auth/{connector}`: chosen on the page. */
export const deviceConnector = (services: Services) => async (ctx: Context, next: Next) => {
  const stash = await stashOf(ctx, services, new URLSearchParams(ctx.querystring).get('state'))
  const chosen = usableFor(stash, services).find(({ id }) => id === ctx.params.connector)
  if (!chosen) throw new PageFailure(400, 'Requested resource does not exist.', { next: 'Start again on your device.' })
  // Chosen before, and come back: each way has a state of its own, so that no upstream's answer is taken for another's.
  if (stash.connectorId !== '') stash.state = randomState()
  await depart(ctx, next, services, stash, chosen)
}

async function depart(
  ctx: Context,
  next: Next,
  services: Services,
  stash: Stash,
  connector: ConfiguredConnector,
): Promise<void> {
  const { flow, stashes, clients } = services
  stash.connectorId = connector.id
  const client = clients.get(stash.clientId)
  const session =
    client && (await sessionFor(ctx, services, connector, { client, prompts: new Set(), scopes: stash.scopes }))
  if (session) return proceed(ctx, next, services, { ...stash, login: session.login, sessionId: session.id })
  try {
    const address = await flow.start(connector, stash, {})
    await stashes.save(stash, jarOf(ctx))
    redirectTo(ctx, address)
  } catch (error) {
    await failLogin(ctx, services, stash, error)
  }
}
