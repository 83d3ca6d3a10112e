import type { FactorOptions } from './factors/chain.ts'

/** When a refresh asks the upstream who the person is now, and what follows when it does not answer. */
export interface RefreshPolicy {
  /** `maxAge`: seconds for which its last answer is good. */
  upstream: 'always' | 'never' | { maxAge: number }
  /** `staleFor`: seconds since its last answer for which that one is used when it cannot be asked. */
  onOutage: 'deny' | { staleFor: number }
}

/** One entry of `connectors:`. */
export interface ConnectorOptions {
  id: string
  name: string
  /** A type of the registry, or a module of the operator's (`./file.ts`, a package). */
  type: string
  /** Checked against the type's schema. */
  config: unknown
  /** Grant types that may use it; empty: all. */
  grantTypes: string[]
  /** Over the standard policy; a client may say otherwise. */
  refresh?: Partial<RefreshPolicy>
}

/** Dex's `sessions:`. */
export interface SessionOptions {
  /** As configured; absent: `dex_session` with the prefix that fits the issuer. */
  cookieName?: string
  /** Seconds since the login. */
  absoluteLifetime: number
  /** Seconds since the last use. */
  validIfNotUsedFor: number
  /** Whether a login is remembered when the browser is closed, unless the person says otherwise. */
  rememberByDefault: boolean
  /** Keys that the cookie is encrypted with: the first seals, all open. Empty: it is not. */
  cookieKeys: string[]
  /** Whether clients that say nothing share their session with all others. */
  shareByDefault: boolean
}

export interface LoginOptions {
  connectors: ConnectorOptions[]
  /** Folder that relative module types start from: that of the configuration file. */
  folder: string
  skipApprovalScreen: boolean
  alwaysShowLoginScreen: boolean
  /** Absent: every login asks the upstream. */
  sessions?: SessionOptions
  /** Second factors. */
  mfa: FactorOptions
}
