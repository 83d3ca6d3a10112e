/** `/mfa/webauthn`: the page that asks the browser for a security key, and the JSON that its script exchanges with us. */
import type { Context, Middleware } from 'koa'
import { type FactorReason, type KeyCeremony, wasShown } from '../../login/factors/factors.ts'
import { PageFailure } from '../../login/failures.ts'
import { type Messages, messagesFor } from '../../login/messages.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { sendPage } from '../answer.ts'
import { jarOf } from '../cookies.ts'
import { readJson, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { knownStash } from './approval.ts'
import { targetsOf } from './client-answer.ts'
import { factorRequest, noteFactor, stateIn } from './factors.ts'
import { onwardsAddress } from './finish.ts'

/** Names an authenticator that one more key is added to. */
const furtherIn = (ctx: Context): string | undefined => new URLSearchParams(ctx.querystring).get('further') ?? undefined

/** `GET /mfa/webauthn`: for the key that is asked for, for the first one, or with `further` for one more. */
export const webAuthnPage = (services: Services) => async (ctx: Context) => {
  const { mount, pages, factors, clients } = services
  const stash = await knownStash(ctx, services, stateIn(ctx))
  const onwards = onwardsAddress(services, stash)
  const further = furtherIn(ctx)
  const { client, login } = factorRequest(services, stash)
  const step = further === undefined ? await factors.step(client, login) : undefined
  if (further === undefined ? step?.authenticator.type !== 'WebAuthn' : !wasShown(login, further))
    return redirectTo(ctx, onwards)
  const mode = further !== undefined ? 'further' : step?.enrol ? 'register' : 'login'
  const query = new URLSearchParams({ state: stash.state, ...(further !== undefined && { further }) })
  const below = `${mount}/mfa/webauthn/${mode === 'login' ? 'login' : 'register'}`
  const more = step && new URLSearchParams({ state: stash.state, further: step.authenticator.id })
  const clientName = clients.get(stash.clientId)?.name
  const page = {
    begin: `${below}/begin?${query}`,
    finish: `${below}/finish?${query}`,
    mode,
    onwards,
    ...(mode === 'login' && { furtherUrl: `${mount}/mfa/webauthn?${more}` }),
    ...(clientName !== undefined && { clientName }),
  } as const
  sendPage(ctx, pages.webauthn(page, stash.locales), { targets: targetsOf(stash), connects: true })
}

/** `POST /mfa/webauthn/{register,login}/begin`: answers `{"publicKey": …}` for `navigator.credentials`. */
export const beginKey = (as: KeyCeremony['as']) => (services: Services) =>
  answering(async (ctx) => {
    requireOwnForm(ctx.req, services.origin)
    const stash = await knownStash(ctx, services, stateIn(ctx))
    const publicKey = await services.factors.beginKey(factorRequest(services, stash), ceremonyOf(as, ctx))
    if (!publicKey) return refuse(ctx, 409, messagesFor(stash.locales).webauthn.elsewhere)
    ctx.body = { publicKey }
  })

/** `POST /mfa/webauthn/{register,login}/finish`: takes what the browser made of it; answers `{"status": "ok", "redirect"}`. */
export const finishKey = (as: KeyCeremony['as']) => (services: Services) =>
  answering(async (ctx) => {
    const { origin, factors, stashes, log } = services
    requireOwnForm(ctx.req, origin)
    const stash = await knownStash(ctx, services, stateIn(ctx))
    const answer = await readJson(ctx.req, 64 * 1024)
    const outcome = await factors.finishKey(factorRequest(services, stash), ceremonyOf(as, ctx), answer)
    const m = messagesFor(stash.locales)
    if ('elsewhere' in outcome) return refuse(ctx, 409, m.webauthn.elsewhere)
    if ('limited' in outcome) {
      const { retryAfter } = outcome.limited
      ctx.set('Retry-After', String(retryAfter))
      return refuse(ctx, 429, m.tooMany(retryAfter))
    }
    if ('refused' in outcome) {
      const { refused: reason, step } = outcome
      const level = reason === 'counter_regression' ? 'warn' : 'info'
      log[level]('security key refused', { reason, authenticator: step.authenticator.id })
      return refuse(ctx, statusOf[reason] ?? 401, messageOf(reason, m))
    }
    noteFactor(stash, outcome.done)
    await stashes.save(stash, jarOf(ctx))
    ctx.body = { status: 'ok', redirect: onwardsAddress(services, stash) }
  })

const ceremonyOf = (as: KeyCeremony['as'], ctx: Context): KeyCeremony => {
  const further = furtherIn(ctx)
  return as === 'login' ? { as } : { as, ...(further !== undefined && { further }) }
}

/** All others: 401. */
const statusOf: Partial<Record<FactorReason, number>> = {
  malformed: 400,
  not_begun: 400,
  too_many_keys: 403,
  conflict: 409,
}

const messageOf = (reason: FactorReason, { webauthn }: Messages): string =>
  reason === 'too_many_keys' ? webauthn.tooMany : webauthn.failed

/** The script reads JSON, also of what would be a page elsewhere. */
const answering =
  (handler: (ctx: Context) => Promise<void>): Middleware =>
  async (ctx) => {
    ctx.set('Cache-Control', 'no-store')
    try {
      await handler(ctx)
    } catch (error) {
      if (!(error instanceof PageFailure)) throw error
      if (error.retryAfter !== undefined) ctx.set('Retry-After', String(error.retryAfter))
      refuse(ctx, error.status, [error.message, error.next].filter(Boolean).join(' '))
    }
  }

function refuse(ctx: Context, status: number, error: string): void {
  ctx.status = status
  ctx.body = { error }
}
