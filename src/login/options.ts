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
}

export interface LoginOptions {
  connectors: ConnectorOptions[]
  /** Folder that relative module types start from: that of the configuration file. */
  folder: string
  skipApprovalScreen: boolean
  alwaysShowLoginScreen: boolean
}
