/** From a connector to an identity: leaving for the upstream, coming back, or a password typed into our own form. */
import {
  type Arrival,
  type Connector,
  type Departure,
  failure,
  type Scopes,
  type Wishes,
} from '../../connectors/contract.ts'
import type { Logger } from '../lib/logger.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { ConnectorData } from './connector-data.ts'
import type { ConfiguredConnector, Connectors } from './connectors.ts'
import { asFailure, failureTable } from './failures.ts'
import { type Login, personOf } from './identity.ts'
import type { Stash } from './stash.ts'
import { coveredScopes } from './wanted-claims.ts'

/** Who logs in where, and for what. */
export type LoginRequest = Pick<Stash, 'connectorId' | 'clientId' | 'scopes' | 'wanted'>

export interface LoginFlow {
  /**
   * Where the browser goes to log in: an address of the upstream, or of ours for a password form or a POST.
   * Completes the stash with what has to come back.
   * @throws ConnectorFailure
   */
  start(connector: ConfiguredConnector, stash: Stash, wishes: Wishes): Promise<string>
  /** The browser came back from the upstream. @throws ConnectorFailure */
  finish(stash: Stash, arrival: Pick<Arrival, 'params' | 'headers'>): Promise<Login>
  /** A name and a password were typed. `undefined`: they are wrong. @throws ConnectorFailure */
  password(request: LoginRequest, username: string, password: string): Promise<Login | undefined>
}

export interface LoginFlowContext {
  connectors: Connectors
  connectorData: ConnectorData
  clients: { get(id: string): { requiredGroups?: readonly string[] } | undefined }
  /** As configured. */
  issuer: string
  /** Path of the issuer without a trailing slash. */
  mount: string
  audit: Audit
  metrics: Pick<Metrics, 'login'>
  log: Logger
  /** Whether a login begins a single sign-on session. */
  sessions: boolean
  now(): Date
}

/** What the scopes of a request mean to a connector; groups that a client requires are needed whatever it asks for. */
export const connectorScopes = (
  scopes: readonly string[],
  { requiredGroups = [] }: { requiredGroups?: readonly string[] } = {},
): Scopes => ({
  groups: scopes.includes('groups') || requiredGroups.length > 0,
  offlineAccess: scopes.includes('offline_access'),
})

/**
 * What a connector is asked for at a login. Typing a password for the next client of a session is worse than a question
 * too many to the directory, so with sessions a password connector is asked for everything.
 */
export const askedOf = (
  connector: Pick<Connector, 'style'>,
  scopes: readonly string[],
  sessions: boolean,
  client: { requiredGroups?: readonly string[] } = {},
): Scopes =>
  sessions && connector.style === 'password' ? { groups: true, offlineAccess: true } : connectorScopes(scopes, client)

export function openLoginFlow(context: LoginFlowContext): LoginFlow {
  const { connectors, connectorData, clients, issuer, mount, audit, metrics, log, sessions, now } = context
  const callbackUrl = () => new URL(`${issuer.replace(/\/$/, '')}/callback`)

  /** Accounts for a failure in every place that a login can fail in, and lets it go on. */
  const failed = (error: unknown, { connectorId, clientId }: LoginRequest, user?: string): never => {
    const known = asFailure(error)
    const reason = known?.code ?? 'server_error'
    const type = known && failureTable[known.code].client === 'access_denied' ? 'login_refused' : 'login_failed'
    audit({ type, connector_id: connectorId, client_id: clientId, reason, ...(user !== undefined && { user }) })
    metrics.login(connectorId, reason)
    throw error
  }

  const opened = async (id: string): Promise<Connector> => {
    const connector = connectors.get(id)
    if (!connector) throw failure('misconfigured', `connector "${id}" is not configured any more`)
    return connector.open()
  }

  const succeeded = async (
    { connectorId, clientId, scopes }: LoginRequest,
    connector: Connector,
    identity: Login['identity'],
  ): Promise<Login> => {
    const { connectorData: data, ...known } = identity
    const kept =
      data === undefined
        ? {}
        : await connectorData.keep({ connector, connectorId, userId: known.userId, scopes, session: sessions }, data)
    const login: Login = { connectorId, identity: known, authTime: authTimeOf(known), ...kept }
    const { groups } = known
    const person = personOf(login)
    log.info('login successful', { ...person, groups: groups ?? [] })
    audit({ type: 'login_succeeded', client_id: clientId, ...person, ...(groups && { groups }) })
    metrics.login(connectorId, 'success')
    return login
  }

  /** The upstream's, which may have known the person for hours, unless it says nothing or lives in the future. */
  const authTimeOf = ({ authentication }: Login['identity']): number => {
    const current = Math.floor(now().getTime() / 1000)
    const told = authentication?.time
    return told !== undefined && told > 0 ? Math.min(Math.floor(told), current) : current
  }

  const scopesOf = ({ scopes, wanted, clientId }: Stash): Scopes =>
    connectorScopes(coveredScopes(scopes, wanted), clients.get(clientId))

  return {
    async start(configured, stash, wishes) {
      try {
        const connector = await configured.open()
        const address = `${mount}/auth/${encodeURIComponent(configured.id)}`
        const query = `state=${stash.state}`
        if (connector.style === 'password') return `${address}/login?${query}`
        const departure: Departure = await connector.start({
          scopes: scopesOf(stash),
          callbackUrl: callbackUrl(),
          state: stash.state,
          wishes,
        })
        if (departure.memo !== undefined) stash.memo = departure.memo
        if (departure.via === 'redirect') return departure.url.href
        stash.post = { action: departure.action.href, fields: departure.fields }
        return `${address}/post?${query}`
      } catch (error) {
        return failed(error, stash)
      }
    },

    async finish(stash, { params, headers }) {
      try {
        const connector = await opened(stash.connectorId)
        if (connector.style !== 'browser') throw failure('login_refused', 'a password connector has no callback')
        const trusted = new Map(
          (connector.trustedHeaders ?? []).flatMap((name) => (headers.has(name) ? [[name, headers.get(name)!]] : [])),
        )
        const identity = await connector.finish({
          callbackUrl: callbackUrl(),
          params,
          headers: trusted,
          scopes: scopesOf(stash),
          state: stash.state,
          ...(stash.memo !== undefined && { memo: stash.memo }),
        })
        return await succeeded(stash, connector, identity)
      } catch (error) {
        return failed(error, stash)
      }
    },

    async password(request, username, password) {
      try {
        const connector = await opened(request.connectorId)
        if (connector.style !== 'password') throw failure('login_refused', 'this connector takes no password')
        const covered = coveredScopes(request.scopes, request.wanted)
        const asked = askedOf(connector, covered, sessions, clients.get(request.clientId))
        const identity = await connector.login(username, password, asked)
        if (identity) return await succeeded(request, connector, identity)
      } catch (error) {
        return failed(error, request, username)
      }
      const { connectorId, clientId } = request
      log.info('failed login attempt: Invalid credentials.', { user: username })
      audit({
        type: 'login_refused',
        connector_id: connectorId,
        client_id: clientId,
        reason: 'invalid_credentials',
        user: username,
      })
      metrics.login(connectorId, 'invalid_credentials')
      return undefined
    },
  }
}
