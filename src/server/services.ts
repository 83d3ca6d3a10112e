/** What the handlers of one running server share; made in app.ts. */

import type { Middleware } from 'koa'
import type { Background } from '../lib/background.ts'
import type { Logger } from '../lib/logger.ts'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import type { LoginFlow } from '../login/flow.ts'
import type { Limits } from '../login/limits.ts'
import type { LogoutTrips } from '../login/logout-trip.ts'
import type { LoginOptions } from '../login/options.ts'
import type { Pages } from '../login/pages.ts'
import type { Sessions } from '../login/sessions.ts'
import type { Stashes } from '../login/stash.ts'
import type { Waiting } from '../login/waiting.ts'
import type { Clients } from '../oidc/clients.ts'
import type { IssuedTokens } from '../oidc/issued.ts'
import type { PolicyContext } from '../oidc/judge.ts'
import type { SigningKeys } from '../oidc/keys.ts'
import type { OidcOptions } from '../oidc/options.ts'
import type { Provider } from '../oidc/provider.ts'
import type { SessionEnder } from '../oidc/session-end.ts'
import type { UpstreamEnder } from '../oidc/upstream-end.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { ClientAddress } from './client-address.ts'

export interface Services {
  /** As configured. */
  issuer: string
  /** Path of the issuer without a trailing slash: `/dex`, or empty for a root issuer. */
  mount: string
  /** Scheme, host and port of the issuer. */
  origin: string
  oidc: OidcOptions
  login: LoginOptions
  clients: Clients
  provider: Provider
  /** The engine itself, for who enters it beside the request that is being served. */
  engine: Middleware
  keys: SigningKeys
  sealer: Sealer
  issued: IssuedTokens
  connectors: Connectors
  policy: PolicyContext & { connectors: Connectors }
  flow: LoginFlow
  stashes: Stashes
  connectorData: ConnectorData
  /** Absent: every login asks the upstream. */
  sessions?: Sessions
  ender: SessionEnder
  upstreamEnder: UpstreamEnder
  logoutTrips: LogoutTrips
  background: Background
  /** For answers of upstreams that come by POST. */
  waiting: Waiting
  limits: Limits
  factors: Factors
  pages: Pages
  driver: StorageDriver
  audit: Audit
  log: Logger
  addressOf(request: {
    socket: { remoteAddress?: string | undefined }
    headers: NodeJS.Dict<string | string[]>
  }): ClientAddress
  now(): Date
}
