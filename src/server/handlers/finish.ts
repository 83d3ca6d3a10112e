/** What follows when a person is known, or was refused: back to the client, to an approval page, or to the waiting device. */
import type { Context, Next } from 'koa'
import { asFailure, failureTable, PageFailure, pageOf } from '../../login/failures.ts'
import { type Login, personOf } from '../../login/identity.ts'
import type { Stash } from '../../login/stash.ts'
import { decideDevice } from '../../oidc/device.ts'
import { codeLifetime } from '../../oidc/dialect/code.ts'
import { issueCode } from '../../oidc/issue.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { openUnit } from '../../storage/unit.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'
import { type ClientError, refuseClient, returnOf, wayBack } from './client-answer.ts'

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
  const { purpose } = stash
  const asked = purpose.kind === 'authorize' && purpose.askApproval
  if (services.login.skipApprovalScreen && !asked) return grant(ctx, next, services, stash, login)
  // As long as the store remembers a code of this login: an approval that is sent again later gives no second one.
  stash.expiresAt = Math.min(stash.expiresAt, Math.floor(services.now().getTime() / 1000) + codeLifetime)
  await services.stashes.save(stash, jarOf(ctx))
  redirectTo(ctx, approvalAddress(services, stash))
}

export const approvalAddress = ({ mount }: Services, { state }: Stash): string => `${mount}/approval?state=${state}`

/** The person is known and, where they were asked, has approved: the login is over. */
export async function grant(ctx: Context, next: Next, services: Services, stash: Stash, login: Login): Promise<void> {
  const { purpose, scopes, state } = stash
  if (purpose.kind === 'device') return finishDevice(ctx, services, stash, login)
  services.stashes.drop(state, jarOf(ctx))
  await issueCode(ctx, next, purpose.params, { login, scopes, seed: purpose.seed })
}

/** The person, or the upstream, said no. */
export async function refuse(ctx: Context, services: Services, stash: Stash, error: ClientError): Promise<void> {
  const to = returnOf(stash)
  if (!to) return finishDevice(ctx, services, stash, undefined)
  services.stashes.drop(stash.state, jarOf(ctx))
  refuseClient(ctx, services, to, error)
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
  throw pageOf(known, wayBack(ctx, services, stash, told))
}
