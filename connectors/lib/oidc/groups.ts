/** Groups: read from a claim, filtered, renamed, and made of other claims, in Dex's order. */
import { RE2JS } from 're2js'
import { failure } from '../../contract.ts'
import type { Claims } from './claims.ts'
import type { SharedConfig } from './options.ts'

/** Whether a name is kept. Expressions are RE2, so that no operator's filter can take exponential time. */
export type GroupFilter = (name: string) => boolean

/** `undefined`: the expression is not valid RE2. */
export function compileFilter(expression: string): GroupFilter | undefined {
  try {
    const compiled = RE2JS.compile(expression)
    return (name) => compiled.matcher(name).find()
  } catch {
    return undefined
  }
}

/**
 * The names in a groups claim: an array of strings, or of objects with `name`, or one string.
 * @returns `undefined` when the claim is absent or of another kind
 * @throws ConnectorFailure `upstream_invalid_response` when an entry is neither
 */
export function readGroups(value: unknown, claim: string): string[] | undefined {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return undefined
  return value.flatMap((entry: unknown) => {
    if (typeof entry === 'string') return [entry]
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      throw failure('upstream_invalid_response', `malformed "${claim}" claim`)
    }
    const { name } = entry as { name?: unknown }
    return typeof name === 'string' ? [name] : []
  })
}

/**
 * Keeps those of `groups` that one may have here.
 * @throws ConnectorFailure `not_in_required_groups` when `allowed` is not empty and none of them is in it
 */
export function restrictToAllowed(groups: string[], allowed: readonly string[]): string[] {
  if (allowed.length === 0) return groups
  const kept = groups.filter((name) => allowed.includes(name))
  if (kept.length === 0) throw failure('not_in_required_groups', 'user not a member of allowed groups')
  return kept
}

/** `modifyGroupNames`. */
export function renameGroups(groups: string[], names: { prefix?: string; suffix?: string } = {}): string[] {
  const { prefix = '', suffix = '' } = names
  return groups.map((name) => prefix + name + suffix)
}

type NewGroup = NonNullable<NonNullable<SharedConfig['claimModifications']>['newGroupFromClaims']>[number]

/** `newGroupFromClaims`: one group for each rule of which at least one claim is a string. */
export function groupsFromClaims(claims: Claims, rules: readonly NewGroup[] = []): string[] {
  return rules.flatMap(({ claims: names = [], delimiter = '', clearDelimiter = false, prefix = '' }) => {
    const values = names.map((name) => claims[name]).filter((value) => typeof value === 'string')
    const parts = clearDelimiter && delimiter !== '' ? values.map((value) => value.replaceAll(delimiter, '')) : values
    return parts.length === 0 ? [] : [[prefix, ...parts].join(delimiter)]
  })
}
