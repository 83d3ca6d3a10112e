/** What follows when a person is known, or was refused: back to the client, to an approval page, or to the waiting device. */
import type { Context, Next } from 'koa'
import { asFailure, describe, failureTable, PageFailure, pageOf } from '../../login/failures.ts'
import { type Login, personOf } from '../../login/identity.ts'
import type { Stash } from '../../login/stash.ts'
import { decideDevice } from '../../oidc/device.ts'
import { answerAddress, formTarget, redirectTo } from '../../oidc/redirects.ts'
import { resumeAuthorization } from '../../oidc/resume.ts'
import { openUnit } from '../../storage/unit.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'

/** The person is known. */
export async function finishLogin(
  ctx: Context,
  next: Next,
  services: Services,
  stash: Stash,
  login: Login,
): Promise<void> {
  stash.login = login
  // What was needed for the way to the upstream is done with.
  delete stash.memo
  delete stash.post
  if (stash.purpose.kind === 'authorize') return resume(ctx, next, services, stash, { login, approved: false })
  if (services.login.skipApprovalScreen) return finishDevice(ctx, services, stash, login)
  await services.stashes.save(stash, jarOf(ctx))
  redirectTo(ctx, approvalAddress(services, stash))
}

export const approvalAddress = ({ mount }: Pick<Services, 'mount'>, { state }: Stash): string =>
  `${mount}/approval?state=${state}`

type Answer = { login: Login; approved: boolean } | { error: string; description: string }

/** Goes on at the engine; if that ends at the client the login is over, and so is its cookie. */
export async function resume(
  ctx: Context,
  next: Next,
  services: Services,
  stash: Stash,
  answer: Answer,
): Promise<void> {
  const { provider, stashes } = services
  await resumeAuthorization(provider, ctx, next, stash, answer)
  if (ctx.response.get('Location') !== approvalAddress(services, stash)) stashes.drop(stash.state, jarOf(ctx))
}

/** The device gets its answer at its next poll. */
export async function finishDevice(
  ctx: Context,
  { driver, stashes, clients, pages, audit, now }: Services,
  stash: Stash,
  login: Login | undefined,
): Promise<void> {
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
      if (!(await decideDevice(unit, id, login, now()))) return false
      if ((await unit.commit()).ok) return true
    }
    return false
  }
}

/**
 * The login did not succeed. The client hears of it at once, since command lines hang otherwise; the person sees a page
 * where they can mend it themselves, with a button that leads to the client, and where a device waits.
 */
export async function failLogin(
  ctx: Context,
  next: Next,
  services: Services,
  stash: Stash,
  error: unknown,
): Promise<void> {
  const known = asFailure(error)
  if (!known) throw error
  const { log, stashes, issuer } = services
  const { level, client, message, repairable } = failureTable[known.code]
  const requestId = (ctx.state as { requestId: string }).requestId
  log[level]('failed to authenticate', {
    connector_id: stash.connectorId,
    reason: known.code,
    upstream_code: known.details.upstreamCode,
    err: known,
  })
  const description = describe(known.details.safe ?? message, requestId)
  if (stash.purpose.kind === 'authorize' && !repairable) {
    return resume(ctx, next, services, stash, { error: client, description })
  }
  stashes.drop(stash.state, jarOf(ctx))
  const request = requestOf(stash)
  const target = request && formTarget(request.redirectUri)
  const button = target
    ? {
        href: answerAddress(request.redirectUri, {
          error: client,
          error_description: description,
          state: request.state,
          iss: issuer,
        }),
        text: `Back to ${services.clients.get(stash.clientId)?.name ?? 'the application'}`,
      }
    : undefined
  throw pageOf(known, button)
}

/** Where the request of a stash returns to, and its state. */
export function requestOf({ purpose }: Stash): { redirectUri: string; state: string | undefined } | undefined {
  if (purpose.kind !== 'authorize') return undefined
  const { params } = purpose.request as { params: { redirect_uri: string; state?: string } }
  return { redirectUri: params.redirect_uri, state: params.state }
}

/** Where the forms of a login's pages lead in the end. */
export function targetsOf(stash: Stash): string[] {
  const request = requestOf(stash)
  const target = request && formTarget(request.redirectUri)
  return target === undefined ? [] : [target]
}
