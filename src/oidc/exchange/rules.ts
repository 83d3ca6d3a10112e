/** Which rule of a client a token fits, and who its bearer is by that rule. */
import type { Identity } from '../../../connectors/contract.ts'
import { compileGlob, type Glob } from '../../lib/glob.ts'
import { decodeSubject } from '../subject.ts'
import { SubjectTokenRefused } from './issuers.ts'
import type { ExchangeRule } from './options.ts'
import { claimAt, fill, type TokenClaims, textOfClaim } from './template.ts'

/**
 * The first rule that a token fits.
 * @param audience who the token must be for where a rule does not say
 * @throws SubjectTokenRefused when there is none
 */
export function ruleFor(
  claims: TokenClaims,
  rules: readonly ExchangeRule[],
  audience: readonly string[],
): ExchangeRule {
  if (rules.length === 0) throw new SubjectTokenRefused('this client has no rule for tokens of that issuer')
  const meant = rules.filter((rule) => isFor(claims, rule.audience ?? audience))
  if (meant.length === 0) throw new SubjectTokenRefused('the subject token is for another audience')
  const found = meant.find((rule) => fits(claims, rule))
  if (!found) throw new SubjectTokenRefused('the claims of the subject token fit no rule of this client')
  return found
}

/** For somebody of the expected, and for nobody else (OpenID Connect Core, 3.1.3.7). */
function isFor({ aud }: TokenClaims, expected: readonly string[]): boolean {
  const audiences = [aud].flat()
  return audiences.length > 0 && audiences.every((each) => typeof each === 'string' && expected.includes(each))
}

const fits = (claims: TokenClaims, rule: ExchangeRule): boolean =>
  Object.entries(rule.claims).every(([name, patterns]) => {
    const values = [claimAt(claims, name)].flat().flatMap((value) => textOfClaim(value) ?? [])
    return patterns.some((pattern) => values.some(globOf(pattern)))
  })

const globs = new Map<string, Glob>()

/** Patterns come from the configuration, so that they are few. */
function globOf(pattern: string): Glob {
  const known = globs.get(pattern)
  if (known) return known
  const made = compileGlob(pattern)
  globs.set(pattern, made)
  return made
}

/** @throws SubjectTokenRefused when a claim that the identity is made of is missing */
export function identityBy({ identity }: ExchangeRule, claims: TokenClaims): Identity {
  if (!identity) throw new TypeError('a rule for tokens of others has no identity')
  const made = (template: string): string => {
    const result = fill(template, claims)
    if ('fault' in result) throw new SubjectTokenRefused(result.fault)
    return result.text
  }
  const { userID, username, preferredUsername, email, emailVerified, groups } = identity
  return {
    userId: made(userID),
    ...(username !== undefined && { username: made(username) }),
    ...(preferredUsername !== undefined && { preferredUsername: made(preferredUsername) }),
    ...(email !== undefined && { email: made(email) }),
    ...(emailVerified !== undefined && { emailVerified }),
    groups: (groups ?? []).map(made),
  }
}

/**
 * Who a token of ours is about: the same person at the same connector, as far as the token tells.
 * @throws SubjectTokenRefused when it is about no person
 */
export function ownIdentity(claims: TokenClaims): { connectorId: string; identity: Identity } {
  const { userId, connectorId } = decodeSubject(String(claims.sub)) ?? { userId: '', connectorId: '' }
  if (userId === '' || connectorId === '')
    throw new SubjectTokenRefused('the subject token stands for a client, not for a person')
  const text = (name: string): string | undefined => (typeof claims[name] === 'string' ? claims[name] : undefined)
  const [username, preferredUsername, email] = ['name', 'preferred_username', 'email'].map(text)
  const { groups, email_verified: emailVerified } = claims
  return {
    connectorId,
    identity: {
      userId,
      ...(username !== undefined && { username }),
      ...(preferredUsername !== undefined && { preferredUsername }),
      ...(email !== undefined && { email }),
      ...(typeof emailVerified === 'boolean' && { emailVerified }),
      ...(Array.isArray(groups) && { groups: groups.filter((group): group is string => typeof group === 'string') }),
    },
  }
}
