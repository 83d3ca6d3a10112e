/** The engine, configured: oidc-provider behind Dex's paths, with our dialect, storing through the unit of the request. */
import { randomBytes } from 'node:crypto'
import type { Middleware } from 'koa'
import { type Configuration, type KoaContextWithOIDC, Provider, type ResponseType } from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { accountForRefusal, accountForTokens, refusals } from './accounts.ts'
import { adapterOf } from './adapter.ts'
import { authenticationSettings } from './client-auth.ts'
import { addClientCredentials, clientCredentialsGrant } from './client-credentials.ts'
import { type Clients, isConfidential } from './clients.ts'
import { deviceGrant } from './device.ts'
import { applyDialect } from './dialect/index.ts'
import { type FoundToken, touch } from './dialect/refresh-token.ts'
import { paths } from './discovery.ts'
import { type Documents, documentSettings } from './dynamic/documents.ts'
import { registrationSettings, watchRegistrations } from './dynamic/registered.ts'
import type { TokenIssuers } from './exchange/issuers.ts'
import { addTokenExchange } from './exchange.ts'
import { openFlights } from './flights.ts'
import type { IssuedTokens } from './issued.ts'
import { guardGrantTypes, type PolicyContext } from './judge.ts'
import { placeholderAlgorithm, placeholderKey } from './keys/placeholder.ts'
import type { SigningKeys } from './keys.ts'
import { lifetimesOf } from './lifetimes.ts'
import type { OidcOptions } from './options.ts'
import { addPasswordGrant, type PasswordContext, passwordGrant } from './password.ts'
import { exchangeGrant } from './policy.ts'
import { isFapi } from './profile.ts'
import { profileAlgorithms, profileFeatures } from './profile-settings.ts'
import { prompts } from './prompts.ts'
import { mayRefresh, stillAllowed } from './redeem.ts'
import { openRenewal } from './renewal.ts'
import { noteRefusals } from './resolve.ts'
import { type Answers, registerResponseModes } from './response-modes.ts'
import { engineResponseTypes, implicitGrant } from './response-types.ts'
import { listedScopes } from './scopes.ts'
import { stateOf } from './state.ts'

export type { Answers, Provider }

/** The engine, and the same engine for who enters it more than once in a request. */
export interface OpenedProvider {
  provider: Provider
  engine: Middleware
}

export interface ProviderContext extends Pick<PasswordContext, 'flow' | 'limits' | 'addressOf'> {
  options: OidcOptions
  clients: Clients
  documents: Documents | undefined
  /** Fetches what clients publish. */
  fetch: typeof fetch
  keys: SigningKeys
  issued: IssuedTokens
  connectors: Connectors
  connectorData: ConnectorData
  /** Whether what a client got has ended with its session, see `SessionEnder`. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
  /** Ends a session because the upstream said so. */
  endSession(sid: string): Promise<void>
  driver: StorageDriver
  factors: Pick<Factors, 'chain' | 'missing'>
  /** What `judge.ts` asks beside the clients. */
  policy: PolicyContext
  /** Verifies tokens of others, for token exchange. */
  tokenIssuers: TokenIssuers
  /** What is shown in the browser; given by the server. */
  answers: Answers
  /** 32 bytes that all replicas have in common; nonces of proofs are made from them. */
  nonceSecret: Buffer
  audit: Audit
  metrics: Metrics
  log: Logger
}

export function openProvider(context: ProviderContext): OpenedProvider {
  const { options, clients, keys, answers, log } = context
  const flights = openFlights()
  const renew = openRenewal({ ...context, flights })
  const provider = new Provider(options.issuer, configurationOf(context, renew))
  context.documents?.connect(provider)
  // As koa-mount enters an application; nothing of ours stands before it yet.
  const engine = provider.middleware.at(-1)!
  // Addresses and the scheme are set from the issuer before a request gets here.
  provider.proxy = true
  applyDialect(provider, { ...context, flights })
  guardGrantTypes(provider, options.grantTypes)
  if (options.grantTypes.includes(exchangeGrant)) {
    addTokenExchange(provider, { ...context, lifetimes: lifetimesOf(options, clients) })
  }
  if (options.grantTypes.includes(passwordGrant) && options.passwordConnector !== undefined) {
    const { passwordConnector: connectorId } = options
    addPasswordGrant(provider, { ...context, connectorId, mayRefresh: (clientId) => mayRefresh(context, clientId) })
  }
  if (options.grantTypes.includes(clientCredentialsGrant)) addClientCredentials(provider, context)
  registerResponseModes(provider, { keys, issuer: options.issuer, clients, answers })
  noteRefusals(provider)
  provider.on('server_error', (_ctx, error) => log.error('unexpected failure', { err: error }))
  provider.on('grant.success', (ctx) => accountForTokens(ctx, String(ctx.oidc.params?.grant_type), context))
  provider.on('authorization.success', (ctx) => {
    if (stateOf(ctx).source) accountForTokens(ctx, implicitGrant, context)
  })
  const { registration } = options.dynamicClients ?? {}
  if (registration) watchRegistrations(provider, { ...context, registration })
  for (const event of refusals) {
    provider.on(event as 'grant.error', (ctx, error) => accountForRefusal(ctx, error, context))
  }
  return { provider, engine }
}

