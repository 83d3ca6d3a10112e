/** The engine, configured: oidc-provider behind Dex's paths, with our dialect, storing through the unit of the request. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import {
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
  Provider,
  type ResponseType,
} from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { adapterOf } from './adapter.ts'
import { modes } from './authorize.ts'
import { addClientCredentials, clientCredentialsGrant } from './client-credentials.ts'
import { deviceGrant } from './device.ts'
import { applyDialect } from './dialect/index.ts'
import { type FoundToken, touch } from './dialect/refresh-token.ts'
import { paths } from './discovery.ts'
import { addTokenExchange, exchangeGrant } from './exchange.ts'
import { openFlights } from './flights.ts'
import type { IssuedTokens } from './issued.ts'
import type { SigningKeys } from './keys.ts'
import { lifetimesOf } from './lifetimes.ts'
import type { ClientOptions, OidcOptions } from './options.ts'
import { addPasswordGrant, type PasswordContext, passwordGrant } from './password.ts'
import { answerAddress, redirectTo } from './redirects.ts'
import { Outage } from './refresh.ts'
import { policyOf } from './refresh-policy.ts'
import { openRenewal } from './renewal.ts'
import { engineResponseTypes, implicitGrant } from './response-types.ts'
import { peerOf } from './scopes.ts'
import { currentState, type GrantSource, stateOf } from './state.ts'
import { encodeSubject } from './subject.ts'

export type { Provider }

export interface ProviderContext extends Pick<PasswordContext, 'flow' | 'limits' | 'addressOf'> {
  options: OidcOptions
  clients: ReadonlyMap<string, ClientOptions>
  keys: SigningKeys
  issued: IssuedTokens
  connectors: Connectors
  connectorData: ConnectorData
  /** Whether what a client got has ended with its session, see `SessionEnder`. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
  driver: StorageDriver
  factors: Pick<Factors, 'chain' | 'missing'>
  /** What is shown in the browser; given by the server. */
  answers: Answers
  audit: Audit
  metrics: Metrics
  log: Logger
}

/** Answers that are pages. */
export interface Answers {
  /** `response_mode=form_post` (OAuth 2.0 Form Post Response Mode). */
  post(ctx: KoaContextWithOIDC, action: string, fields: Record<string, string>): void
  /** Out-of-band: the code is shown. */
  copy(ctx: KoaContextWithOIDC, answer: Record<string, string>): void
  /** An error without an address to return to. */
  fail(ctx: KoaContextWithOIDC, error: Error & { error_description?: string | undefined }): void
}

const { Check, Prompt } = interactionPolicy

export function openProvider(context: ProviderContext): Provider {
  const { options, clients, connectors, factors, answers, log } = context
  const flights = openFlights()
  const renew = openRenewal({ ...context, flights })
  const provider = new Provider(options.issuer, configurationOf(context, renew))
  // Addresses and the scheme are set from the issuer before a request gets here.
  provider.proxy = true
  applyDialect(provider, { ...context, flights })
  if (options.grantTypes.includes(exchangeGrant)) {
    addTokenExchange(provider, { connectors, factors, clients, log, lifetimes: lifetimesOf(options, clients) })
  }
  if (options.grantTypes.includes(passwordGrant) && options.passwordConnector !== undefined) {
    const { passwordConnector: connectorId } = options
    addPasswordGrant(provider, { ...context, connectorId, mayRefresh: (client) => mayRefresh(client, context) })
  }
  if (options.grantTypes.includes(clientCredentialsGrant)) addClientCredentials(provider, { clients })
  // RFC 9207, 2: in every answer; the engine leaves it out beside an ID token.
  const withIssuer = (payload: Record<string, unknown>) => textsOf({ ...payload, iss: options.issuer })
  for (const place of ['query', 'fragment'] as const) {
    provider.registerResponseMode(modes[place], (ctx, uri, payload) => {
      redirectTo(ctx, answerAddress(uri, withIssuer(payload), place))
    })
  }
  provider.registerResponseMode(modes.formPost, (ctx, uri, payload) => answers.post(ctx, uri, withIssuer(payload)))
  provider.registerResponseMode(modes.outOfBand, (ctx, _uri, payload) => answers.copy(ctx, textsOf(payload)))
  provider.on('server_error', (_ctx, error) => log.error('unexpected failure', { err: error }))
  provider.on('grant.success', (ctx) => accountForTokens(ctx, String(ctx.oidc.params?.grant_type), context))
  provider.on('authorization.success', (ctx) => {
    if (stateOf(ctx).source) accountForTokens(ctx, implicitGrant, context)
  })
  for (const event of refusals) {
    provider.on(event as 'grant.error', (ctx, error) => accountForRefusal(ctx, error, context))
  }
  return provider
}

