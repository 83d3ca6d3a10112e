/** Applies the table of `policy.ts`: at the token endpoint, in a login, and where tokens are read. */
import { errors, type Provider } from 'oidc-provider'
import type { ConfiguredConnector, Connectors } from '../login/connectors.ts'
import type { Purpose } from '../login/stash.ts'
import type { Clients } from './clients.ts'
import { deviceGrant } from './device.ts'
import { clientOf } from './issued.ts'
import type { ClientOptions } from './options.ts'
import { type GrantType, isGrantType, policyTable, type Reader, type Refusal, type Restriction } from './policy.ts'
import { grantTypeOf } from './response-types.ts'
import { currentContext, currentState, type RequestState } from './state.ts'
import { decodeSubject } from './subject.ts'

export interface PolicyContext {
  connectors: Pick<Connectors, 'get'>
  /** Ids of `tokenIssuers`, which stand in `sub` where a connector's id does. */
  issuers?: ReadonlySet<string>
  /** Whether a session of a browser is still there. */
  sessionAlive?(sid: string): Promise<boolean>
}

/** What is judged; a part that is not known is left out. */
export interface Subject {
  /** Absent: it is not configured (any more). */
  client: PolicyClient | undefined
  /** Absent or empty: none takes part. */
  connectorId?: string | undefined
  /** Of a person that is known: as the upstream said, absent when it did not. */
  person?: { groups?: string[] | undefined } | undefined
  sid?: string | undefined
  /** What the connector has to allow, where that is not the grant type itself: `implicit` for the code of a hybrid flow. */
  connectorGrant?: GrantType | undefined
}

type PolicyClient = Pick<ClientOptions, 'allowedConnectors' | 'requiredGroups' | 'tokenExchange' | 'sessionBound'>

type Judged = Exclude<Restriction, 'client_disabled' | 'identity_gone' | 'session_ended'>

/** A disabled client is in no list of clients, so that it is gone for everybody who looks; sessions are asked apart. */
const applies: Record<Judged, (use: GrantType | Reader, subject: Subject, context: PolicyContext) => boolean> = {
  client_gone: (_use, { client }) => client === undefined,

  connector_gone: (_use, { connectorId }, { connectors, issuers }) =>
    !!connectorId && !connectors.get(connectorId) && !issuers?.has(connectorId),

  connector_not_allowed: (_use, { client, connectorId }, { issuers }) => {
    if (!client || !connectorId) return false
    if (issuers?.has(connectorId)) return !client.tokenExchange?.some(({ issuer }) => issuer === connectorId)
    return client.allowedConnectors.length > 0 && !client.allowedConnectors.includes(connectorId)
  },

  // A token issuer serves one grant type only, by rules of each client.
  grant_not_allowed: (use, { connectorId, connectorGrant }, { connectors }) =>
    !!connectorId && connectors.get(connectorId)?.allows(connectorGrant ?? madeBy(use)) === false,

  not_in_required_groups: (_use, { client, person }) => {
    const required = client?.requiredGroups ?? []
    // Groups that nobody knows are no membership.
    return person !== undefined && required.length > 0 && !person.groups?.some((group) => required.includes(group))
  },
}

const madeBy = (use: GrantType | Reader): string => (use === 'refresh_introspection' ? 'refresh_token' : use)

const sentences: Record<Restriction, string> = {
  client_gone: 'the client is not configured any more',
  client_disabled: 'the client is switched off',
  connector_gone: 'the connector is not configured any more',
  connector_not_allowed: 'connector not allowed for this client',
  grant_not_allowed: 'the connector does not allow this grant type',
  not_in_required_groups: 'the person is in none of the groups that this client requires',
  identity_gone: 'the upstream does not know the person any more',
  session_ended: 'the session that this was granted in has ended',
}

/** Of the restrictions that are found without asking the store: the first that applies. */
export function restrictionOf(
  use: GrantType | Reader,
  subject: Subject,
  context: PolicyContext,
): Restriction | undefined {
  return (Object.keys(applies) as Judged[]).find((each) => {
    return !('never' in policyTable[use][each]) && applies[each](use, subject, context)
  })
}

