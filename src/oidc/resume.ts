/** Hands requests to the engine from inside: an authorization request that was judged, or one whose person came back. */
import type { Context, Next } from 'koa'
import type { Provider } from 'oidc-provider'
import type { Json } from '../lib/json.ts'
import type { Login } from '../login/identity.ts'
import type { Stash } from '../login/stash.ts'
import type { AuthorizationParams } from './authorize.ts'
import { paths } from './discovery.ts'
import { stateOf } from './state.ts'
import { encodeSubject } from './subject.ts'

/** What of the engine's record of an authorization request has to come back. */
const carried = ['jti', 'iat', 'exp', 'cid', 'params'] as const

/** The request in progress, as it travels with the browser; taken when the engine has just made it. */
export function requestToCarry(ctx: { state: unknown }): Json {
  const { payload } = stateOf(ctx).interaction ?? {}
  if (!payload) throw new Error('there is no authorization request in progress')
  return Object.fromEntries(carried.flatMap((name) => (payload[name] === undefined ? [] : [[name, payload[name]]])))
}

/** Starts the engine's authorization endpoint with judged parameters. */
export async function beginAuthorization(ctx: Context, next: Next, params: AuthorizationParams): Promise<void> {
  ctx.url = `${paths.authorization}?${new URLSearchParams(params)}`
  await next()
}

/** What became of the person's part. */
export type Outcome = { login: Login; approved: boolean } | { error: string; description: string }

/** Goes on with the authorization request of a stash; ends at the client, or at one more page. */
export async function resumeAuthorization(
  provider: Provider,
  ctx: Context,
  next: Next,
  stash: Stash,
  outcome: Outcome,
): Promise<void> {
  if (stash.purpose.kind !== 'authorize') throw new TypeError('not an authorization request')
  const payload = stash.purpose.request as Record<string, Json>
  const id = String(payload.jti)
  const state = stateOf(ctx)
  state.stash = stash
  state.interaction = { payload: { ...payload, kind: 'Interaction' }, result: resultOf(outcome) }
  // The engine binds its request to a browser by this cookie; the one that really did so is the stash's.
  ctx.req.headers.cookie = `${provider.cookieName('resume')}=${id}`
  ctx.method = 'GET'
  ctx.url = `${paths.authorization}/${id}`
  await next()
}

function resultOf(outcome: Outcome): Record<string, Json> {
  if ('error' in outcome) return { error: outcome.error, error_description: outcome.description }
  const { login, approved } = outcome
  const { acr, amr } = login.identity.authentication ?? {}
  return {
    login: {
      accountId: encodeSubject(login.identity.userId, login.connectorId),
      ts: login.authTime,
      remember: false,
      ...(acr !== undefined && { acr }),
      ...(amr !== undefined && { amr }),
    },
    ...(approved && { consent: {} }),
  }
}
