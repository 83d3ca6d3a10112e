/**
 * What a client asks of itself beyond the rules for all: proof of possession, pushed and signed requests, and the FAPI 2.0
 * Security Profile, which is all of these together.
 */
import type { ClientOptions } from './options.ts'

type Profiled = Pick<
  ClientOptions,
  'profile' | 'requirePushedAuthorizationRequests' | 'requireSignedRequestObject' | 'dpop'
>

/** FAPI 2.0 Security Profile, 5.3.2.1. */
export const isFapi = (client: Pick<ClientOptions, 'profile'> | undefined): boolean => client?.profile === 'fapi2'

/** Seconds that a code of a FAPI client lives at most (FAPI 2.0 Security Profile, 5.3.2.1). */
export const fapiCodeLifetime = 60

/** Whether its authorization requests have to be pushed (RFC 9126, 6). */
export const mustPush = (client: Profiled): boolean =>
  isFapi(client) || client.requirePushedAuthorizationRequests === true

/** Whether they have to be a signed request object (RFC 9101, 10.5). */
export const mustSign = (client: Profiled): boolean => client.requireSignedRequestObject === true

/** Whether its access tokens have to be bound to a key of its own by DPoP (RFC 9449). */
export const mustProve = (client: Profiled): boolean => client.dpop === 'required'

/** Signature algorithms that a FAPI client may use (FAPI 2.0 Security Profile, 5.4.1). */
export const fapiAlgorithms: ReadonlySet<unknown> = new Set(['PS256', 'ES256', 'EdDSA', 'Ed25519'])

/** Of request objects. */
export const requestAlgorithms = ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'] as const

/** Of proofs of possession. */
export const proofAlgorithms = ['PS256', 'ES256', 'Ed25519', 'EdDSA'] as const
