/** What the environment brings into a configuration: expansion as Go's os.ExpandEnv, and switches as Go's ParseBool. */

export type Environment = Record<string, string | undefined>

export interface Expansion {
  text: string
  /** Variables that are named but not set. */
  unset: string[]
  /** The text has a `${` that Go swallows: without an end, or empty. */
  malformed: boolean
}

const SPECIAL = /^[*#$@!?\-0-9]/

/** Replaces `$NAME` and `${NAME}`; a `$` before anything that is no name stays, `$$` and `$1` count as names. */
export const expand = (text: string, env: Environment): Expansion => {
  const result: Expansion = { text: '', unset: [], malformed: false }
  let rest = text
  for (;;) {
    const dollar = rest.indexOf('$')
    if (dollar < 0 || dollar === rest.length - 1) {
      result.text += rest
      return result
    }
    result.text += rest.slice(0, dollar)
    rest = rest.slice(dollar + 1)
    const { name, length } = variableName(rest)
    rest = rest.slice(length)
    if (name !== '') {
      const value = env[name]
      if (value === undefined) result.unset.push(name)
      result.text += value ?? ''
    } else if (length > 0) result.malformed = true
    else result.text += '$'
  }
}

const variableName = (text: string): { name: string; length: number } => {
  if (text.startsWith('{')) {
    const end = text.indexOf('}')
    if (end < 0) return { name: '', length: 1 }
    return { name: text.slice(1, end), length: end + 1 }
  }
  const special = SPECIAL.exec(text)
  if (special) return { name: special[0], length: 1 }
  const name = /^[A-Za-z0-9_]*/.exec(text)![0]
  return { name, length: name.length }
}

/** Go's strconv.ParseBool; `undefined` for any other text. */
export const parseBoolean = (text: string): boolean | undefined => {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  return undefined
}

/** Dex's switches that change how a file is read or served, with their defaults. */
export const SWITCHES = {
  DEX_EXPAND_ENV: true,
  DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: false,
  DEX_CONTINUE_ON_CONNECTOR_FAILURE: true,
  DEX_SESSIONS_ENABLED: false,
  DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: false,
} as const
export type Switch = keyof typeof SWITCHES

/** A switch's state; `invalid` is its text when that is no boolean and the default stands. */
export const readSwitch = (name: Switch, env: Environment): { on: boolean; invalid?: string } => {
  const text = env[name]
  if (text === undefined || text === '') return { on: SWITCHES[name] }
  const on = parseBoolean(text)
  return on === undefined ? { on: SWITCHES[name], invalid: text } : { on }
}
