/** Second factors: `mfa`, and the chains of clients. What is doubtful here is a fault: a login must not pass without. */
import type { TSchema } from 'typebox'
import { nearest } from '../../lib/nearest.ts'
import type {
  Authenticator,
  FactorOptions,
  TotpAuthenticator,
  WebAuthnAuthenticator,
} from '../../login/factors/chain.ts'
import { totp, webAuthn } from '../keys/mfa.ts'
import type { Part, Reading } from '../reading.ts'
import { child, readable } from '../report.ts'
import { readSection } from '../section.ts'
import { readDuration } from './duration.ts'
import { isLoopback } from './issuer.ts'

export interface FactorSurroundings {
  issuer: string
  /** Name of the service for people. */
  displayName: string
  /** Connector types that a file may have. */
  connectorTypes: readonly string[]
  clients: Part<'staticClients'>
  /** Whether there are sessions, which could remember a factor. */
  sessions: boolean
}

export const readMfa = (mfa: Part<'mfa'>, around: FactorSurroundings, reading: Reading): FactorOptions => {
  const authenticators = new Map<string, { authenticator: Authenticator; pointer: string }>()
  /** Also of entries with other faults, so that a chain is not blamed for them. */
  const ids = new Set<string>()
  for (const [index, entry] of (mfa.authenticators ?? []).entries()) {
    const pointer = child('/mfa/authenticators', index)
    if (entry.id === undefined) continue
    const twin = authenticators.get(entry.id)
    if (twin) reading.report.fault(child(pointer, 'id'), `"${entry.id}" is also the id of ${readable(twin.pointer)}`)
    ids.add(entry.id)
    const authenticator = readAuthenticator(entry, pointer, around, reading)
    if (authenticator && !twin) authenticators.set(entry.id, { authenticator, pointer })
  }
  const check = (chain: string[], pointer: string) => checkChain(chain, pointer, [...ids], reading)
  const defaultChain = mfa.defaultMFAChain ?? []
  check(defaultChain, '/mfa/defaultMFAChain')
  for (const [index, { mfaChain = [] }] of around.clients.entries()) {
    check(mfaChain, child(child('/staticClients', index), 'mfaChain'))
  }
  const rememberFor = readDuration('/mfa/rememberFor', mfa.rememberFor, reading)
  if (rememberFor > 0 && !around.sessions) {
    reading.report.warn('/mfa/rememberFor', 'has no effect without sessions: every login asks for second factors')
  }
  return {
    authenticators: [...authenticators.values()].map(({ authenticator }) => authenticator),
    defaultChain,
    rememberFor,
  }
}

const checkChain = (chain: string[], pointer: string, ids: string[], { report }: Reading): void => {
  for (const [index, id] of chain.entries()) {
    const at = child(pointer, index)
    if (report.broken(at)) continue
    if (!ids.includes(id)) {
      report.fault(at, `"${id}" is the id of no authenticator in mfa.authenticators`, { nearest: nearest(id, ids) })
    } else if (chain.indexOf(id) < index) report.warn(at, `"${id}" stands twice; a login asks for it once`)
  }
}

const readAuthenticator = (
  { id = '', type, connectorTypes = [] }: NonNullable<Part<'mfa'>['authenticators']>[number],
  pointer: string,
  around: FactorSurroundings,
  reading: Reading,
): Authenticator | undefined => {
  for (const [index, name] of connectorTypes.entries()) {
    const at = child(child(pointer, 'connectorTypes'), index)
    if (around.connectorTypes.includes(name) || reading.report.broken(at)) continue
    reading.report.fault(at, `"${name}" is no connector type, so this factor would be asked of nobody`, {
      nearest: nearest(name, around.connectorTypes),
    })
  }
  if (type === undefined) return undefined
  const base = { id, connectorTypes }
  return type === 'TOTP' ? readTotp(base, pointer, around, reading) : readWebAuthn(base, pointer, around, reading)
}

type Base = Pick<Authenticator, 'id' | 'connectorTypes'>

