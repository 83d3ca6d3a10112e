/** What an operator's file says, mapped onto the options of each room. */
import type { LoginOptions } from '../login/options.ts'
import type { OidcOptions } from '../oidc/options.ts'
import type { FrontendOptions, WebOptions } from '../server/options.ts'
import type { StorageOptions } from '../storage/options.ts'
import type { LogOptions, TelemetryOptions } from '../telemetry/options.ts'

export interface Settings {
  issuer: string
  web: WebOptions
  frontend: FrontendOptions
  telemetry: TelemetryOptions
  log: LogOptions
  storage: StorageOptions
  oidc: OidcOptions
  login: LoginOptions
  /** Dex's `DEX_CONTINUE_ON_CONNECTOR_FAILURE`: a connector that fails to open is logged and left out. */
  continueOnConnectorFailure: boolean
  /** Sentences worth printing at the start that are no fault of the file, such as where state is kept. */
  notes: string[]
}
