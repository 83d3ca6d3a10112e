/**
 * All that a connector knows of the server, and all that the server knows of a connector.
 *
 * A connector asks one upstream who somebody is. It makes no page, no cookie and no token, reads no environment,
 * and keeps nothing between calls but what it needs to speak to its upstream.
 */
import type { Static, TSchema } from 'typebox'
import type { Json } from '../src/lib/json.ts'
import type { Logger } from '../src/lib/logger.ts'

export type { Json, Logger }

/** The code for one kind of upstream. */
export interface ConnectorType<Config = unknown> {
  /** JSON Schema (TypeBox) of the `config:` section; what reaches `open` has been checked against it. */
  schema: TSchema
  /** Makes a connector of one configuration. Must not wait for the upstream: what it needs from there is fetched when used. */
  open(config: Config, context: ConnectorContext): Connector | Promise<Connector>
  /** What is doubtful in a configuration that is allowed all the same; `check` and `serve` print each as a warning. */
  advise?(config: Config): ConfigAdvice[]
}

export interface ConfigAdvice {
  /** JSON pointer below `config:`, such as `/orgs/0/name`; empty for the whole section. */
  path: string
  message: string
  /** `error` keeps `serve` from starting, as Dex would; a warning is the default. */
  severity?: 'warning' | 'error'
}

/** Types `config` in `open` from the schema. */
export const defineConnector = <S extends TSchema>(
  definition: Omit<ConnectorType<Static<S>>, 'schema'> & { schema: S },
): ConnectorType => definition as ConnectorType

export interface HttpOptions {
  /** Further trusted certificates, PEM text; the system's stay trusted. */
  ca?: string[]
  skipVerify?: boolean
  /** Client certificate and key, PEM text. */
  cert?: string
  key?: string
}

export interface ConnectorContext {
  /** The connector's id in the configuration. */
  id: string
  /** The server's issuer: upstreams must return to `<issuer>/callback`. */
  issuer: string
  /**
   * `fetch` for this upstream: keep-alive, limited in time and size of answers, through the configured proxy, measured.
   * A failed connection or a passed time limit rejects with `failure('upstream_unavailable')`.
   */
  http(options?: HttpOptions): typeof fetch
  /** The same accounting for what is no HTTP. */
  measure<T>(call: string, work: () => Promise<T>): Promise<T>
  now(): Date
  log: Logger
  /** Logins begin sessions here, whose end `logout` may tell the upstream. */
  sessions?: boolean
}

/** Why a login or a refresh did not succeed. `src/login/failures.ts` says what each reader is told. */
export type FailureCode =
  | 'login_refused'
  | 'not_in_required_groups'
  | 'upstream_unavailable'
  | 'upstream_invalid_response'
  | 'account_disabled'
  | 'account_locked'
  | 'password_expired'
  | 'groups_incomplete'
  | 'rate_limited'
  | 'identity_gone'
  | 'misconfigured'

export interface FailureDetails {
  /** For the operator's log only. */
  cause?: unknown
  /** A sentence that the person at the browser may read: no secrets, no free text of the upstream. */
  safe?: string
  /** The upstream's error code (RFC 6749, 4.1.2.1), if it sent one from the closed list. */
  upstreamCode?: string
  /** A link on the connector's own host that helps the person, such as GitHub's single sign-on page. */
  link?: URL
  /** Seconds after which another try makes sense. */
  retryAfter?: number
  /**
   * What the upstream gave in the place of the data that `refresh` was called with, before something else failed: kept for
   * the next try, since the former data may be of no use any more.
   */
  connectorData?: Json
  /** The upstream does not grant `offline_access` to this client of it: a start without it may succeed. */
  offlineAccessRefused?: true
  /** There was nothing to ask the upstream with at a refresh: it has not said no. */
  notAsked?: true
}

/** Thrown by connectors; recognised by its `code`, so that a module with its own copy of this class can throw it too. */
export class ConnectorFailure extends Error {
  override readonly name = 'ConnectorFailure'
  readonly code: FailureCode
  readonly details: FailureDetails

  constructor(code: FailureCode, message: string, details: FailureDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.details = details
  }
}

/** The only way to refuse or fail. `message` is for the operator. */
export const failure = (code: FailureCode, message: string, details: FailureDetails = {}): ConnectorFailure =>
  new ConnectorFailure(code, message, details)

export type Connector = BrowserConnector | PasswordConnector

/** Sends the browser to the upstream and reads what it brings back. */
export interface BrowserConnector extends Capabilities {
  style: 'browser'
  start(request: StartRequest): Promise<Departure>
  finish(arrival: Arrival): Promise<Identity>
  /** `form`: the upstream answers with a cross-site POST, which brings no cookie. Default `query`. */
  returnsBy?: 'query' | 'form'
  /** The only request headers that `finish` is shown, lower case. */
  trustedHeaders?: string[]
}

