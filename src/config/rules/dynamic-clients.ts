/** Clients that do not stand in the file: `dynamicClients`. */
import { isIP } from 'node:net'
import { nearest } from '../../lib/nearest.ts'
import type { DynamicClientOptions } from '../../oidc/dynamic/options.ts'
import { listedScopes } from '../../oidc/scopes.ts'
import { parseDuration } from '../duration.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { warnUnknown } from './clients.ts'

const root = '/dynamicClients'
/** RFC 6750, 2.1. */
const isToken = (text: string): boolean => /^[\w.~+/-]{16,}=*$/.test(text)
const tokenRule = 'must have at least 16 letters, digits or "-._~+/"'
const defaultUnused = 90 * 86_400

export const readDynamicClients = (
  block: Part<'dynamicClients'> | undefined,
  connectorIds: string[],
  reading: Reading,
): DynamicClientOptions | undefined => {
  if (!block) return undefined
  const { report } = reading
  const registration = readRegistration(block.registration, reading)
  const origins = block.documents && readOrigins(block.documents.origins ?? [], reading)
  if (!block.registration && !block.documents) report.warn(root, 'has no effect without registration or documents')
  const allowed = readScopes(block.allowedScopes ?? [], reading)
  warnUnknown(block.allowedConnectors ?? [], child(root, 'allowedConnectors'), connectorIds, 'connector', reading)
  const privateNetworks = block.privateNetworks ?? []
  for (const [index, network] of privateNetworks.entries()) {
    const [, address = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(network) ?? []
    const family = isIP(address)
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128))
      report.fault(child(child(root, 'privateNetworks'), index), 'must be a network such as 10.0.0.0/8')
  }
  return {
    ...(registration && { registration }),
    ...(origins && { documents: { origins } }),
    ...(allowed.length > 0 && { allowedScopes: allowed }),
    allowedConnectors: block.allowedConnectors ?? [],
    privateNetworks,
  }
}

type Registration = NonNullable<Part<'dynamicClients'>['registration']>

const readRegistration = (
  block: Registration | undefined,
  { report, env }: Reading,
): DynamicClientOptions['registration'] => {
  if (!block) return undefined
  const at = (key: string) => child(`${root}/registration`, key)
  const initialAccessTokens = [...(block.initialAccessTokens ?? [])]
  for (const [index, token] of initialAccessTokens.entries()) {
    const pointer = child(at('initialAccessTokens'), index)
    if (!isToken(token) && !report.broken(pointer)) report.fault(pointer, tokenRule)
  }
  const name = block.initialAccessTokenFromEnv
  if (name) {
    const value = env[name] ?? ''
    if (isToken(value)) initialAccessTokens.push(value)
    else if (value) report.fault(at('initialAccessTokenFromEnv'), `names ${name}, whose value ${tokenRule}`)
    else
      report.fault(at('initialAccessTokenFromEnv'), `names the environment variable ${name}, which is not set`, {
        nearest: nearest(name, Object.keys(env)),
      })
  } else if (!block.open && initialAccessTokens.length === 0) {
    report.fault(
      `${root}/registration`,
      'needs initialAccessTokens or initialAccessTokenFromEnv, or open: true to let anybody register',
    )
  }
  if (block.open && (name || initialAccessTokens.length > 0))
    report.fault(at('open'), 'is true beside tokens, which nobody would have to present: take one of them out')
  else if (block.open)
    report.warn(at('open'), 'lets anybody register an application; people see on the approval page where it leads')
  const unusedFor = readUnused(block.unusedFor, at('unusedFor'), report)
  return {
    initialAccessTokens,
    maxClients: block.maxClients ?? 1000,
    ...(unusedFor > 0 && { unusedFor }),
  }
}

const readUnused = (text: string | undefined, pointer: string, report: Reading['report']): number => {
  if (!text) return defaultUnused
  try {
    const seconds = parseDuration(text)
    if (seconds < 0) report.fault(pointer, 'must not be negative')
    return seconds
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report.fault(pointer, error.message)
    return defaultUnused
  }
}

const readOrigins = (given: string[], { report }: Reading): string[] | 'any' => {
  const at = `${root}/documents/origins`
  if (given.length === 0 && !report.broken(at))
    report.fault(at, 'names no origin: such as https://app.example.com, or "*" for any')
  if (given.includes('*')) {
    report.warn(child(at, given.indexOf('*')), 'lets any site of the internet be an application; people see its name')
    return 'any'
  }
  for (const [index, origin] of given.entries()) {
    const url = URL.parse(origin)
    if (url?.protocol !== 'https:') report.fault(child(at, index), 'must be an origin such as https://app.example.com')
    else if (url.origin !== origin) report.fault(child(at, index), 'is more than an origin', { nearest: url.origin })
  }
  return given
}

const readScopes = (scopes: string[], { report }: Reading): string[] => {
  const known: readonly string[] = listedScopes
  const at = child(root, 'allowedScopes')
  for (const [index, scope] of scopes.entries()) {
    if (!known.includes(scope))
      report.fault(child(at, index), 'is no scope of this server', { nearest: nearest(scope, known) })
  }
  if (scopes.length > 0 && !scopes.includes('openid')) report.fault(at, 'must include openid')
  return scopes
}
