/** What clients may ask for: `oauth2.grantTypes`, `responseTypes`, `passwordConnector`. */
import { nearest } from '../../lib/nearest.ts'
import type { OidcOptions } from '../../oidc/options.ts'
import { readSwitch } from '../environment.ts'
import {
  CLIENT_CREDENTIALS,
  GRANT_TYPES,
  IMPLICIT,
  PASSWORD,
  RESPONSE_TYPES,
  SERVED_GRANT_TYPES,
} from '../keys/tokens.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'

type Grants = Pick<OidcOptions, 'grantTypes' | 'responseTypes' | 'passwordConnector'>

/** The default of Dex. */
const CODE_ONLY = ['code']
const CREDENTIALS_SWITCH = 'DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT'

export const readGrants = (oauth2: Part<'oauth2'>, connectorIds: string[], reading: Reading): Grants => {
  const { report } = reading
  const responseTypes = readResponseTypes(oauth2.responseTypes ?? [], report)
  const passwordConnector = oauth2.passwordConnector || undefined
  if (passwordConnector !== undefined && !connectorIds.includes(passwordConnector)) {
    report.warn(
      '/oauth2/passwordConnector',
      `"${passwordConnector}" is the id of no connector in this file: every password grant will be refused`,
      { nearest: nearest(passwordConnector, connectorIds) },
    )
  }
  const available = [
    ...SERVED_GRANT_TYPES,
    ...(responseTypes.some((type) => type.split(' ').includes('token')) ? [IMPLICIT] : []),
    ...(passwordConnector !== undefined ? [PASSWORD] : []),
  ]
  return {
    grantTypes: readGrantTypes(oauth2.grantTypes ?? [], available, reading),
    responseTypes,
    ...(passwordConnector !== undefined && { passwordConnector }),
  }
}

const readResponseTypes = (names: string[], report: Reading['report']): string[] => {
  // What is at fault has been emptied.
  const listed = [...new Set(names.filter((name) => RESPONSE_TYPES.includes(name)))]
  if (listed.length === 0) return CODE_ONLY
  if (listed.length === 1 && listed[0] === 'token') {
    report.warn('/oauth2/responseTypes', '"token" is answered together with others only: nobody can log in')
  }
  return listed
}

const readGrantTypes = (names: string[], available: string[], { report, env }: Reading): string[] => {
  const { on: credentials } = readSwitch(CREDENTIALS_SWITCH, env)
  if (names.length === 0) return credentials ? [...available, CLIENT_CREDENTIALS] : available
  if (credentials && !names.includes(CLIENT_CREDENTIALS)) {
    report.environment(
      CREDENTIALS_SWITCH,
      'has no effect beside oauth2.grantTypes, which leaves that grant out',
      'warning',
    )
  }
  const served = [...available, CLIENT_CREDENTIALS].filter((name) => names.includes(name))
  for (const [index, name] of names.entries()) {
    const at = child('/oauth2/grantTypes', index)
    if (served.includes(name) || report.broken(at)) continue
    if (name === IMPLICIT) report.warn(at, '"implicit" has no effect without a response type that has "token" in it')
    else if (name === PASSWORD) report.warn(at, '"password" has no effect without oauth2.passwordConnector')
    else report.warn(at, `"${name}" is no known grant type and has no effect`, { nearest: nearest(name, GRANT_TYPES) })
  }
  for (const [name, key] of [
    [IMPLICIT, 'responseTypes'],
    [PASSWORD, 'passwordConnector'],
  ] as const) {
    if (available.includes(name) && !served.includes(name)) report.warn(`/oauth2/${key}`, leftOut[name])
  }
  if (served.length === 0)
    report.warn('/oauth2/grantTypes', 'leaves no grant type that is served: no client can get a token')
  return served
}

const leftOut = {
  [IMPLICIT]:
    'lets the authorization endpoint answer with tokens, although oauth2.grantTypes leaves out "implicit", which only decides what discovery lists',
  [PASSWORD]: 'has no effect: oauth2.grantTypes leaves out "password"',
} as const
