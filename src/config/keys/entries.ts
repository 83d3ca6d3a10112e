/** Keys of the entries of lists: clients, connectors, people; and of parts that come later. */
import { Type } from 'typebox'
import { clientAccess } from './access.ts'
import { listOf, text } from './annotate.ts'
import { clientAuthentication } from './client-auth.ts'
import { tokenExchange } from './exchange.ts'
import { clientProfile } from './profiles.ts'
import { clientExpiry, clientRefresh, connectorRefresh } from './refresh.ts'
import { claimsKeys } from './shapes.ts'
import { signingAlgorithm } from './signer.ts'
import { CONNECTOR_GRANT_TYPES } from './tokens.ts'

export const client = Type.Object({
  id: Type.Optional(text('Client id. One of `id` and `idEnv` is needed.')),
  idEnv: Type.Optional(text('Environment variable that holds the client id.')),
  secret: Type.Optional(
    text(
      'Client secret. One of `secret` and `secretEnv` is needed, unless the client is public or has keys or a certificate.',
    ),
  ),
  secretEnv: Type.Optional(text('Environment variable that holds the client secret.')),
  name: text('Name shown to the person who approves.', { minLength: 1 }),
  redirectURIs: Type.Optional(
    listOf(
      'Addresses that a login may return to, compared as text. A public client without any may use loopback addresses on every port.',
    ),
  ),
  public: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'An application that can keep no secret (browser, command line): PKCE instead.',
    }),
  ),
  pkce: Type.Optional(
    Type.Enum(['required', 'optional'], {
      description:
        'Whether a login needs PKCE. `optional` for a public client is for software that cannot do it: whoever catches its code can use it.',
      'x-default': '`required` for public clients, else as `oauth2.pkce.enforce` says',
      'x-own': true,
    }),
  ),
  ...clientAuthentication,
  ...clientProfile,
  trustedPeers: Type.Optional(listOf('Client ids that may ask for tokens with this client as audience.')),
  logoURL: Type.Optional(text('Picture of the client.')),
  allowedConnectors: Type.Optional(listOf('Connector ids that may be used; empty: all.')),
  ...claimsKeys,
  ...clientAccess,
  tokenExchange,
  mfaChain: Type.Optional(
    listOf('Authenticators that a login needs, all of them in this order; empty: none.', {
      'x-default': '`mfa.defaultMFAChain`',
    }),
  ),
  ssoSharedWith: Type.Optional(listOf('Client ids that share a session with this one, or `*`.')),
  postLogoutRedirectURIs: Type.Optional(listOf('Addresses that a logout may return to.')),
  backchannelLogoutURI: Type.Optional(text('Where logout tokens are sent.')),
  frontchannelLogoutURI: Type.Optional(
    text(
      'Page of the client that is loaded in a frame at a logout, with `iss` and `sid`, so that it can end its own session.',
      {
        'x-own': true,
      },
    ),
  ),
  refreshTokenLifetime: Type.Optional(
    Type.Enum(['standalone', 'session'], {
      description: 'Whether refresh tokens outlive the session.',
      'x-default': 'standalone',
    }),
  ),
  signingAlgorithm: Type.Optional(signingAlgorithm),
  refresh: Type.Optional(clientRefresh),
  expiry: Type.Optional(clientExpiry),
  clientCredentialsClaims: Type.Optional(
    Type.Object(
      { groups: Type.Optional(listOf('Groups in those tokens.')) },
      { description: 'Claims of tokens of the client credentials grant, which stand for the client itself.' },
    ),
  ),
})

export const connector = Type.Object({
  type: text('Kind of upstream; see [Connectors](#connectors-1). Or a module of your own: `./file.ts`, a package.', {
    minLength: 1,
  }),
  id: text('Name in addresses and in `sub`: never change it.', { minLength: 1 }),
  name: text('Text of the button.', { minLength: 1 }),
  config: Type.Optional(
    Type.Unknown({ description: 'Settings of that type. `$NAME` and `${NAME}` are taken from the environment.' }),
  ),
  grantTypes: Type.Optional(
    Type.Array(Type.Enum(CONNECTOR_GRANT_TYPES), { description: 'Grant types that may use it; empty: all.' }),
  ),
  refresh: Type.Optional(connectorRefresh),
})

export const password = Type.Object({
  email: Type.Optional(text('Name to log in with, in any case, and claim `email`.')),
  hash: Type.Optional(
    text(
      'bcrypt hash of the password with a cost of 10 to 16, or base64 of it. One of `hash` and `hashFromEnv` is needed.',
    ),
  ),
  hashFromEnv: Type.Optional(text('Environment variable that holds the hash; `hash` wins.')),
  username: Type.Optional(text('User name.')),
  name: Type.Optional(text('Claim `name`.', { 'x-default': '`username`' })),
  preferredUsername: Type.Optional(text('Claim `preferred_username`.')),
  emailVerified: Type.Optional(Type.Boolean({ default: true, description: 'Claim `email_verified`.' })),
  userID: Type.Optional(text('Stable id of the person, part of `sub`: never change it.')),
  groups: Type.Optional(listOf('Claim `groups`.')),
})
