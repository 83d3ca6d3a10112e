/** Token exchange beyond Dex's: `tokenIssuers` and `staticClients[].tokenExchange`. */
import { ConnectorFailure } from '../../../connectors/contract.ts'
import { readCertificates } from '../../../connectors/lib/certificates.ts'
import { matchesAll } from '../../lib/glob.ts'
import { nearest } from '../../lib/nearest.ts'
import {
  type ExchangeRule,
  type IdentityTemplate,
  ownIssuer,
  type TokenIssuerOptions,
} from '../../oidc/exchange/options.ts'
import { templateFault } from '../../oidc/exchange/template.ts'
import { parseDuration } from '../duration.ts'
import type { Part, Reading } from '../reading.ts'
import { child, type Report } from '../report.ts'

const DAY = 86_400
const STANDARD_ALGORITHMS = ['RS256', 'ES256']
/** Ids that `sub` has for something else. */
const TAKEN_IDS = [ownIssuer, 'local']

export const readTokenIssuers = (
  entries: Part<'tokenIssuers'>,
  connectorIds: readonly string[],
  ownAddress: string,
  reading: Reading,
): TokenIssuerOptions[] => {
  const { report } = reading
  const issuers = new Map<string, TokenIssuerOptions>()
  for (const [index, entry] of entries.entries()) {
    const pointer = child('/tokenIssuers', index)
    const { id, issuer, jwksURI } = entry
    if (id !== undefined) checkId(id, child(pointer, 'id'), connectorIds, [...issuers.keys()], report)
    if (issuer !== undefined) {
      const at = child(pointer, 'issuer')
      checkAddress(issuer, at, report)
      if (issuer === ownAddress) report.fault(at, `is this server itself: rules of clients call it "${ownIssuer}"`)
      if ([...issuers.values()].some((other) => other.issuer === issuer)) {
        report.fault(at, 'is the issuer of another entry too: rules of clients can tell audiences apart')
      }
    }
    if (jwksURI !== undefined) checkAddress(jwksURI, child(pointer, 'jwksURI'), report)
    const rootCAs = (entry.rootCAs ?? []).filter((each) => each !== undefined)
    checkCertificates(rootCAs, child(pointer, 'rootCAs'), report)
    if (id === undefined || issuer === undefined) continue
    const audience = (entry.audience ?? []).filter((each) => each !== '')
    const algorithms = (entry.algorithms ?? []).filter((each) => each !== undefined)
    issuers.set(id, {
      id,
      issuer,
      ...(jwksURI && { jwksURI }),
      audience: audience.length > 0 ? audience : [ownAddress],
      algorithms: algorithms.length > 0 ? algorithms : STANDARD_ALGORITHMS,
      rootCAs,
      maxLifetime: readLifetime(entry.maxLifetime, child(pointer, 'maxLifetime'), report),
      singleUse: entry.singleUse ?? false,
    })
  }
  return [...issuers.values()]
}

const checkId = (
  id: string,
  at: string,
  connectorIds: readonly string[],
  others: readonly string[],
  report: Report,
): void => {
  if (TAKEN_IDS.includes(id)) report.fault(at, `"${id}" is taken: choose another name`)
  else if (connectorIds.includes(id))
    report.fault(at, `"${id}" is the id of a connector: people of both would be the same`)
  else if (others.includes(id)) report.fault(at, `"${id}" is the id of another token issuer`)
  else if (!/^[A-Za-z0-9._~:@-]+$/.test(id)) report.fault(at, 'may hold letters, digits and ". _ ~ : @ -" only')
}

const checkAddress = (text: string, at: string, report: Report): void => {
  const url = URL.parse(text)
  if (!url || !['https:', 'http:'].includes(url.protocol)) {
    report.fault(at, 'must be an absolute address such as https://token.actions.githubusercontent.com')
    return
  }
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url.protocol === 'http:' && !here) {
    report.warn(at, 'is http: whoever can change what comes from there can make tokens that are taken')
  }
}

const checkCertificates = (entries: readonly string[], pointer: string, report: Report): void => {
  for (const [index, entry] of entries.entries()) {
    try {
      readCertificates([entry])
    } catch (error) {
      if (!(error instanceof ConnectorFailure)) throw error
      report.fault(child(pointer, index), 'is neither a readable file with certificates, nor base64 of PEM, nor PEM')
    }
  }
}

const readLifetime = (text: string | undefined, at: string, report: Report): number => {
  if (!text) return DAY
  try {
    const seconds = parseDuration(text)
    if (seconds <= 0) report.fault(at, 'must be more than 0')
    return seconds
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report.fault(at, error.message)
    return DAY
  }
}

