/** `/logout`: a client, or the person, ends the session of this browser (OpenID Connect RP-Initiated Logout 1.0). */
import type { Context } from 'koa'
import type { Json } from '../../lib/json.ts'
import { PageFailure } from '../../login/failures.ts'
import type { LoggedOutPage } from '../../login/page-shapes.ts'
import type { Session } from '../../login/sessions.ts'
import { paths } from '../../oidc/discovery.ts'
import { answerAddress, formTarget, logoutRedirectAllowed, redirectTo } from '../../oidc/redirects.ts'
import { encodeSubject } from '../../oidc/subject.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { type Ending, prepareDeparture } from './logout-departure.ts'

/** Whom the client says goodbye to. */
interface Hint {
  sub: string
  sid?: string
  clientId?: string
}

export const confirmPath = `${paths.logout}/confirm`
const purpose = 'logout confirmation'

/** The cookie decides whose session ends, never the hint: whoever holds somebody's ID token could log them out. */
export const logout = (services: Services) => async (ctx: Context) => {
  const params = readParameters(new URLSearchParams(ctx.querystring))
  const hint = await readHint(params.id_token_hint, services)
  const ending = await readEnding(params, hint, services)
  const session = await services.sessions?.load(jarOf(ctx))
  if (!session) return finishLogout(ctx, services, ending)
  if (hint && fits(hint, session)) return end(ctx, services, session, ending, 'client')
  askPerson(ctx, services, session, ending)
}

/** A client's form is cross-site and brings no Lax cookie: the same request as GET does. */
export const logoutForm =
  ({ mount }: Services) =>
  async (ctx: Context) => {
    const form = await readForm(ctx.req)
    for (const [name, value] of new URLSearchParams(ctx.querystring)) form.append(name, value)
    redirectTo(ctx, `${mount}${paths.logout}?${form}`)
  }

/** The person said yes. */
export const confirmLogout = (services: Services) => async (ctx: Context) => {
  const { sealer, sessions, clients, origin } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const asked = sealer.open(form.get('request') ?? '', purpose) as (Ending & { sid: string }) | undefined
  const session = await sessions?.load(jarOf(ctx))
  if (!asked) throw new PageFailure(400, 'This form is not one of ours.', { title, next: 'Log out once more.' })
  const { sid, ...ending } = asked
  // Sent twice, or from another tab that was quicker: what was wanted is done.
  if (!session) return finishLogout(ctx, services, await stillRight(ending, clients))
  if (session.id !== sid) return askPerson(ctx, services, session, await stillRight(ending, clients))
  await end(ctx, services, session, await stillRight(ending, clients), 'person')
}

function readParameters(query: URLSearchParams): Record<string, string> {
  const params: Record<string, string> = {}
  for (const [name, value] of query) {
    if (Object.hasOwn(params, name)) throw new PageFailure(400, `${name} must not be sent twice.`, askDeveloper)
    if (value !== '') params[name] = value
  }
  return params
}

const title = 'You were not logged out'
const askDeveloper = { title, next: 'Whoever looks after the application has to correct this.' }

/** A token of ours; it may have expired (RP-Initiated Logout 1.0, 2). @throws PageFailure 400 for anything else */
async function readHint(token: string | undefined, { keys, issuer }: Services): Promise<Hint | undefined> {
  if (token === undefined) return undefined
  const { iss, sub, sid, aud, azp } = (await keys.verify(token)) ?? {}
  if (iss !== issuer || typeof sub !== 'string') throw new PageFailure(400, 'Invalid id_token_hint.', askDeveloper)
  const clientId = azp ?? (Array.isArray(aud) ? aud[0] : aud)
  return {
    sub,
    ...(typeof sid === 'string' && { sid }),
    ...(typeof clientId === 'string' && { clientId }),
  }
}

