/** The upstream's metadata (OpenID Connect Discovery 1.0), judged and completed. */
import type { ServerMetadata } from 'openid-client'
import { failure, type Logger } from '../../contract.ts'
import type { OidcSettings } from './settings.ts'

/** Signatures that may stand on an ID token; symmetric ones and `none` never. */
const asymmetric = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
])

/** Tells the operator of a doubt. */
export type Warn = Logger['warn']

export type Metadata = ServerMetadata & {
  authorization_endpoint: string
  token_endpoint: string
  jwks_uri: string
  id_token_signing_alg_values_supported: string[]
}

/**
 * Fetches the discovery document and applies `issuerAlias` and the overrides.
 * @throws ConnectorFailure `upstream_unavailable` when there is no answer, `misconfigured` when the issuer is another's,
 *   `upstream_invalid_response` when the document lacks what a login needs
 */
export async function discover(settings: OidcSettings, fetch: typeof globalThis.fetch, warn: Warn): Promise<Metadata> {
  const document = await fetchDocument(settings.issuer, fetch)
  const metadata = {
    ...document,
    ...overridden(settings),
    issuer: issuerOf(document, settings, warn),
    id_token_signing_alg_values_supported: algorithms(document.id_token_signing_alg_values_supported),
  }
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    const value: unknown = (metadata as Record<string, unknown>)[name]
    if (typeof value !== 'string' || !isWebAddress(value)) {
      throw failure('upstream_invalid_response', `the discovery document of ${settings.issuer} has no usable ${name}`)
    }
  }
  return metadata as Metadata
}

async function fetchDocument(issuer: string, fetch: typeof globalThis.fetch): Promise<Record<string, unknown>> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  if (!isWebAddress(address)) throw failure('misconfigured', `the issuer ${issuer} is no http or https address`)
  const response = await fetch(address, { headers: { accept: 'application/json' } })
  if (!response.ok) {
    await response.body?.cancel()
    const code =
      response.status >= 500 || response.status === 429 ? 'upstream_unavailable' : 'upstream_invalid_response'
    throw failure(code, `${address} answered ${response.status}`)
  }
  try {
    const document: unknown = await response.json()
    if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
      return document as Record<string, unknown>
    }
  } catch (cause) {
    throw failure('upstream_invalid_response', `${address} did not answer with JSON`, { cause })
  }
  throw failure('upstream_invalid_response', `${address} did not answer with a JSON object`)
}

/** The string that tokens must carry as `iss`. One trailing slash more or less than configured is the upstream's business. */
function issuerOf(document: Record<string, unknown>, settings: OidcSettings, warn: Warn): string {
  const { issuer, issuerAlias } = settings
  if (issuerAlias) return issuerAlias
  const told = document.issuer
  if (told === issuer) return issuer
  if (typeof told === 'string' && told.replace(/\/$/, '') === issuer.replace(/\/$/, '')) {
    warn('the configured issuer differs from the discovered one by a trailing slash', {
      configured: issuer,
      discovered: told,
    })
    return told
  }
  const printed = typeof told === 'string' ? `"${told.slice(0, 500)}"` : 'none'
  throw failure('misconfigured', `issuer did not match: configured "${issuer}", discovered ${printed}`)
}

function overridden({ overrides = {} }: OidcSettings): Record<string, string> {
  const names: [string, string | undefined][] = [
    ['authorization_endpoint', overrides.authURL],
    ['token_endpoint', overrides.tokenURL],
    ['jwks_uri', overrides.jwksURL],
    ['userinfo_endpoint', overrides.userInfoURL],
    ['device_authorization_endpoint', overrides.deviceAuthURL],
    ['end_session_endpoint', overrides.endSessionURL],
  ]
  return Object.fromEntries(names.filter((entry): entry is [string, string] => Boolean(entry[1])))
}

function algorithms(listed: unknown): string[] {
  const usable = Array.isArray(listed) ? listed.filter((name): name is string => asymmetric.has(name)) : []
  return usable.length > 0 ? usable : ['RS256']
}

function isWebAddress(text: string): boolean {
  const protocol = URL.parse(text)?.protocol
  return protocol === 'https:' || protocol === 'http:'
}
