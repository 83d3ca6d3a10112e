/** What is wrong with an authorization request by what its client asks of itself, see profile.ts. */
import { type AuthorizationParams, clip, type Fault, type JudgeContext } from './authorization-request.ts'
import type { ClientOptions } from './options.ts'
import { isFapi, mustProve, mustPush, mustSign } from './profile.ts'
import { bringsTokens, spelledOut } from './response-types.ts'

/** What the client asks of its own requests. */
export function profileFault(
  params: AuthorizationParams,
  client: ClientOptions,
  via: JudgeContext['via'],
): Fault | undefined {
  if (via !== 'pushed' && mustPush(client)) {
    return ['invalid_request', 'this client has to push its authorization requests (RFC 9126)']
  }
  if (via === undefined && mustSign(client)) {
    return [
      'invalid_request',
      'this client has to send its authorization requests as a signed request object (RFC 9101)',
    ]
  }
  if (isFapi(client) && params.code_challenge !== undefined && params.code_challenge_method !== 'S256') {
    return ['invalid_request', 'code_challenge_method must be S256']
  }
  if ((isFapi(client) || mustProve(client)) && bringsTokens(spelledOut(params.response_type ?? ''))) {
    return ['unsupported_response_type', 'this client gets tokens at the token endpoint only: response_type=code']
  }
  if (params.dpop_jkt !== undefined && !/^[\w-]{43}$/.test(params.dpop_jkt)) {
    return ['invalid_request', 'dpop_jkt must be the SHA-256 thumbprint of a key (RFC 9449, 10)']
  }
  return undefined
}

/** A client for which no resource is configured is served as Dex does, which knows none. */
export function resourceFault(
  resources: readonly string[],
  { resources: allowed = [] }: ClientOptions,
): Fault | undefined {
  if (allowed.length === 0) return undefined
  const other = resources.find((resource) => !allowed.includes(resource))
  return other === undefined ? undefined : ['invalid_target', `this client may not ask for the resource ${clip(other)}`]
}
