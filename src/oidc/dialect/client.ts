/** Clients of an operator's file, with Dex's redirect rules in the place of the engine's. */
import { hash } from 'node:crypto'
import type { ClientMetadata, Client as EngineClient, Provider, ResponseType } from 'oidc-provider'
import type { Clients } from '../clients.ts'
import type { DynamicClientOptions } from '../dynamic/options.ts'
import { clientAdapter } from '../dynamic/registered.ts'
import type { ClientOptions } from '../options.ts'
import { mustProve, mustPush, mustSign } from '../profile.ts'
import { redirectAllowed } from '../redirects.ts'
import { currentState } from '../state.ts'
import { hashSecret } from './context.ts'

/** The engine wants an address where a code may be sent; which ones are good is decided in `redirects.ts` alone. */
const noAddress = 'https://address.invalid/'

/** What every client may ask for. */
interface ServedTypes {
  grantTypes: readonly string[]
  /** As the engine spells them. */
  responseTypes: readonly string[]
}

/** Clients that came from elsewhere and are kept ready, with their key sets. */
const remembered = 500

export interface ClientContext extends ServedTypes {
  clients: Clients
  dynamicClients?: DynamicClientOptions | undefined
}

export function clientOf(provider: Provider, { clients, dynamicClients, ...served }: ClientContext) {
  const Base = provider.Client
  class Client extends (Base as unknown as new (
    metadata: ClientMetadata,
    ctx?: undefined,
    more?: { cimd: boolean },
  ) => EngineClient) {
    override redirectUriAllowed(uri: string): boolean {
      const options = clients.get(this.clientId)
      return options !== undefined && redirectAllowed(options, uri)
    }
  }
  const made = new Map<string, EngineClient>()
  // By what they said of themselves: a change makes another one.
  const strangers = new Map<string, EngineClient>()
  const stranger = (options: ClientOptions): EngineClient => {
    const metadata = options.registered as unknown as ClientMetadata
    const key = hash('sha256', JSON.stringify(metadata), 'base64url')
    const known = strangers.get(key)
    if (known) return known
    if (strangers.size >= remembered) strangers.delete(strangers.keys().next().value!)
    const client = new Client(metadata, undefined, { cimd: options.origin === 'document' })
    demand(client, options)
    strangers.set(key, client)
    return client
  }
  // A property: the engine's getter looks for a store that only its own class has.
  if (dynamicClients) Object.defineProperty(Client, 'adapter', { value: clientAdapter(dynamicClients) })
  return Object.assign(Client, {
    async find(id: string): Promise<EngineClient | undefined> {
      const known = made.get(id)
      if (known) return known
      const options = typeof id === 'string' ? await clients.load(id) : undefined
      if (!options) return undefined
      if (options.origin !== undefined) return stranger(options)
      // Set afterwards: the engine refuses ids with letters outside ASCII, which Dex's files may have.
      const client = Object.assign(new Client(metadataOf(options, served)), { clientId: options.id })
      demand(client, options)
      made.set(id, client)
      return client
    },
  }) as unknown as typeof EngineClient
}

/**
 * What a client asks of its own requests. Where a login has ended the engine sees the request once more, in our words: how
 * it came was looked at when it came.
 */
function demand(client: EngineClient, options: ClientOptions): void {
  const incoming = () => currentState().finished === undefined
  Object.defineProperties(client, {
    requirePushedAuthorizationRequests: { get: () => mustPush(options) && incoming() },
    requireSignedRequestObject: { get: () => mustSign(options) && incoming() },
    dpopBoundAccessTokens: { value: mustProve(options) },
  })
}

/** What the engine is told of a client. */
function metadataOf(options: ClientOptions, { grantTypes, responseTypes }: ServedTypes): ClientMetadata {
  return {
    client_id: 'client',
    client_name: options.name,
    redirect_uris: [noAddress],
    response_types: [...responseTypes] as ResponseType[],
    grant_types: [...grantTypes],
    ...authenticationOf(options),
    ...keysOf(options),
    ...(options.certificateBoundTokens && { tls_client_certificate_bound_access_tokens: true }),
  }
}

/** A secret only as its hash, unless the client signs with it. */
function authenticationOf({ secret, secretHash, authentication }: ClientOptions): Partial<ClientMetadata> {
  if (!authentication) {
    const known = secretHash ?? (secret === undefined ? undefined : hashSecret(secret))
    // A public client that was given a secret has to send it, as in Dex.
    return known === undefined
      ? { token_endpoint_auth_method: 'none' }
      : { token_endpoint_auth_method: 'client_secret_basic', client_secret: known }
  }
  const { method } = authentication
  return {
    token_endpoint_auth_method: method,
    ...(method === 'client_secret_jwt' && { client_secret: secret! }),
    ...('algorithm' in authentication &&
      authentication.algorithm && { token_endpoint_auth_signing_alg: authentication.algorithm as 'ES256' }),
    ...(method === 'tls_client_auth' && { [authentication.subject.property]: authentication.subject.value }),
  }
}

function keysOf({ keys }: ClientOptions): Partial<ClientMetadata> {
  if (!keys) return {}
  return 'jwks' in keys ? { jwks: keys.jwks as unknown as { keys: never[] } } : { jwks_uri: keys.jwksURI }
}
