/** `/device`: the person enters the code that a device shows, and logs in for it (RFC 8628, 3.3). */
import type { Context } from 'koa'
import type { ConfiguredConnector } from '../../login/connectors.ts'
import { PageFailure } from '../../login/failures.ts'
import { randomState } from '../../login/random.ts'
import type { Stash } from '../../login/stash.ts'
import { findDevice, type WaitingDevice } from '../../oidc/device.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { stateOf } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { failLogin } from './finish.ts'
import { stashOf } from './login.ts'

/** Longer than any code; what is typed comes back on the page. */
const longestCode = 32
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

function showForm(
  ctx: Context,
  { mount, pages }: Services,
  page: { userCode?: string; message?: string },
  status = 200,
): void {
  sendPage(ctx, pages.device({ action: `${mount}/device/auth/verify_code`, ...page }), { status })
}

/** The form; a code in the address only fills it in, so that nobody is led into a login by a link (RFC 8628, 5.4). */
export const devicePage = (services: Services) => async (ctx: Context) => {
  const userCode = new URLSearchParams(ctx.querystring).get('user_code')
  showForm(ctx, services, userCode ? { userCode: userCode.slice(0, longestCode) } : {})
}

/** Takes the code, and goes on to the login. */
export const verifyCode = (services: Services) => async (ctx: Context) => {
  const { limits, audit, addressOf, origin, now, clients, connectors, stashes } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const userCode = (form.get('user_code') ?? '').slice(0, longestCode)
  const limited = await limits.userCode(addressOf(ctx.req))
  if (limited) {
    audit({ type: 'rate_limited', what: 'user_code', key: limited.key })
    ctx.set('Retry-After', String(limited.retryAfter))
    const message = `Too many tries. Wait ${limited.retryAfter} seconds, then try again.`
    return showForm(ctx, services, { userCode, message }, 429)
  }
  const device = await findDevice(stateOf(ctx).unit, userCode, now())
  const client = device && clients.get(device.clientId)
  if (!device || !client) {
    const message = 'This code is wrong or has run out. Check what your device shows now.'
    return showForm(ctx, services, { userCode, message }, 400)
  }
  const usable = connectors.allowed(client, deviceGrant)
  if (usable.length === 0) throw new PageFailure(400, 'No connectors available for this client.')
  const stash = stashFor(device, services)
  if (usable.length === 1 && !services.login.alwaysShowLoginScreen) return depart(ctx, services, stash, usable[0]!)
  await stashes.save(stash, jarOf(ctx))
  showChoice(ctx, services, stash, client.name, usable)
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

function showChoice(
  ctx: Context,
  { mount, pages }: Services,
  { state }: Stash,
  clientName: string,
  usable: readonly ConfiguredConnector[],
): void {
  const offered = usable.map(({ id, name, type }) => ({
    id,
    name,
    type,
    url: `${mount}/device/auth/${encodeURIComponent(id)}?state=${state}`,
  }))
  sendPage(ctx, pages.choose({ clientName, connectors: offered }))
}

/** `GET /device/auth/{connector}`: chosen on the page. */
export const deviceConnector = (services: Services) => async (ctx: Context) => {
  const { clients, connectors } = services
  const stash = await stashOf(ctx, services, new URLSearchParams(ctx.querystring).get('state'))
  const client = clients.get(stash.clientId)
  const usable = client ? connectors.allowed(client, deviceGrant) : []
  const chosen = usable.find(({ id }) => id === ctx.params.connector)
  if (!chosen || stash.purpose.kind !== 'device' || stash.connectorId !== '') {
    throw new PageFailure(400, 'Requested resource does not exist.', { next: 'Start again on your device.' })
  }
  await depart(ctx, services, stash, chosen)
}

async function depart(ctx: Context, services: Services, stash: Stash, connector: ConfiguredConnector): Promise<void> {
  const { flow, stashes } = services
  stash.connectorId = connector.id
  try {
    const address = await flow.start(connector, stash, {})
    await stashes.save(stash, jarOf(ctx))
    redirectTo(ctx, address)
  } catch (error) {
    await failLogin(ctx, services, stash, error)
  }
}
