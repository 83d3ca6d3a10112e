/** What one request carries through the provider; lives in `ctx.state`. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Login } from '../login/identity.ts'
import type { WantedClaims } from '../login/wanted-claims.ts'
import type { Unit } from '../storage/unit.ts'
import type { ClientCertificate } from './certificates.ts'
import type { ClientOptions } from './options.ts'
import type { GrantType } from './policy.ts'

/** What a code, a device grant or a refresh token stands for, and what tokens are made from. */
export interface GrantSource {
  kind: 'code' | 'device' | 'refresh' | 'exchange' | 'implicit' | 'password' | 'client'
  /** A code that came with tokens (hybrid flow): connectors are asked for the grant type `implicit`, as in Dex. */
  hybrid?: boolean
  login: Login
  /** As the client asked for them, audiences and `offline_access` included. */
  scopes: string[]
  nonce?: string
  /** The single sign-on session that it was given in: claim `sid`. */
  sid?: string
  /** What was asked for beyond the scopes. */
  wanted?: WantedClaims
  /** Where it was given, so that a person can tell their applications apart: the browser, or a device. */
  origin?: { agent?: string; device?: true }
  /** When the upstream last said who the person is, milliseconds since the epoch; absent: at the login. */
  checkedAt?: number
  /** Unix seconds that no token made from it outlives. */
  notAfter?: number
}

/** A login at its end, as the engine is shown it. */
export interface FinishedLogin {
  login: Login
  scopes: string[]
  wanted?: WantedClaims | undefined
  /** What the code is made from, and what makes an answer without a code one that is given once. */
  seed: string
  /** The single sign-on session. */
  sid?: string
  /** `User-Agent` of the browser, kept with sessions only. */
  agent?: string
}

export interface RequestState {
  requestId: string
  unit: Unit
  /** The login that a code or tokens are issued for: the person is known and, where that is asked for, has approved. */
  finished?: FinishedLogin
  /** The grant type that the policy was asked about and let pass. */
  judged?: GrantType
  /** What the tokens of this request are made from. */
  source?: GrantSource
  /** The code that is being redeemed. */
  code?: string
  /** The code that was just made, for `c_hash`. */
  newCode?: string
  /** The access token that was just made, for `at_hash`. */
  accessToken?: string
  /** A token that somebody asks about or revokes; the engine knows it by `presentedHandle` only. */
  presented?: string
  /** Below the issuer: the endpoint was called at this path of the layout instead of Dex's. */
  alias?: string
  /** Clients that were looked up, beside those of the file. */
  clients?: Map<string, ClientOptions>
  /** Whether whoever sent this request may make the server fetch something now. */
  admitFetch?: () => Promise<boolean>
  /** Made for the client that registers in this request. */
  newSecret?: string
  /** The certificate that came with the request (RFC 8705). */
  certificate?: () => ClientCertificate | undefined
  /** The client used HTTP Basic. */
  usedBasic?: boolean
  /** The engine is only asked what a request by `request` or `request_uri` says. */
  resolving?: Resolving
  /** `scope` of a request object, before the engine took out what it does not know. */
  askedScope?: string
  /** The request that was just pushed. */
  pushed?: { id: string; params: RequestParams }
  /** The commit of this request was made. */
  stored?: boolean
  /** Called when the answer is on its way, whether or not everything could be stored. */
  release: (() => void)[]
}

/** Parameters of an authorization request; `resource` may have several values. */
export type RequestParams = Record<string, string | string[] | undefined>

/** What the engine made of an authorization request that came by reference or signed. */
export interface Resolving {
  /** The parameters that count. */
  params?: RequestParams
  /** Where the pushed request lies in the store. */
  pushedId?: string
  /** Why it refused, and what it knew of the request by then. */
  refused?: { error: Error; params: RequestParams }
}

export const stateOf = (ctx: { state: unknown }): RequestState => ctx.state as RequestState

const requests = new AsyncLocalStorage<RequestState>()

/** Serves a request: what runs below finds its state, before the engine has a context of its own for it and afterwards. */
export const withState = <T>(state: RequestState, serve: () => T): T => requests.run(state, serve)

/** The state of the request that is being served. @throws Error outside a request */
export function currentState(): RequestState {
  return requests.getStore() ?? stateOf(currentContext())
}

/** Clients that this request has looked up; `undefined` outside a request. */
export function knownClients(): Map<string, ClientOptions> | undefined {
  const state = requests.getStore()
  if (!state) return undefined
  state.clients ??= new Map()
  return state.clients
}

export function currentContext(): KoaContextWithOIDC {
  const ctx = Provider.ctx
  if (!ctx) throw new Error('no request is being served')
  return ctx
}
