/** What follows when a person is known, or was refused: back to the client, to an approval page, or to the waiting device. */
import type { Context, Next } from 'koa'
import { isApproved } from '../../login/consents.ts'
import { methodsOf } from '../../login/factors/chain.ts'
import { asFailure, failureTable, PageFailure, pageOf } from '../../login/failures.ts'
import { type Login, personOf } from '../../login/identity.ts'
import { messagesFor } from '../../login/messages.ts'
import type { Stash } from '../../login/stash.ts'
import { coveredScopes } from '../../login/wanted-claims.ts'
import { unmetClaims } from '../../oidc/claims-request.ts'
import { decideDevice } from '../../oidc/device.ts'
import { codeLifetime } from '../../oidc/dialect/code.ts'
import { groupsFault } from '../../oidc/groups-claim.ts'
import { issueAnswer } from '../../oidc/issue.ts'
import { grantOf, noteJudged, restrictionOf } from '../../oidc/judge.ts'
import type { ClientOptions } from '../../oidc/options.ts'
import { useUp } from '../../oidc/pushed.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { stateOf } from '../../oidc/state.ts'
import { openUnit } from '../../storage/unit.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'
import { type ClientError, refuseClient, returnOf, wayBack } from './client-answer.ts'
import { refuseOutsider } from './outsider.ts'
import { openSession } from './sso.ts'

/** The person has logged in. */
export async function finishLogin(
  ctx: Context,
  next: Next,
  services: Services,
  stash: Stash,
  login: Login,
): Promise<void> {
  // What was needed for the way to the upstream is done with.
  delete stash.memo
  delete stash.post
  // Of whoever was known in this browser before.
  delete stash.sessionId
  await proceed(ctx, next, services, { ...stash, login })
}

/**
 * The person is known: asks for what is missing, second factors before the approval, or ends the login.
 * @param silent nothing may be asked (`prompt=none`)
 */
export async function proceed(
  ctx: Context,
  next: Next,
  services: Services,
  stash: KnownStash,
  { silent = false } = {},
): Promise<void> {
  if (await turnedAway(ctx, services, stash, { silent })) return
  const unmet = unmetBy(services, stash)
  if (unmet) return refuseUnmet(ctx, services, stash, unmet)
  const step = await services.factors.step(clientOf(services, stash), stash.login)
  if (!step && !(await needsApproval(ctx, services, stash))) return grant(ctx, next, services, stash, stash.login)
  if (silent) {
    const description = step ? 'The person has to show a second factor' : 'The person has to approve'
    return refuse(ctx, services, stash, { error: 'interaction_required', description })
  }
  // As long as the store remembers a code of this login: an approval that is sent again later gives no second one.
  stash.expiresAt = Math.min(stash.expiresAt, Math.floor(services.now().getTime() / 1000) + codeLifetime)
  await services.stashes.save(stash, jarOf(ctx))
  const page = step ? `mfa/${factorPages[step.authenticator.type]}` : 'approval'
  redirectTo(ctx, `${services.mount}/${page}?state=${stash.state}`)
}

const factorPages = { TOTP: 'totp', WebAuthn: 'webauthn' } as const

export type KnownStash = Stash & { login: Login }

async function needsApproval(
  ctx: Context,
  { login: options, sessions, clients }: Services,
  { purpose, clientId, scopes, wanted, login, sessionId }: KnownStash,
): Promise<boolean> {
  if (purpose.kind === 'authorize' && purpose.askApproval) return true
  // Nobody has typed or clicked anything but the code, which may be somebody else's (RFC 8628, 5.4).
  if (purpose.kind === 'device' && sessionId !== undefined) return true
  // The switch speaks of the operator's own applications.
  const vouched = clients.get(clientId)?.origin === undefined
  if (options.skipApprovalScreen && vouched) return false
  const asked = coveredScopes(scopes, wanted)
  return purpose.kind === 'device' || !sessions || !(await isApproved(stateOf(ctx).unit, login, clientId, asked))
}

/** What the client demands of a login, and this one does not bring. */
function unmetBy({ clients }: Services, { clientId, scopes, wanted, login }: KnownStash): ClientError | undefined {
  const unmet = unmetClaims(wanted, login)
  if (unmet) return unmet
  const fault = groupsFault(login.identity, coveredScopes(scopes, wanted), clients.get(clientId))
  return fault === undefined ? undefined : { error: 'access_denied', description: fault }
}

async function refuseUnmet(ctx: Context, services: Services, stash: KnownStash, unmet: ClientError): Promise<void> {
  const { audit } = services
  audit({ type: 'login_refused', client_id: stash.clientId, reason: 'client_demands', ...personOf(stash.login) })
  await refuse(ctx, services, stash, unmet)
  // The page of a device would say that the person decided so.
  if (stash.purpose.kind === 'device') throw new PageFailure(403, unmet.description)
}

/** Where a login whose person is known goes on with whatever is missing. */
export const onwardsAddress = ({ mount }: Services, { state }: Stash): string => `${mount}/mfa?state=${state}`

/** @throws PageFailure 403 as long as the client's chain asks for a factor that was not shown, whatever path led here */
export function requireFactors(services: Services, stash: Stash, { connectorId, factors }: Login): void {
  if (services.factors.missing(clientOf(services, stash), connectorId, factors).length === 0) return
  const { missing, missingTitle, missingNext, submit } = messagesFor(stash.locales).factor
  throw new PageFailure(403, missing, {
    title: missingTitle,
    next: missingNext,
    button: { href: onwardsAddress(services, stash), text: submit },
  })
}

