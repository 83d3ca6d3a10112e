/**
 * A connector whose people a test changes while the server runs, as an operator's module would be written.
 *
 *     connectors: [{ type: upstreamModule, id: 'corp', name: 'Corp', config: { name: 'a' } }]
 *     const corp = upstream('a')
 *     corp.person = { userId: 'jane', groups: ['staff'] }
 *     corp.refresh = () => { throw failure('identity_gone', 'deleted') }
 */
import { Type } from 'typebox'
import {
  type Arrival,
  defineConnector,
  type Identity,
  type Json,
  type Scopes,
  type StartRequest,
} from '../../connectors/contract.ts'

export interface Upstream {
  /** Who logs in, and who is found at a refresh. */
  person: Identity
  /** Instead of giving `person`. */
  finish?: ((arrival: Arrival) => Promise<Identity> | Identity) | undefined
  refresh?: ((identity: Identity, scopes: Scopes) => Promise<Identity> | Identity) | undefined
  exchange?: ((token: { type: string; value: string }) => Promise<Identity> | Identity) | undefined
  /** What `start` was asked, what `finish` was shown, whom `refresh` was asked about. */
  started: StartRequest[]
  arrivals: Arrival[]
  refreshed: Identity[]
}

const upstreams = new Map<string, Upstream>()

/** The upstream of that name in the connector's `config`; made when it is asked for first. */
export function upstream(name: string): Upstream {
  const known = upstreams.get(name)
  if (known) return known
  const made: Upstream = { person: jane(), started: [], arrivals: [], refreshed: [] }
  upstreams.set(name, made)
  return made
}

export const jane = (): Identity => ({
  userId: 'id-of-jane',
  username: 'Jane Doe',
  preferredUsername: 'jane',
  email: 'jane@example.com',
  emailVerified: true,
  groups: ['staff'],
  connectorData: { token: 'upstream-token-of-jane' },
})

/** For `type:` in a configuration. */
export const upstreamModule = import.meta.filename

const schema = Type.Object({
  name: Type.String(),
  /** By which way the browser leaves, and by which it comes back. */
  leavesBy: Type.Optional(Type.Enum(['redirect', 'post'])),
  returnsBy: Type.Optional(Type.Enum(['query', 'form'])),
  /** Where the browser is sent; the callback itself when absent. */
  at: Type.Optional(Type.String()),
  /** Characters of `memo`, to make a login too large for a cookie. */
  memoSize: Type.Optional(Type.Number()),
  dataPer: Type.Optional(Type.Enum(['login', 'person'])),
  cannotRefresh: Type.Optional(Type.Boolean()),
  cannotExchange: Type.Optional(Type.Boolean()),
})

export default defineConnector({
  schema,
  open({ name, leavesBy, returnsBy, at, memoSize = 10, dataPer, cannotRefresh, cannotExchange }) {
    const people = upstream(name)
    return {
      style: 'browser',
      ...(returnsBy && { returnsBy }),
      ...(dataPer && { dataPer }),
      async start(request) {
        people.started.push(request)
        const { callbackUrl, state } = request
        const memo: Json = { nonce: `nonce of ${state}`, filling: 'x'.repeat(memoSize) }
        if (leavesBy === 'post') return { via: 'post', action: new URL(at ?? callbackUrl), fields: { state }, memo }
        const url = new URL(at ?? callbackUrl)
        url.searchParams.set('state', state)
        return { via: 'redirect', url, memo }
      },
      async finish(arrival) {
        people.arrivals.push(arrival)
        return structuredClone(await (people.finish?.(arrival) ?? people.person))
      },
      ...(!cannotRefresh && {
        async refresh(identity: Identity, scopes: Scopes) {
          people.refreshed.push(identity)
          return structuredClone(await (people.refresh?.(identity, scopes) ?? people.person))
        },
      }),
      ...(!cannotExchange && {
        async exchange(token: { type: string; value: string }) {
          return structuredClone(await (people.exchange?.(token) ?? people.person))
        },
      }),
    }
  },
})
