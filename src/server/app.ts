/** One running server: everything that it is made of, wired in one place. */
import type { RequestListener } from 'node:http'
import { type ConnectorContext, failure } from '../../connectors/contract.ts'
import { openBackground } from '../lib/background.ts'
import type { Logger } from '../lib/logger.ts'
import { openConnectorData } from '../login/connector-data.ts'
import { openConnectors } from '../login/connectors.ts'
import { openFactors } from '../login/factors/factors.ts'
import { openFactorRecords } from '../login/factors/records.ts'
import { openLoginFlow } from '../login/flow.ts'
import { openLimits } from '../login/limits.ts'
import { openLogoutTrips } from '../login/logout-trip.ts'
import { openPages } from '../login/pages.ts'
import { openSessions } from '../login/sessions.ts'
import { openStashes } from '../login/stash.ts'
import { openWaiting } from '../login/waiting.ts'
import { openClients } from '../oidc/clients.ts'
import { clientDocuments } from '../oidc/dynamic/documents.ts'
import { registeredClients } from '../oidc/dynamic/registered.ts'
import { openTokenIssuers } from '../oidc/exchange/issuers.ts'
import { openIssuedTokens } from '../oidc/issued.ts'
import { openLogoutNotices } from '../oidc/logout-notices.ts'
import { oldestChecks } from '../oidc/oldest-checks.ts'
import { openProvider } from '../oidc/provider.ts'
import { openSessionEnder } from '../oidc/session-end.ts'
import { openUpstreamEnder } from '../oidc/upstream-end.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { ServerLog } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { openOutbound } from '../telemetry/outbound.ts'
import { openUpstream, type Upstream } from '../telemetry/upstream.ts'
import { openAnswers } from './answers.ts'
import { openAssets } from './assets.ts'
import { clientAddress } from './client-address.ts'
import { clientCertificates } from './client-certificate.ts'
import { cors as corsOf } from './cors.ts'
import { openDocuments } from './documents.ts'
import { openFront } from './front.ts'
import { openKeys } from './keys.ts'
import { onlyWhatWasPassed, routing } from './middleware/routing.ts'
import { serve } from './middleware/serve.ts'
import type { ServerOptions } from './options.ts'
import type { Services } from './services.ts'

export interface AppContext {
  options: ServerOptions
  driver: StorageDriver
  sealer: Sealer
  log: ServerLog
  audit: Audit
  metrics: Metrics
  version: string
  env: Readonly<Record<string, string | undefined>>
  now?: () => Date
}

export interface App {
  handler: RequestListener
  services: Services
  close(): Promise<void>
}