/** As `restrictionOf`, with the end of the session, and with the error that the table has for a program. */
export async function refusalOf(
  use: GrantType | Reader,
  subject: Subject,
  context: PolicyContext,
): Promise<{ restriction: Restriction; error: errors.OIDCProviderError } | undefined> {
  const found = restrictionOf(use, subject, context) ?? (await sessionEnded(use, subject, context))
  if (found === undefined) return undefined
  const { answer = '400 access_denied' } = policyTable[use][found] as { answer?: Refusal }
  return { restriction: found, error: errorOf(answer, sentences[found]) }
}

async function sessionEnded(
  use: GrantType | Reader,
  { client, sid }: Subject,
  { sessionAlive }: PolicyContext,
): Promise<'session_ended' | undefined> {
  const bound = client?.sessionBound && sid !== undefined && sessionAlive !== undefined
  if (!bound || 'never' in policyTable[use].session_ended) return undefined
  return (await sessionAlive(sid)) ? undefined : 'session_ended'
}

/**
 * Judges a grant, and remembers that it was judged: without that no token is made.
 * @throws errors.OIDCProviderError as the table says
 */
export async function judge(grant: GrantType, subject: Subject, context: PolicyContext): Promise<void> {
  const refused = await refusalOf(grant, subject, context)
  if (refused) throw refused.error
  noteJudged(grant)
}

/** For a grant whose refusal is accounted for in another way than `judge` has. */
export function noteJudged(grant: GrantType, state: RequestState = currentState()): void {
  state.judged = grant
}

/** The last gate before a token is made. @throws Error when a grant type never asked the policy: a defect */
export function requireJudged(): void {
  const { judged } = currentState()
  const inFront = currentContext().oidc.route === 'authorization'
  if (judged === undefined || inFront !== (judged === 'implicit')) {
    throw new Error('a token is made that the policy was not asked about')
  }
}

/** From here on only grant types that have a row can be registered. @throws Error for one that has none */
export function guardGrantTypes(provider: Provider, served: readonly string[]): void {
  const register = provider.registerGrantType.bind(provider) as (name: string, ...more: unknown[]) => void
  const check = (name: string): void => {
    if (!isGrantType(name)) throw new Error(`the grant type ${name} has no row in the table of policy.ts`)
  }
  for (const name of served) check(name)
  const registerGrantType = (name: string, ...more: unknown[]): void => {
    check(name)
    register(name, ...more)
  }
  Object.assign(provider, { registerGrantType })
}

/** Connectors by which a person can log in to a client, for a grant type. */
export const connectorsFor = (
  client: PolicyClient,
  grant: GrantType,
  context: PolicyContext & { connectors: Pick<Connectors, 'all' | 'get'> },
): ConfiguredConnector[] =>
  context.connectors.all.filter(({ id }) => restrictionOf(grant, { client, connectorId: id }, context) === undefined)

/**
 * What a login will be used for. An authorization request whose answer brings tokens is `implicit`, with a code beside them
 * or without, as in Dex.
 */
export function grantOf(purpose: Pick<Purpose, 'kind'> & { params?: Record<string, string> }): GrantType {
  if (purpose.kind === 'device') return deviceGrant
  return grantTypeOf(purpose.params?.response_type ?? 'code')
}

/**
 * Whether a token that is good by itself may still be read as such. Asks the store for no client of the file; what a token does not hold (the grant
 * type, groups of now) the table names as not applicable.
 * @param claims of an access or ID token of ours
 */
export async function readable(
  reader: Exclude<Reader, 'refresh_introspection'>,
  claims: Record<string, unknown>,
  context: PolicyContext & { clients: Pick<Clients, 'load'> },
): Promise<boolean> {
  const client = await context.clients.load(clientOf(claims))
  const subject = decodeSubject(String(claims.sub))
  if (!subject) return false
  return restrictionOf(reader, { client, connectorId: subject.connectorId }, context) === undefined
}

function errorOf(refusal: Refusal, sentence: string): errors.OIDCProviderError {
  const [status, code] = refusal.split(' ')
  if (code === 'invalid_grant') return new errors.InvalidGrant(sentence)
  if (code === 'invalid_request') return new errors.InvalidRequest(sentence)
  if (code === 'invalid_client') return new errors.InvalidClient(sentence)
  const error = new errors.AccessDenied(sentence)
  return Object.assign(error, { status: Number(status) || 400, statusCode: Number(status) || 400 })
}
