/** Keys of how an application says who it is (RFC 6749, 2.3; RFC 7523; RFC 8705). All of them are our own. */
import { Type } from 'typebox'
import { text } from './annotate.ts'

export const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
]

/** Of what a client signs to say who it is. */
export const CLIENT_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519', 'HS256']

const own = { 'x-own': true } as const

/** Of an entry of `staticClients`. */
export const clientAuthentication = {
  tokenEndpointAuthMethod: Type.Optional(
    Type.Enum(AUTH_METHODS, {
      description:
        'How it says who it is at the endpoints for programs. A secret is taken in the header as in the form, whichever of the two is named.',
      'x-default': '`client_secret_basic`, and `none` for a public client without a secret',
      ...own,
    }),
  ),
  tokenEndpointAuthSigningAlg: Type.Optional(
    Type.Enum(CLIENT_ALGORITHMS, {
      description: 'The only algorithm that its assertions may be signed with.',
      'x-default': 'whatever its keys allow',
      ...own,
    }),
  ),
  jwks: Type.Optional(
    Type.Object(
      { keys: Type.Array(Type.Unknown(), { description: 'Public keys (RFC 7517, 4).' }) },
      { description: 'Its public keys, or certificates (`x5c`), as a JSON Web Key Set.', ...own },
    ),
  ),
  jwksURI: Type.Optional(text('Where it publishes that set, in the place of `jwks`.', own)),
  tlsClientAuthSubjectDN: Type.Optional(
    text(
      'Subject of its certificate, such as `CN=app,O=Example,C=DE` (RFC 4514). One of the `tlsClientAuth` keys.',
      own,
    ),
  ),
  tlsClientAuthSanDNS: Type.Optional(text('Or a DNS name of its certificate.', own)),
  tlsClientAuthSanURI: Type.Optional(text('Or a URI of its certificate, such as a SPIFFE id.', own)),
  tlsClientAuthSanIP: Type.Optional(text('Or an address of its certificate.', own)),
  tlsClientAuthSanEmail: Type.Optional(text('Or an e-mail address of its certificate.', own)),
  tlsClientCertificateBoundAccessTokens: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Its access tokens are good only together with the certificate that they were asked for with.',
      ...own,
    }),
  ),
}

/** Of `web`. */
export const clientCertificates = Type.Object(
  {
    ca: Type.Optional(
      text('PEM file of the authorities whose certificates `tls_client_auth` believes. Read again with `tlsCert`.'),
    ),
    header: Type.Optional(
      text(
        'Header in which your proxies hand on the certificate: PEM with percent-encoding, base64 of DER, or as RFC 9440 has it. Believed only from `clientRemoteIP.trustedProxies`.',
      ),
    ),
    address: Type.Optional(
      text(
        'Public address with the path of `issuer` where applications with certificates reach this server, told in discovery as `mtls_endpoint_aliases`: browsers at `issuer` are then not asked.',
      ),
    ),
    verifiedHeader: Type.Optional(
      text('Header in which they say `SUCCESS` when they have checked the certificate against your authorities.'),
    ),
  },
  {
    description:
      'Certificates of applications. With the block, `https` asks whoever connects for one, and goes on without.',
    ...own,
  },
)
