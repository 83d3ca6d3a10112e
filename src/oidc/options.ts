import type { RefreshPolicy } from '../login/options.ts'
import type { ClientLinks } from '../login/page-shapes.ts'
import type { DynamicClientOptions } from './dynamic/options.ts'

import type { ExchangeRule, TokenIssuerOptions } from './exchange/options.ts'

import type { VaultOptions } from './keys/vault.ts'
import type { LocalAlgorithm } from './keys.ts'

/** Names as an application accepts them. */
export interface NameRule {
  /** Without what follows the last `@`. */
  cutDomain: boolean
  /** As Kubernetes names things: lower case letters, digits, `-` and `.`. */
  form: 'as-is' | 'kubernetes'
  /** Characters, the suffix included. */
  maxLength?: number
  /** Letters of a hash of `sub` at the end, so that no two people have one name: whenever, or where the name was changed. */
  suffix: 'always' | 'changed' | 'never'
}

/** Public keys of a client, or its certificates (`x5c`): as they stand in the file, or where it publishes them. */
export type ClientKeys = { jwks: { keys: Record<string, unknown>[] } } | { jwksURI: string }

/** What a certificate must have (RFC 8705, 2.1.2). */
export interface CertificateSubject {
  property: `tls_client_auth_${'subject_dn' | 'san_dns' | 'san_uri' | 'san_ip' | 'san_email'}`
  value: string
}

/** How a client proves who it is other than by presenting its secret. */
export type ClientAuthentication =
  /** By an assertion that it signs with its secret or its key (RFC 7523); `algorithm`: the only one. */
  | { method: 'client_secret_jwt' | 'private_key_jwt'; algorithm?: string }
  /** By the certificate of its connection (RFC 8705). */
  | { method: 'tls_client_auth'; subject: CertificateSubject }
  | { method: 'self_signed_tls_client_auth' }

/** One entry of `staticClients:`, environment resolved; or a client that came from elsewhere. */
export interface ClientOptions {
  id: string
  /** Absent for a public client without a secret, and for one that proves otherwise who it is. */
  secret?: string
  /** In the place of `secret` where only its hash is kept. */
  secretHash?: string
  /** Absent: by its secret, or not at all. */
  authentication?: ClientAuthentication
  keys?: ClientKeys
  /** Access tokens are good only with the certificate that they were asked for with (RFC 8705, 3). */
  certificateBoundTokens?: boolean
  /** Where it comes from when it does not stand in the file: registered itself, or published as a document. */
  origin?: 'registration' | 'document'
  /** What it said of itself, in the terms of RFC 7591, with only the hash of a secret. */
  registered?: Record<string, unknown>
  /** Userinfo answers it with a JWT (OpenID Connect Core, 5.3.2). */
  signedUserinfo?: boolean
  /** What of the listed scopes it may ask for; absent: all. */
  allowedScopes?: string[]
  name: string
  public: boolean
  /** Absent: required of public clients and where `pkce.enforce` says so. */
  pkce?: 'required' | 'optional'
  redirectURIs: string[]
  trustedPeers: string[]
  logoURL?: string
  /** Pages of its own that people are shown the way to. */
  links?: ClientLinks
  /** Connector ids; empty: all. */
  allowedConnectors: string[]
  /** Clients that may use a session in which the person logged in for this one, or `*`; absent: as the server says. */
  ssoSharedWith?: string[]
  /** Refresh tokens end with the session. */
  sessionBound?: boolean
  /** Where a logout may return to. */
  postLogoutRedirectURIs?: string[]
  /** Where logout tokens are sent. */
  backchannelLogoutURI?: string
  /** A page of the client that browsers load in a frame at a logout. */
  frontchannelLogoutURI?: string
  /** All that the FAPI 2.0 Security Profile asks of a client. */
  profile?: 'fapi2'
  /** RFC 9126, 6. */
  requirePushedAuthorizationRequests?: boolean
  /** RFC 9101, 10.5. */
  requireSignedRequestObject?: boolean
  /** Access tokens are bound to a key of the client (RFC 9449); absent: where it sends a proof. */
  dpop?: 'required'
  /** Access tokens of RFC 9068, for this audience, in the place of Dex's. */
  accessToken?: { audience: string }
  /** Resources that tokens may be asked for (RFC 8707), compared as text; empty: the parameter is passed over. */
  resources?: string[]
  /** Of a request that names none. */
  defaultScopes?: string[]
  /** Claim `groups` of somebody without any; absent: `omit`. */
  groupsClaim?: 'omit' | 'empty' | 'fail'
  /** How claim `preferred_username` is made; absent: as the upstream says. */
  preferredUsername?: NameRule
  /** A public client's `https://localhost/…` stands for http on loopback as well. */
  httpsLoopback?: boolean
  /** What its tokens are signed with; absent: the default of the signer. */
  signingAlgorithm?: LocalAlgorithm
  /** Groups in tokens of the client credentials grant, which stand for the client itself. */
  ownGroups?: string[]
  /** Over the policy of the connector. */
  refresh?: Partial<RefreshPolicy>
  /** In the place of `OidcOptions.lifetimes.tokens`. Seconds. */
  lifetimes?: { idTokens: number; accessTokens: number }
  /** In the place of `OidcOptions.refreshTokens`. */
  refreshTokens?: RefreshTokenOptions
  /** Authenticator ids of the second factors that a login needs; absent: the default chain. */
  mfaChain?: string[]
  /** Nobody can use it: it is as if it were not there. */
  disabled?: boolean
  /** A person must be in at least one of them; absent or empty: nobody is asked. */
  requiredGroups?: string[]
  /** Whom to ask for access, as a person reads it. */
  contact?: string
  /** Tokens of others, and of this server, that it may exchange. */
  tokenExchange?: ExchangeRule[]
}