export interface StartRequest {
  scopes: Scopes
  /** Where the upstream sends the browser: `<issuer>/callback`. */
  callbackUrl: URL
  /** Goes round with the browser in clear: 43 letters of the base64url alphabet, 256 bits. */
  state: string
  wishes: Wishes
}

/** What the client asked of the login itself, to be passed up where it makes sense (OpenID Connect Core, 3.1.2.1). */
export interface Wishes {
  prompt?: string
  /** Seconds. */
  maxAge?: number
  acrValues?: string[]
  uiLocales?: string[]
  loginHint?: string
}

/** How the browser leaves. `memo` (nonce, PKCE verifier) comes back unchanged to `finish`; it is sealed on its way. */
export type Departure =
  | { via: 'redirect'; url: URL; memo?: Json }
  | { via: 'post'; action: URL; fields: Record<string, string>; memo?: Json }

/** What the browser brought back. */
export interface Arrival {
  /** The callback address as configured at the upstream, without the query. */
  callbackUrl: URL
  /** The query, or the fields of the form. */
  params: URLSearchParams
  headers: ReadonlyMap<string, string>
  scopes: Scopes
  state: string
  memo?: Json
}

/** Checks a name and a password that were typed into our own form. */
export interface PasswordConnector extends Capabilities {
  style: 'password'
  /** Label of the name field, such as `Email Address`. */
  prompt: string
  /** `undefined`: wrong name or password. */
  login(username: string, password: string, scopes: Scopes): Promise<Identity | undefined>
  /** SPNEGO (RFC 4559): judges the `Authorization` header, or says which challenge to send. */
  negotiate?(
    authorization: string | undefined,
    scopes: Scopes,
  ): Promise<{ identity: Identity } | { challenge: string } | undefined>
}

/** What a connector can also do. Present means supported; there is no flag beside it to keep in step. */
export interface Capabilities {
  /** Who this person is now. A refusal by the upstream is `identity_gone`; an outage `upstream_unavailable`. */
  refresh?(identity: Identity, scopes: Scopes): Promise<Identity>
  /** Token exchange (RFC 8693): whose token this is. */
  exchange?(subjectToken: { type: string; value: string }): Promise<Identity>
  /** Where the browser goes to log out at the upstream as well; `undefined`: nowhere. The session here has ended already. */
  logout?(request: { identity: Identity; returnTo: URL; state: string }): Promise<Departure | undefined>
  /** The browser came back from there; what is thrown is for the log only. */
  finishLogout?(arrival: Arrival): Promise<void>
  /**
   * The upstream's own messages: back-channel logout, event hooks, token revocation. Anybody can send one, so what is in it
   * counts only after it was authenticated; a refusal is an answer, not a throw.
   */
  receive?(request: Inbound): Promise<Received>
  /** Whose `connectorData` is: `person` where the upstream counts tokens a person. Default `login`. */
  dataPer?: 'login' | 'person'
  close?(): Promise<void>
}

/** What a connector says of a person. */
export interface Identity {
  /** Stable at the upstream and never given to somebody else. */
  userId: string
  /** The display name; absent: the user id is shown. */
  username?: string
  preferredUsername?: string
  email?: string
  /** Absent: the upstream did not say. */
  emailVerified?: boolean
  /** Absent: not known, keep what was known. Empty: member of none. */
  groups?: string[]
  /** What the upstream said of the login itself. `time` in Unix seconds. */
  authentication?: { acr?: string; amr?: string[]; time?: number; sid?: string }
  /** What `refresh` and `logout` need; sealed at rest, never in a token. */
  connectorData?: Json
}

/** What the client asked for that changes what a connector fetches. */
export interface Scopes {
  groups: boolean
  offlineAccess: boolean
}

/** A message of the upstream to `<issuer>/logout/upstream/<connector>`. */
export interface Inbound {
  method: 'GET' | 'POST'
  /** That address, as the upstream was told it. */
  url: URL
  /** By lower-case name. */
  headers: ReadonlyMap<string, string>
  body: string
}

export interface Reply {
  status: number
  body?: string
  contentType?: string
}

export interface Received {
  answer: Reply
  ended: Ended[]
  /** Instead of `answer` when nothing is held in the name of anybody that the message means. */
  nobody?: Reply
  /** Instead of `answer` when all of the message came before. */
  repeated?: Reply
  /** Answer first, then work: for upstreams that wait briefly. */
  later?: boolean
}

/** Whose sessions end: a person's, those of an e-mail address at this connector, or the one that the upstream calls `sid`. */
export type Ended = ({ userId: string } | { email: string } | { sid: string }) & {
  /** Refresh tokens end as well, also those that outlive a logout. */
  tokens?: true
  /** What arrives again under the same id is passed over until then (Unix seconds). */
  once?: { id: string; until: number }
}
