/** `/auth` and `/auth/{connector}`: the authorization endpoint (OpenID Connect Core, 3.1.2.1), up to the departure. */
import type { Context, Next } from 'koa'
import type { Wishes } from '../../../connectors/contract.ts'
import type { ConfiguredConnector } from '../../login/connectors.ts'
import { PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import { randomState } from '../../login/random.ts'
import type { Session } from '../../login/sessions.ts'
import type { Stash } from '../../login/stash.ts'
import { type AcceptedRequest, judgeAuthorization } from '../../oidc/authorize.ts'
import { wantedLevels } from '../../oidc/claims-request.ts'
import { paths } from '../../oidc/discovery.ts'
import { connectorsFor, grantOf } from '../../oidc/judge.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm } from '../form.ts'
import type { Services } from '../services.ts'
import { refuseClient } from './client-answer.ts'
import { failLogin, proceed } from './finish.ts'
import { connectorOfSession, sessionFor } from './sso.ts'

type Sources = Record<string, string | string[] | undefined>

export const authorize = (services: Services) => async (ctx: Context, next: Next) => {
  const { clients, oidc, keys, issuer, policy } = services
  const sources = ctx.query as Sources
  const judgement = await judgeAuthorization(sources, {
    clients,
    pkce: oidc.pkce,
    responseTypes: oidc.responseTypes,
    hintedSubject: async (token) => {
      const { iss, sub } = (await keys.verify(token)) ?? {}
      return iss === issuer && typeof sub === 'string' ? sub : undefined
    },
  })
  if (!judgement.accepted) {
    if ('status' in judgement) throw new PageFailure(judgement.status, judgement.message, { next: judgement.next })
    const { error, description } = judgement
    return refuseClient(ctx, services, judgement, { error, description })
  }
  const { client, params } = judgement
  const usable = connectorsFor(client, grantOf({ kind: 'authorize', params }), policy)
  const wanted =
    connectorOf(ctx, sources, usable, services, judgement.locales) ??
    (mayAssume(judgement, services) ? await connectorOfSession(ctx, services, usable) : undefined)
  const session = wanted && (await sessionFor(ctx, services, wanted, judgement))
  if (wanted && session) return signOn(ctx, next, services, judgement, wanted, session)
  if (judgement.prompts.has('none')) {
    const description =
      judgement.hintedSubject === undefined ? 'Nobody is logged in' : 'The person of id_token_hint is not logged in'
    return refuseClient(ctx, services, judgement.returnTo, { error: 'login_required', description })
  }
  if (wanted === undefined) return showChoice(ctx, services, judgement, sources, usable)
  await depart(ctx, services, judgement, wanted, sources, usable.length > 1)
}

/** Whether the person need not be asked which connector, since their session says it. */
const mayAssume = ({ prompts }: AcceptedRequest, { login }: Services): boolean =>
  !login.alwaysShowLoginScreen && !prompts.has('select_account')

/** The session of this browser in the place of a login. */
async function signOn(
  ctx: Context,
  next: Next,
  services: Services,
  request: AcceptedRequest,
  connector: ConfiguredConnector,
  session: Session,
): Promise<void> {
  const stash = { ...stashFor(services, request, connector), login: session.login, sessionId: session.id }
  await proceed(ctx, next, services, stash, { silent: request.prompts.has('none') })
}

/** A form is answered by the same request as GET, so that cookies stay Lax. */
export const authorizeForm =
  ({ mount }: Services) =>
  async (ctx: Context) => {
    const form = await readForm(ctx.req)
    for (const [name, value] of new URLSearchParams(ctx.querystring)) form.append(name, value)
    redirectTo(ctx, `${mount}${ctx.path}?${form}`)
  }

/** The connector that the address or `connector_id` names, or the only one; `undefined`: the person chooses. */
function connectorOf(
  ctx: Context,
  sources: Sources,
  usable: readonly ConfiguredConnector[],
  services: Services,
  locales: readonly string[],
): ConfiguredConnector | undefined {
  const { connectors, login } = services
  if (usable.length === 0) {
    throw new PageFailure(400, 'No connectors available for this client.', {
      next: 'Whoever runs this service has to allow the application a way to log in.',
    })
  }
  const named = ctx.params.connector ?? sources.connector_id
  if (named === undefined || named === '') {
    return usable.length === 1 && !login.alwaysShowLoginScreen ? usable[0] : undefined
  }
  const found = usable.find(({ id }) => id === named)
  if (found) return found
  const otherWay = { href: backUrl(services, sources), text: messagesFor(locales).choose.other }
  if (ctx.params.connector !== undefined && connectors.get(String(named))) {
    throw new PageFailure(403, 'Connector not allowed for this client.', {
      next: 'Choose another way to log in.',
      button: otherWay,
    })
  }
  throw new PageFailure(400, 'Connector ID does not match a valid Connector.', {
    next: 'The application asked for a way to log in that does not exist here.',
    button: otherWay,
  })
}

function showChoice(
  ctx: Context,
  { mount, pages }: Services,
  { client, locales }: AcceptedRequest,
  sources: Sources,
  usable: readonly ConfiguredConnector[],
): void {
  const query = queryWithout(sources, 'connector_id')
  const page = {
    clientName: client.name,
    ...(client.links && { links: client.links }),
    connectors: usable.map(({ id, name, type }) => ({
      id,
      name,
      type,
      url: `${mount}${paths.authorization}/${encodeURIComponent(id)}?${query}`,
    })),
  }
  sendPage(ctx, pages.choose(page, locales))
}

function stashFor(
  { now, oidc }: Services,
  { client, params, scopes, wanted, askApproval, locales }: AcceptedRequest,
  connector: ConfiguredConnector,
): Stash {
  return {
    state: randomState(),
    connectorId: connector.id,
    clientId: client.id,
    scopes,
    ...(wanted && { wanted }),
    purpose: { kind: 'authorize', params, seed: randomState(), askApproval },
    expiresAt: Math.floor(now().getTime() / 1000 + oidc.lifetimes.authRequests),
    ...(locales.length > 0 && { locales }),
  }
}

async function depart(
  ctx: Context,
  services: Services,
  request: AcceptedRequest,
  connector: ConfiguredConnector,
  sources: Sources,
  hasChoice: boolean,
): Promise<void> {
  const { flow, stashes } = services
  const stash = stashFor(services, request, connector)
  // Only a page of ours can offer another choice.
  if (hasChoice && connector.opened?.style === 'password') stash.backUrl = backUrl(services, sources)
  const wishes = wishesOf(sources, request)
  // A form of ours is filled in with it; any other upstream gets it now.
  if (wishes.loginHint !== undefined && connector.opened?.style === 'password') {
    stash.loginHint = wishes.loginHint.slice(0, longestHint)
  }
  try {
    const address = await flow.start(connector, stash, wishes)
    await stashes.save(stash, jarOf(ctx))
    redirectTo(ctx, address)
  } catch (error) {
    await failLogin(ctx, services, stash, error)
  }
}

/** Characters of `login_hint` that are shown. */
const longestHint = 256

/** What the client asked of the login itself. */
function wishesOf(sources: Sources, { locales: uiLocales, wanted }: AcceptedRequest): Wishes {
  const text = (name: string): string | undefined => {
    const value = sources[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const [prompt, maxAge, acrValues, loginHint] = ['prompt', 'max_age', 'acr_values', 'login_hint'].map(text)
  const levels = [...(acrValues ?? '').split(' ').filter((level) => level !== ''), ...wantedLevels(wanted)]
  return {
    ...(prompt !== undefined && { prompt }),
    ...(maxAge !== undefined && { maxAge: Number(maxAge) }),
    ...(levels.length > 0 && { acrValues: [...new Set(levels)] }),
    ...(uiLocales.length > 0 && { uiLocales }),
    ...(loginHint !== undefined && { loginHint }),
  }
}

const backUrl = ({ mount }: Services, sources: Sources): string =>
  `${mount}${paths.authorization}?${queryWithout(sources, 'connector_id')}`

function queryWithout(sources: Sources, left: string): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of Object.keys(sources).sort()) {
    if (name !== left) for (const value of [sources[name] ?? []].flat()) query.append(name, value)
  }
  return query
}