/** Dex expands no variables here. */
const configOf = (pointer: string, schema: TSchema, reading: Reading): unknown =>
  readSection(child(pointer, 'config'), schema, { ...reading, expandEnv: false })

const readTotp = (base: Base, pointer: string, { displayName }: FactorSurroundings, reading: Reading) => {
  const config = configOf(pointer, totp, reading) as { issuer?: string } | undefined
  if (!config) return undefined
  const issuer = config.issuer || displayName.replaceAll(':', ' ')
  if (issuer.includes(':')) {
    reading.report.fault(
      `${pointer}/config/issuer`,
      'must hold no colon, which ends the issuer in the address that applications read',
    )
  }
  return { ...base, type: 'TOTP', issuer } satisfies TotpAuthenticator
}

interface WebAuthnConfig {
  rpDisplayName?: string
  rpID?: string
  rpOrigins?: string[]
  attestationPreference?: WebAuthnAuthenticator['attestation']
  timeout?: string
  userVerification?: WebAuthnAuthenticator['userVerification']
  authenticatorAttachment?: NonNullable<WebAuthnAuthenticator['attachment']>
}

const readWebAuthn = (
  base: Base,
  pointer: string,
  { issuer }: FactorSurroundings,
  reading: Reading,
): WebAuthnAuthenticator | undefined => {
  const { report } = reading
  const section = child(pointer, 'config')
  const config = configOf(pointer, webAuthn, reading) as WebAuthnConfig | undefined
  const own = URL.parse(issuer)
  if (!config || !own) return undefined
  const rpId = config.rpID || own.hostname
  checkDomain(rpId, config.rpID ? child(section, 'rpID') : child(pointer, 'type'), reading)
  const origins = config.rpOrigins?.length ? config.rpOrigins : [own.origin]
  const originsAt = child(section, 'rpOrigins')
  for (const [index, origin] of origins.entries()) {
    const fault = originFault(origin, rpId)
    const at = config.rpOrigins?.length ? child(originsAt, index) : config.rpID ? child(section, 'rpID') : '/issuer'
    if (fault && !report.broken(at)) report.fault(at, fault)
  }
  if (!origins.includes(own.origin)) {
    report.fault(originsAt, `lacks ${own.origin}, the origin of our own pages, so no key could be used`)
  }
  const timeoutAt = child(section, 'timeout')
  const timeout = readDuration(timeoutAt, config.timeout, reading)
  if (timeout < 0) report.fault(timeoutAt, 'must be more than nothing')
  return {
    ...base,
    type: 'WebAuthn',
    rpName: config.rpDisplayName || rpId,
    rpId,
    origins,
    attestation: config.attestationPreference ?? 'indirect',
    timeout: (timeout || standardTimeout) * 1000,
    userVerification: config.userVerification ?? 'preferred',
    ...(config.authenticatorAttachment && { attachment: config.authenticatorAttachment }),
  }
}

/** Seconds. */
const standardTimeout = 60

/** Web Authentication, level 3, 5.1.3: a valid domain, which an IP address is not. */
const checkDomain = (rpId: string, pointer: string, { report }: Reading): void => {
  const host = URL.parse(`https://${rpId}/`)?.hostname
  if (host === rpId && !/^[\d.]+$|^\[/.test(rpId)) return
  const hint = isLoopback(rpId) ? ' (for tests, use localhost in the issuer)' : ''
  report.fault(pointer, `needs a domain for rpID, and "${rpId}" is none: browsers bind no key to it${hint}`)
}

const originFault = (origin: string, rpId: string): string | undefined => {
  const url = URL.parse(origin)
  if (url?.origin !== origin) return `"${origin}" is no origin: write it as https://host or https://host:port`
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    return `"${origin}" is plain http, where browsers offer no keys: use https`
  }
  if (url.hostname === rpId || url.hostname.endsWith(`.${rpId}`)) return undefined
  return `"${origin}" does not belong to the rpID "${rpId}": it must be that domain or one below it`
}
