/**
 * Where the parameters of an authorization request are: in the address, pushed before (RFC 9126), in a signed object
 * (RFC 9101), or kept by the browser from a page of ours. A request that did not stand in the address is kept once it is
 * known: it may run out while the person chooses how to log in.
 */
import type { Context } from 'koa'
import { PageFailure } from '../../login/failures.ts'
import { randomState } from '../../login/random.ts'
import type { ParkedRequest, Stash } from '../../login/stash.ts'
import type { AcceptedRequest } from '../../oidc/authorization-request.ts'
import { modeOf } from '../../oidc/modes.ts'
import { redirectAllowed } from '../../oidc/redirects.ts'
import { pushedPrefix, resolveRequest } from '../../oidc/resolve.ts'
import type { RequestParams } from '../../oidc/state.ts'
import { jarOf } from '../cookies.ts'
import type { Services } from '../services.ts'
import { refuseClient } from './client-answer.ts'
import { stashOf } from './login.ts'

export interface IncomingRequest {
  params: RequestParams
  via?: 'pushed' | 'object'
  /** Of a pushed request. */
  pushedId?: string
  /** Whether the address leads here once more; else it is kept. */
  standsInAddress: boolean
}

/** The parameter that names a kept request. */
const keptParameter = 'continue'

/** @returns `undefined` when the client or the person was told that the request is at fault */
export async function readRequest(ctx: Context, services: Services): Promise<IncomingRequest | undefined> {
  const query = ctx.query as RequestParams
  const kept = query[keptParameter]
  if (typeof kept === 'string' && query.client_id === undefined) {
    const { parked } = await stashOf(ctx, services, kept)
    if (parked) return { ...parked, standsInAddress: false }
  }
  if (!(await isForEngine(query, services))) return { params: query, standsInAddress: true }
  const resolution = await resolveRequest(ctx, services.engine)
  if (!('refused' in resolution)) return { ...resolution, standsInAddress: false }
  await refuse(ctx, services, resolution)
  return undefined
}

/** Others are refused by our judge, as Dex refuses them. */
async function isForEngine(
  { request, request_uri: uri, client_id: id }: RequestParams,
  { clients }: Services,
): Promise<boolean> {
  if (request === undefined && uri === undefined) return false
  if (typeof uri === 'string' && uri.startsWith(pushedPrefix)) return true
  return uri === undefined && typeof id === 'string' && (await clients.load(id))?.keys !== undefined
}

async function refuse(
  ctx: Context,
  services: Services,
  { refused, params }: Extract<Awaited<ReturnType<typeof resolveRequest>>, { refused: object }>,
): Promise<void> {
  const text = (name: string): string | undefined => {
    const value = params[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const { error, description, mayRedirect } = refused
  const client = services.clients.get(text('client_id') ?? '')
  const redirectUri = text('redirect_uri') ?? ''
  if (!client || !mayRedirect || !redirectAllowed(client, redirectUri)) {
    throw new PageFailure(400, `${error}: ${description}`.replace(/\.?$/, '.'), {
      next: 'Go back to the application and log in again.',
    })
  }
  const asked = { response_mode: text('response_mode') ?? '', response_type: text('response_type') ?? '' }
  const mode = modeOf(asked, redirectUri)
  await refuseClient(
    ctx,
    services,
    { clientId: client.id, redirectUri, mode, state: text('state') },
    { error, description },
  )
}

/** Keeps a request that does not stand in the address; the query that leads to it. */
export async function keepRequest(
  ctx: Context,
  { now, oidc, stashes }: Services,
  { params, via, pushedId, standsInAddress }: IncomingRequest,
  { client, params: accepted, scopes, askApproval, locales }: AcceptedRequest,
): Promise<URLSearchParams> {
  const { connector_id: _, ...others } = params
  if (standsInAddress) return queryOf(others)
  const parked: ParkedRequest = { params: others, ...(via && { via }), ...(pushedId !== undefined && { pushedId }) }
  const stash: Stash = {
    state: randomState(),
    connectorId: '',
    clientId: client.id,
    scopes,
    purpose: {
      kind: 'authorize',
      params: accepted,
      seed: randomState(),
      askApproval,
      ...(pushedId !== undefined && { pushedId }),
    },
    parked,
    expiresAt: Math.floor(now().getTime() / 1000 + oidc.lifetimes.authRequests),
    ...(locales.length > 0 && { locales }),
  }
  await stashes.save(stash, jarOf(ctx))
  return new URLSearchParams({ [keptParameter]: stash.state })
}

function queryOf(params: RequestParams): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of Object.keys(params).sort()) {
    for (const value of [params[name] ?? []].flat()) query.append(name, value)
  }
  return query
}
