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
  type Departure,
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
  /** Instead of letting `person` in by the password `right`. */
  login?: (() => Promise<Identity | undefined> | Identity | undefined) | undefined
  refresh?: ((identity: Identity, scopes: Scopes) => Promise<Identity> | Identity) | undefined
  exchange?: ((token: { type: string; value: string }) => Promise<Identity> | Identity) | undefined
  /** What `start` was asked, what `finish` was shown, whom `refresh` was asked about. */
  started: StartRequest[]
  arrivals: Arrival[]
  refreshed: Identity[]
  /** What `finishLogout` was shown. */
  loggedOut: { memo: Json | undefined; returned: string | null }[]
}

const upstreams = new Map<string, Upstream>()

/** The upstream of that name in the connector's `config`; made when it is asked for first. */
export function upstream(name: string): Upstream {
  const known = upstreams.get(name)
  if (known) return known
  const made: Upstream = { person: jane(), started: [], arrivals: [], refreshed: [], loggedOut: [] }
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
  /** Takes a name and a password, typed into our own form. */
  byPassword: Type.Optional(Type.Boolean()),
  cannotRefresh: Type.Optional(Type.Boolean()),
  cannotExchange: Type.Optional(Type.Boolean()),
  /** Where the browser is sent by POST to log out. */
  logoutAt: Type.Optional(Type.String()),
})

export default defineConnector({
  schema,
  open(config) {
    const { name, leavesBy, returnsBy, at, memoSize = 10, dataPer, byPassword } = config
    const { cannotRefresh, cannotExchange, logoutAt } = config
    const people = upstream(name)
    const capabilities = {
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
    if (byPassword) {
      return {
        style: 'password',
        prompt: 'Name',
        async login(_name, password) {
          if (people.login) return structuredClone(await people.login())
          return password === 'right' ? structuredClone(people.person) : undefined
        },
        ...capabilities,
      }
    }
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
      ...(logoutAt !== undefined && {
        async logout({ identity, state }: { identity: Identity; state: string }): Promise<Departure> {
          const fields = { RelayState: state, token: String((identity.connectorData as { token: Json }).token) }
          return { via: 'post', action: new URL(logoutAt), fields, memo: { request: 'id of the request' } }
        },
        async finishLogout({ memo, params }: Arrival) {
          people.loggedOut.push({ memo, returned: params.get('RelayState') })
        },
      }),
      ...capabilities,
    }
  },
})
