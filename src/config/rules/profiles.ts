/** What applications ask of themselves: `profile`, `dpop`, pushed and signed requests, resources. */
import type { ClientOptions, SignerOptions } from '../../oidc/options.ts'
import { fapiAlgorithms } from '../../oidc/profile.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'

type Entry = Part<'staticClients'>[number]

type Profile = Pick<
  ClientOptions,
  'profile' | 'requirePushedAuthorizationRequests' | 'requireSignedRequestObject' | 'dpop' | 'accessToken' | 'resources'
>

export const readProfile = (
  entry: Entry,
  {
    authentication,
    keys,
    certificateBoundTokens,
  }: Pick<ClientOptions, 'authentication' | 'keys' | 'certificateBoundTokens'>,
  pointer: string,
  reading: Reading,
): Profile => {
  const { report } = reading
  const at = (key: keyof Entry) => child(pointer, key)
  const fapi = entry.profile === 'fapi2'
  if (entry.requireSignedRequestObject && !keys && !report.broken(at('jwks')) && !report.broken(at('jwksURI')))
    report.fault(at('requireSignedRequestObject'), 'needs the public keys of the client: jwks or jwksURI')
  if (entry.dpop === 'required' && certificateBoundTokens)
    report.fault(
      at('dpop'),
      'is required beside tlsClientCertificateBoundAccessTokens: a token is bound to one of the two',
    )
  for (const [index, resource] of (entry.resources ?? []).entries()) {
    const fault = resourceFault(resource)
    if (fault) report.fault(child(at('resources'), index), fault)
  }
  if (fapi) checkFapi(entry, authentication, Boolean(certificateBoundTokens), pointer, reading)
  const proves = entry.dpop === 'required' || (fapi && !certificateBoundTokens)
  const { audience } = entry.accessToken ?? {}
  return {
    ...(fapi && { profile: 'fapi2' }),
    ...(entry.requirePushedAuthorizationRequests && { requirePushedAuthorizationRequests: true }),
    ...(entry.requireSignedRequestObject && { requireSignedRequestObject: true }),
    ...(proves && { dpop: 'required' }),
    ...(audience !== undefined && { accessToken: { audience } }),
    ...(entry.resources && entry.resources.length > 0 && { resources: entry.resources }),
  }
}

/** RFC 8707, 2. */
const resourceFault = (resource: string): string | undefined => {
  if (!URL.canParse(resource) || /\s/.test(resource))
    return 'must be an absolute address such as https://api.example.com'
  return resource.includes('#') ? 'must not have a fragment (RFC 8707, 2)' : undefined
}

/** FAPI 2.0 Security Profile, 5.3.2. */
const checkFapi = (
  entry: Entry,
  authentication: ClientOptions['authentication'],
  certificateBound: boolean,
  pointer: string,
  { report }: Reading,
): void => {
  const at = (key: keyof Entry) => child(pointer, key)
  const method = authentication?.method
  if (entry.public)
    report.fault(at('profile'), 'is fapi2, but the client is public: FAPI is for clients that prove who they are')
  else if ((!method || method === 'client_secret_jwt') && !report.broken(at('tokenEndpointAuthMethod')))
    report.fault(
      at('profile'),
      'is fapi2, which takes no secrets: set tokenEndpointAuthMethod to private_key_jwt, tls_client_auth or self_signed_tls_client_auth',
    )
  const algorithm = entry.tokenEndpointAuthSigningAlg
  if (algorithm && !fapiAlgorithms.has(algorithm))
    report.fault(at('tokenEndpointAuthSigningAlg'), 'must be PS256, ES256 or EdDSA with profile: fapi2')
  if (entry.pkce === 'optional') report.fault(at('pkce'), 'is optional, but profile: fapi2 needs it')
  if (entry.dpop === 'optional' && !certificateBound)
    report.fault(
      at('dpop'),
      'is optional, but profile: fapi2 binds tokens: take it out, or set tlsClientCertificateBoundAccessTokens',
    )
  const uris = entry.redirectURIs ?? []
  if (uris.length === 0) report.fault(at('profile'), 'is fapi2, which needs redirectURIs')
  for (const [index, uri] of uris.entries()) {
    if (URL.canParse(uri) && new URL(uri).protocol === 'http:')
      report.fault(child(at('redirectURIs'), index), 'is http, which profile: fapi2 does not allow')
  }
}

/** What FAPI asks of our signatures. */
export const checkFapiServer = (entries: Part<'staticClients'>, signer: SignerOptions, { report }: Reading): void => {
  for (const [index, { profile, signingAlgorithm }] of entries.entries()) {
    // What a key of Vault is for shows when it is asked.
    const algorithm = signingAlgorithm ?? (signer.type === 'local' ? signer.algorithm : undefined)
    if (profile !== 'fapi2' || algorithm === undefined || fapiAlgorithms.has(algorithm)) continue
    report.fault(
      child(child('/staticClients', index), signingAlgorithm ? 'signingAlgorithm' : 'profile'),
      `is ${signingAlgorithm ?? 'fapi2'}, but FAPI takes no tokens signed with ${algorithm}: set signingAlgorithm to ES256`,
    )
  }
}
