/**
 * How one record looks, as Go's `log/slog` writes it, since log pipelines of Dex read that:
 * `text` is logfmt, `json` one object a line.
 */
import type { Attributes } from '../lib/logger.ts'

/** `level` as slog counts: debug -4, info 0, warn 4, error 8. */
export interface LogRecord {
  time: Date
  level: number
  message: string
  attributes: Attributes
}

const namedLevels = [
  [8, 'ERROR'],
  [4, 'WARN'],
  [0, 'INFO'],
] as const

/** `INFO`, `WARN+2`, `DEBUG-1`. */
export const levelName = (level: number): string => {
  const [base, name] = namedLevels.find(([lowest]) => level >= lowest) ?? [-4, 'DEBUG']
  const offset = level - base
  if (offset === 0) return name
  return offset > 0 ? `${name}+${offset}` : `${name}${offset}`
}

/** An attribute must not pass for one of the record's own fields. */
const own = new Set(['time', 'level', 'msg'])
const attributeName = (name: string): string => (own.has(name) ? `${name}_` : name)

/**
 * The last line of defence: nobody may log these, and who does by mistake, such as with a whole answer of an
 * upstream, logs that it was withheld.
 */
const secrets = new Set([
  'password',
  'secret',
  'client_secret',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'device_code',
  'user_code',
  'code_verifier',
  'assertion',
  'client_assertion',
  'samlresponse',
  'authorization',
  'cookie',
  'set-cookie',
  'private_key',
  'connectordata',
  'memo',
])
const withheld = '[withheld]'
const isSecret = (name: string): boolean => secrets.has(name) || secrets.has(name.toLowerCase())

// Letters that logfmt leaves bare: printable ones but the blank, `=` and `"`.
const bare = /^[!#-<>-~]+$/
const bareUnicode = /^[[!#-<>-~][[\p{L}\p{M}\p{N}\p{P}\p{S}]--[\0-\x7f]]]+$/v
const unprintable = /[^ !#-[\]-~\p{L}\p{M}\p{N}\p{P}\p{S}]|["\\]/gu
const shortEscapes: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')

const escapeLetter = (letter: string): string => {
  const short = shortEscapes[letter]
  if (short !== undefined) return short
  const code = letter.codePointAt(0) ?? 0
  // A lone half of a surrogate pair is no letter at all.
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd'
  if (code < 0x80) return `\\x${hex(code, 2)}`
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
}

/** Bare where that is unambiguous, else quoted with Go's escapes: nobody can forge a line or an attribute. */
export const quoteText = (text: string): string =>
  bare.test(text) || bareUnicode.test(text) ? text : `"${text.replace(unprintable, escapeLetter)}"`

const isGroup = (value: unknown): value is Attributes => {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value)
}

/** The message of an error and of what caused it; stacks do not belong into one line. */
const describeError = (error: Error): string => {
  const parts: string[] = []
  let next: unknown = error
  while (next instanceof Error && parts.length < 5) {
    // Failed connections to several addresses have a code and no message.
    const text = next.message || ('code' in next ? String(next.code) : next.name)
    if (!parts.some((part) => part.includes(text))) parts.push(text)
    next = next.cause
  }
  return parts.join(': ')
}

/** JSON of anything at all: what cannot be written becomes a text about it, since a log line must never throw. */
const toJson = (value: unknown): string => {
  try {
    const replace = (name: string, inner: unknown) => {
      if (isSecret(name)) return withheld
      if (inner instanceof Error) return describeError(inner)
      return typeof inner === 'bigint' ? String(inner) : inner
    }
    return JSON.stringify(value, replace) ?? JSON.stringify(String(value))
  } catch (error) {
    return JSON.stringify(`!ERROR:${error instanceof Error ? error.message : 'unwritable'}`)
  }
}

const textValue = (value: unknown): string => {
  switch (typeof value) {
    case 'string':
      return quoteText(value)
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value)
  }
  if (value === null) return '<nil>'
  if (value instanceof Error) return quoteText(describeError(value))
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '<nil>' : value.toISOString()
  if (value instanceof URL) return quoteText(value.href)
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) {
    return quoteText(`[${value.join(' ')}]`)
  }
  return quoteText(toJson(value))
}

const textAttributes = (attributes: Attributes, prefix: string, depth: number): string => {
  let text = ''
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    const path = prefix === '' ? attributeName(name) : `${prefix}.${name}`
    if (isSecret(name)) text += ` ${quoteText(path)}=${withheld}`
    else if (depth > 0 && isGroup(value)) text += textAttributes(value, path, depth - 1)
    else text += ` ${quoteText(path)}=${textValue(value)}`
  }
  return text
}

const formatText = ({ time, level, message, attributes }: LogRecord): string =>
  `time=${time.toISOString()} level=${levelName(level)} msg=${quoteText(message)}${textAttributes(attributes, '', 3)}\n`

const formatJson = ({ time, level, message, attributes }: LogRecord): string => {
  let text = `{"time":"${time.toISOString()}","level":"${levelName(level)}","msg":${JSON.stringify(message)}`
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    text += `,${JSON.stringify(attributeName(name))}:${isSecret(name) ? `"${withheld}"` : toJson(value)}`
  }
  return `${text}}\n`
}

/** One line with its end for each record. */
export const formats: Record<'text' | 'json', (record: LogRecord) => string> = { text: formatText, json: formatJson }