function clientOf({ clients }: Services, { clientId }: Stash): ClientOptions {
  const client = clients.get(clientId)
  if (!client) throw new Error(`client "${clientId}" is not configured any more`)
  return client
}

/** The login with what was shown here in its `amr`; not in the session, where it may be too old for the next client. */
function withMethods(login: Login): Login {
  const { identity, factors = [] } = login
  const amr = methodsOf(identity.authentication?.amr, factors)
  if (factors.length === 0 || !amr) return login
  return { ...login, identity: { ...identity, authentication: { ...identity.authentication, amr } } }
}

/** The person is known and, where they were asked, has approved: the login is over. */
export async function grant(ctx: Context, next: Next, services: Services, stash: Stash, login: Login): Promise<void> {
  requireFactors(services, stash, login)
  const { purpose, scopes, wanted, state } = stash
  if (await turnedAway(ctx, services, { ...stash, login })) return
  const session = await openSession(ctx, services, stash, login)
  const known = { ...session, login: withMethods(session.login) }
  if (purpose.kind === 'device') return finishDevice(ctx, services, stash, known)
  services.stashes.drop(state, jarOf(ctx))
  // As long as another browser may be on its way with the same request.
  const { authRequests } = services.oidc.lifetimes
  const until = Math.floor(services.now().getTime() / 1000 + authRequests)
  if (purpose.pushedId !== undefined) useUp(stateOf(ctx).unit, purpose.pushedId, until)
  if (grantOf(purpose) === 'implicit') noteJudged('implicit', stateOf(ctx))
  await issueAnswer(ctx, next, purpose.params, { ...known, scopes, wanted, seed: purpose.seed })
}

/**
 * Whether the client was told that it is not for this person, as it is configured now.
 * @throws PageFailure 403, a page that says so, unless nothing may be shown
 */
async function turnedAway(
  ctx: Context,
  services: Services,
  stash: KnownStash,
  { silent = false } = {},
): Promise<boolean> {
  const { clientId, login, purpose } = stash
  const client = services.clients.get(clientId)
  const { connectorId, identity } = login
  const restriction = restrictionOf(grantOf(purpose), { client, connectorId, person: identity }, services.policy)
  if (restriction === undefined) return false
  if (silent) {
    const description = 'The person may not use this application'
    await refuse(ctx, services, stash, { error: 'access_denied', description })
    return true
  }
  if (restriction === 'not_in_required_groups') await refuseOutsider(ctx, services, stash, login)
  throw new PageFailure(403, 'This application may not log in like this any more.', {
    next: 'Go back to the application and start again.',
  })
}

/** The person, or the upstream, said no. */
export async function refuse(ctx: Context, services: Services, stash: Stash, error: ClientError): Promise<void> {
  const to = returnOf(stash)
  if (!to) return finishDevice(ctx, services, stash, undefined)
  services.stashes.drop(stash.state, jarOf(ctx))
  await refuseClient(ctx, services, to, error)
}

/** The device gets its answer at its next poll. */
export async function finishDevice(
  ctx: Context,
  { driver, stashes, clients, pages, audit, now }: Services,
  stash: Stash,
  decision: { login: Login; sid?: string } | undefined,
): Promise<void> {
  const { login } = decision ?? {}
  if (stash.purpose.kind !== 'device') throw new TypeError('no device waits for this login')
  stashes.drop(stash.state, jarOf(ctx))
  if (!(await decide(stash.purpose.id))) {
    throw new PageFailure(400, 'The code of your device has run out or was used already.', {
      next: 'Start again on your device.',
    })
  }
  const clientName = clients.get(stash.clientId)?.name ?? stash.clientId
  const person = stash.login && personOf(stash.login)
  if (login) audit({ type: 'device_approved', client_id: stash.clientId, ...personOf(login) })
  else audit({ type: 'device_refused', client_id: stash.clientId, reason: 'access_denied', ...person })
  const page = login
    ? pages.deviceDone({ clientName }, stash.locales)
    : pages.deviceRefused({ clientName }, stash.locales)
  sendPage(ctx, page)

  /** The device may poll at this very moment, which changes the record: then once more. */
  async function decide(id: string): Promise<boolean> {
    for (let tries = 0; tries < 5; tries++) {
      const unit = openUnit(driver)
      if (!(await decideDevice(unit, id, decision, now()))) return false
      if ((await unit.commit()).ok) return true
    }
    return false
  }
}

/**
 * The login did not succeed. The client hears of it at once, since command lines hang otherwise; the person sees a page
 * where they can mend it themselves, with a button that leads to the client, and where a device waits.
 */
export async function failLogin(ctx: Context, services: Services, stash: Stash, error: unknown): Promise<void> {
  if (error instanceof PageFailure) throw error
  const { log, stashes } = services
  const known = asFailure(error)
  if (!known) {
    if (stash.purpose.kind !== 'authorize') throw error
    // A defect, of a connector or of ours.
    log.error('failed to authenticate', { connector_id: stash.connectorId, reason: 'server_error', err: error })
    return refuse(ctx, services, stash, {
      error: 'server_error',
      description: 'Something went wrong on this server.',
    })
  }
  const { level, client, message, repairable } = failureTable[known.code]
  log[level]('failed to authenticate', {
    connector_id: stash.connectorId,
    reason: known.code,
    upstream_code: known.details.upstreamCode,
    err: known,
  })
  const told = { error: client, description: known.details.safe ?? message }
  if (stash.purpose.kind === 'authorize' && !repairable) return refuse(ctx, services, stash, told)
  stashes.drop(stash.state, jarOf(ctx))
  throw pageOf(known, await wayBack(ctx, services, stash, told))
}
