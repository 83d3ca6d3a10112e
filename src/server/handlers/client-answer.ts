/** An error that goes to the client's redirect URI (RFC 6749, 4.1.2.1), in the response mode that it asked for. */
import type { Context } from 'koa'
import { describe, PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import type { Stash } from '../../login/stash.ts'
import { paths } from '../../oidc/discovery.ts'
import { modes } from '../../oidc/modes.ts'
import { answerAddress, formTarget, redirectTo } from '../../oidc/redirects.ts'
import { packed, placeOf } from '../../oidc/response-modes.ts'
import { stateOf } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import type { Services } from '../services.ts'

/** Where a request returns to; its redirect URI is one of the client's. */
export interface Return {
  clientId: string
  redirectUri: string
  mode: string
  state: string | undefined
}

export interface ClientError {
  error: string
  /** One sentence; the request's number is added. */
  description: string
}

function membersOf(
  ctx: Context,
  { issuer, keys, clients }: Services,
  { clientId, mode, state }: Return,
  { error, description }: ClientError,
): Promise<Record<string, string>> {
  const members = {
    error,
    error_description: describe(description, stateOf(ctx).requestId),
    ...(state !== undefined && { state }),
    iss: issuer,
  }
  return packed(mode, members, clientId, { keys, issuer, clients })
}

/** Sends the browser to the client with an error. */
export async function refuseClient(ctx: Context, services: Services, to: Return, error: ClientError): Promise<void> {
  const { pages, log } = services
  const { redirectUri, mode } = to
  log.info('authorization request refused', {
    redirect_uri: redirectUri,
    error: error.error,
    reason: error.description,
  })
  if (mode === modes.outOfBand) throw new PageFailure(400, error.description.replace(/\.?$/, '.'))
  const members = await membersOf(ctx, services, to, error)
  const place = placeOf(mode)
  if (place === 'form') {
    const page = pages.post({ action: redirectUri, fields: members, title: messagesFor().back() })
    sendPage(ctx, page, { targets: targetOf(redirectUri) })
    return
  }
  redirectTo(ctx, answerAddress(redirectUri, members, place))
}

/** A button that does the same, for a page on which the person first reads what happened. A device still waits. */
export async function wayBack(
  ctx: Context,
  services: Services,
  stash: Stash,
  error: ClientError,
): Promise<{ href: string; text: string } | undefined> {
  const { clients, mount } = services
  const to = returnOf(stash)
  const m = messagesFor(stash.locales)
  if (!to) return { href: `${mount}${paths.device}`, text: m.device.again }
  if (targetOf(to.redirectUri).length === 0) return undefined
  const members = await membersOf(ctx, services, to, error)
  // A link sends no form.
  const place = placeOf(to.mode) === 'fragment' ? 'fragment' : 'query'
  return { href: answerAddress(to.redirectUri, members, place), text: m.back(clients.get(stash.clientId)?.name) }
}

export function returnOf({ purpose, clientId }: Stash): Return | undefined {
  if (purpose.kind !== 'authorize') return undefined
  const { redirect_uri: redirectUri = '', response_mode: mode = '', state } = purpose.params
  return { clientId, redirectUri, mode, state }
}

/** Where the forms of a login's pages lead in the end. */
export function targetsOf(stash: Stash): string[] {
  const to = returnOf(stash)
  return to ? targetOf(to.redirectUri) : []
}

function targetOf(redirectUri: string): string[] {
  const target = formTarget(redirectUri)
  return target === undefined ? [] : [target]
}