/** Builds the application of one configuration; nothing reads the configuration afterwards. */
export async function openApp(context: AppContext): Promise<App> {
  const { options, driver, sealer, log, audit, metrics, version, env, now = () => new Date() } = context
  const { issuer, web, frontend, oidc, login } = options
  const { origin, protocol, pathname } = new URL(issuer)
  const mount = pathname.replace(/\/$/, '')
  const upstreams: Upstream[] = []
  const background = openBackground()

  const outbound = (id: string, itsLog: Logger): Upstream => {
    const userAgent = `countersign/${version}`
    const upstream = openUpstream({ connector: id, metrics, log: itsLog, failure, env, userAgent })
    upstreams.push(upstream)
    return upstream
  }
  const contextFor = (id: string, type: string): ConnectorContext => {
    const connectorLog = log.child({ 'connector.type': type, 'connector.id': id })
    const { http, measure } = outbound(id, connectorLog)
    return { id, issuer, log: connectorLog, http, measure, now, sessions: login.sessions !== undefined }
  }

  const { keys, upstream: signer } = await openKeys(context, now)
  if (signer) upstreams.push(signer)
  const connectors = await openConnectors(login.connectors, {
    folder: login.folder,
    contextFor,
    log,
    continueOnFailure: options.continueOnConnectorFailure,
  })
  const pages = openPages(frontend, mount)
  const { dynamicClients } = oidc
  const documents = dynamicClients?.documents && clientDocuments(dynamicClients, log)
  const clients = openClients(oidc.clients, [
    ...(dynamicClients?.registration ? [registeredClients(dynamicClients)] : []),
    ...(documents ? [documents] : []),
  ])
  const tokenIssuers = openTokenIssuers(oidc.tokenIssuers ?? [], {
    http: (id, trust) => contextFor(id, 'tokenIssuer').http(trust),
    now,
  })
  const connectorData = openConnectorData({ driver, sealer })
  const flow = openLoginFlow({
    connectors,
    connectorData,
    clients,
    issuer,
    mount,
    audit,
    metrics,
    log,
    sessions: login.sessions !== undefined,
    now,
  })
  const stashes = openStashes({ sealer, driver, mount, secure: protocol === 'https:', now })
  const sessions =
    login.sessions && openSessions({ options: login.sessions, driver, mount, secure: protocol === 'https:', now })
  const notices = openLogoutNotices({
    driver,
    keys,
    issuer,
    clients,
    // Calls to clients; the metrics of upstreams know connectors only.
    fetch: outbound('clients', log).http(),
    metrics,
    log,
    now,
  })
  const policy = {
    connectors,
    issuers: tokenIssuers.ids,
    sessionAlive: async (sid: string) => (await sessions?.get(sid)) !== undefined,
  }
  const ender = openSessionEnder({ sessions, driver, clients, notices, audit })
  const issued = openIssuedTokens({ keys, driver, issuer, hasEnded: ender.hasEnded, now })
  const limits = openLimits()
  const records = openFactorRecords({ driver, sealer, now })
  const factors = await openFactors({ options: login.mfa, records, connectors, limits, audit, now })
  const addressOf = clientAddress(web.clientAddress)
  const certificates = clientCertificates(web.clientCertificates)
  const publications = openOutbound({
    metrics,
    log,
    env,
    userAgent: `countersign/${version}`,
    operators: new Set(
      oidc.clients.flatMap(({ keys }) => (keys && 'jwksURI' in keys ? new URL(keys.jwksURI).href : [])),
    ),
    privateNetworks: dynamicClients?.privateNetworks ?? [],
  })
  const answers = openAnswers({ pages, log })
  const { provider, engine } = openProvider({
    options: oidc,
    clients,
    fetch: publications.fetch,
    documents,
    keys,
    issued,
    connectors,
    connectorData,
    hasEnded: ender.hasEnded,
    endSession: async (sid) => {
      const session = await sessions?.get(sid)
      if (session) await ender.end(session, 'upstream')
    },
    flow,
    limits,
    addressOf: (request) => addressOf(request.socket.remoteAddress, request.headers),
    driver,
    factors,
    policy,
    tokenIssuers,
    answers,
    nonceSecret: sealer.derive('DPoP nonces'),
    audit,
    metrics,
    log,
  })
  const connectorIds = connectors.all.map(({ id }) => id)
  metrics.oldestChecks(() => oldestChecks(driver, connectorIds, now()))
  const services: Services = {
    issuer,
    mount,
    origin,
    oidc,
    login,
    clients,
    provider,
    engine,
    keys,
    sealer,
    issued,
    connectors,
    policy,
    flow,
    stashes,
    connectorData,
    ...(sessions && { sessions }),
    ender,
    upstreamEnder: openUpstreamEnder({ driver, ender, audit }),
    logoutTrips: openLogoutTrips({ sealer, mount, secure: protocol === 'https:', now }),
    background,
    waiting: openWaiting({ driver, now }),
    limits,
    factors,
    pages,
    driver,
    audit,
    log,
    addressOf: (request) => addressOf(request.socket.remoteAddress, request.headers),
    now,
  }

  const cors = corsOf(web.cors)
  const published = openDocuments({ oidc, keys, mount, cors, headers: web.headers })
  const assets = openAssets({ mount, theme: frontend.theme, ...(frontend.dir !== undefined && { dir: frontend.dir }) })
  provider.use(
    serve({
      driver,
      pages,
      log,
      issuer,
      headers: web.headers,
      certificateOf: certificates.of,
      admitFetch: async (request) => (await services.limits.clientDocument(services.addressOf(request))) === undefined,
    }),
  )
  provider.use(routing(services, cors))
  provider.use(onlyWhatWasPassed)
  // The engine says by events what it cannot answer; Koa would print it once more.
  provider.silent = true
  return {
    handler: openFront({
      documents: published,
      assets,
      application: provider.callback(),
      issuer: new URL(issuer),
      mount,
      headers: web.headers,
      strip: certificates.strip,
      // Told in the log where the operator configured whose word counts.
      addressOf: web.clientAddress ? (request) => services.addressOf(request).address : () => undefined,
      metrics,
      log,
    }),
    services,
    async close() {
      await background.close()
      await notices.close()
      await connectors.close()
      await keys.close()
      await Promise.all([...upstreams, publications].map((open) => open.close()))
    },
  }
}