function configurationOf(context: ProviderContext, renew: (token: FoundToken) => Promise<void>): Configuration {
  const { options, clients, answers } = context
  const { grantTypes, responseTypes, lifetimes } = options
  const { refreshTokens } = lifetimesOf(options, clients)
  return {
    adapter: adapterOf,
    // Only a check at the start of the engine: keys that sign and are published are ours, see keys.ts.
    jwks: { keys: [placeholderKey()] },
    clients: [],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    scopes: ['openid'],
    claims: { openid: ['sub'] },
    responseTypes: engineResponseTypes(responseTypes) as ResponseType[],
    subjectTypes: ['public'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    conformIdTokenClaims: false,
    allowOmittingSingleRegisteredRedirectUri: false,
    acceptQueryParamAccessTokens: false,
    clientBasedCORS: () => false,
    // Judged per client and method before the engine sees the request.
    pkce: { required: () => false },
    routes: {
      authorization: paths.authorization,
      token: paths.token,
      jwks: paths.keys,
      introspection: paths.introspection,
      revocation: paths.revocation,
      device_authorization: paths.deviceAuthorization,
      code_verification: paths.device,
    },
    cookies: { short: { path: '/', signed: false }, long: { signed: false } },
    ttl: {
      Interaction: Math.max(1, Math.ceil(lifetimes.authRequests)),
      Session: 1,
      Grant: 1,
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      deviceFlow: { enabled: grantTypes.includes(deviceGrant), charset: 'base-20', mask: '****-****' },
      dPoP: { enabled: false },
      resourceIndicators: { enabled: false },
    },
    interactions: {
      policy: [loginPrompt()],
      url: () => {
        throw new Error('the engine was asked for a code before the person was known')
      },
    },
    loadExistingGrant: (ctx) => grantFor(ctx),
    findAccount: async (_ctx, accountId, token) => {
      if (token?.kind === 'RefreshToken') await renew(token as FoundToken)
      else if (token?.kind === 'AuthorizationCode') stillAllowed(token, codeGrantType(), context)
      else if (token?.kind === 'DeviceCode') stillAllowed(token, deviceGrant, context)
      return { accountId, claims: async () => ({ sub: accountId }) }
    },
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client) => mayRefresh(client, context),
    rotateRefreshToken: (ctx) => {
      const { source } = stateOf(ctx)
      const token = ctx.oidc.entities.RefreshToken as FoundToken
      const rules = refreshTokens(token.clientId)
      if (!rules.rotate && source && token.repeated === undefined) touch(token, source, rules)
      return rules.rotate
    },
    renderError: (ctx, _out, error) => answers.fail(ctx, error as Parameters<Answers['fail']>[1]),
  }

  function mayIntrospect(
    _ctx: unknown,
    client: { clientId: string },
    token: { clientId?: string | undefined; aud?: unknown },
  ) {
    // RFC 7662, 2.1: whoever can prove who they are; a public client only for what was made for it.
    const { secret } = clients.get(client.clientId) ?? {}
    return secret !== undefined || token.clientId === client.clientId || [token.aud].flat().includes(client.clientId)
  }
}

/** A safeguard: nobody gets here whose login has not ended, since pages of ours come first. */
const loginPrompt = () =>
  new Prompt(
    { name: 'login' },
    new Check('no_session', 'the end-user has to log in', 'login_required', (ctx) => !ctx.oidc.session?.accountId),
  )

/** A grant of this request alone; its id ties the code to the tokens that come of it. */
async function grantFor(ctx: KoaContextWithOIDC) {
  const { provider, session, client } = ctx.oidc
  const grant = new provider.Grant({ accountId: session!.accountId!, clientId: client!.clientId })
  grant.jti = randomBytes(16).toString('base64url')
  grant.addOIDCScope('openid')
  return grant
}

