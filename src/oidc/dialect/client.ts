/** Clients of an operator's file, with Dex's redirect rules in the place of the engine's. */
import type { ClientMetadata, Client as EngineClient, Provider, ResponseType } from 'oidc-provider'
import type { ClientOptions } from '../options.ts'
import { redirectAllowed } from '../redirects.ts'
import { hashSecret } from './context.ts'

/** The engine wants an address where a code may be sent; which ones are good is decided in `redirects.ts` alone. */
const noAddress = 'https://address.invalid/'

/** What every client may ask for. */
interface ServedTypes {
  grantTypes: readonly string[]
  /** As the engine spells them. */
  responseTypes: readonly string[]
}

export function clientOf(
  provider: Provider,
  { clients, ...served }: { clients: ReadonlyMap<string, ClientOptions> } & ServedTypes,
) {
  const Base = provider.Client
  class Client extends (Base as unknown as new (metadata: ClientMetadata) => EngineClient) {
    override redirectUriAllowed(uri: string): boolean {
      const options = clients.get(this.clientId)
      return options !== undefined && redirectAllowed(options, uri)
    }
  }
  const made = new Map<string, EngineClient>()
  return Object.assign(Client, {
    async find(id: string): Promise<EngineClient | undefined> {
      const known = made.get(id)
      if (known) return known
      const options = typeof id === 'string' ? clients.get(id) : undefined
      if (!options) return undefined
      // Set afterwards: the engine refuses ids with letters outside ASCII, which Dex's files may have.
      const client = Object.assign(new Client(metadataOf(options, served)), { clientId: options.id })
      made.set(id, client)
      return client
    },
  }) as unknown as typeof EngineClient
}

/** What the engine is told of a client; its secret only as a hash. */
function metadataOf({ name, secret }: ClientOptions, { grantTypes, responseTypes }: ServedTypes): ClientMetadata {
  return {
    client_id: 'client',
    client_name: name,
    redirect_uris: [noAddress],
    response_types: [...responseTypes] as ResponseType[],
    grant_types: [...grantTypes],
    // A public client that was given a secret has to send it, as in Dex.
    ...(secret === undefined
      ? { token_endpoint_auth_method: 'none' }
      : { token_endpoint_auth_method: 'client_secret_basic', client_secret: hashSecret(secret) }),
  }
}
