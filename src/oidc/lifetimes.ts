/** How long tokens live, for each client: what its entry says, else what the server says. */
import type { ClientOptions, OidcOptions, RefreshTokenOptions } from './options.ts'

type Clients = Pick<ReadonlyMap<string, ClientOptions>, 'get'>

export interface Lifetimes {
  /** Seconds. */
  idTokens(clientId: string | undefined): number
  accessTokens(clientId: string | undefined): number
  refreshTokens(clientId: string | undefined): RefreshTokenOptions
}

export function lifetimesOf({ lifetimes, refreshTokens }: LifetimeOptions, clients: Clients): Lifetimes {
  const of = (clientId: string | undefined) => (clientId === undefined ? undefined : clients.get(clientId))
  return {
    idTokens: (clientId) => of(clientId)?.lifetimes?.idTokens ?? lifetimes.tokens,
    accessTokens: (clientId) => of(clientId)?.lifetimes?.accessTokens ?? lifetimes.tokens,
    refreshTokens: (clientId) => of(clientId)?.refreshTokens ?? refreshTokens,
  }
}

type LifetimeOptions = Pick<OidcOptions, 'lifetimes' | 'refreshTokens'>

/** Seconds that any ID or access token lives at most: so long keys stay published and revocations are remembered. */
export function longestTokenLife({ lifetimes, clients }: Pick<OidcOptions, 'lifetimes' | 'clients'>): number {
  const own = clients.flatMap((client) => (client.lifetimes ? Object.values(client.lifetimes) : []))
  return Math.max(0, lifetimes.tokens, ...own)
}

/** Seconds that any refresh token lives at most after its login; `undefined`: one may live for ever. */
export function longestRefreshLife({
  refreshTokens,
  clients,
}: Pick<OidcOptions, 'refreshTokens' | 'clients'>): number | undefined {
  const all = [refreshTokens, ...clients.flatMap((client) => client.refreshTokens ?? [])]
  const lives = all.map(({ absoluteLifetime }) => absoluteLifetime ?? Number.POSITIVE_INFINITY)
  const longest = Math.max(...lives)
  return Number.isFinite(longest) ? longest : undefined
}
