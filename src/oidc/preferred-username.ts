/** Claim `preferred_username`, brought into the form that an application accepts for names. */
import { hash } from 'node:crypto'
import type { Identity } from '../../connectors/contract.ts'
import type { NameRule } from './options.ts'

/** Letters of the suffix: 40 bits, so that two of a thousand people share one with a chance of one in two million. */
const suffixLength = 8
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** As the upstream says, or by the client's rule from the name that there is. @param sub what the suffix is made from */
export function preferredUsername(identity: Identity, sub: string, rule: NameRule | undefined): string | undefined {
  const told = identity.preferredUsername || undefined
  if (!rule) return told
  const original = told ?? identity.username ?? identity.userId
  const { maxLength = Number.POSITIVE_INFINITY, suffix } = rule
  const plain = formed(original, rule)
  const changed = plain !== original || plain.length > maxLength
  const end = suffix === 'always' || (suffix === 'changed' && changed) ? `-${suffixOf(sub)}` : ''
  return `${trimmed(plain.slice(0, maxLength - end.length), rule)}${end}`
}

function formed(name: string, rule: NameRule): string {
  const at = rule.cutDomain ? name.lastIndexOf('@') : -1
  const local = at > 0 ? name.slice(0, at) : name
  if (rule.form === 'as-is') return local
  const letters = local
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
  // Each part between dots begins and ends with a letter or a digit (RFC 1123, 2.1).
  const parts = letters.split('.').map((part) => part.replace(/^-+|-+$/g, ''))
  return parts.filter((part) => part !== '').join('.') || 'user'
}

/** Cutting may have left a sign at the end. */
const trimmed = (name: string, { form }: NameRule): string =>
  form === 'as-is' ? name.replace(/[\ud800-\udbff]$/, '') : name.replace(/[.-]+$/, '') || 'u'

function suffixOf(sub: string): string {
  const bytes = hash('sha256', sub, 'buffer')
  return Array.from(bytes.subarray(0, suffixLength), (byte) => alphabet[byte % alphabet.length]).join('')
}
