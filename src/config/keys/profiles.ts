/** Keys of what an application asks of itself beyond the rules for all (RFC 8707, 9068, 9101, 9126, 9449; FAPI 2.0). All are our own. */
import { Type } from 'typebox'
import { listOf, text } from './annotate.ts'

const own = { 'x-own': true } as const

/** Of an entry of `staticClients`. */
export const clientProfile = {
  profile: Type.Optional(
    Type.Enum(['fapi2'], {
      description:
        '`fapi2`: all that the FAPI 2.0 Security Profile asks of a client and of us; see [security profiles](security-profiles.md).',
      ...own,
    }),
  ),
  requirePushedAuthorizationRequests: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Takes its authorization requests only from `/par` (RFC 9126), where every client may push them.',
      ...own,
    }),
  ),
  requireSignedRequestObject: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Takes its authorization requests only as a signed object (RFC 9101), which every client with `jwks` or `jwksURI` may send.',
      ...own,
    }),
  ),
  dpop: Type.Optional(
    Type.Enum(['required', 'optional'], {
      description:
        '`required`: its access tokens are bound to a key that it proves to have (RFC 9449). `optional`: where it sends a proof.',
      'x-default': '`optional`; `required` with `profile: fapi2` unless its tokens are bound to its certificate',
      ...own,
    }),
  ),
  accessToken: Type.Optional(
    Type.Object(
      { audience: text('Their `aud`, such as `api://default`.', { minLength: 1 }) },
      {
        description:
          'Access tokens of RFC 9068 (`typ: at+jwt`, with `client_id` and `scope`) in the place of Dex’s, which look like ID tokens.',
        ...own,
      },
    ),
  ),
  resources: Type.Optional(
    listOf(
      'Resources that it may ask tokens for (`resource`, RFC 8707), compared as text. Without the key the parameter is passed over.',
      own,
    ),
  ),
}

/** Of `oauth2`. */
export const dpop = Type.Object(
  {
    requireNonce: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Takes only proofs with a nonce that we gave out (RFC 9449, 8). Clients then ask twice at first.',
      }),
    ),
  },
  { description: 'Proofs of possession (RFC 9449).', ...own },
)
