/** One upstream that was discovered: its metadata, its keys, and the token endpoint with the client authentication that works. */
import * as client from 'openid-client'
import type { ConnectorContext } from '../../contract.ts'
import { readCertificates } from '../certificates.ts'
import { discover, type Metadata, type Warn } from './discovery.ts'
import { errorOf, guarded } from './failures.ts'
import { type KeySet, keySet } from './keys.ts'
import { type Lazily, lazily } from './lazily.ts'
import { isOktaHost } from './okta.ts'
import type { OidcSettings } from './settings.ts'

export interface Upstream {
  metadata: Metadata
  keys: KeySet
  fetch: typeof globalThis.fetch
  /** Calls the token endpoint; where the upstream knows no Basic, once more with the secret in the body, and so from then on. */
  atTokenEndpoint<T>(call: (configuration: client.Configuration) => Promise<T>): Promise<T>
}

/** Discovery documents are fetched anew after this time, in milliseconds. */
const maxAge = 60 * 60 * 1000

/** Nothing is fetched before the first use. @throws ConnectorFailure `misconfigured` for unreadable certificates */
export function lazyUpstream(settings: OidcSettings, context: ConnectorContext): Lazily<Upstream> {
  const now = () => context.now()
  const ca = readCertificates(settings.rootCAs ?? [])
  const options = { ...(ca.length > 0 && { ca }), ...(settings.insecureSkipVerify && { skipVerify: true }) }
  const fetch = guarded(context.http(options))
  const style: AuthenticationStyle = { body: prefersBody(settings) }
  let keys: { address: string; set: KeySet } | undefined
  const warned = onceEach(context.log)

  return lazily(
    async () => {
      const metadata = await discover(settings, fetch, warned)
      const address = metadata.jwks_uri
      if (keys?.address !== address) keys = { address, set: keySet(address, fetch, now) }
      return { metadata, keys: keys.set, fetch, atTokenEndpoint: tokenEndpoint(settings, metadata, fetch, style) }
    },
    { now, maxAge },
  )
}

/** `body`: whether the secret goes into the body; `undefined` until known. Outlives a new discovery. */
interface AuthenticationStyle {
  body: boolean | undefined
}

/** What the configuration or the host says; `undefined` leaves it to discovery. */
function prefersBody({ basicAuthUnsupported, issuer }: OidcSettings): boolean | undefined {
  if (basicAuthUnsupported) return true
  return basicAuthUnsupported === undefined && isOktaHost(issuer) ? true : undefined
}

function tokenEndpoint(
  settings: OidcSettings,
  metadata: Metadata,
  fetch: typeof globalThis.fetch,
  style: AuthenticationStyle,
): Upstream['atTokenEndpoint'] {
  const secret = settings.clientSecret ?? ''
  const configure = (authentication: client.ClientAuth): client.Configuration => {
    const configuration = new client.Configuration(metadata, settings.clientID ?? '', {}, authentication)
    configuration[client.customFetch] = fetch as client.CustomFetch
    configuration.timeout = 0 // the context's fetch is limited in time
    client.allowInsecureRequests(configuration) // plain http upstreams exist in clusters
    return configuration
  }
  if (secret === '') {
    const open = configure(client.None())
    return (call) => call(open)
  }
  const inHeader = configure(client.ClientSecretBasic(secret))
  const inBody = configure(client.ClientSecretPost(secret))
  const listed = metadata.token_endpoint_auth_methods_supported
  const bodyOnly =
    Array.isArray(listed) && listed.includes('client_secret_post') && !listed.includes('client_secret_basic')

  return async (call) => {
    if (style.body ?? bodyOnly) return call(inBody)
    try {
      const answer = await call(inHeader)
      style.body = false
      return answer
    } catch (error) {
      const code = errorOf(error)?.code
      const unauthenticated = code === 'invalid_client' || code === 'invalid_request'
      if (style.body === false || !unauthenticated) throw error
      const answer = await call(inBody)
      style.body = true
      return answer
    }
  }
}

/** Passes each warning on once, since discovery is repeated. */
function onceEach(log: ConnectorContext['log']): Warn {
  const said = new Set<string>()
  return (message, attributes) => {
    if (said.has(message)) return
    said.add(message)
    log.warn(message, attributes)
  }
}
