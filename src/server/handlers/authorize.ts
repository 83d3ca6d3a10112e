/** `/auth` and `/auth/{connector}`: the authorization endpoint (OpenID Connect Core, 3.1.2.1), up to the departure. */
import type { Context, Next } from 'koa'
import type { Wishes } from '../../../connectors/contract.ts'
import type { ConfiguredConnector } from '../../login/connectors.ts'
import { PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import { randomState } from '../../login/random.ts'
import type { Session } from '../../login/sessions.ts'
import type { Stash } from '../../login/stash.ts'
import type { AcceptedRequest, JudgeContext } from '../../oidc/authorization-request.ts'
import { judgeAuthorization } from '../../oidc/authorize.ts'
import { isIdToken } from '../../oidc/claims.ts'
import { wantedLevels } from '../../oidc/claims-request.ts'
import { paths } from '../../oidc/discovery.ts'
import { connectorsFor, grantOf } from '../../oidc/judge.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import type { RequestParams } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readForm } from '../form.ts'
import type { Services } from '../services.ts'
import { refuseClient } from './client-answer.ts'
import { failLogin, proceed } from './finish.ts'
import { type IncomingRequest, keepRequest, readRequest } from './requests.ts'
import { connectorOfSession, sessionFor } from './sso.ts'

/** What every authorization request is judged by, however it came. */
export const judgeContext = ({ clients, oidc, keys, issuer }: Services): JudgeContext => ({
  clients,
  pkce: oidc.pkce,
  responseTypes: oidc.responseTypes,
  hintedSubject: async (token) => {
    const claims = await keys.verify(token)
    return isIdToken(claims, issuer) ? claims.sub : undefined
  },
})

export const authorize = (services: Services) => async (ctx: Context, next: Next) => {
  const { policy } = services
  const request = await readRequest(ctx, services)
  if (!request) return
  const { via } = request
  const judgement = await judgeAuthorization(request.params, { ...judgeContext(services), ...(via && { via }) })
  if (!judgement.accepted) {
    if ('status' in judgement) throw new PageFailure(judgement.status, judgement.message, { next: judgement.next })
    const { error, description } = judgement
    return refuseClient(ctx, services, judgement, { error, description })
  }
  const { client, params } = judgement
  const usable = connectorsFor(client, grantOf({ kind: 'authorize', params }), policy)
  const others = () => keepRequest(ctx, services, request, judgement)
  const wanted =
    (await connectorOf(ctx, request.params, usable, services, judgement.locales, others)) ??
    (mayAssume(judgement, services) ? await connectorOfSession(ctx, services, usable) : undefined)
  const session = wanted && (await sessionFor(ctx, services, wanted, judgement))
  if (wanted && session) return signOn(ctx, next, services, judgement, request, wanted, session)
  if (judgement.prompts.has('none')) {
    const description =
      judgement.hintedSubject === undefined ? 'Nobody is logged in' : 'The person of id_token_hint is not logged in'
    return refuseClient(ctx, services, judgement.returnTo, { error: 'login_required', description })
  }
  if (wanted === undefined) return showChoice(ctx, services, judgement, await others(), usable)
  await depart(ctx, services, judgement, wanted, request, usable.length > 1)
}

/** Whether the person need not be asked which connector, since their session says it. */
const mayAssume = ({ prompts }: AcceptedRequest, { login }: Services): boolean =>
  !login.alwaysShowLoginScreen && !prompts.has('select_account')

/** The session of this browser in the place of a login. */
async function signOn(
  ctx: Context,
  next: Next,
  services: Services,
  accepted: AcceptedRequest,
  request: IncomingRequest,
  connector: ConfiguredConnector,
  session: Session,
): Promise<void> {
  const stash = { ...stashFor(services, accepted, request, connector), login: session.login, sessionId: session.id }
  await proceed(ctx, next, services, stash, { silent: accepted.prompts.has('none') })
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
async function connectorOf(
  ctx: Context,
  sources: RequestParams,
  usable: readonly ConfiguredConnector[],
  services: Services,
  locales: readonly string[],
  others: () => Promise<URLSearchParams>,
): Promise<ConfiguredConnector | undefined> {
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
  const otherWay = { href: backUrl(services, await others()), text: messagesFor(locales).choose.other }
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
  query: URLSearchParams,
  usable: readonly ConfiguredConnector[],
): void {
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
  { pushedId }: Pick<IncomingRequest, 'pushedId'>,
  connector: ConfiguredConnector,
): Stash {
  return {
    state: randomState(),
    connectorId: connector.id,
    clientId: client.id,
    scopes,
    ...(wanted && { wanted }),
    purpose: {
      kind: 'authorize',
      params,
      seed: randomState(),
      askApproval,
      ...(pushedId !== undefined && { pushedId }),
    },
    expiresAt: Math.floor(now().getTime() / 1000 + oidc.lifetimes.authRequests),
    ...(locales.length > 0 && { locales }),
  }
}

async function depart(
  ctx: Context,
  services: Services,
  accepted: AcceptedRequest,
  connector: ConfiguredConnector,
  request: IncomingRequest,
  hasChoice: boolean,
): Promise<void> {
  const { flow, stashes } = services
  const stash = stashFor(services, accepted, request, connector)
  // Only a page of ours can offer another choice.
  if (hasChoice && connector.opened?.style === 'password') {
    stash.backUrl = backUrl(services, await keepRequest(ctx, services, request, accepted))
  }
  const wishes = wishesOf(request.params, accepted)
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
function wishesOf(sources: RequestParams, { locales: uiLocales, wanted }: AcceptedRequest): Wishes {
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

const backUrl = ({ mount }: Services, query: URLSearchParams): string => `${mount}${paths.authorization}?${query}`
