/** The person is known, but in none of the groups that the client requires: a page says so, with a way back. */
import type { Context } from 'koa'
import { failureTable, PageFailure } from '../../login/failures.ts'
import { type Login, personOf } from '../../login/identity.ts'
import { messagesFor } from '../../login/messages.ts'
import type { Stash } from '../../login/stash.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'
import { wayBack } from './client-answer.ts'

const reason = 'not_in_required_groups'

/** @throws PageFailure 403, whose button tells the client `access_denied` */
export async function refuseOutsider(ctx: Context, services: Services, stash: Stash, login: Login): Promise<never> {
  const { clients, log, audit, stashes } = services
  const { clientId, connectorId, locales } = stash
  const { name = clientId, contact, requiredGroups } = clients.get(clientId) ?? {}
  const { identity } = login
  const { userId, email, preferredUsername, username } = identity
  log.warn('failed to authenticate', {
    connector_id: connectorId,
    client_id: clientId,
    reason,
    user_id: userId,
    groups: identity.groups ?? 'not known',
    required_groups: requiredGroups,
  })
  audit({ type: 'login_refused', client_id: clientId, reason, ...personOf(login) })
  stashes.drop(stash.state, jarOf(ctx))
  const { status, client: error, message: description } = failureTable[reason]
  const m = messagesFor(locales).outsider
  throw new PageFailure(status, m.message(email ?? preferredUsername ?? username ?? userId, name), {
    title: m.title(name),
    next: m.next(name, contact),
    button: await wayBack(ctx, services, stash, { error, description }),
  })
}
