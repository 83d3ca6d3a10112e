/** Single sign-on: the session of this browser in the place of a login. */
import type { Context } from 'koa'
import type { ConfiguredConnector } from '../../login/connectors.ts'
import { mergeFactors } from '../../login/factors/chain.ts'
import { PageFailure } from '../../login/failures.ts'
import { askedOf } from '../../login/flow.ts'
import type { Login } from '../../login/identity.ts'
import { isSamePerson, type Session } from '../../login/sessions.ts'
import type { Stash } from '../../login/stash.ts'
import { coveredScopes } from '../../login/wanted-claims.ts'
import type { AcceptedRequest } from '../../oidc/authorization-request.ts'
import { longestRefreshLife } from '../../oidc/lifetimes.ts'
import { maySignOn } from '../../oidc/sso.ts'
import { stateOf } from '../../oidc/state.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'

type Request = Parameters<typeof maySignOn>[1]

/** The session of this browser, if it answers the request at that connector. */
export async function sessionFor(
  ctx: Context,
  services: Services,
  connector: ConfiguredConnector,
  request: Request & Pick<AcceptedRequest, 'scopes'>,
): Promise<Session | undefined> {
  const { sessions, clients, now } = services
  const session = await sessions?.load(jarOf(ctx))
  if (!sessions || !session) return undefined
  const opened = await connector.open()
  const usable = maySignOn(session, request, {
    connectorId: connector.id,
    wanted: askedOf(opened, coveredScopes(request.scopes, request.wanted), true, request.client),
    clients,
    shareByDefault: sessions.options.shareByDefault,
    now: Math.floor(now().getTime() / 1000),
  })
  return usable ? { ...session, login: services.factors.remembered(session.login) } : undefined
}

/** The connector that the person of this browser's session logged in with, if it is one of these. */
export async function connectorOfSession(
  ctx: Context,
  { sessions }: Services,
  usable: readonly ConfiguredConnector[],
): Promise<ConfiguredConnector | undefined> {
  const session = await sessions?.load(jarOf(ctx))
  return session && usable.find(({ id }) => id === session.login.connectorId)
}

/** Letters of a `User-Agent` that are kept. */
const longestAgent = 300

/**
 * At the end of a login: begins the session, or goes on with the one that the login comes from.
 * @returns the login as the tokens get it, and `sid`; without sessions the login as it is
 * @throws PageFailure 400 when the session has ended meanwhile
 */
export async function openSession(
  ctx: Context,
  services: Services,
  stash: Stash,
  login: Login,
): Promise<{ login: Login; sid?: string; agent?: string }> {
  const { sessions, ender, connectorData, connectors, oidc, now } = services
  if (!sessions) return { login }
  const jar = jarOf(ctx)
  const { clientId, sessionId, scopes } = stash
  const agent = ctx.get('User-Agent').slice(0, longestAgent)
  const known = agent === '' ? {} : { agent }
  if (sessionId !== undefined) {
    const session = await sessions.load(jar)
    if (session?.id !== sessionId) {
      throw new PageFailure(400, 'You have been logged out meanwhile.', {
        next: 'Go back to the application and log in again.',
      })
    }
    if (!isSamePerson(session.login, login)) throw new Error('a login came from the session of somebody else')
    await sessions.join(session, clientId, jar)
    await rememberFactors(services, session, login)
    // As the session remembers the person, with what was shown for this request.
    const { factors: _, ...person } = session.login
    return { login: { ...person, ...(login.factors && { factors: login.factors }) }, sid: session.id, ...known }
  }
  const { unit } = stateOf(ctx)
  const { absoluteLifetime, rememberByDefault } = sessions.options
  const connector = await connectors.get(stash.connectorId)!.open()
  const asked = askedOf(connector, coveredScopes(scopes, stash.wanted), true, services.clients.get(clientId))
  // As long as anything can ask for it: the session, and any refresh token that is given at its end.
  const kept = asked.offlineAccess ? longestRefreshLife(oidc) : 0
  const time = Math.floor(now().getTime() / 1000)
  const shared = connectorData.share(unit, login, kept === undefined ? undefined : time + absoluteLifetime + kept)
  const { session, replaced } = await sessions.begin(unit, jar, {
    login: shared,
    asked,
    remember: stash.remember ?? rememberByDefault,
    clientId,
    ...known,
  })
  if (replaced) await ender.end(replaced, 'replaced')
  return { login: shared, sid: session.id, ...known }
}

/** Keeps what was shown now with the session, where the next authorization may rely on it. */
async function rememberFactors({ sessions, factors }: Services, session: Session, login: Login): Promise<void> {
  const { factors: good } = factors.remembered(login)
  const known = session.login.factors ?? []
  if (
    !good?.some(
      (each) => !known.some(({ authenticatorId, at }) => authenticatorId === each.authenticatorId && at === each.at),
    )
  )
    return
  await sessions?.update(session.id, (now) => ({
    ...now,
    login: { ...now.login, factors: mergeFactors(now.login.factors, good) },
  }))
}
