/** Keys of single sign-on sessions. */
import { Type } from 'typebox'
import { duration, listOf, text } from './annotate.ts'

export const sessions = Type.Object(
  {
    cookieName: Type.Optional(
      text('Name of the cookie.', {
        'x-default': '`dex_session`, with the prefix `__Host-` or `__Secure-` when the issuer is https',
      }),
    ),
    absoluteLifetime: Type.Optional(duration('Life since the login.', '24h')),
    validIfNotUsedFor: Type.Optional(duration('Life since the last use.', '1h')),
    rememberMeCheckedByDefault: Type.Optional(
      Type.Boolean({ description: 'Whether the box is ticked.', 'x-default': 'true' }),
    ),
    cookieEncryptionKey: Type.Optional(text('Encrypts the cookie: 16, 24 or 32 bytes.')),
    formerCookieEncryptionKeys: Type.Optional(
      listOf('Keys that cookies may still be encrypted with, after `cookieEncryptionKey` was changed.', {
        'x-own': true,
      }),
    ),
    ssoSharedWithDefault: Type.Optional(
      Type.Enum(['', 'none', 'all'], {
        description: 'Who shares sessions unless a client says so.',
        'x-default': 'none',
      }),
    ),
  },
  { description: 'Single sign-on sessions. Without the block every login asks the upstream.' },
)
