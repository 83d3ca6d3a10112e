/** What one request carries through the provider; lives in `ctx.state`. */
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Wishes } from '../../connectors/contract.ts'
import type { Json } from '../lib/json.ts'
import type { ConfiguredConnector } from '../login/connectors.ts'
import type { Login } from '../login/identity.ts'
import type { Stash } from '../login/stash.ts'
import type { Unit } from '../storage/unit.ts'

/** What a code, a device grant or a refresh token stands for. */
export interface GrantSource {
  kind: 'code' | 'device' | 'refresh' | 'exchange'
  login: Login
  /** As the client asked for them, audiences and `offline_access` included. */
  scopes: string[]
  nonce?: string
}

export interface RequestState {
  requestId: string
  unit: Unit
  /** The provider's record of the authorization request that goes on, and what the person answered. */
  interaction?: { payload: Record<string, Json>; result?: Record<string, Json> }
  /** The login that the browser has in hand, opened from its cookie or about to be sealed into it. */
  stash?: Stash
  /** By which connector the person is about to log in, and what the client wishes of that. */
  departure?: { connector: ConfiguredConnector; wishes: Wishes }
  /** What the tokens of this request are made from. */
  source?: GrantSource
  /** The access token that was just made, for `at_hash`. */
  accessToken?: string
  /** A token that somebody asks about or revokes; the engine knows it by `presentedHandle` only. */
  presented?: string
  /** The client used HTTP Basic. */
  usedBasic?: boolean
  /** Called when the answer is on its way and everything is stored. */
  release: (() => void)[]
}

export const stateOf = (ctx: { state: unknown }): RequestState => ctx.state as RequestState

/** The state of the request that is being served. @throws Error outside a request */
export function currentState(): RequestState {
  return stateOf(currentContext())
}

export function currentContext(): KoaContextWithOIDC {
  const ctx = Provider.ctx
  if (!ctx) throw new Error('no request is being served')
  return ctx
}
