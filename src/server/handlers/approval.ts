/** `/approval`: the person says whether the client may know who they are. */
import type { Context, Next } from 'koa'
import { rememberApproval } from '../../login/consents.ts'
import { PageFailure } from '../../login/failures.ts'
import { personOf } from '../../login/identity.ts'
import { describeScopes, messagesFor } from '../../login/messages.ts'
import { coveredScopes } from '../../login/wanted-claims.ts'
import { stateOf } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { returnOf, targetsOf } from './client-answer.ts'
import { grant, type KnownStash, refuse, requireFactors } from './finish.ts'
import { stashOf } from './login.ts'
import { provenance } from './registration.ts'

/** The login of this browser, once the person is known. @throws PageFailure 400 or 403 */
export async function knownStash(ctx: Context, services: Services, state: string | null): Promise<KnownStash> {
  const stash = await stashOf(ctx, services, state)
  if (stash.login) return stash as KnownStash
  throw new PageFailure(400, 'Log in first.', { next: 'Go back to the application and log in.' })
}

/** Shows what the client asks for. */
export const approvalPage = (services: Services) => async (ctx: Context) => {
  const { pages, clients, mount } = services
  const stash = await knownStash(ctx, services, new URLSearchParams(ctx.querystring).get('state'))
  requireFactors(services, stash, stash.login)
  const { login, locales } = stash
  const scopes = coveredScopes(stash.scopes, stash.wanted)
  const { preferredUsername, email, username, userId } = login.identity
  const client = clients.get(stash.clientId)
  const host = provenance(client, returnOf(stash)?.redirectUri)
  const page = {
    action: `${mount}/approval`,
    fields: { state: stash.state },
    clientName: client?.name ?? stash.clientId,
    ...(host !== undefined && { host }),
    userName: email ?? preferredUsername ?? username ?? userId,
    scopes: describeScopes(scopes, messagesFor(locales)),
    forDevice: stash.purpose.kind === 'device',
  }
  sendPage(ctx, pages.approval(page, locales), { targets: targetsOf(stash) })
}

/** Takes the answer: `approval` is `approve` or anything else. */
export const approve = (services: Services) => async (ctx: Context, next: Next) => {
  const { audit, origin } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const stash = await knownStash(ctx, services, form.get('state'))
  requireFactors(services, stash, stash.login)
  const { login, clientId } = stash
  const scopes = coveredScopes(stash.scopes, stash.wanted)
  const approved = form.get('approval') === 'approve'
  audit({ type: approved ? 'approval_given' : 'approval_refused', client_id: clientId, scopes, ...personOf(login) })
  if (approved) {
    if (services.sessions) await rememberApproval(stateOf(ctx).unit, login, clientId, scopes)
    await grant(ctx, next, services, stash, login)
  } else await refuse(ctx, services, stash, { error: 'access_denied', description: 'Access was refused' })
}
