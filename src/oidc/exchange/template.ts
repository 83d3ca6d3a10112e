/** Claims of a token, by name or JSON pointer (RFC 6901), and texts that are made of them: `repo:{{repository}}`. */

export type TokenClaims = Readonly<Record<string, unknown>>

/** The value of a claim; `/kubernetes.io/namespace` leads into groups of claims. */
export function claimAt(claims: TokenClaims, name: string): unknown {
  if (!name.startsWith('/')) return Object.hasOwn(claims, name) ? claims[name] : undefined
  let value: unknown = claims
  for (const step of name.slice(1).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}

/** Text of a claim that is a text, a number or a truth value. */
export function textOfClaim(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'boolean' || Number.isFinite(value) ? String(value) : undefined
}

const place = /\{\{([^{}]*)\}\}/

/** Every other part is the name of a claim, beginning with the second. */
const partsOf = (template: string): string[] =>
  template.split(place).map((part, at) => (at % 2 === 1 ? part.trim() : part))

/** Why a text is no template; `undefined` when it is one. */
export function templateFault(template: string): string | undefined {
  const parts = partsOf(template)
  const names = parts.filter((_part, at) => at % 2 === 1)
  const texts = parts.filter((_part, at) => at % 2 === 0)
  if (template === '') return 'is empty'
  if (names.includes('')) return 'has a place "{{}}" without the name of a claim'
  if (texts.some((text) => text.includes('{{') || text.includes('}}')))
    return 'has a "{{" or "}}" that has no counterpart'
  // "{{a}}{{b}}" would make one text of two different pairs.
  if (texts.slice(1, -1).includes(''))
    return 'has two claims with nothing between them, so that different claims could make the same text'
  return undefined
}

/** Of what a claim puts into a template, in characters. */
const longest = 1024

/** The text, or which claim it cannot be made with and why. */
export function fill(template: string, claims: TokenClaims): { text: string } | { fault: string } {
  const filled: string[] = []
  for (const [at, part] of partsOf(template).entries()) {
    if (at % 2 === 0) {
      filled.push(part)
      continue
    }
    const text = textOfClaim(claimAt(claims, part))
    if (text === undefined || text === '') return { fault: `the claim "${part}" is missing, or is no text` }
    if (text.length > longest || /\p{Cc}/u.test(text)) {
      return { fault: `the claim "${part}" is too long, or holds control characters` }
    }
    filled.push(text)
  }
  return { text: filled.join('') }
}
