/** The scopes that clients can ask for; those that discovery lists, and Dex's own. */

/** In the order of Dex's discovery document. */
export const listedScopes = ['openid', 'email', 'groups', 'profile', 'offline_access'] as const

/** Brings `federated_claims`. */
export const federatedId = 'federated:id'

/** Asks for a token that another client accepts as well. */
const audiencePrefix = 'audience:server:client_id:'

const known: ReadonlySet<string> = new Set([...listedScopes, federatedId])

/** Separated by any white space, each once, in their order. */
export const splitScopes = (scope: string | undefined): string[] => [
  ...new Set((scope ?? '').split(/\s+/).filter((word) => word !== '')),
]

/** The scope that names a client as audience. */
export const audienceScope = (client: string): string => `${audiencePrefix}${client}`

/** The client that a scope names as audience. */
export const peerOf = (scope: string): string | undefined =>
  scope.startsWith(audiencePrefix) ? scope.slice(audiencePrefix.length) : undefined

export interface TrustingClients {
  get(id: string): { trustedPeers: readonly string[]; allowedScopes?: readonly string[] } | undefined
}

/** Whether `client` may name `peer` as audience: itself always, another one that lists it in `trustedPeers`. */
export const mayNameAudience = (client: string, peer: string, clients: TrustingClients): boolean =>
  peer === client || (clients.get(peer)?.trustedPeers.includes(client) ?? false)

export interface ScopeFaults {
  unknown: string[]
  untrusted: string[]
}

/** What of the scopes a client cannot ask for. */
export function scopeFaults(scopes: readonly string[], client: string, clients: TrustingClients): ScopeFaults {
  const peers = scopes.filter((scope) => peerOf(scope) !== undefined)
  const { allowedScopes } = clients.get(client) ?? {}
  const mayAsk = (scope: string) => known.has(scope) && (allowedScopes === undefined || allowedScopes.includes(scope))
  return {
    unknown: scopes.filter((scope) => !mayAsk(scope) && !peers.includes(scope)),
    untrusted: peers.filter((scope) => !mayNameAudience(client, peerOf(scope)!, clients)),
  }
}
