/** An error that goes to the client's redirect URI (RFC 6749, 4.1.2.1), in the response mode that it asked for. */
import type { Context } from 'koa'
import { describe, PageFailure } from '../../login/failures.ts'
import { messagesFor } from '../../login/messages.ts'
import type { Stash } from '../../login/stash.ts'
import { modes } from '../../oidc/authorize.ts'
import { paths } from '../../oidc/discovery.ts'
import { answerAddress, formTarget, redirectTo } from '../../oidc/redirects.ts'
import { stateOf } from '../../oidc/state.ts'
import { sendPage } from '../answer.ts'
import type { Services } from '../services.ts'

/** Where a request returns to; its redirect URI is one of the client's. */
export interface Return {
  redirectUri: string
  mode: string
  state: string | undefined
}

export interface ClientError {
  error: string
  /** One sentence; the request's number is added. */
  description: string
}

const membersOf = (issuer: string, { state }: Return, { error, description }: ClientError, requestId: string) => ({
  error,
  error_description: describe(description, requestId),
  ...(state !== undefined && { state }),
  iss: issuer,
})

/** Sends the browser to the client with an error. */
export function refuseClient(ctx: Context, { issuer, pages, log }: Services, to: Return, error: ClientError): void {
  const { redirectUri, mode } = to
  log.info('authorization request refused', {
    redirect_uri: redirectUri,
    error: error.error,
    reason: error.description,
  })
  if (mode === modes.outOfBand) throw new PageFailure(400, error.description.replace(/\.?$/, '.'))
  const members = membersOf(issuer, to, error, stateOf(ctx).requestId)
  if (mode === modes.formPost) {
    const page = pages.post({ action: redirectUri, fields: members, title: messagesFor().back() })
    sendPage(ctx, page, { targets: targetOf(redirectUri) })
    return
  }
  redirectTo(ctx, answerAddress(redirectUri, members, mode === modes.fragment ? 'fragment' : 'query'))
}

/** A button that does the same, for a page on which the person first reads what happened. A device still waits. */
export function wayBack(
  ctx: Context,
  { issuer, clients, mount }: Services,
  stash: Stash,
  error: ClientError,
): { href: string; text: string } | undefined {
  const to = returnOf(stash)
  const m = messagesFor(stash.locales)
  if (!to) return { href: `${mount}${paths.device}`, text: m.device.again }
  if (targetOf(to.redirectUri).length === 0) return undefined
  const members = membersOf(issuer, to, error, stateOf(ctx).requestId)
  const place = to.mode === modes.fragment ? 'fragment' : 'query'
  return { href: answerAddress(to.redirectUri, members, place), text: m.back(clients.get(stash.clientId)?.name) }
}

export function returnOf({ purpose }: Stash): Return | undefined {
  if (purpose.kind !== 'authorize') return undefined
  const { redirect_uri: redirectUri = '', response_mode: mode = '', state } = purpose.params
  return { redirectUri, mode, state }
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
