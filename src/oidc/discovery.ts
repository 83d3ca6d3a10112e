/** The discovery document (OpenID Connect Discovery 1.0, 4), with Dex's members in Dex's order. */
import { authenticationMembers } from './client-auth.ts'
import type { OidcOptions } from './options.ts'
import { profileMembers, signedModes } from './profile-members.ts'
import { servedResponseTypes, spelledOut } from './response-types.ts'
import { listedScopes } from './scopes.ts'

/** Paths below the issuer, as Dex has them; revocation is ours (RFC 7009). */
export const paths = {
  authorization: '/auth',
  token: '/token',
  pushed: '/par',
  keys: '/keys',
  userinfo: '/userinfo',
  deviceAuthorization: '/device/code',
  device: '/device',
  introspection: '/token/introspect',
  revocation: '/token/revoke',
  logout: '/logout',
  registration: '/register',
  discovery: '/.well-known/openid-configuration',
} as const

const oktaNames = {
  authorization: 'authorize',
  token: 'token',
  pushed: 'par',
  keys: 'keys',
  userinfo: 'userinfo',
  deviceAuthorization: 'device/authorize',
  introspection: 'introspect',
  revocation: 'revoke',
  logout: 'logout',
} satisfies Partial<Record<keyof typeof paths, string>>

/** Where Okta serves the discovery document besides (RFC 8414, though below the issuer). */
export const oktaDiscovery = '/.well-known/oauth-authorization-server'

/**
 * Paths of a layout, by the path that Dex has for the same endpoint; empty for Dex's own. Okta's stand at `/v1/…` below an
 * issuer with `/oauth2` in its path, and at `/oauth2/v1/…` below any other, as Okta's libraries make them.
 */
export function layoutAliases({ issuer, layout }: Pick<OidcOptions, 'issuer' | 'layout'>): ReadonlyMap<string, string> {
  if (layout !== 'okta') return new Map()
  const folder = new URL(issuer).pathname.includes('/oauth2') ? '/v1' : '/oauth2/v1'
  return new Map(
    Object.entries(oktaNames).map(([name, okta]) => [paths[name as keyof typeof oktaNames], `${folder}/${okta}`]),
  )
}

/** Where a client may have to show its certificate. */
const certificateEndpoints = {
  token_endpoint: paths.token,
  pushed_authorization_request_endpoint: paths.pushed,
  userinfo_endpoint: paths.userinfo,
  device_authorization_endpoint: paths.deviceAuthorization,
  introspection_endpoint: paths.introspection,
  revocation_endpoint: paths.revocation,
}

export function discoveryDocument(options: OidcOptions, algorithms: readonly string[]): object {
  const { issuer, grantTypes, responseTypes, pkce, sessions, dynamicClients } = options
  const base = issuer.replace(/\/$/, '')
  const aliases = layoutAliases(options)
  const at = (path: string): string => `${base}${aliases.get(path) ?? path}`
  return {
    issuer,
    authorization_endpoint: at(paths.authorization),
    token_endpoint: at(paths.token),
    jwks_uri: at(paths.keys),
    userinfo_endpoint: at(paths.userinfo),
    device_authorization_endpoint: at(paths.deviceAuthorization),
    introspection_endpoint: at(paths.introspection),
    revocation_endpoint: at(paths.revocation),
    end_session_endpoint: at(paths.logout),
    ...(sessions && {
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      frontchannel_logout_supported: true,
      frontchannel_logout_session_supported: true,
    }),
    ...(dynamicClients?.registration && { registration_endpoint: `${base}${paths.registration}` }),
    grant_types_supported: grantTypes.toSorted(),
    response_types_supported: listedResponseTypes(responseTypes),
    response_modes_supported: ['query', 'fragment', 'form_post', ...signedModes],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
    // Only clients that do not stand in the file can ask for it.
    ...(dynamicClients && { userinfo_signing_alg_values_supported: algorithms.slice(0, 1) }),
    authorization_signing_alg_values_supported: algorithms,
    code_challenge_methods_supported: pkce.methods,
    scopes_supported: listedScopes,
    ...(dynamicClients?.documents && { client_id_metadata_document_supported: true }),
    ...authenticationMembers(options, certificateEndpoints),
    claims_supported: [
      'iss',
      'sub',
      'aud',
      'iat',
      'exp',
      'email',
      'email_verified',
      'locale',
      'name',
      'preferred_username',
      'at_hash',
      'groups',
      'federated_claims',
      ...(sessions ? ['sid'] : []),
      'acr',
      'amr',
      'auth_time',
    ],
    claims_parameter_supported: true,
    ...profileMembers(options, at(paths.pushed)),
    request_uri_parameter_supported: false,
    authorization_response_iss_parameter_supported: true,
  }
}

/** What is configured, as Dex lists it, with all that it lets clients ask for. */
const listedResponseTypes = (configured: readonly string[]): string[] =>
  [...new Set([...configured.map(spelledOut), ...servedResponseTypes(configured)])].sort()
