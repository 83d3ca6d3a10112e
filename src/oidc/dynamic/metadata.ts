/**
 * What a client says of itself (RFC 7591, 2), judged and brought into the terms of a configured one. The engine has looked
 * at its form already; here stands what this server asks of clients that nobody vouches for.
 */
import { errors } from 'oidc-provider'
import { deviceGrant } from '../device.ts'
import type { ClientAuthentication, ClientKeys, ClientOptions } from '../options.ts'
import { registrable } from '../redirects.ts'
import { listedScopes, splitScopes } from '../scopes.ts'
import type { DynamicClientOptions } from './options.ts'

export type RegisteredMetadata = Record<string, unknown>

/** What a stranger's client may be given: nothing that needs no person, and nothing that stands for another client. */
const grantTypes = new Set(['authorization_code', 'refresh_token', deviceGrant])

/** A document is written for every server there is: what this one does not give is left out of it. */
export const withoutForeignGrants = (metadata: RegisteredMetadata): RegisteredMetadata => ({
  ...metadata,
  grant_types: listOf(metadata.grant_types).filter((grant) => grantTypes.has(grant)),
  response_types: listOf(metadata.response_types).filter((type) => type === 'code'),
})

const longestName = 100
const mostRedirects = 20
const longestText = 2_000
/** Letters of everything together. */
const largest = 32 * 1024

type Policy = Pick<DynamicClientOptions, 'allowedScopes' | 'allowedConnectors'>

/** @throws errors.InvalidClientMetadata, errors.InvalidRedirectUri with a sentence for the developer (RFC 7591, 3.2.2) */
export function judgeMetadata(metadata: RegisteredMetadata, policy: Policy): void {
  const refuse = (sentence: string): never => {
    throw new errors.InvalidClientMetadata(sentence)
  }
  if (JSON.stringify(metadata).length > largest) refuse('the metadata is too large')
  const name = metadata.client_name
  if (typeof name === 'string' && (name.length > longestName || /\p{C}/u.test(name))) {
    refuse(`client_name must be visible text of at most ${longestName} letters`)
  }
  const forbidden = listOf(metadata.grant_types).filter((grant) => !grantTypes.has(grant))
  if (forbidden.length > 0) refuse(`grant_types must not include ${forbidden.join(', ')} here`)
  if (listOf(metadata.response_types).some((type) => type !== 'code')) refuse('response_types may only hold code here')
  if (metadata.token_endpoint_auth_method === 'client_secret_jwt') {
    refuse('token_endpoint_auth_method must not be client_secret_jwt: only a hash of the secret is kept')
  }
  if (metadata.jwks_uri !== undefined && !String(metadata.jwks_uri).startsWith('https://')) {
    refuse('jwks_uri must start with https://')
  }
  if (typeof metadata.scope === 'string') {
    const asked = splitScopes(metadata.scope)
    const unknown = asked.filter((scope) => !allowedScopes(policy).includes(scope))
    if (unknown.length > 0) refuse(`scope must not include ${unknown.join(' ').slice(0, 200)}`)
    if (!asked.includes('openid')) refuse('scope must include openid')
  }
  for (const member of ['redirect_uris', 'post_logout_redirect_uris']) {
    const uris = metadata[member] ?? []
    if (!isTextList(uris)) throw new errors.InvalidClientMetadata(`${member} must be an array of strings`)
    if (uris.length > mostRedirects) refuse(`${member} must not have more than ${mostRedirects} members`)
    for (const uri of uris) {
      const fault = uri.length > longestText ? 'is too long' : registrable(uri)
      if (fault) throw new errors.InvalidRedirectUri(`${member}: "${uri.slice(0, 100)}" ${fault}`)
    }
  }
}

/** A judged client, as the rest of this server knows clients. It is trusted by no other and trusts none. */
export function optionsOf(
  id: string,
  metadata: RegisteredMetadata,
  origin: NonNullable<ClientOptions['origin']>,
  policy: Policy,
): ClientOptions {
  const { client_name: name, client_secret: secretHash, scope } = metadata
  const authentication = authenticationOf(metadata)
  const keys = keysOf(metadata)
  const links = linksOf(metadata)
  const isPublic = metadata.token_endpoint_auth_method === 'none'
  return {
    id,
    name: typeof name === 'string' && name.trim() !== '' ? name : hostOf(id),
    public: isPublic,
    // Whatever else is configured: nothing but the challenge ties its code to it (RFC 9700, 2.1.1).
    ...(isPublic && { pkce: 'required' }),
    ...(typeof secretHash === 'string' && !authentication && !isPublic && { secretHash }),
    ...(authentication && { authentication }),
    ...(keys && { keys }),
    ...(metadata.tls_client_certificate_bound_access_tokens === true && { certificateBoundTokens: true }),
    // The algorithm of a document is nobody's promise.
    ...(origin === 'registration' && metadata.userinfo_signed_response_alg !== undefined && { signedUserinfo: true }),
    ...(links && { links }),
    ...(metadata.dpop_bound_access_tokens === true && { dpop: 'required' as const }),
    ...(metadata.require_pushed_authorization_requests === true && { requirePushedAuthorizationRequests: true }),
    ...(metadata.require_signed_request_object === true && { requireSignedRequestObject: true }),
    redirectURIs: listOf(metadata.redirect_uris),
    postLogoutRedirectURIs: listOf(metadata.post_logout_redirect_uris),
    trustedPeers: [],
    allowedConnectors: policy.allowedConnectors,
    allowedScopes: typeof scope === 'string' ? splitScopes(scope) : allowedScopes(policy),
    origin,
    registered: metadata,
  }
}

const allowedScopes = ({ allowedScopes = [...listedScopes] }: Policy): string[] => allowedScopes

function authenticationOf(metadata: RegisteredMetadata): ClientAuthentication | undefined {
  const algorithm = metadata.token_endpoint_auth_signing_alg
  switch (metadata.token_endpoint_auth_method) {
    case 'private_key_jwt':
      return { method: 'private_key_jwt', ...(typeof algorithm === 'string' && { algorithm }) }
    case 'self_signed_tls_client_auth':
      return { method: 'self_signed_tls_client_auth' }
    case 'tls_client_auth': {
      const found = Object.entries(metadata).find(([name]) => /^tls_client_auth_(subject_dn|san_\w+)$/.test(name))
      const [property, value] = found ?? ['tls_client_auth_subject_dn', '']
      return {
        method: 'tls_client_auth',
        subject: { property: property as 'tls_client_auth_subject_dn', value: String(value) },
      }
    }
    default:
      return undefined
  }
}

/** Pictures are not among them: one that a stranger chose could pass for somebody else. */
function linksOf({ policy_uri: policy, tos_uri: terms }: RegisteredMetadata): ClientOptions['links'] {
  const links = { ...(isPage(policy) && { policy }), ...(isPage(terms) && { terms }) }
  return Object.keys(links).length === 0 ? undefined : links
}

const isPage = (uri: unknown): uri is string => typeof uri === 'string' && /^https?:\/\//i.test(uri)

function keysOf({ jwks, jwks_uri }: RegisteredMetadata): ClientKeys | undefined {
  if (jwks !== undefined) return { jwks: jwks as { keys: Record<string, unknown>[] } }
  return typeof jwks_uri === 'string' ? { jwksURI: jwks_uri } : undefined
}

const isTextList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string')

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])

const hostOf = (id: string): string => URL.parse(id)?.host || id
