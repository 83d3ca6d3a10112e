/** The parameter `claims` (OpenID Connect Core, 5.5): read when it arrives, judged when the person is known. */
import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../lib/json.ts'
import type { Login } from '../login/identity.ts'
import {
  type ClaimSet,
  loginClaims,
  scopeOfClaim,
  type WantedClaim,
  type WantedClaims,
} from '../login/wanted-claims.ts'
import { encodeSubject } from './subject.ts'

/** Characters; what is asked travels in a cookie and with every refresh token. */
const longest = 4096

/** The parameter is malformed; the message is for the client. */
export class ClaimsFault extends Error {}

/**
 * What is asked for of the claims that exist here; others are passed over, as the standard wants.
 * @throws ClaimsFault
 */
export function readClaims(parameter: string | undefined, acrValues: string | undefined): WantedClaims | undefined {
  const asked = parameter === undefined ? {} : parse(parameter)
  const idToken = readSet(asked, 'id_token')
  const userinfo = readSet(asked, 'userinfo')
  const acr = acrValues !== undefined || idToken?.acr !== undefined || userinfo?.acr !== undefined
  if (!idToken && !userinfo && !acr) return undefined
  return { ...(idToken && { idToken }), ...(userinfo && { userinfo }), ...(acr && { acr }) }
}

type Members = Record<string, Json>

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function parse(parameter: string): Members {
  if (parameter.length > longest) throw new ClaimsFault(`claims must not be longer than ${longest} characters`)
  let value: unknown
  try {
    value = JSON.parse(parameter)
  } catch {
    throw new ClaimsFault('claims is no JSON')
  }
  if (!isObject(value)) throw new ClaimsFault('claims must be a JSON object')
  return value
}

function readSet(asked: Members, place: 'id_token' | 'userinfo'): ClaimSet | undefined {
  const members = Object.hasOwn(asked, place) ? asked[place] : undefined
  if (members === undefined) return undefined
  if (!isObject(members)) throw new ClaimsFault(`claims.${place} must be a JSON object`)
  const read = Object.entries(members).map(([name, wish]) => [name, readWish(`claims.${place}.${name}`, wish)] as const)
  const known = read.filter(([name]) => Object.hasOwn(scopeOfClaim, name) || loginClaims.has(name))
  return known.length === 0 ? undefined : Object.fromEntries(known)
}

function readWish(at: string, wish: Json | undefined): WantedClaim {
  if (wish === null) return {}
  if (!isObject(wish)) throw new ClaimsFault(`${at} must be null or a JSON object`)
  const { essential, value, values } = wish
  if (essential !== undefined && typeof essential !== 'boolean')
    throw new ClaimsFault(`${at}.essential must be a boolean`)
  if (values !== undefined && !Array.isArray(values)) throw new ClaimsFault(`${at}.values must be an array`)
  if (value !== undefined && values !== undefined) throw new ClaimsFault(`${at} must not have both value and values`)
  const only = value === undefined ? values : [value]
  return { ...(essential && { essential }), ...(only && { values: only }) }
}

/** Whether a claim with this value was asked for by its name. */
export function isWanted(set: ClaimSet | undefined, name: string, value: unknown): boolean {
  if (!set || !Object.hasOwn(set, name)) return false
  const { values } = set[name]!
  return values === undefined || values.some((each) => isDeepStrictEqual(each, value))
}

/** The authentication levels that are asked for by claim, best first; for the upstream. */
export const wantedLevels = ({ idToken, userinfo }: WantedClaims = {}): string[] =>
  [idToken, userinfo]
    .flatMap((set) => set?.acr?.values ?? [])
    .filter((value): value is string => typeof value === 'string' && value !== '')

/** What the client asked for as a condition and the login does not meet, as an answer to the client. */
export function unmetClaims(
  wanted: WantedClaims | undefined,
  { connectorId, identity }: Login,
): { error: string; description: string } | undefined {
  if (!wanted) return undefined
  const subject = encodeSubject(identity.userId, connectorId)
  for (const set of [wanted.idToken, wanted.userinfo]) {
    // 5.5.1: no token may be given out for anybody else.
    if (set?.sub && !isWanted(set, 'sub', subject)) {
      return { error: 'access_denied', description: 'Somebody else has logged in than the application asked for.' }
    }
    // 5.5.1.1, and OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
    if (set?.acr?.essential && set.acr.values && !isWanted(set, 'acr', identity.authentication?.acr)) {
      return {
        error: 'unmet_authentication_requirements',
        description: 'The login was not as strong as the application demands, or the identity provider did not say so.',
      }
    }
  }
  return undefined
}
