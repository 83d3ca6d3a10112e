/**
 * Every restriction against every way to get a token and every way to have one read. What stands here as enforced by the
 * policy is enforced by `judge.ts`, which reads this table; the test that is made from it tries every cell. A grant type
 * without a row neither compiles nor registers.
 */
import { deviceGrant } from './device.ts'

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** Grant types, as connectors and clients name them; `implicit` is any token that the authorization endpoint gives. */
export const grantTypes = [
  'authorization_code',
  'implicit',
  'refresh_token',
  deviceGrant,
  exchangeGrant,
  'password',
  'client_credentials',
] as const
export type GrantType = (typeof grantTypes)[number]

/** Endpoints that say what a token is worth. `refresh_introspection` is introspection of a refresh token. */
export const readers = ['introspection', 'refresh_introspection', 'userinfo'] as const
export type Reader = (typeof readers)[number]

/** What an operator or an upstream can take away, the widest first; the names are the reasons in log and audit. */
export const restrictions = [
  /** The client is not in the file any more. */
  'client_gone',
  /** `staticClients[].disabled`. */
  'client_disabled',
  /** The connector, or the token issuer, is not in the file any more. */
  'connector_gone',
  /** `staticClients[].allowedConnectors`; of a token issuer: no rule of the client names it. */
  'connector_not_allowed',
  /** `connectors[].grantTypes`. */
  'grant_not_allowed',
  /** `staticClients[].requiredGroups`. */
  'not_in_required_groups',
  /** The upstream refuses the person. */
  'identity_gone',
  /** The browser's session is over, for clients with `refreshTokenLifetime: session`. */
  'session_ended',
] as const
export type Restriction = (typeof restrictions)[number]

/** What a program is told: status and error of the token endpoint or of userinfo; introspection knows no error. */
export type Refusal =
  | '401 invalid_client'
  | '400 invalid_grant'
  | '400 invalid_request'
  | '400 access_denied'
  | '401 access_denied'
  | '401 invalid_token'
  | 'inactive'

/** What becomes of a login that is under way. */
export type LoginRefusal = 'page 403' | 'client access_denied'

/**
 * Who refuses. `clients`: such a client does not exist for any endpoint. `policy`: `judge.ts`. `upstream`: the connector
 * asks, or the token that is exchanged says so. `store`: what was revoked, or ended with its session, is not there any more.
 */
export type Enforcer = 'clients' | 'policy' | 'upstream' | 'store'

export type Cell =
  | { by: Enforcer; answer?: Refusal; login?: LoginRefusal; why?: string }
  /** Not applicable, and why. */
  | { never: string }

type Row = Record<Restriction, Cell>

const unknownClient = { by: 'clients', answer: '401 invalid_client' } as const
const policy = (answer: Refusal, login?: LoginRefusal) => ({ by: 'policy', answer, ...(login && { login }) }) as const
const never = (reason: string) => ({ never: reason }) as const

const noSession = never('no browser takes part, so there is no session')
const nobody = never('the client speaks for itself: no person and no connector take part')
const bearer = never('a token does not say by which grant type it was got; grant types limit the making of tokens')
const asMade = never('a token holds what was known when it was made, and lives as long as expiry.idTokens says')
const notAsked = 'the upstream vouched for the person minutes ago; it is asked again at the first refresh'

const browserGrant = {
  client_gone: { ...unknownClient, login: 'page 403' },
  client_disabled: { ...unknownClient, login: 'page 403' },
  connector_gone: policy('400 invalid_grant', 'page 403'),
  connector_not_allowed: policy('400 invalid_grant', 'page 403'),
  grant_not_allowed: policy('400 invalid_grant', 'page 403'),
  not_in_required_groups: policy('400 invalid_grant', 'page 403'),
  identity_gone: { by: 'upstream', login: 'client access_denied', why: notAsked },
  session_ended: policy('400 invalid_grant'),
} as const satisfies Row

/** A credential of the upstream is shown at the token endpoint. */
const credentialGrant = {
  client_gone: unknownClient,
  client_disabled: unknownClient,
  connector_gone: policy('400 invalid_request'),
  connector_not_allowed: policy('400 invalid_grant'),
  grant_not_allowed: policy('400 invalid_request'),
  not_in_required_groups: policy('400 access_denied'),
  identity_gone: { by: 'upstream', answer: '401 access_denied' },
  session_ended: noSession,
} as const satisfies Row

const jwtReader = (answer: Refusal) =>
  ({
    client_gone: policy(answer),
    client_disabled: policy(answer),
    connector_gone: policy(answer),
    connector_not_allowed: policy(answer),
    grant_not_allowed: bearer,
    not_in_required_groups: asMade,
    identity_gone: asMade,
    session_ended: { by: 'store', answer },
  }) as const satisfies Row

export const policyTable: Readonly<Record<GrantType | Reader, Row>> = {
  authorization_code: browserGrant,
  implicit: {
    client_gone: { by: 'clients', login: 'page 403' },
    client_disabled: { by: 'clients', login: 'page 403' },
    connector_gone: { by: 'policy', login: 'page 403' },
    connector_not_allowed: { by: 'policy', login: 'page 403' },
    grant_not_allowed: { by: 'policy', login: 'page 403' },
    not_in_required_groups: { by: 'policy', login: 'page 403' },
    identity_gone: { by: 'upstream', login: 'client access_denied' },
    session_ended: never('the tokens are made while the session is there'),
  },
  refresh_token: {
    client_gone: unknownClient,
    client_disabled: unknownClient,
    connector_gone: policy('400 invalid_grant'),
    connector_not_allowed: policy('400 invalid_grant'),
    grant_not_allowed: policy('400 invalid_grant'),
    not_in_required_groups: policy('400 invalid_grant'),
    identity_gone: { by: 'upstream', answer: '400 invalid_grant' },
    session_ended: { by: 'store', answer: '400 invalid_grant' },
  },
  [deviceGrant]: {
    ...browserGrant,
    // The device goes on waiting: somebody else may enter its code.
    identity_gone: { by: 'upstream', login: 'page 403', why: notAsked },
  },
  [exchangeGrant]: credentialGrant,
  // RFC 6749, 5.2: the credentials of the person are the grant.
  password: {
    ...credentialGrant,
    not_in_required_groups: policy('400 invalid_grant'),
    identity_gone: { by: 'upstream', answer: '400 invalid_grant' },
  },
  client_credentials: {
    client_gone: unknownClient,
    client_disabled: unknownClient,
    connector_gone: nobody,
    connector_not_allowed: nobody,
    grant_not_allowed: nobody,
    not_in_required_groups: nobody,
    identity_gone: nobody,
    session_ended: nobody,
  },
  introspection: jwtReader('inactive'),
  refresh_introspection: {
    client_gone: policy('inactive'),
    client_disabled: policy('inactive'),
    connector_gone: policy('inactive'),
    connector_not_allowed: policy('inactive'),
    grant_not_allowed: policy('inactive'),
    not_in_required_groups: policy('inactive'),
    identity_gone: { by: 'store', answer: 'inactive', why: 'the refused refresh has revoked it' },
    session_ended: { by: 'store', answer: 'inactive' },
  },
  userinfo: jwtReader('401 invalid_token'),
}

export const isGrantType = (name: string): name is GrantType => (grantTypes as readonly string[]).includes(name)
