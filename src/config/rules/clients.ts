/** The applications: `staticClients`. */
import { nearest } from '../../lib/nearest.ts'
import type { ClientOptions, OidcOptions } from '../../oidc/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child, readable } from '../report.ts'
import { needsNoSecret, readClientAuthentication } from './client-auth.ts'
import { readExchangeRules } from './exchange.ts'
import { readProfile } from './profiles.ts'
import { readClientTokens } from './refresh.ts'
import { readClientShapes } from './shapes.ts'

/** What `expiry` says for all clients. */
type ServerTokens = Pick<OidcOptions, 'lifetimes' | 'refreshTokens'>
type Entry = Part<'staticClients'>[number]

export const readClients = (
  entries: Part<'staticClients'>,
  connectorIds: string[],
  server: ServerTokens,
  tokenIssuerIds: string[],
  reading: Reading,
): ClientOptions[] => {
  const { report } = reading
  const clients = new Map<string, { client: ClientOptions; pointer: string }>()
  for (const [index, entry] of entries.entries()) {
    const pointer = child('/staticClients', index)
    const client = readClient(entry, pointer, server, tokenIssuerIds, reading)
    if (!client) continue
    const before = clients.get(client.id)
    if (before) {
      report.warn(
        child(pointer, entry.id ? 'id' : 'idEnv'),
        `"${client.id}" is also the id of ${readable(before.pointer)}; this last one counts`,
      )
    }
    clients.delete(client.id)
    clients.set(client.id, { client, pointer })
  }
  const ids = [...clients.keys()]
  for (const { client, pointer } of clients.values()) {
    warnUnknown(client.trustedPeers, `${pointer}/trustedPeers`, ids, 'client', reading)
    warnUnknown(client.ssoSharedWith ?? [], `${pointer}/ssoSharedWith`, [...ids, '*'], 'client', reading)
    warnUnknown(client.allowedConnectors, `${pointer}/allowedConnectors`, connectorIds, 'connector', reading)
  }
  return [...clients.values()].map(({ client }) => client)
}

const readClient = (
  entry: Entry,
  pointer: string,
  server: ServerTokens,
  tokenIssuerIds: string[],
  reading: Reading,
): ClientOptions | undefined => {
  const { report } = reading
  const broken = (key: string) => report.broken(child(pointer, key))
  const id = fromEither(entry, 'id', 'idEnv', pointer, reading)
  const secret = fromEither(entry, 'secret', 'secretEnv', pointer, reading)
  if (id === undefined && !broken('id') && !broken('idEnv'))
    report.fault(child(pointer, 'id'), 'is missing: a client needs an id or idEnv')
  const isPublic = entry.public ?? false
  const authentication = readClientAuthentication(entry, secret, pointer, reading)
  const profile = readProfile(entry, authentication, pointer, reading)
  const secretless = isPublic || needsNoSecret(entry)
  if (secret === undefined && !secretless && !broken('public') && !broken('secret') && !broken('secretEnv')) {
    report.fault(
      child(pointer, 'secret'),
      `is missing${id === undefined ? '' : ` for "${id}"`}: give a secret or secretEnv, or public: true`,
    )
  }
  const redirectURIs = entry.redirectURIs ?? []
  for (const [index, uri] of redirectURIs.entries()) {
    const doubt = doubtful(uri, isPublic, entry.httpsLoopback ?? false)
    if (doubt) report.warn(child(child(pointer, 'redirectURIs'), index), doubt)
  }
  for (const key of ['backchannelLogoutURI', 'frontchannelLogoutURI'] as const) {
    const { protocol } = URL.parse(entry[key] ?? '') ?? {}
    if (!entry[key] || protocol === 'https:' || protocol === 'http:') continue
    report.fault(child(pointer, key), 'must be an http or https address')
  }
  if (isPublic && entry.pkce === 'optional') {
    report.warn(
      child(pointer, 'pkce'),
      'lets a public client log in without PKCE: whoever catches its code can use it (RFC 9700, 2.1.1)',
    )
  }
  const tokens = readClientTokens(entry, pointer, server, reading)
  const shapes = readClientShapes(entry, pointer, reading)
  for (const [index, group] of (entry.requiredGroups ?? []).entries()) {
    const at = child(child(pointer, 'requiredGroups'), index)
    if (group === '' && !report.broken(at)) report.fault(at, 'is empty: nobody is in such a group')
  }
  const tokenExchange = readExchangeRules(
    entry.tokenExchange ?? [],
    child(pointer, 'tokenExchange'),
    tokenIssuerIds,
    reading,
  )
  if (id === undefined) return undefined
  return {
    id,
    ...(secret !== undefined && !needsNoSecret(entry) && { secret }),
    ...authentication,
    ...profile,
    name: entry.name ?? id,
    public: isPublic,
    redirectURIs,
    trustedPeers: entry.trustedPeers ?? [],
    ...(entry.pkce && { pkce: entry.pkce as 'required' | 'optional' }),
    ...(entry.logoURL && { logoURL: entry.logoURL }),
    allowedConnectors: entry.allowedConnectors ?? [],
    ...(entry.ssoSharedWith && { ssoSharedWith: entry.ssoSharedWith }),
    ...(entry.postLogoutRedirectURIs && { postLogoutRedirectURIs: entry.postLogoutRedirectURIs }),
    ...(entry.backchannelLogoutURI && { backchannelLogoutURI: entry.backchannelLogoutURI }),
    ...(entry.frontchannelLogoutURI && { frontchannelLogoutURI: entry.frontchannelLogoutURI }),
    ...(entry.refreshTokenLifetime === 'session' && { sessionBound: true }),
    ...shapes,
    ...(entry.signingAlgorithm && { signingAlgorithm: entry.signingAlgorithm }),
    ...readOwnGroups(entry, pointer, reading),
    ...tokens,
    ...(entry.mfaChain && { mfaChain: entry.mfaChain }),
    ...readAccess(entry),
    ...(tokenExchange.length > 0 && { tokenExchange }),
  }
}

