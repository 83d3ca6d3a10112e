/** Patterns of operators, matched in linear time whatever they hold. */
import { RE2JS } from 're2js'

export type Glob = (text: string) => boolean

/**
 * The whole text has to match. `*` stands for any run of characters but `/` and `:`, `**` for any run at all; every other
 * character stands for itself.
 */
export function compileGlob(pattern: string): Glob {
  const source = pattern
    .split(/(\*+)/)
    .map((part) => (part.startsWith('**') ? '(?s:.*)' : part === '*' ? '[^/:]*' : RE2JS.quote(part)))
    .join('')
  const compiled = RE2JS.compile(source)
  return (text) => compiled.matches(text)
}

/** Whether a pattern lets everything pass. */
export const matchesAll = (pattern: string): boolean => /^\*+$/.test(pattern)
