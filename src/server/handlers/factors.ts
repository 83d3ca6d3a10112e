/** `/mfa`: second factors of a person who is known, between the login and the approval. */
import type { Context, Next } from 'koa'
import { type DoneFactor, type FactorStep, mergeFactors } from '../../login/factors/chain.ts'
import type { FactorReason, FactorRequest } from '../../login/factors/factors.ts'
import { type Messages, messagesFor } from '../../login/messages.ts'
import { redirectTo } from '../../oidc/redirects.ts'
import { sendPage } from '../answer.ts'
import { readForm, requireOwnForm } from '../form.ts'
import type { Services } from '../services.ts'
import { knownStash } from './approval.ts'
import { targetsOf } from './client-answer.ts'
import { type KnownStash, onwardsAddress, proceed } from './finish.ts'

export const stateIn = (ctx: Context): string | null => new URLSearchParams(ctx.querystring).get('state')

export const factorRequest = ({ clients }: Services, stash: KnownStash): FactorRequest => ({
  client: clients.get(stash.clientId)!,
  login: stash.login,
  state: stash.state,
  expiresAt: stash.expiresAt,
})

/** Notes in the login that a factor was shown. */
export function noteFactor({ login }: KnownStash, done: DoneFactor): void {
  login.factors = mergeFactors(login.factors, [done])
}

/** `GET /mfa`: goes on with whatever is missing. */
export const onwards = (services: Services) => async (ctx: Context, next: Next) => {
  const stash = await knownStash(ctx, services, stateIn(ctx))
  await proceed(ctx, next, services, stash)
}

/** `GET /mfa/totp`: asks for a code, or shows the secret that one is set up with. */
export const totpPage = (services: Services) => async (ctx: Context) => {
  const stash = await knownStash(ctx, services, stateIn(ctx))
  const { client, login } = factorRequest(services, stash)
  const step = await services.factors.step(client, login)
  if (step?.authenticator.type !== 'TOTP') return redirectTo(ctx, onwardsAddress(services, stash))
  await showTotp(ctx, services, stash, step)
}

/** `POST /mfa/totp`: `totp`. */
export const totp = (services: Services) => async (ctx: Context, next: Next) => {
  const { factors, origin } = services
  requireOwnForm(ctx.req, origin)
  const form = await readForm(ctx.req, 64 * 1024)
  const stash = await knownStash(ctx, services, stateIn(ctx))
  const outcome = await factors.code(factorRequest(services, stash), form.get('totp') ?? '')
  if ('elsewhere' in outcome) return redirectTo(ctx, onwardsAddress(services, stash))
  if ('done' in outcome) {
    noteFactor(stash, outcome.done)
    return proceed(ctx, next, services, stash)
  }
  const m = messagesFor(stash.locales)
  if ('limited' in outcome) {
    const { retryAfter } = outcome.limited
    ctx.set('Retry-After', String(retryAfter))
    return showTotp(ctx, services, stash, outcome.step, { message: m.tooMany(retryAfter), status: 429 })
  }
  await showTotp(ctx, services, stash, outcome.step, { message: codeMessage(outcome.refused, m), status: 401 })
}

const codeMessage = (reason: FactorReason, { totp }: Messages): string =>
  reason === 'code_used' ? totp.used : reason === 'not_begun' ? totp.enrol.over : totp.wrong

async function showTotp(
  ctx: Context,
  services: Services,
  stash: KnownStash,
  { authenticator, enrol }: FactorStep,
  { message, status = 200 }: { message?: string; status?: number } = {},
): Promise<void> {
  const { pages, factors, mount, clients } = services
  if (authenticator.type !== 'TOTP') throw new TypeError('this page is for codes')
  const clientName = clients.get(stash.clientId)?.name
  const page = {
    action: `${mount}/mfa/totp?state=${stash.state}`,
    ...(clientName !== undefined && { clientName }),
    ...(enrol && { enrolment: await factors.enrolment(factorRequest(services, stash), authenticator) }),
    ...(message !== undefined && { message }),
  }
  sendPage(ctx, pages.totp(page, stash.locales), { status, targets: targetsOf(stash) })
}
