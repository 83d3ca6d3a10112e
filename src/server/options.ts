import type { LoginOptions } from '../login/options.ts'
import type { OidcOptions } from '../oidc/options.ts'
import type { StorageOptions } from '../storage/options.ts'
import type { TelemetryOptions } from '../telemetry/options.ts'
import type { ClientCertificateOptions } from './client-certificate.ts'
import type { TlsOptions } from './tls.ts'

export interface WebOptions {
  /** `host:port` */
  http?: string
  https?: string
  tls?: TlsOptions
  /** Headers of the operator, by name as written; added to every answer, before ours. */
  headers: Record<string, string>
  cors: { origins: string[]; headers: string[]; credentials?: boolean }
  /** From which header, and from whom, the address of a client is believed. */
  clientAddress?: { header: string; trustedProxies: string[] }
  /** Certificates of applications (RFC 8705): from `https`, and from a header of trusted proxies. */
  clientCertificates?: ClientCertificateOptions
}

/** How the pages look; as Dex's `frontend`. */
export interface FrontendOptions {
  /** Display name in titles. */
  issuer: string
  /** Absolute address, or a path of an asset; absent: our own mark. */
  logoURL?: string
  /** `light`, `dark`, `auto`, or the name of a folder in `dir/themes`. */
  theme: string
  /** A folder of the operator with `static/`, `themes/`, `robots.txt`. */
  dir?: string
  extra: Record<string, string>
}

/** Everything that one running server is built from. */
export interface ServerOptions {
  issuer: string
  web: WebOptions
  frontend: FrontendOptions
  telemetry: TelemetryOptions
  storage: StorageOptions
  oidc: OidcOptions
  login: LoginOptions
  /** A connector that fails to open is logged and left out. */
  continueOnConnectorFailure: boolean
}
