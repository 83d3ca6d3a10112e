/** `/logout/upstream/{connector}`: what an upstream says of itself, such as that somebody has logged out or was suspended. */
import type { Context } from 'koa'
import { type Ended, failure, type Inbound, type Received, type Reply } from '../../../connectors/contract.ts'
import { asFailure, PageFailure } from '../../login/failures.ts'
import { paths } from '../../oidc/discovery.ts'
import { hashOf } from '../../oidc/family.ts'
import { readBody } from '../form.ts'
import type { Services } from '../services.ts'

export const messagePath = `${paths.logout}/upstream/:connector`

/** Bytes. */
const largestMessage = 256 * 1024
/** Milliseconds for a message to arrive, and for a connector to judge it. */
const slowest = 15_000

export const upstreamMessage = (services: Services) => async (ctx: Context) => {
  ctx.set('Cache-Control', 'no-store')
  const reply = await answer(ctx, services)
  ctx.status = reply.status
  ctx.body = reply.body ?? ''
  if (reply.body !== undefined) ctx.type = reply.contentType ?? 'text/plain; charset=utf-8'
}

const error = (status: number, code: string, description: string): Reply => ({
  status,
  body: JSON.stringify({ error: code, error_description: description }),
  contentType: 'application/json',
})

async function answer(ctx: Context, services: Services): Promise<Reply> {
  const { connectors, limits, addressOf, audit, issuer, log } = services
  const id = String(ctx.params.connector)
  const configured = connectors.get(id)
  if (!configured) return error(404, 'not_found', 'There is no such connector.')
  const limited = await limits.upstreamMessage(addressOf(ctx.req))
  if (limited) {
    audit({ type: 'rate_limited', what: 'upstream_message', key: limited.key, connector_id: id })
    ctx.set('Retry-After', String(limited.retryAfter))
    return error(429, 'too_many_requests', 'Too many messages come from this address.')
  }
  try {
    const connector = await configured.open()
    if (!connector.receive) return error(404, 'not_found', 'This connector takes no messages.')
    const request: Inbound = {
      method: ctx.method === 'POST' ? 'POST' : 'GET',
      url: new URL(`${issuer.replace(/\/$/, '')}${messagePath.replace(':connector', encodeURIComponent(id))}`),
      headers: new Map(
        Object.entries(ctx.req.headers).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, String(value)]],
        ),
      ),
      body:
        ctx.method === 'POST'
          ? await inTime(
              readBody(ctx.req, largestMessage),
              () => new PageFailure(408, 'The message did not arrive in time.'),
            )
          : '',
    }
    return await act(services, id, await inTime(connector.receive(request), tooSlow))
  } catch (failed) {
    if (failed instanceof PageFailure) return error(failed.status, 'invalid_request', failed.message)
    const known = asFailure(failed)
    log.error('a message of an upstream could not be worked', { connector_id: id, err: failed })
    return known
      ? error(503, 'temporarily_unavailable', 'Try again later.')
      : error(500, 'server_error', 'unexpected failure')
  }
}

const tooSlow = () => failure('upstream_unavailable', 'the connector took too long with a message')

async function inTime<T>(work: Promise<T>, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), slowest)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

async function act(services: Services, connectorId: string, received: Received): Promise<Reply> {
  const { ended, later, answer, nobody = answer, repeated = answer } = received
  const { log } = services
  if (ended.length === 0) return answer
  if (later) {
    // Nobody waits for it, and `close` lets it finish.
    services.background.run(
      async () => {
        for (const each of ended) await endOnce(services, connectorId, each)
      },
      (failed) => log.error('a message of an upstream could not be worked', { connector_id: connectorId, err: failed }),
    )
    return answer
  }
  const outcomes: Outcome[] = []
  for (const each of ended) outcomes.push(await endOnce(services, connectorId, each))
  if (outcomes.every((outcome) => outcome === 'repeated')) return repeated
  return outcomes.includes('ended') ? answer : nobody
}

type Outcome = 'ended' | 'nobody' | 'repeated'

/** A message that came before is passed over; one whose work failed may come again. */
async function endOnce({ driver, upstreamEnder, log }: Services, connectorId: string, ended: Ended): Promise<Outcome> {
  const { once } = ended
  const id = once && hashOf(JSON.stringify(['upstream message', connectorId, once.id]))
  if (once && id !== undefined) {
    const record = { expiresAt: once.until, index: {}, body: {} }
    if (!(await driver.commit([{ do: 'create', kind: 'replay', id, record }])).ok) return 'repeated'
  }
  try {
    const found = await upstreamEnder.end(connectorId, ended)
    log.info('the upstream ended what a person holds here', { connector_id: connectorId, found })
    return found ? 'ended' : 'nobody'
  } catch (failed) {
    if (id !== undefined) await driver.commit([{ do: 'delete', kind: 'replay', id }])
    throw failed
  }
}
