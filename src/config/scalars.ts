/**
 * What an unquoted word of a YAML file means to Dex's library (go-yaml 2, YAML 1.1): the word lists are those of
 * https://yaml.org/type/, dates and base-60 numbers stay text.
 */

const WORDS = new Map<string, boolean | null | number>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
])
const INTEGER = /^[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/

export type Scalar = string | number | boolean | null

/** The value of a plain (unquoted, untagged) word. */
export const resolvePlain = (word: string): Scalar => {
  const known = WORDS.get(word)
  if (known !== undefined) return known
  if (!/^[-+.0-9]/.test(word)) return word
  const digits = word.replaceAll('_', '')
  if (INTEGER.test(digits)) return integer(digits)
  if (FLOAT.test(digits)) return Number(digits)
  return word
}

const integer = (digits: string): number => {
  const sign = digits.startsWith('-') ? -1 : 1
  const magnitude = digits.replace(/^[-+]/, '')
  const octal = /^0[oO]?([0-7]+)$/.exec(magnitude)
  return sign * (octal ? Number.parseInt(octal[1]!, 8) : Number(magnitude))
}

const TAG = 'tag:yaml.org,2002:'

/**
 * The value of a scalar with an explicit tag; a tag that is none of YAML's own leaves the text.
 * @throws SyntaxError when text and tag do not fit
 */
export const resolveTagged = (tag: string, text: string): Scalar => {
  const name = tag.startsWith(TAG) ? tag.slice(TAG.length) : ''
  if (name === 'binary') {
    const compact = text.replaceAll(/[\r\n]/g, '')
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(compact)) {
      throw new SyntaxError('holds no valid base64 after !!binary')
    }
    return Buffer.from(compact, 'base64').toString('utf8')
  }
  const wanted = { bool: 'boolean', int: 'number', float: 'number', null: 'object' }[name]
  if (wanted === undefined) return text
  const value = resolvePlain(text)
  if (typeof value !== wanted) throw new SyntaxError(`is no value for the tag !!${name}`)
  return value
}