function configurationOf(context: ProviderContext, renew: (token: FoundToken) => Promise<void>): Configuration {
  const { options, clients, answers } = context
  const { grantTypes, responseTypes, lifetimes } = options
  const { refreshTokens } = lifetimesOf(options, clients)
  const { mTLS, enabledJWA, ...authentication } = authenticationSettings(options)
  return {
    adapter: adapterOf,
    fetch: (url, { method, headers, signal }: RequestInit = {}) =>
      // Its own dispatcher, which the engine hands over, refuses the operator's networks too.
      context.fetch(url, {
        ...(method !== undefined && { method }),
        ...(headers && { headers }),
        ...(signal && { signal }),
      }),
    fetchResponseBodyLimits: { jwks_uri: 256 * 1024, sector_identifier_uri: 64 * 1024 },
    // Only a check at the start of the engine: keys that sign and are published are ours, see keys.ts.
    jwks: { keys: [placeholderKey()] },
    clients: [],
    clientDefaults: { id_token_signed_response_alg: placeholderAlgorithm },
    // What clients may ask for is judged before the engine sees it; here they only name it when they register.
    scopes: [...listedScopes],
    claims: { openid: ['sub'] },
    responseTypes: engineResponseTypes(responseTypes) as ResponseType[],
    subjectTypes: ['public'],
    ...authentication,
    // Logout and userinfo are ours, and so is what they need of clients.
    extraClientMetadata: { properties: ['post_logout_redirect_uris', 'userinfo_signed_response_alg'] },
    conformIdTokenClaims: false,
    allowOmittingSingleRegisteredRedirectUri: false,
    acceptQueryParamAccessTokens: false,
    clientBasedCORS: () => false,
    // Judged per client and method before the engine sees the request.
    pkce: { required: (_ctx, client) => isFapi(clients.get(client.clientId)) },
    routes: {
      authorization: paths.authorization,
      token: paths.token,
      jwks: paths.keys,
      introspection: paths.introspection,
      revocation: paths.revocation,
      registration: paths.registration,
      device_authorization: paths.deviceAuthorization,
      pushed_authorization_request: paths.pushed,
      userinfo: paths.userinfo,
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
      // Only for tokens that are bound to a key, see userinfo in server/handlers/programs.ts.
      userinfo: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      deviceFlow: { enabled: grantTypes.includes(deviceGrant), charset: 'base-20', mask: '****-****' },
      mTLS,
      ...registrationSettings(options.dynamicClients?.registration),
      clientIdMetadataDocument: documentSettings(options.dynamicClients?.documents),
      ...profileFeatures(context),
    },
    enabledJWA: { ...enabledJWA, ...profileAlgorithms },
    extraParams: ['connector_id', 'approval_prompt'],
    interactions: {
      policy: prompts(),
      url: (ctx) => {
        if (stateOf(ctx).resolving) return '/'
        throw new Error('the engine was asked for a code before the person was known')
      },
    },
    loadExistingGrant: (ctx) => grantFor(ctx),
    findAccount: async (_ctx, accountId, token) => {
      if (token?.kind === 'RefreshToken') await renew(token as FoundToken)
      else if (token?.kind === 'AuthorizationCode') await stillAllowed(token, 'authorization_code', context)
      else if (token?.kind === 'DeviceCode') await stillAllowed(token, deviceGrant, context)
      return { accountId, claims: async () => ({ sub: accountId }) }
    },
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client) =>
      client.grantTypeAllowed('refresh_token') && (await mayRefresh(context, client.clientId)),
    rotateRefreshToken: (ctx) => {
      const { source } = stateOf(ctx)
      const token = ctx.oidc.entities.RefreshToken as FoundToken
      const rules = refreshTokens(token.clientId)
      // FAPI 2.0 Security Profile, 5.3.2.1: such clients keep theirs, which is bound to them.
      const rotate = rules.rotate && !isFapi(clients.get(token.clientId ?? ''))
      if (!rotate && source && token.repeated === undefined) touch(token, source, rules)
      return rotate
    },
    renderError: (ctx, _out, error) => answers.fail(ctx, error as Parameters<Answers['fail']>[1]),
  }

  function mayIntrospect(
    _ctx: unknown,
    client: { clientId: string },
    token: { clientId?: string | undefined; aud?: unknown },
  ) {
    // RFC 7662, 2.1: whoever can prove who they are; a public client only for what was made for it.
    const known = clients.get(client.clientId)
    return (
      (known && isConfidential(known)) ||
      token.clientId === client.clientId ||
      [token.aud].flat().includes(client.clientId)
    )
  }
}

/** A grant of this request alone; its id ties the code to the tokens that come of it. */
async function grantFor(ctx: KoaContextWithOIDC) {
  const { provider, session, client } = ctx.oidc
  const grant = new provider.Grant({ accountId: session!.accountId!, clientId: client!.clientId })
  grant.jti = randomBytes(16).toString('base64url')
  grant.addOIDCScope('openid')
  for (const resource of Object.keys(ctx.oidc.resourceServers ?? {})) grant.addResourceScope(resource, 'openid')
  return grant
}
