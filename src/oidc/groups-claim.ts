/** Claim `groups` where somebody has none: absent and empty stay apart for clients that want it so. */
import type { Identity } from '../../connectors/contract.ts'
import type { ClientOptions } from './options.ts'

export type GroupsRule = Pick<ClientOptions, 'groupsClaim'>

/** The value of the claim, or `undefined` for none. */
export function groupsClaim(
  { groups }: Identity,
  { groupsClaim: rule = 'omit' }: GroupsRule = {},
): string[] | undefined {
  return groups && (groups.length > 0 || rule !== 'omit') ? groups : undefined
}

/**
 * Why somebody cannot have tokens: the client wants to know their groups, and the upstream has never said.
 * @param scopes those that were granted, with those of single claims
 */
export function groupsFault(
  { groups }: Identity,
  scopes: readonly string[],
  client: GroupsRule | undefined,
): string | undefined {
  if (client?.groupsClaim !== 'fail' || groups !== undefined || !scopes.includes('groups')) return undefined
  return 'The application needs to know your groups, and the identity provider did not say which you are in.'
}