type RuleEntry = NonNullable<Part<'staticClients'>[number]['tokenExchange']>[number]

/** @param issuerIds of `tokenIssuers` */
export const readExchangeRules = (
  entries: readonly RuleEntry[],
  pointer: string,
  issuerIds: readonly string[],
  reading: Reading,
): ExchangeRule[] =>
  entries.flatMap((entry, index) => {
    const at = child(pointer, index)
    const { issuer } = entry
    if (issuer === undefined) return []
    const { report } = reading
    if (issuer !== ownIssuer && !issuerIds.includes(issuer) && !report.broken('/tokenIssuers')) {
      report.fault(child(at, 'issuer'), `"${issuer}" is the id of no token issuer in this file`, {
        nearest: nearest(issuer, [...issuerIds, ownIssuer]),
      })
    }
    const own = issuer === ownIssuer
    const audience = (entry.audience ?? []).filter((each) => each !== '')
    if (own && audience.length === 0) {
      report.fault(child(at, 'audience'), 'is missing: name the clients whose tokens may be exchanged')
    }
    const claims = readClaims(entry, at, own, report)
    const identity = readIdentity(entry, at, own, report)
    return [{ issuer, ...(audience.length > 0 && { audience }), claims, ...(identity && { identity }) }]
  })

const readClaims = (entry: RuleEntry, at: string, own: boolean, report: Report): ExchangeRule['claims'] => {
  const pointer = child(at, 'claims')
  const claims: ExchangeRule['claims'] = {}
  for (const [name, value] of Object.entries(entry.claims ?? {})) {
    const patterns = [value ?? []].flat().filter((pattern) => pattern !== undefined)
    const place = child(pointer, name)
    if (name === '' || name === '/') report.fault(place, 'is no name of a claim')
    if (patterns.length === 0 || patterns.includes('')) report.fault(place, 'is empty: no claim can be that')
    if (patterns.some((pattern) => pattern.length > LONGEST_PATTERN)) {
      report.fault(place, `has more than ${LONGEST_PATTERN} characters`)
    }
    claims[name] = patterns
  }
  const anything = Object.values(claims).every((patterns) => patterns.some(matchesAll))
  if (!own && anything && !report.broken(pointer)) {
    report.fault(pointer, 'must say which tokens are meant: without, everybody with a token of that issuer gets in')
  }
  return claims
}

const LONGEST_PATTERN = 500

/** What only this server sets, under any name that a token has for it. */
const RESERVED = new Set(
  [
    'iss',
    'sub',
    'aud',
    'azp',
    'exp',
    'iat',
    'nbf',
    'jti',
    'nonce',
    'auth_time',
    'at_hash',
    'c_hash',
    's_hash',
    'amr',
    'acr',
  ].concat([
    'sid',
    'client_id',
    'scope',
    'cnf',
    'act',
    'may_act',
    'typ',
    'federated_claims',
    'connector_id',
    'connectorID',
  ]),
)

const readIdentity = (entry: RuleEntry, at: string, own: boolean, report: Report): IdentityTemplate | undefined => {
  const pointer = child(at, 'identity')
  const { identity } = entry
  const node = report.node(pointer)
  for (const { key } of node?.kind === 'map' ? node.entries : []) {
    if (RESERVED.has(key)) report.fault(child(pointer, key), 'is a claim that only this server sets')
  }
  if (own) {
    if (identity) report.fault(pointer, `has no place beside issuer "${ownIssuer}": the person stays who they are`)
    return undefined
  }
  const { userID, username, preferredUsername, email, emailVerified, groups = [] } = identity ?? {}
  if (!userID) {
    if (!report.broken(child(pointer, 'userID'))) report.fault(child(pointer, 'userID'), 'is missing: who is it?')
    return undefined
  }
  for (const [key, template] of Object.entries({ userID, username, preferredUsername, email })) {
    const fault = template === undefined ? undefined : templateFault(template)
    if (fault !== undefined) report.fault(child(pointer, key), fault)
  }
  const named = groups.filter((group) => group !== undefined)
  for (const [index, group] of named.entries()) {
    const fault = templateFault(group)
    if (fault !== undefined) report.fault(child(child(pointer, 'groups'), index), fault)
  }
  return {
    userID,
    ...(username !== undefined && { username }),
    ...(preferredUsername !== undefined && { preferredUsername }),
    ...(email !== undefined && { email }),
    ...(emailVerified !== undefined && { emailVerified }),
    groups: named,
  }
}