/** What the connector had to allow when the code was made. */
const codeGrantType = (): string => (currentState().source?.hybrid ? implicitGrant : 'authorization_code')

/** The operator may have taken the connector away since the login. */
function stillAllowed(token: { clientId?: string | undefined }, grantType: string, context: ProviderContext): void {
  const { source } = currentState()
  const client = context.clients.get(token.clientId ?? '')
  const usable = client ? context.connectors.allowed(client, grantType) : []
  if (!usable.some(({ id }) => id === source?.login.connectorId)) {
    throw new errors.InvalidGrant('connector not allowed for this client any more')
  }
  if (source && client) stillProven(source, client, context)
}

/** The operator may have asked for more since the login: what it was not proven by then needs a new login. */
function stillProven({ login }: GrantSource, client: ClientOptions, { factors, connectors }: ProviderContext): void {
  if (!connectors.get(login.connectorId)) return
  if (factors.missing(client, login.connectorId, login.factors).length > 0) {
    throw new errors.InvalidGrant('this client needs a second factor now, which the login did not have')
  }
}

/** `offline_access` was asked for, and the connector can say later who the person then is, where that is wanted. */
function mayRefresh({ clientId }: { clientId: string }, { connectors, clients }: ProviderContext): boolean {
  const { source } = currentState()
  if (!source?.scopes.includes('offline_access')) return false
  const connector = connectors.get(source.login.connectorId)
  if (!connector?.allows('refresh_token')) return false
  return connector.opened?.refresh !== undefined || policyOf(connector, clients.get(clientId)).upstream === 'never'
}

const refusals = ['grant.error', 'introspection.error', 'revocation.error', 'device_authorization.error'] as const

/** Logs why, and tells the client more than the engine does: which check failed, though nothing of what was checked. */
function accountForRefusal(
  ctx: KoaContextWithOIDC,
  error: errors.OIDCProviderError,
  { log, audit }: ProviderContext,
): void {
  // A fault that our own reading of the form found.
  const told = error.cause instanceof errors.OIDCProviderError ? error.cause : error
  const reason = told.error_detail ?? told.error_description
  const { client_id, grant_type } = (ctx.oidc.body ?? {}) as Record<string, unknown>
  const id = ctx.oidc.client?.clientId ?? (typeof client_id === 'string' ? client_id : undefined)
  ctx.status = told.statusCode
  if (told instanceof Outage && told.retryAfter !== undefined) ctx.set('Retry-After', String(told.retryAfter))
  const secret = told.error === 'invalid_client'
  const { scope } = told as { scope?: string }
  ctx.body = {
    error: told.error,
    error_description: secret ? 'Invalid client credentials.' : reason,
    ...(scope !== undefined && { scope }),
  }
  if (told.error === 'authorization_pending' || told.error === 'slow_down') return
  log.info('token request refused', { client_id: id, grant_type, error: told.error, reason })
  if (secret && id !== undefined) audit({ type: 'client_refused', client_id: id, reason: reason ?? told.error })
}

function accountForTokens(
  ctx: KoaContextWithOIDC,
  grantType: string,
  { audit, metrics }: Pick<ProviderContext, 'audit' | 'metrics'>,
): void {
  const { source } = stateOf(ctx)
  const { client } = ctx.oidc
  metrics.tokensIssued(grantType)
  if (!source || !client) return
  const event = { client_id: client.clientId, scopes: shown(source), ...personOfSource(source) }
  audit(
    grantType === 'refresh_token'
      ? { type: 'tokens_refreshed', ...event }
      : { type: 'tokens_issued', grant_type: grantType, ...event },
  )
}

const shown = ({ scopes }: GrantSource): string[] => scopes.filter((scope) => peerOf(scope) === undefined)

function personOfSource({ login }: GrantSource) {
  const { connectorId, identity } = login
  const sub = encodeSubject(identity.userId, connectorId)
  // The client itself.
  if (connectorId === '') return { sub }
  return {
    sub,
    connector_id: connectorId,
    user_id: identity.userId,
    ...(identity.email !== undefined && { email: identity.email }),
  }
}

const textsOf = (payload: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(payload).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  )

/** The engine refuses to start without a key; this one signs nothing and is published nowhere. */
const placeholderKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: 'ES256',
})
