/**
 * Token exchange (RFC 8693). Whose token it is says a connector, as in Dex; or the token itself does, if it is of a token
 * issuer or of this server and a rule of the client takes it (`exchange/`).
 */
import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import type { Logger } from '../lib/logger.ts'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import { asFailure, failureTable } from '../login/failures.ts'
import { type Login, personOf } from '../login/identity.ts'
import type { Clients } from './clients.ts'
import { claimedIssuer, SubjectTokenRefused, type TokenIssuers } from './exchange/issuers.ts'
import { ownIssuer } from './exchange/options.ts'
import { identityBy, ownIdentity, ruleFor } from './exchange/rules.ts'
import { idOf } from './ids.ts'
import type { IssuedTokens } from './issued.ts'
import { noteJudged, type PolicyContext, readable, refusalOf } from './judge.ts'
import type { Lifetimes } from './lifetimes.ts'
import type { ClientOptions, OidcOptions } from './options.ts'
import { exchangeGrant } from './policy.ts'
import { Outage } from './refresh.ts'
import { audienceScope, mayNameAudience, scopeFaults, splitScopes } from './scopes.ts'
import { type GrantSource, stateOf } from './state.ts'

export { exchangeGrant }

const types = {
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const

interface ExchangeParameters {
  connector_id?: string
  subject_token?: string
  subject_token_type?: string
  requested_token_type?: string
  actor_token?: string
  actor_token_type?: string
  audience?: string | string[]
  resource?: string | string[]
}

export interface ExchangeContext {
  options: Pick<OidcOptions, 'issuer'>
  connectors: Connectors
  clients: Clients
  policy: PolicyContext
  factors: Pick<Factors, 'chain'>
  tokenIssuers: TokenIssuers
  issued: IssuedTokens
  log: Logger
  lifetimes: Pick<Lifetimes, 'idTokens' | 'accessTokens'>
}

/** Adds the grant type to the engine. */
export function addTokenExchange(provider: Provider, context: ExchangeContext): void {
  const known = ['connector_id', 'subject_token', 'subject_token_type', 'requested_token_type', 'scope']
  const further = ['actor_token', 'actor_token_type', 'audience', 'resource']
  // A client may name several targets (RFC 8693, 2.1).
  const repeatable = ['audience', 'resource']
  provider.registerGrantType<ExchangeParameters>(
    exchangeGrant,
    (ctx) => exchange(provider, ctx, context),
    [...known, ...further],
    repeatable,
  )
}

type ExchangeRequest = TokenEndpointGrantContext<ExchangeParameters>

async function exchange(provider: Provider, ctx: ExchangeRequest, context: ExchangeContext): Promise<void> {
  const { client, params } = ctx.oidc
  const { clients, factors, policy, log, lifetimes } = context
  const asked = readRequest(params, context)
  const scopes = readScopes(params, client.clientId, clients)
  const options = clients.get(client.clientId)

  const subject = await identify(asked, options, ctx, context)
  const { connectorId, identity } = subject
  const refused = await refusalOf(exchangeGrant, { client: options, connectorId, person: identity }, policy)
  if (refused) throw refused.error
  // Not of a workload, which is no person and has a rule of its own.
  if (options && !policy.issuers?.has(connectorId) && factors.chain(options, connectorId).length > 0) {
    throw new errors.AccessDenied('this client needs a second factor, which can only be shown in a browser')
  }
  const state = stateOf(ctx)
  noteJudged(exchangeGrant, state)
  if (subject.once) await useUp(ctx, subject.once)

  const now = Math.floor(Date.now() / 1000)
  const login: Login = { connectorId, identity, authTime: now }
  const { notAfter } = subject
  state.source = { kind: 'exchange', login, scopes, ...(notAfter !== undefined && { notAfter }) }
  const token =
    asked.requested === types.idToken ? await idToken(provider, ctx, scopes) : await accessToken(provider, ctx, scopes)
  log.info('token exchange successful', {
    client_id: client.clientId,
    ...personOf(login),
    groups: identity.groups ?? [],
    subject_token_type: asked.type,
    requested_token_type: asked.requested,
  })
  const life = (asked.requested === types.idToken ? lifetimes.idTokens : lifetimes.accessTokens)(client.clientId)
  ctx.body = {
    access_token: token,
    issued_token_type: asked.requested,
    token_type: 'Bearer',
    expires_in: Math.min(life, (notAfter ?? Number.POSITIVE_INFINITY) - now),
  }
}

interface Asked {
  /** Of a connector, of a token issuer, or `self`. */
  from: string
  token: string
  type: string
  requested: string
}

/** Faults with the codes of RFC 8693, 2.2.2. */
function readRequest(params: ExchangeParameters, context: ExchangeContext): Asked {
  const { connector_id, subject_token, subject_token_type, requested_token_type } = params
  if (params.actor_token !== undefined || params.actor_token_type !== undefined) {
    throw new errors.InvalidRequest('acting for somebody else (actor_token) is not supported')
  }
  const type = subject_token_type ?? ''
  if (!Object.values<string>(types).includes(type)) {
    throw new errors.InvalidRequest(`subject_token_type must be ${Object.values(types).join(' or ')}`)
  }
  const requested = requested_token_type ?? types.accessToken
  if (requested !== types.idToken && requested !== types.accessToken) {
    throw new errors.InvalidRequest(`requested_token_type must be ${types.idToken} or ${types.accessToken}`)
  }
  if (!subject_token) throw new errors.InvalidRequest("missing required parameter 'subject_token'")
  const from = connector_id || issuerOf(subject_token, context)
  if (!from) throw new errors.InvalidRequest("missing required parameter 'connector_id'")
  const isConnector = context.connectors.get(from) !== undefined
  if (isConnector && type === types.jwt) {
    throw new errors.InvalidRequest(`a connector takes ${types.idToken} or ${types.accessToken}`)
  }
  return { from, token: subject_token, type, requested }
}

/** Who made the token, as it says itself: which keys it is verified with follows from that, and nothing else. */
function issuerOf(token: string, { options, tokenIssuers }: ExchangeContext): string | undefined {
  const issuer = claimedIssuer(token)
  if (issuer === undefined) return undefined
  return issuer === options.issuer ? ownIssuer : tokenIssuers.named(issuer)?.options.id
}

/** `audience` names clients, as the scopes do that Dex has for it. */
function readScopes(
  params: ExchangeParameters & { scope?: string | undefined },
  client: string,
  clients: ExchangeContext['clients'],
) {
  const scopes = splitScopes(params.scope)
  const { unknown, untrusted } = scopeFaults(scopes, client, clients)
  const fault = [...unknown, ...untrusted]
  if (fault.length > 0) throw new errors.InvalidScope('unknown scope, or not for this client', fault.join(' '))
  const targets = [params.audience ?? []].flat().filter((each) => each !== '')
  if (targets.some((target) => !clients.get(target) || !mayNameAudience(client, target, clients))) {
    throw new errors.InvalidTarget('audience must be a client id that lists this client in trustedPeers')
  }
  if ([params.resource ?? []].flat().some((each) => each !== '')) {
    throw new errors.InvalidTarget('no resource is known here: name a client as audience')
  }
  const named = targets.filter((target) => target !== client).map(audienceScope)
  return [...new Set([...scopes, ...named])]
}

interface Found extends Pick<Login, 'connectorId' | 'identity'>, Pick<GrantSource, 'notAfter'> {
  /** The token must not come again before it has expired (Unix seconds). */
  once?: { issuer: string; jti: string; exp: number }
}

async function identify(
  asked: Asked,
  client: ClientOptions | undefined,
  ctx: ExchangeRequest,
  context: ExchangeContext,
): Promise<Found> {
  const { from } = asked
  const { tokenIssuers, policy, connectors } = context
  const foreign = tokenIssuers.get(from)
  if (from === ownIssuer || foreign) {
    if (asked.type === types.accessToken && foreign) {
      throw new errors.InvalidRequest(`tokens of that issuer are ${types.jwt} or ${types.idToken}`)
    }
    try {
      return foreign ? await ofIssuer(asked.token, foreign, client) : await ofThisServer(asked.token, client, context)
    } catch (error) {
      if (error instanceof SubjectTokenRefused) throw new errors.InvalidRequest(error.message)
      throw outage(error, from, ctx, context)
    }
  }
  const refused = await refusalOf(exchangeGrant, { client, connectorId: from }, policy)
  if (refused) throw refused.error
  try {
    const connector = await connectors.get(from)!.open()
    if (!connector.exchange) throw new errors.InvalidRequest('requested connector does not support token exchange')
    return { connectorId: from, identity: await connector.exchange({ type: asked.type, value: asked.token }) }
  } catch (error) {
    throw outage(error, from, ctx, context)
  }
}

async function ofIssuer(
  token: string,
  { options, verify }: NonNullable<ReturnType<TokenIssuers['get']>>,
  client: ClientOptions | undefined,
): Promise<Found> {
  const { id, issuer, singleUse, audience } = options
  const rules = rulesOf(client, id)
  // Whoever has no rule makes us ask for no keys.
  if (rules.length === 0) ruleFor({}, rules, audience)
  const claims = await verify(token)
  const identity = identityBy(ruleFor(claims, rules, audience), claims)
  const once = { issuer, jti: String(claims.jti), exp: Number(claims.exp) }
  return { connectorId: id, identity, ...(singleUse && { once }) }
}

/** What comes of it ends when the token does, or else one could follow another for ever. */
async function ofThisServer(
  token: string,
  client: ClientOptions | undefined,
  { issued, clients, policy }: ExchangeContext,
): Promise<Found> {
  const claims = await issued.read(token)
  if (!claims || !(await readable('introspection', claims, { ...policy, clients }))) {
    throw new SubjectTokenRefused('the subject token is no good token of this server')
  }
  ruleFor(claims, rulesOf(client, ownIssuer), [])
  return { ...ownIdentity(claims), notAfter: claims.exp }
}

const rulesOf = (client: ClientOptions | undefined, issuer: string) =>
  (client?.tokenExchange ?? []).filter((rule) => rule.issuer === issuer)

/** For clocks that differ, as long as the token itself is taken. */
const margin = 60

async function useUp(ctx: ExchangeRequest, { issuer, jti, exp }: NonNullable<Found['once']>): Promise<void> {
  const { unit } = stateOf(ctx)
  const id = idOf(`token exchange ${issuer} ${jti}`)
  if (await unit.get('replay', id)) throw new errors.InvalidRequest('the subject token was used before')
  unit.create('replay', id, { expiresAt: exp + margin, index: {}, body: {} })
}

/** The error for the client, of a failure that whoever vouches for the token has. */
function outage(error: unknown, from: string, ctx: ExchangeRequest, context: ExchangeContext): unknown {
  const { log, tokenIssuers } = context
  const known = asFailure(error)
  if (!known) return error
  const { level, client, message } = failureTable[known.code]
  log[level]('token exchange failed', { connector_id: from, client_id: ctx.oidc.client.clientId, err: known })
  if (client === 'temporarily_unavailable') return new Outage(client, message, known.details.retryAfter)
  // Of a token issuer it is the keys that cannot be read; the token was not looked at.
  if (tokenIssuers.get(from)) return new Outage('server_error', message)
  const refused = new errors.AccessDenied('the subject token was not accepted')
  return Object.assign(refused, { status: 401, statusCode: 401 })
}

async function accessToken(provider: Provider, ctx: ExchangeRequest, scopes: string[]): Promise<string> {
  const token = new provider.AccessToken({
    client: ctx.oidc.client,
    accountId: '-',
    grantId: '-',
    gty: 'exchange',
  } as never)
  Object.assign(token, { scope: scopes.join(' ') })
  return token.save()
}

async function idToken(provider: Provider, ctx: ExchangeRequest, scopes: string[]): Promise<string> {
  const token = new provider.IdToken({}, { ctx })
  Object.assign(token, { scope: scopes.join(' ') })
  return token.issue({ use: 'idtoken' })
}