/** All durations in seconds. */
export interface RefreshTokenOptions {
  rotate: boolean
  /** How long a token that was already used is answered once more; 0: not at all. */
  reuseInterval: number
  /** Since the login; absent: for ever. */
  absoluteLifetime?: number
  /** Since the last use; absent: for ever. */
  validIfNotUsedFor?: number
  /** Refresh tokens that a person has with one client at a time; absent: any number. */
  maxPerUserAndClient?: number
}

/** Which paths clients are told: Dex's, or those that software written for Okta makes from the issuer by itself. */
export type Layout = 'dex' | 'okta'

export interface OidcOptions {
  /** As configured, to the letter. */
  issuer: string
  clients: ClientOptions[]
  layout: Layout
  /** Introspection at a path of the layout also takes its parameters from the query, which ends up in logs of proxies. */
  introspectionQuery?: boolean
  dynamicClients?: DynamicClientOptions
  /** Where applications with certificates reach this server, without a trailing slash (RFC 8705, 5); absent: at the issuer. */
  certificateAddress?: string
  tokenIssuers?: TokenIssuerOptions[]
  /** Grant types that the token endpoint serves; `implicit` stands for tokens of the authorization endpoint. */
  grantTypes: string[]
  /** As configured; see `servedResponseTypes` for what that lets clients ask for. */
  responseTypes: string[]
  /** Id of the connector that answers the password grant. */
  passwordConnector?: string
  pkce: { enforce: boolean; methods: ('S256' | 'plain')[] }
  /** Seconds. */
  lifetimes: { tokens: number; authRequests: number; deviceRequests: number }
  refreshTokens: RefreshTokenOptions
  /** Whether there are single sign-on sessions, which clients can be told the end of. */
  sessions?: boolean
  /** Whether a proof of possession needs a nonce of ours (RFC 9449, 8). */
  dpop?: { requireNonce: boolean }
  signer: SignerOptions
}

export type SignerOptions =
  /** `rotationPeriod` in seconds. */
  { type: 'local'; algorithm: LocalAlgorithm; rotationPeriod: number } | ({ type: 'vault' } & VaultOptions)
