/** `/`: who is logged in here, which applications hold tokens of theirs, and the buttons that end any of it. */
import type { Context } from 'koa'
import { describeAgent } from '../../login/agents.ts'
import { PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import type { HeldEntry } from '../../login/page-shapes.ts'
import type { Session } from '../../login/sessions.ts'
import { paths } from '../../oidc/discovery.ts'
import { type HeldToken, holdingsOf } from '../../oidc/holdings.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { encodeSubject } from '../../oidc/subject.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'

/** What a button ends. Sealed with the session that the page was made for, so that nobody else can send or change it. */
type Ending = { sid: string } & ({ what: 'session' | 'token'; id: string } | { what: 'all' })

const purpose = 'signed-in page'

export const home = (services: Services) => async (ctx: Context) => {
  const { sessions, pages, issuer } = services
  const session = await sessions?.load(jarOf(ctx))
  if (session) return showSignedIn(ctx, services, session)
  sendPage(ctx, pages.home({ issuer, discoveryUrl: `${issuer.replace(/\/$/, '')}${paths.discovery}` }))
}

async function showSignedIn(ctx: Context, services: Services, session: Session): Promise<void> {
  const { pages, mount, driver, sealer, clients, connectors, now } = services
  const m = messagesFor()
  const { login, id: sid } = session
  const { email, preferredUsername, username, userId } = login.identity
  const { sessions, tokens } = await holdingsOf(driver, login)
  const seconds = now().getTime() / 1000
  const ago = (time: number): string => m.ago(Math.max(0, seconds - time))
  const sealed = (ending: Ending): string => sealer.seal(ending, purpose)
  const nameOf = (id: string): string => clients.get(id)?.name ?? id

  const heldToken = (token: HeldToken): HeldEntry => ({
    name: nameOf(token.clientId),
    place: token.origin.device ? m.signedIn.device : (describeAgent(token.origin.agent) ?? m.signedIn.somewhere),
    details: m.signedIn.details(ago(token.issuedAt / 1000), ago(token.usedAt / 1000)),
    end: sealed({ sid, what: 'token', id: token.id }),
  })
  const heldSession = (each: Session): HeldEntry => ({
    name: describeAgent(each.agent) ?? m.signedIn.somewhere,
    place: Object.keys(each.clients).map(nameOf).join(', '),
    details: m.signedIn.details(ago(each.createdAt), ago(each.usedAt)),
    end: sealed({ sid, what: 'session', id: each.id }),
  })
  const page = {
    action: mount === '' ? '/' : mount,
    userName: email ?? preferredUsername ?? username ?? userId,
    connectorName: connectors.get(login.connectorId)?.name ?? login.connectorId,
    since: ago(login.authTime),
    clients: Object.keys(session.clients).map(nameOf),
    groups: login.identity.groups ?? [],
    tokens: tokens.map(heldToken),
    sessions: sessions.filter(({ id }) => id !== sid).map(heldSession),
    endAll: sealed({ sid, what: 'all' }),
    logoutUrl: `${mount}${paths.logout}`,
  }
  sendPage(ctx, pages.signedIn(page))
}

/** `POST /`: a button of the page was pressed. */
export const endHolding = (services: Services) => async (ctx: Context) => {
  const { sessions, sealer, origin, mount } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const session = await sessions?.load(jarOf(ctx))
  const ending = sealer.open(form.get('end') ?? '', purpose) as Ending | undefined
  if (!session) throw new PageFailure(400, 'You are not logged in any more.', { next: 'Log in at an application.' })
  if (ending?.sid !== session.id) {
    throw new PageFailure(400, 'This form is not one of yours.', { next: 'Open the page once more.' })
  }
  await endIt(ending, session, services)
  if (ending.what === 'all') sessions?.forget(jarOf(ctx))
  redirectTo(ctx, mount === '' ? '/' : mount)
}

async function endIt(ending: Ending, session: Session, { driver, ender, audit }: Services): Promise<void> {
  const { login } = session
  // What ended by itself meanwhile needs no end; what is not of this person is not touched.
  const held = await holdingsOf(driver, login, Number.POSITIVE_INFINITY)
  const isMeant = (kind: 'session' | 'token', id: string): boolean =>
    ending.what === 'all' || (ending.what === kind && ending.id === id)
  for (const { id, clientId } of held.tokens.filter((token) => isMeant('token', token.id))) {
    await driver.commit([{ do: 'delete', kind: 'refresh-family', id }])
    const sub = encodeSubject(login.identity.userId, login.connectorId)
    audit({ type: 'token_revoked', client_id: clientId, by: 'person', sub })
  }
  for (const each of held.sessions.filter(({ id }) => isMeant('session', id))) await ender.end(each, 'person')
}