/** Who may use it. */
const readAccess = ({
  disabled,
  requiredGroups = [],
  contact,
}: Entry): Pick<ClientOptions, 'disabled' | 'requiredGroups' | 'contact'> => {
  return {
    ...(disabled && { disabled }),
    ...(requiredGroups.length > 0 && { requiredGroups }),
    ...(contact && { contact }),
  }
}

const readOwnGroups = (entry: Entry, pointer: string, { report }: Reading): Pick<ClientOptions, 'ownGroups'> => {
  const groups = entry.clientCredentialsClaims?.groups ?? []
  if (groups.length === 0) return {}
  if (entry.public) {
    report.warn(
      child(pointer, 'clientCredentialsClaims'),
      'has no effect: a public client cannot use the client credentials grant',
    )
  }
  return { ownGroups: groups }
}

/** A value that stands in the file or in a variable which the file names; `undefined` when neither. */
const fromEither = (
  entry: Entry,
  key: 'id' | 'secret',
  envKey: 'idEnv' | 'secretEnv',
  pointer: string,
  { report, env }: Reading,
): string | undefined => {
  const name = entry[envKey]
  if (!name) return entry[key] || undefined
  const at = child(pointer, envKey)
  if (entry[key]) {
    report.fault(at, `stands beside ${key}: only one of them may be given`)
    return undefined
  }
  const value = env[name]
  if (value) return value
  const why = value === undefined ? 'is not set' : 'is empty'
  report.fault(at, `names the environment variable ${name}, which ${why}`, {
    nearest: value === undefined ? nearest(name, Object.keys(env)) : undefined,
  })
  return undefined
}

const doubtful = (uri: string, isPublic: boolean, httpsLoopback: boolean): string | undefined => {
  if (uri === '') return 'is empty: no login can return there'
  if (!URL.canParse(uri)) return undefined
  const url = new URL(uri)
  if (url.hash !== '') return 'has a fragment, which is not allowed in a redirect URI (RFC 6749, 3.1.2)'
  if (url.protocol === 'https:' && url.hostname === 'localhost' && !(isPublic && httpsLoopback)) {
    const any = isPublic ? ', and a public client may then use any port; httpsLoopback takes it as it is' : ''
    return `is https on localhost, where command lines listen without TLS: write http://localhost${url.port === '' ? '' : `:${url.port}`}${url.pathname}${any}`
  }
  if (url.hostname.includes('*') || url.pathname.includes('*'))
    return 'holds a "*", which is compared as a letter: no wildcard is known'
  return undefined
}

export const warnUnknown = (
  ids: string[],
  pointer: string,
  known: string[],
  what: string,
  { report }: Reading,
): void => {
  for (const [index, id] of ids.entries()) {
    if (known.includes(id) || id === '') continue
    report.warn(child(pointer, index), `"${id}" is the id of no ${what} in this file`, { nearest: nearest(id, known) })
  }
}
