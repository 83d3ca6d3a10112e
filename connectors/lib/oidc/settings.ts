/** One upstream as the flow sees it, whatever connector type it was configured with. */
import type { ConnectorFailure } from '../../contract.ts'
import type { Claims } from './claims.ts'
import type { SharedConfig } from './options.ts'

/** Endpoints that replace what discovery says. */
export interface Overrides {
  tokenURL?: string
  authURL?: string
  jwksURL?: string
  userInfoURL?: string
  deviceAuthURL?: string
  endSessionURL?: string
}

export interface OidcSettings extends SharedConfig {
  issuer: string
  /** What tokens carry as `iss` when that is not what discovery says. */
  issuerAlias?: string
  overrides?: Overrides
  /** Whether the groups claim is read. `undefined`: not, but the scope may be passed on. */
  insecureEnableGroups?: boolean
  /** Whether an ID token lacks what userinfo could tell, so that userinfo is asked without `getUserInfo`. */
  isThin?(claims: Claims, scopes: ReadonlySet<string>): boolean
  /** What an error of this upstream really means, where its code does not say. */
  recognise?(error: UpstreamError): ConnectorFailure | undefined
  /** Sees the raw groups of each login. */
  inspectGroups?(groups: readonly string[]): void
}

/** An OAuth error (RFC 6749, 4.1.2.1 and 5.2); the description is the upstream's free text. */
export interface UpstreamError {
  code: string
  description: string
}
