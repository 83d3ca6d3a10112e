/** An authorization request: as it is asked, and what became of it when it was judged. */
import type { WantedClaims } from '../login/wanted-claims.ts'
import type { Clients } from './clients.ts'
import type { Mode } from './modes.ts'
import type { ClientOptions, OidcOptions } from './options.ts'

export type AuthorizationParams = Record<string, string>

export interface AcceptedRequest {
  client: ClientOptions
  redirectUri: string
  /** What connectors have to allow. */
  grantType: string
  /** As the client asked for them. */
  scopes: string[]
  /** What is asked for beyond the scopes. */
  wanted?: WantedClaims
  /** For the engine. */
  params: AuthorizationParams
  /** The person has to approve even where the operator switched that off. */
  askApproval: boolean
  prompts: ReadonlySet<Prompt>
  /** Seconds since the login that the client puts up with. */
  maxAge?: number
  /** `sub` of the `id_token_hint`: who the client believes is there. */
  hintedSubject?: string
  /** Where an error goes that is found later. */
  returnTo: ErrorReturn
  /** Languages for the pages, best first. */
  locales: string[]
}

/** What the client wants to be asked, or not to be (OpenID Connect Core, 3.1.2.1). */
export type Prompt = 'none' | 'login' | 'consent' | 'select_account'

/** How an error reaches the client. */
export interface ErrorReturn {
  clientId: string
  redirectUri: string
  mode: Mode
  state: string | undefined
}

export type Judgement =
  | ({ accepted: true } & AcceptedRequest)
  /** Nowhere to return to: a page. */
  | { accepted: false; status: number; message: string; next: string }
  /** The client is told (RFC 6749, 4.1.2.1 and 4.2.2.1). */
  | ({ accepted: false; error: string; description: string } & ErrorReturn)

export interface JudgeContext {
  clients: Clients
  pkce: OidcOptions['pkce']
  responseTypes: OidcOptions['responseTypes']
  /** `sub` of a token of ours that may serve as `id_token_hint`; it may have expired. */
  hintedSubject(token: string): Promise<string | undefined>
  /** How the request came, if not in its address: pushed, or as a signed object that the engine has opened. */
  via?: 'pushed' | 'object'
}

/** An error code of RFC 6749, 4.1.2.1, with a sentence. */
export type Fault = [error: string, description: string]

/** What a request said, short enough for a sentence. */
export const clip = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}…` : text)
