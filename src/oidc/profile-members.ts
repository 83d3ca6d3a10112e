/** What discovery tells of pushed and signed requests, signed answers and proofs of possession. */
import { modes } from './modes.ts'
import type { OidcOptions } from './options.ts'
import { fapiAlgorithms, isFapi, proofAlgorithms, requestAlgorithms } from './profile.ts'

/** JARM, 2.3. */
export const signedModes = ['jwt', modes.queryJwt, modes.fragmentJwt, modes.formPostJwt] as const

/** RFC 9126, 5; RFC 9101, 10.5; RFC 9449, 5.1. Request objects are taken of clients whose keys are known. */
export function profileMembers({ clients = [] }: Pick<OidcOptions, 'clients'>, pushedEndpoint: string): object {
  const signing = clients.filter(({ keys }) => keys !== undefined)
  const algorithms = requestAlgorithms.filter((name) => !signing.every(isFapi) || fapiAlgorithms.has(name))
  return {
    pushed_authorization_request_endpoint: pushedEndpoint,
    dpop_signing_alg_values_supported: proofAlgorithms,
    request_parameter_supported: signing.length > 0,
    ...(signing.length > 0 && { request_object_signing_alg_values_supported: algorithms }),
  }
}
