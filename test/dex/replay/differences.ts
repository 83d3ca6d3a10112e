/** Compares answers that are written down: equal to Dex's, better, or different. */
import type { Json } from '../../../src/lib/json.ts'
import type { Answer, Step } from './scenarios.ts'

export interface Difference {
  /** Members from the top, joined by dots. */
  at: string
  expected: unknown
  got: unknown
}

export interface Verdict {
  verdict: 'equal' | 'better' | 'differ'
  /** What differs, in one line. */
  why?: string
}

/** A step with `better` wants (one of) those answers, or Dex's as well where one of them is `optional`. */
export function judge({ answer, better = [] }: Step, seen: Answer): Verdict {
  const plain = differences(answer, seen)
  const choices = [better].flat()
  if (choices.length === 0 || (plain.length === 0 && choices.some(({ optional }) => optional))) {
    return verdict(plain, 'equal')
  }
  const tried = choices.map(({ why, optional, ...patch }) => ({ why, found: differences(merged(answer, patch), seen) }))
  const { found, why } = tried.find((one) => one.found.length === 0) ?? tried[0]!
  return verdict(found, 'better', why)
}

const short = (item: unknown): string => (item === undefined ? 'nothing' : JSON.stringify(item)).slice(0, 200)

function verdict(found: Difference[], fine: 'equal' | 'better', why?: string): Verdict {
  if (found.length === 0) return { verdict: fine }
  const lines = found
    .slice(0, 4)
    .map(({ at, expected, got }) => `${at} (expected ${short(expected)}, got ${short(got)})`)
  if (found.length > 4) lines.push(`and ${found.length - 4} more`)
  return { verdict: 'differ', why: lines.join('; ') + (why ? ` [${why}]` : '') }
}

type Members = Record<string, unknown>

const isTree = (item: unknown): item is Members => item !== null && typeof item === 'object'
const isObject = (item: unknown): item is Members => isTree(item) && !Array.isArray(item)

/** RFC 7396: members of `patch` replace those of `base`, null removes one; with `"<only>": true` nothing of `base` stays. */
export function merged(base: unknown, { '<only>': only, ...patch }: Members): Members {
  const out = !only && isObject(base) ? { ...base } : {}
  for (const [key, item] of Object.entries(patch)) {
    if (item === null) delete out[key]
    else out[key] = isObject(item) ? merged(out[key], item) : item
  }
  return out
}

/** What may come besides Dex's answer; none of it can hurt a client of Dex. */
const MAY_ADD = [
  /^body\.(scope|error_description|error_uri|jti)$/,
  /^headers\.(cache-control|www-authenticate|allow)$/,
  /^headers\.access-control-(allow-headers|allow-methods|expose-headers|max-age)$/,
  /^client\.(query|fragment|form_post)\.(iss|session_state|error_description|error_uri)$/,
  /^page\.(offers|forms)$/,
  /^(authorize|token)\./, // upstream: nonce, PKCE
]

const mayAdd = (at: string, got: unknown, expected: Members): boolean =>
  MAY_ADD.some((pattern) => pattern.test(at)) ||
  (at.startsWith('body.') && 'jwks_uri' in expected) || // the discovery document
  (at.endsWith('.jwt.typ') && (got === 'JWT' || (got === 'at+jwt' && at.includes('access_token'))))

/** Values that differ and that no client can tell apart. */
function alike(expected: unknown, got: unknown, at: string): boolean {
  if (at === 'client.status') return isFound(expected) && isFound(got)
  if (at.endsWith('token_type')) return expected === 'bearer' && String(got).toLowerCase() === 'bearer' // RFC 6749, 5.1
  if (at === 'type') return expected !== 'application/json' && got !== 'application/json'
  if (at === 'page.forms') return hasForms(expected as string[][], got as string[][])
  return at === 'calls' // how an upstream's interface is read is each program's own
}

const isFound = (status: unknown): boolean => status === 302 || status === 303
const hasForms = (expected: string[][], got: string[][]): boolean =>
  expected.every((form) => got.some((other) => form.every((field) => other.includes(field))))

/** Differences between what is wanted and what came, without what MAY_ADD names and what is `alike`. */
export function differences(expected: unknown, got: unknown, at = ''): Difference[] {
  const one = [{ at, expected, got }]
  if (expected === '<any>' || Object.is(expected, got)) return []
  if (typeof expected === 'string' && expected.startsWith('<one of ')) {
    return expected.slice(8, -1).split(' | ').includes(String(got)) ? [] : one
  }
  const held = isTree(expected) ? (expected['<holds>'] as Json[] | undefined) : undefined
  if (held) return Array.isArray(got) && held.every((item) => got.includes(item)) ? [] : one
  if (expected === undefined || got === undefined) return one
  if (alike(expected, got, at)) return []
  if (!isTree(expected) || !isTree(got) || Array.isArray(expected) !== Array.isArray(got)) return one
  return [...new Set([...Object.keys(expected), ...Object.keys(got)])].flatMap((key) => {
    const below = at ? `${at}.${key}` : key
    if (!(key in expected) && mayAdd(below, got[key], expected)) return []
    const none = below === 'headers' ? {} : undefined // headers are written down when there are any
    return differences(expected[key] ?? none, got[key] ?? none, below)
  })
}
