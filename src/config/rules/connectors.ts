/** The upstreams: `connectors`. */
import { ConnectorFailure, type ConnectorType } from '../../../connectors/contract.ts'
import { nearest } from '../../lib/nearest.ts'
import type { ConnectorOptions } from '../../login/options.ts'
import type { RefreshTokenOptions } from '../../oidc/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child, readable } from '../report.ts'
import { readSection } from '../section.ts'
import type { Hint } from '../shape.ts'
import { DEX_CONNECTOR_TYPES, unbuiltType } from '../unbuilt.ts'
import { callbackOf } from './issuer.ts'
import { readPolicy, warnOfEndless } from './refresh.ts'

export interface ConnectorRegistry {
  /** A type of the registry, or a module of the operator's; rejects when such a module cannot be loaded. */
  find(type: string, folder: string): Promise<ConnectorType | undefined>
  names: string[]
}

export const readConnectors = async (
  entries: Part<'connectors'>,
  issuer: string,
  registry: ConnectorRegistry,
  refreshTokens: RefreshTokenOptions,
  reading: Reading,
): Promise<ConnectorOptions[]> => {
  const connectors = new Map<string, ConnectorOptions>()
  const pointers = new Map<string, string>()
  for (const [index, entry] of entries.entries()) {
    const pointer = child('/connectors', index)
    const config = await readConfig(entry.type, pointer, issuer, registry, reading)
    const at = child(pointer, 'refresh')
    const refresh = readPolicy(entry.refresh, at, reading)
    warnOfEndless(refresh, at, refreshTokens, reading)
    const { id, type, name } = entry
    if (id === undefined || type === undefined) continue
    checkId(id, pointer, pointers.get(id), reading)
    connectors.delete(id)
    connectors.set(id, {
      id,
      name: name ?? id,
      type,
      config,
      grantTypes: entry.grantTypes ?? [],
      ...(refresh && { refresh }),
    })
    pointers.set(id, pointer)
  }
  return [...connectors.values()]
}

const checkId = (id: string, pointer: string, twin: string | undefined, { report }: Reading): void => {
  const at = child(pointer, 'id')
  if (twin !== undefined) report.warn(at, `"${id}" is also the id of ${readable(twin)}; this last one counts`)
  if (!/^[A-Za-z0-9._~:@-]+$/.test(id)) {
    report.warn(
      at,
      'holds more than letters, digits and ". _ ~ : @ -": as part of an address it is escaped, and some clients and proxies fail on that',
    )
  }
}

const readConfig = async (
  type: string | undefined,
  pointer: string,
  issuer: string,
  registry: ConnectorRegistry,
  reading: Reading,
): Promise<unknown> => {
  const { report } = reading
  if (type === undefined) return undefined
  const at = child(pointer, 'type')
  if (type === 'local') {
    report.fault(at, '"local" is not written here: "enablePasswordDB: true" adds it')
    return undefined
  }
  const known = await registry.find(type, reading.folder).catch((error: unknown) => {
    report.fault(at, explainLoading(type, error))
    return undefined
  })
  if (!known) {
    const names = registry.names.filter((name) => name !== 'local')
    if (report.broken(at)) return undefined
    if (DEX_CONNECTOR_TYPES.includes(type)) report.fault(at, `"${type}" ${unbuiltType(names)}`)
    else
      report.fault(at, `"${type}" is no connector type; there is ${names.join(', ')}`, {
        nearest: nearest(type, [...names, ...DEX_CONNECTOR_TYPES]),
      })
    return undefined
  }
  const section = child(pointer, 'config')
  const config = readSection(section, known.schema, reading)
  if (config === undefined) return undefined
  for (const { path, message, severity } of known.advise?.(config) ?? []) {
    if (severity === 'error') report.fault(section + path, message)
    else report.warn(section + path, message)
  }
  checkRedirect((config as { redirectURI?: unknown }).redirectURI, section, issuer, reading)
  return config
}

const explainLoading = (type: string, error: unknown): string => {
  if (error instanceof ConnectorFailure) return error.message
  return `"${type}" cannot be loaded: ${error instanceof Error ? error.message : String(error)}`
}

const checkRedirect = (redirectURI: unknown, section: string, issuer: string, { report }: Reading): void => {
  if (typeof redirectURI !== 'string' || redirectURI === '' || issuer === '') return
  const right = callbackOf(issuer)
  if (redirectURI !== right)
    report.warn(
      child(section, 'redirectURI'),
      `is not the callback of this issuer, so no login can come back: it must be ${right}`,
    )
}

/** Keys that slipped out of `config:` by their indentation are named as such. */
export const misplacedConnectorKey: Hint = (key, pointer) =>
  /^\/connectors\/\d+\//.test(pointer) && CONFIG_KEYS.has(key.toLowerCase())
    ? 'it belongs into "config:", one level further in'
    : undefined

/** Keys that most connector types have; which type an entry is of is not known yet where its keys are matched. */
const CONFIG_KEYS = new Set(
  [
    'issuer',
    'clientID',
    'clientSecret',
    'redirectURI',
    'scopes',
    'orgs',
    'teams',
    'getUserInfo',
    'insecureSkipEmailVerified',
  ]
    .concat([
      'insecureEnableGroups',
      'claimMapping',
      'loadAllGroups',
      'teamNameField',
      'domain',
      'hostName',
      'rootCA',
      'userNameKey',
    ])
    .map((key) => key.toLowerCase()),
)
