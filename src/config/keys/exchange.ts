/** Keys of token exchange for tokens of CI systems, workloads and this server itself; all are ours. */
import { Type } from 'typebox'
import { duration, listOf, text } from './annotate.ts'

export const EXCHANGE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]

export const tokenIssuer = Type.Object({
  id: text('Name in `sub`, where a connector has its id: never change it.', { minLength: 1 }),
  issuer: text('Claim `iss` of its tokens, to the letter.', { minLength: 1 }),
  jwksURI: Type.Optional(
    text('Address of its keys (RFC 7517).', { 'x-default': 'as the discovery document below `issuer` says' }),
  ),
  audience: Type.Optional(
    listOf('Whom its tokens have to be for, and nobody else besides.', { 'x-default': 'the issuer of this server' }),
  ),
  algorithms: Type.Optional(
    Type.Array(Type.Enum(EXCHANGE_ALGORITHMS), {
      description: 'Signatures that are taken.',
      'x-default': '`["RS256", "ES256"]`',
    }),
  ),
  rootCAs: Type.Optional(listOf('Further trusted certificates: files, base64 of PEM, or PEM.')),
  maxLifetime: Type.Optional(duration('Longest life of a token that is taken, from `iat` to `exp`.', '24h')),
  singleUse: Type.Optional(
    Type.Boolean({ default: false, description: 'Take each token once, by its `jti`, which then has to be there.' }),
  ),
})

const identity = Type.Object(
  {
    userID: Type.Optional(text('Stable id, part of `sub`. Needed.')),
    username: Type.Optional(text('Claim `name`.')),
    preferredUsername: Type.Optional(text('Claim `preferred_username`.')),
    email: Type.Optional(text('Claim `email`.')),
    emailVerified: Type.Optional(Type.Boolean({ description: 'Claim `email_verified`.', 'x-default': 'false' })),
    groups: Type.Optional(listOf('Claim `groups`.')),
  },
  {
    description:
      'Who the bearer is. Texts with places such as `{{sub}}` or `{{/kubernetes.io/namespace}}` for claims of the token. Not for `self`, where the person stays who they are.',
  },
)

export const tokenExchange = Type.Optional(
  Type.Array(
    Type.Object({
      issuer: text('Id of one of `tokenIssuers`, or `self` for tokens of this server.', { minLength: 1 }),
      audience: Type.Optional(
        listOf('Whom the token has to be for, and nobody else besides; needed for `self`.', {
          'x-default': 'as the token issuer says',
        }),
      ),
      claims: Type.Optional(
        Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())]), {
          description:
            'What claims have to be, by name or JSON pointer: `*` stands for anything without `/` and `:`, `**` for anything; of a list one has to fit. Needed, but for `self`.',
        }),
      ),
      identity: Type.Optional(identity),
    }),
    {
      description:
        'Tokens that this client may exchange besides those of connectors (RFC 8693); the first rule that fits counts.',
      'x-own': true,
    },
  ),
)
