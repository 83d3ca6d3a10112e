/** Keys of grants, lifetimes and signing. */
import { Type } from 'typebox'
import { duration, listOf, text } from './annotate.ts'
import { dpop } from './profiles.ts'
import { refreshTokens } from './refresh.ts'
import { introspectionKeys } from './shapes.ts'

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const IMPLICIT = 'implicit'
export const PASSWORD = 'password'
export const CLIENT_CREDENTIALS = 'client_credentials'

/** Grant types that Dex knows. */
export const GRANT_TYPES = [
  'authorization_code',
  'refresh_token',
  DEVICE_CODE,
  TOKEN_EXCHANGE,
  IMPLICIT,
  PASSWORD,
  CLIENT_CREDENTIALS,
]
/** Grant types that the token endpoint serves without further configuration. */
export const SERVED_GRANT_TYPES = ['authorization_code', 'refresh_token', DEVICE_CODE, TOKEN_EXCHANGE]
/** Grant types that a connector can be restricted to. */
export const CONNECTOR_GRANT_TYPES = GRANT_TYPES.filter((name) => name !== CLIENT_CREDENTIALS)

export const RESPONSE_TYPES = [
  'code',
  'token',
  'id_token',
  'code token',
  'code id_token',
  'id_token token',
  'code id_token token',
]

export const oauth2 = Type.Object(
  {
    grantTypes: Type.Optional(
      listOf(
        'Narrows what the token endpoint serves and discovery lists. Unknown names are passed over with a warning. `password` needs `passwordConnector`, `implicit` a response type with `token` in it.',
        { 'x-default': 'all but `client_credentials`, which has to be listed' },
      ),
    ),
    responseTypes: Type.Optional(
      Type.Array(Type.Enum(RESPONSE_TYPES), {
        description:
          'Response types of the authorization endpoint. What is put together of types that are listed by themselves is served too; `token` alone never is.',
        'x-default': '`["code"]`',
      }),
    ),
    skipApprovalScreen: Type.Optional(
      Type.Boolean({ default: false, description: 'Do not ask the person to approve the client.' }),
    ),
    alwaysShowLoginScreen: Type.Optional(
      Type.Boolean({ default: false, description: 'Show the choice of connectors even when there is only one.' }),
    ),
    passwordConnector: Type.Optional(
      text(
        'Id of the connector that answers the password grant, whose clients see the passwords of people: for software that can do no better.',
      ),
    ),
    dpop: Type.Optional(dpop),
    ...introspectionKeys,
    pkce: Type.Optional(
      Type.Object(
        {
          enforce: Type.Optional(
            Type.Boolean({
              default: false,
              description: 'Refuse confidential clients without PKCE too; public ones always need it.',
            }),
          ),
          codeChallengeMethodsSupported: Type.Optional(
            Type.Array(Type.Enum(['S256', 'plain']), {
              description: 'Challenge methods. List `plain` only for a client that can do no better.',
              'x-default': '`["S256"]`',
            }),
          ),
        },
        { description: 'Proof key for code exchange (RFC 7636).' },
      ),
    ),
  },
  { description: 'What clients may ask for.' },
)

export const expiry = Type.Object(
  {
    idTokens: Type.Optional(duration('Life of ID tokens and access tokens.', '24h')),
    authRequests: Type.Optional(duration('How long a login may take.', '24h')),
    deviceRequests: Type.Optional(duration('Life of a device code.', '5m')),
    signingKeys: Type.Optional(duration('Deprecated: use `signer.config.keysRotationPeriod`.', '6h')),
    refreshTokens: Type.Optional(refreshTokens),
  },
  { description: 'Lifetimes. `0` stands for the default.' },
)