/** @throws PageFailure 400 when the request names an address that is not the client's */
async function readEnding(
  params: Record<string, string>,
  hint: Hint | undefined,
  { clients }: Services,
): Promise<Ending> {
  const { client_id: named, post_logout_redirect_uri: redirectUri, state, ui_locales } = params
  if (named !== undefined && hint?.clientId !== undefined && named !== hint.clientId) {
    throw new PageFailure(400, 'The id_token_hint was made for another client than client_id.', askDeveloper)
  }
  const clientId = named ?? hint?.clientId
  const client = clientId === undefined ? undefined : await clients.load(clientId)
  if (clientId !== undefined && !client) throw new PageFailure(400, 'Invalid client.', askDeveloper)
  const locales = (ui_locales ?? '').split(' ').filter((tag) => tag !== '')
  if (redirectUri === undefined) return { ...(clientId !== undefined && { clientId }), locales: locales.slice(0, 10) }
  if (!client) {
    const message = 'post_logout_redirect_uri requires id_token_hint or client_id.'
    throw new PageFailure(400, message, askDeveloper)
  }
  if (!logoutRedirectAllowed(client, redirectUri)) {
    throw new PageFailure(400, 'Unregistered post_logout_redirect_uri.', askDeveloper)
  }
  return { clientId: client.id, redirectUri, ...(state !== undefined && { state }), locales: locales.slice(0, 10) }
}

/** What was registered when the person was asked may have been taken away since. */
export async function stillRight(ending: Ending, clients: Services['clients']): Promise<Ending> {
  const client = await clients.load(ending.clientId ?? '')
  const { redirectUri, state: _, ...rest } = ending
  return redirectUri === undefined || (client && logoutRedirectAllowed(client, redirectUri)) ? ending : rest
}

const fits = ({ sub, sid }: Hint, { id, login }: Session): boolean =>
  sub === encodeSubject(login.identity.userId, login.connectorId) && (sid === undefined || sid === id)

function askPerson(
  ctx: Context,
  { sealer, pages, clients, mount }: Services,
  { id: sid, login }: Session,
  ending: Ending,
): void {
  const { email, preferredUsername, username, userId } = login.identity
  const clientName = clients.get(ending.clientId ?? '')?.name
  const page = {
    action: `${mount}${confirmPath}`,
    fields: { request: sealer.seal({ ...ending, sid } as unknown as Json, purpose) },
    userName: email ?? preferredUsername ?? username ?? userId,
    ...(clientName !== undefined && { clientName }),
  }
  const target = ending.redirectUri === undefined ? undefined : formTarget(ending.redirectUri)
  sendPage(ctx, pages.logout(page, ending.locales), { targets: target === undefined ? [] : [target] })
}

async function end(
  ctx: Context,
  services: Services,
  session: Session,
  ending: Ending,
  by: 'client' | 'person',
): Promise<void> {
  const depart = await prepareDeparture(services, session)
  await services.ender.end(session, by)
  services.sessions?.forget(jarOf(ctx))
  const frames = framesOf(session, services)
  const upstream = await depart(ctx, ending)
  if (upstream === undefined) return finishLogout(ctx, services, ending, { wasLoggedIn: true, frames })
  // A redirect that answers our form may lead only where the form's page allowed, which did not know the upstream yet.
  if (by === 'client' && frames.length === 0) return void redirectTo(ctx, upstream)
  const { connectorId } = session.login
  const connectorName = services.connectors.get(connectorId)?.name ?? connectorId
  sendLoggedOut(ctx, services, ending, { wasLoggedIn: true, frames, goOn: { href: upstream, connectorName } })
}

const named = (clientName: string | undefined) => (clientName === undefined ? {} : { clientName })

/** Nobody is logged in any more: back to the client, or a page that says so. */
export function finishLogout(
  ctx: Context,
  services: Services,
  ending: Ending,
  ended: { wasLoggedIn: boolean; frames: string[] } = { wasLoggedIn: false, frames: [] },
): void {
  const { redirectUri, state, clientId } = ending
  const href = redirectUri === undefined ? undefined : answerAddress(redirectUri, { state })
  if (href !== undefined && ended.frames.length === 0) return void redirectTo(ctx, href)
  const goOn = href === undefined ? undefined : { href, ...named(services.clients.get(clientId ?? '')?.name) }
  sendLoggedOut(ctx, services, ending, { ...ended, ...(goOn && { goOn }) })
}

function sendLoggedOut(ctx: Context, { pages }: Services, { locales }: Ending, page: LoggedOutPage): void {
  const { frames } = page
  sendPage(ctx, pages.loggedOut(page, locales), { frames: [...new Set(frames.map((each) => new URL(each).origin))] })
}

/** Pages of clients that want to hear of it in the browser (OpenID Connect Front-Channel Logout 1.0, 2 and 3). */
function framesOf({ id: sid, clients: told }: Session, { clients, issuer }: Services): string[] {
  return Object.keys(told).flatMap((id) => {
    const uri = clients.get(id)?.frontchannelLogoutURI
    return uri === undefined ? [] : [answerAddress(uri, { iss: issuer, sid })]
  })
}
