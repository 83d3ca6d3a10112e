/** `/register` (RFC 7591, 3) and `/register/{clientId}` (RFC 7592): the engine's, within bounds. */
import type { Context, Next } from 'koa'
import type { ClientOptions } from '../../oidc/options.ts'
import { stateOf } from '../../oidc/state.ts'
import type { Services } from '../services.ts'

type Body = Record<string, unknown>

/** Stores something durable, for whoever may: so it is limited by address, and in total. */
export const register = (services: Services) => async (ctx: Context, next: Next) => {
  const { oidc, limits, addressOf, audit, driver } = services
  const { maxClients } = oidc.dynamicClients!.registration!
  const limited = await limits.registration(addressOf(ctx.req))
  if (limited) {
    audit({ type: 'rate_limited', what: 'registration', key: limited.key })
    return refuse(ctx, 429, 'temporarily_unavailable', 'too many registrations; try again later', limited.retryAfter)
  }
  const { live } = await driver.count('client')
  if (live >= maxClients) {
    audit({ type: 'rate_limited', what: 'registration', key: 'total' })
    return refuse(ctx, 503, 'temporarily_unavailable', 'no more applications can be registered here', 3600)
  }
  await next()
  await complete(ctx, services)
}

/** Reads, changes or removes a registration with its own token. */
export const registered = (services: Services) => async (ctx: Context, next: Next) => {
  await next()
  await complete(ctx, services)
}

/** What the engine cannot know: the algorithm that really signs; and of a secret only its hash. */
async function complete(ctx: Context, { keys }: Services): Promise<void> {
  const body = ctx.body as Body | undefined
  if (ctx.status >= 300 || typeof body?.client_id !== 'string') return
  const { newSecret } = stateOf(ctx)
  const { client_secret: _, client_secret_expires_at: __, ...told } = body
  const { algorithm } = keys
  ctx.body = {
    ...told,
    ...(newSecret !== undefined && { client_secret: newSecret, client_secret_expires_at: 0 }),
    id_token_signed_response_alg: algorithm,
    ...(told.userinfo_signed_response_alg !== undefined && { userinfo_signed_response_alg: algorithm }),
  }
}

function refuse(ctx: Context, status: number, error: string, description: string, retryAfter: number): void {
  ctx.status = status
  ctx.set('Retry-After', String(retryAfter))
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error, error_description: description }
}

/** Where a client that nobody here vouches for comes from, for the person to judge. */
export function provenance(client: ClientOptions | undefined, redirectUri: string | undefined): string | undefined {
  if (client?.origin === undefined) return undefined
  const returnsTo = hostOf(redirectUri ?? '')
  const published = client.origin === 'document' ? hostOf(client.id) : undefined
  return [...new Set([published, returnsTo])].filter((host) => host !== undefined).join(', ') || client.id
}

/** The scheme stands for an application that has taken it. */
const hostOf = (address: string): string | undefined => {
  const url = URL.parse(address)
  return url ? url.host || url.protocol : undefined
}
