/** How clients may say who they are: what the engine is told, and what discovery tells. */
import { type ClientAuthMethod, type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { subjectMatches } from './certificates.ts'
import type { CertificateSubject, ClientOptions, OidcOptions } from './options.ts'
import { fapiAlgorithms } from './profile.ts'
import { stateOf } from './state.ts'

type Method = NonNullable<ClientOptions['authentication']>['method']

/** Of those that somebody uses, in the order of discovery. */
const methods: readonly Method[] = [
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
]

/** Algorithms of assertions. */
const algorithms = {
  client_secret_jwt: ['HS256'],
  private_key_jwt: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
} as const

/** Seconds: an assertion that is good for longer has to be remembered for longer, and is refused. */
const longestAssertion = 3600

type AuthenticationOptions = Pick<OidcOptions, 'clients' | 'dynamicClients'>

export interface UsedAuthentication {
  methods: Method[]
  algorithms: string[]
  certificateBoundTokens: boolean
}

/** What of all this the clients of this server use. */
export function usedAuthentication({ clients, dynamicClients }: AuthenticationOptions): UsedAuthentication {
  const used = new Set(clients.flatMap(({ authentication }) => authentication?.method ?? []))
  // Clients that come from elsewhere need a way to prove who they are that shares no secret.
  if (dynamicClients) used.add('private_key_jwt')
  return {
    methods: methods.filter((method) => used.has(method)),
    algorithms: (['client_secret_jwt', 'private_key_jwt'] as const).flatMap((method) =>
      used.has(method) ? algorithms[method] : [],
    ),
    certificateBoundTokens: clients.some(({ certificateBoundTokens }) => certificateBoundTokens),
  }
}

/** The engine's settings: it does the checking. */
export function authenticationSettings(options: AuthenticationOptions) {
  const used = usedAuthentication(options)
  const uses = (method: Method) => used.methods.includes(method)
  return {
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', ...used.methods] as ClientAuthMethod[],
    enabledJWA: {
      clientAuthSigningAlgValues: used.algorithms.length > 0 ? used.algorithms : [...algorithms.private_key_jwt],
    } as NonNullable<Configuration['enabledJWA']>,
    // FAPI 2.0 Security Profile, 5.3.2.1: clocks of clients may be ahead.
    clockTolerance: 10,
    assertJwtClientAuthClaimsAndHeader: async (
      { oidc }: KoaContextWithOIDC,
      claims: Record<string, unknown>,
      { alg }: Record<string, unknown>,
    ) => {
      if (oidc.isFapi('2.0')) {
        // FAPI 2.0 Security Profile, 5.3.2.1 and 5.4.1.
        if (claims.aud !== oidc.issuer)
          throw new errors.InvalidClientAuth('aud must be the issuer, and nothing beside it')
        if (!fapiAlgorithms.has(alg))
          throw new errors.InvalidClientAuth(`alg must be ${[...fapiAlgorithms].join(', ')}`)
      }
      if (Number(claims.exp) > Date.now() / 1000 + longestAssertion) {
        throw new errors.InvalidClientAuth(`exp must be within ${longestAssertion / 60} minutes`)
      }
    },
    mTLS: {
      enabled: uses('tls_client_auth') || uses('self_signed_tls_client_auth') || used.certificateBoundTokens,
      tlsClientAuth: uses('tls_client_auth'),
      selfSignedTlsClientAuth: uses('self_signed_tls_client_auth'),
      certificateBoundAccessTokens: used.certificateBoundTokens,
      getCertificate: (ctx: KoaContextWithOIDC) => certificateOf(ctx)?.certificate,
      certificateAuthorized: (ctx: KoaContextWithOIDC) => certificateOf(ctx)?.authorized ?? false,
      certificateSubjectMatches: (ctx: KoaContextWithOIDC, property: string, expected: string) => {
        const { certificate } = certificateOf(ctx) ?? {}
        return (
          certificate !== undefined && subjectMatches(certificate, property as CertificateSubject['property'], expected)
        )
      },
    },
  }
}

const certificateOf = (ctx: KoaContextWithOIDC) => stateOf(ctx).certificate?.()

/** What is told of a refused client. Of secrets nothing: which ids exist and which secret was near is nobody's business. */
export function refusalOf(ctx: KoaContextWithOIDC, error: errors.OIDCProviderError): string {
  const method = ctx.oidc.client?.tokenEndpointAuthMethod ?? ''
  if (!(methods as readonly string[]).includes(method)) return 'Invalid client credentials.'
  const cause = error.cause instanceof Error ? error.cause.message : undefined
  return `Invalid client credentials: ${error.error_detail ?? cause ?? 'the assertion was not accepted'}`
}

/** Members of the discovery document (RFC 8414, 2; RFC 8705, 3.3 and 5); `endpoints` by name, as paths. */
export function authenticationMembers(
  options: OidcOptions,
  endpoints: Record<string, string>,
): Record<string, unknown> {
  const used = usedAuthentication(options)
  const each = (name: string, values: string[]) =>
    ['token', 'revocation', 'introspection'].map((endpoint) => [`${endpoint}_endpoint_auth_${name}_supported`, values])
  const aliases = Object.entries(endpoints).map(([name, path]) => [name, `${options.certificateAddress}${path}`])
  return {
    ...Object.fromEntries(each('methods', ['client_secret_basic', 'client_secret_post', ...used.methods])),
    ...(used.algorithms.length > 0 && Object.fromEntries(each('signing_alg_values', used.algorithms))),
    ...(used.certificateBoundTokens && { tls_client_certificate_bound_access_tokens: true }),
    ...(options.certificateAddress !== undefined && { mtls_endpoint_aliases: Object.fromEntries(aliases) }),
  }
}
