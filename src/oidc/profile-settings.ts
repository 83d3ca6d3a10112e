/** What the engine is told of pushed and signed requests, proofs of possession, resources and FAPI: it does the checking. */
import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { ClientOptions, OidcOptions } from './options.ts'
import { fapiAlgorithms, isFapi, proofAlgorithms, requestAlgorithms } from './profile.ts'
import { federatedId, listedScopes } from './scopes.ts'
import { currentState, stateOf } from './state.ts'

type Features = NonNullable<Configuration['features']>

export interface ProfileContext {
  options: Pick<OidcOptions, 'dpop'>
  clients: { get(id: string): ClientOptions | undefined }
  nonceSecret: Buffer
}

export const profileAlgorithms = {
  requestObjectSigningAlgValues: [...requestAlgorithms],
  dPoPSigningAlgValues: [...proofAlgorithms],
} satisfies Configuration['enabledJWA']

/** Seconds between `nbf` and `exp` of a request object at most (FAPI 2.0 Message Signing, 5.3.1). */
const longestRequest = 3600

export function profileFeatures({ options, clients, nonceSecret }: ProfileContext) {
  const optionsOf = (client: { clientId: string } | undefined) => client && clients.get(client.clientId)
  return {
    // Where a pushed or signed request is taken apart; what it asks for is ours, see claims-request.ts.
    claimsParameter: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    requestObjects: {
      enabled: true,
      assertJwtClaimsAndHeader: async (ctx, claims, header, client) =>
        checkRequestObject(ctx, claims, header, optionsOf(client)),
    },
    dPoP: { enabled: true, nonceSecret, requireNonce: () => options.dpop?.requireNonce ?? false },
    fapi: { enabled: true, profile: (_ctx, client) => (isFapi(optionsOf(client)) ? '2.0' : undefined) },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, _client, oneOf) => oneOf as never,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource, client) => {
        if (!optionsOf(client)?.resources?.includes(resource)) {
          throw new errors.InvalidTarget('this client may not ask for that resource')
        }
        const scopes = currentState().source?.scopes ?? [...listedScopes, federatedId]
        return { scope: scopes.join(' '), audience: resource }
      },
    },
  } satisfies Features
}

/** Every request object passes here, those that the engine makes of pushed parameters too. */
function checkRequestObject(
  ctx: KoaContextWithOIDC,
  claims: Record<string, unknown>,
  header: Record<string, unknown>,
  client: ClientOptions | undefined,
): void {
  const ours = 'PushedAuthorizationRequest' in ctx.oidc.entities
  const { scope, exp, nbf, aud } = claims
  if (typeof scope === 'string') stateOf(ctx).askedScope = scope
  if (ours) return
  if (!client?.keys) throw new errors.RequestNotSupported('request objects are not supported for this client')
  if (!isFapi(client)) return
  if (!fapiAlgorithms.has(header.alg))
    throw new errors.InvalidRequestObject('Request Object alg is not allowed by FAPI 2.0')
  if (typeof exp !== 'number' || typeof nbf !== 'number' || aud === undefined) {
    throw new errors.InvalidRequestObject("Request Object must have the claims 'exp', 'nbf' and 'aud'")
  }
  if (exp <= nbf || exp - nbf > longestRequest) {
    throw new errors.InvalidRequestObject("Request Object 'exp' claim too far from 'nbf' claim")
  }
}
