/** From claims of the upstream to an identity; rules and messages are those that Dex operators know. */
import { failure, type Identity } from '../../contract.ts'
import {
  compileFilter,
  type GroupFilter,
  groupsFromClaims,
  readGroups,
  renameGroups,
  restrictToAllowed,
} from './groups.ts'
import type { OidcSettings } from './settings.ts'

/** Members of an ID token or of a userinfo answer. */
export type Claims = Readonly<Record<string, unknown>>

/**
 * Makes the function that reads identities by these settings; the groups filter is compiled once.
 *
 * `complete` says whether the claims are all that the upstream has to say (an ID token) or perhaps not (userinfo alone). Upstreams
 * leave out a groups claim that would be empty, and one that nobody configured: an absent one means "member of none" for
 * somebody with `known` groups, and "not told" for everybody else.
 */
export function identityReader(settings: OidcSettings, requestedScopes: ReadonlySet<string>) {
  const expression = settings.claimModifications?.filterGroupClaims?.groupsFilter
  const filter = expression ? compileFilter(expression) : undefined

  return (claims: Claims, complete: boolean, known: string[] = []): Identity => {
    const subject = required(claims, 'sub', 'missing "sub" claim')
    const nameKey = settings.userNameKey || 'name'
    const username = required(claims, nameKey, `missing "${nameKey}" claim`)
    const emailAsked = requestedScopes.has('email')
    const preferredUsername = mapped(claims, 'preferred_username', settings).value
    const email = mapped(claims, 'email', settings)
    if (email.value === undefined && emailAsked) {
      throw failure('upstream_invalid_response', `missing email claim, not found "${email.key}" key`, {
        safe: 'The identity provider did not send an e-mail address.',
      })
    }
    const emailVerified = verified(claims, settings, emailAsked)
    const groups = groupsOf(claims, settings, filter, { complete, known })
    const userId = settings.userIDKey
      ? required(claims, settings.userIDKey, `oidc: not found ${settings.userIDKey} claim`)
      : subject
    const authentication = authenticationOf(claims)
    return {
      userId,
      username,
      ...(preferredUsername !== undefined && { preferredUsername }),
      ...(email.value !== undefined && { email: email.value }),
      ...(emailVerified !== undefined && { emailVerified }),
      ...(groups !== undefined && { groups }),
      ...(authentication && { authentication }),
    }
  }
}

/** A boolean, also where an upstream writes it as a string; `undefined` for anything else. */
export function booleanClaim(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (value === 'true') return true
  return value === 'false' ? false : undefined
}

function required(claims: Claims, key: string, message: string): string {
  const value = claims[key]
  if (typeof value !== 'string') throw failure('upstream_invalid_response', message)
  return value
}

/** The standard claim, or the mapped one where it is missing or overridden. */
function mapped(claims: Claims, standard: 'preferred_username' | 'email', settings: OidcSettings) {
  const read = (key: string) => (typeof claims[key] === 'string' ? claims[key] : undefined)
  const replacement = settings.claimMapping?.[standard]
  const value = read(standard)
  if (replacement && (value === undefined || settings.overrideClaimMapping)) {
    return { key: replacement, value: read(replacement) }
  }
  return { key: standard, value }
}

function verified(claims: Claims, settings: OidcSettings, emailAsked: boolean): boolean | undefined {
  const told = booleanClaim(claims.email_verified)
  if (told !== undefined) return told
  if (settings.insecureSkipEmailVerified) return true
  if (!emailAsked) return undefined
  throw failure('upstream_invalid_response', 'missing "email_verified" claim; insecureSkipEmailVerified accepts that', {
    safe: 'The identity provider does not say whether the e-mail address is verified. An administrator can accept this with the connector option insecureSkipEmailVerified.',
  })
}

function groupsOf(
  claims: Claims,
  settings: OidcSettings,
  filter: GroupFilter | undefined,
  { complete, known }: { complete: boolean; known: string[] },
): string[] | undefined {
  const makes = settings.claimModifications?.newGroupFromClaims
  const made = groupsFromClaims(claims, makes)
  if (!settings.insecureEnableGroups) return makes && makes.length > 0 ? made : undefined
  const { key, groups: told } = rawGroups(claims, settings)
  if (told === undefined && !complete) return undefined
  const all = told ?? []
  settings.inspectGroups?.(all)
  const single = typeof claims[key] === 'string' // Dex does not filter a claim that is one string
  const filtered = filter && !single ? all.filter(filter) : all
  const allowed = restrictToAllowed(filtered, settings.allowedGroups ?? [])
  const groups = [...renameGroups(allowed, settings.claimModifications?.modifyGroupNames), ...made]
  return told === undefined && groups.length === 0 && known.length === 0 ? undefined : groups
}

/** The groups as sent, from the standard claim or the mapped one. */
export function rawGroups(claims: Claims, settings: OidcSettings): { key: string; groups: string[] | undefined } {
  const replacement = settings.claimMapping?.groups
  const useReplacement = replacement && (!Array.isArray(claims.groups) || settings.overrideClaimMapping)
  const key = useReplacement ? replacement : 'groups'
  return { key, groups: readGroups(claims[key], key) }
}

function authenticationOf(claims: Claims): Identity['authentication'] {
  const { acr, amr, auth_time: time, sid } = claims
  const methods = Array.isArray(amr) && amr.every((method) => typeof method === 'string') ? amr : undefined
  const told = {
    ...(typeof acr === 'string' && { acr }),
    ...(methods && { amr: methods }),
    ...(typeof time === 'number' && { time }),
    ...(typeof sid === 'string' && { sid }),
  }
  return Object.keys(told).length === 0 ? undefined : told
}
