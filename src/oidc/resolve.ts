/**
 * Authorization requests that do not stand in the address: pushed before (RFC 9126), or signed (RFC 9101). The engine takes
 * them apart and checks them at its authorization endpoint; what counts afterwards goes through our own judge like any
 * other request, and the engine's answer is thrown away.
 */
import type { Context, Middleware } from 'koa'
import { interactionPolicy, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { paths } from './discovery.ts'
import { idOf } from './ids.ts'
import { type RequestParams, type Resolving, stateOf } from './state.ts'

/** What a `request_uri` begins with that we gave out (RFC 9126, 2.2). */
export const pushedPrefix = 'urn:ietf:params:oauth:request_uri:'

export type Resolution =
  | { params: RequestParams; via: 'pushed' | 'object'; pushedId?: string }
  /** `params` is what was known of the request when it was refused. */
  | { refused: { error: string; description: string; mayRedirect: boolean }; params: RequestParams }

const { Check } = interactionPolicy

/**
 * Asks the engine what a request says.
 * @param engine the engine's own middleware, which can be entered more than once in a request
 * @throws whatever failed on our side
 */
export async function resolveRequest(ctx: Context, engine: Middleware): Promise<Resolution> {
  const state = stateOf(ctx)
  const resolving: Resolving = {}
  state.resolving = resolving
  const { url, status, params } = ctx
  // The engine keeps a context of its own for each request; this one is not the request's only.
  const inner = Object.create(ctx) as Context
  try {
    inner.url = `${paths.authorization}?${ctx.querystring}`
    await engine(inner, async () => {})
  } finally {
    delete state.resolving
    forget(ctx, { url, status })
    ctx.params = params
  }
  const { refused, params: resolved, pushedId } = resolving
  if (refused) return refusal(refused)
  if (!resolved) throw new Error('the engine came to no end with a request object')
  return { params: resolved, via: pushedId === undefined ? 'object' : 'pushed', ...(pushedId && { pushedId }) }
}

/** Takes back what the engine answered. */
function forget(ctx: Context, { url, status }: { url: string; status: number }): void {
  ctx.url = url
  ctx.body = null
  ctx.status = status
  for (const name of Object.keys(ctx.response.headers)) {
    if (/^(location|content-)/i.test(name)) ctx.remove(name)
  }
}

function refusal({ error, params }: NonNullable<Resolving['refused']>): Resolution {
  const known = error as Error & {
    expose?: boolean
    error?: string
    error_description?: string
    error_detail?: string
    allow_redirect?: boolean
  }
  if (!known.expose || known.error === undefined) throw error
  const description = known.error_detail ?? known.error_description ?? known.error
  return { refused: { error: known.error, description, mayRedirect: known.allow_redirect !== false }, params }
}

/** Ends the engine's part where it would ask the person to log in. */
export const resolvedCheck = () =>
  new Check('resolved', 'the request is known now', 'interaction_required', (ctx) => {
    const { resolving, askedScope } = stateOf(ctx)
    if (!resolving) return Check.NO_NEED_TO_PROMPT
    const { oidc } = ctx
    const pushed = oidc.entities.PushedAuthorizationRequest as { jti: string; asked?: string } | undefined
    const scope = pushed ? pushed.asked : askedScope
    resolving.params = { ...asAsked(paramsOf(ctx)), ...(scope !== undefined && { scope }) }
    if (pushed) resolving.pushedId = idOf(pushed.jti)
    // Whether somebody is signed in is not for the engine to say.
    Object.assign(oidc.params!, { prompt: undefined })
    return Check.REQUEST_PROMPT
  })

/** The engine makes a prompt of `max_age=0`, which beside `none` would look like a fault of the client. */
const asAsked = (params: RequestParams): RequestParams =>
  params.prompt === 'none login' ? { ...params, prompt: 'none', max_age: '0' } : params

/** Notes why the engine refuses, before it answers. */
export function noteRefusals(provider: Provider): void {
  const note = (ctx: KoaContextWithOIDC, error: Error) => {
    const { resolving } = stateOf(ctx)
    if (resolving && !resolving.refused) resolving.refused = { error, params: paramsOf(ctx) }
  }
  provider.on('authorization.error', note)
  provider.on('server_error', note)
}

export function paramsOf({ oidc }: KoaContextWithOIDC): RequestParams {
  return Object.fromEntries(
    Object.entries((oidc.params ?? {}) as RequestParams).filter(([, value]) => value !== undefined),
  )
}
