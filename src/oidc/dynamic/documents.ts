/**
 * Clients whose id is the address of a document about them (draft-ietf-oauth-client-id-metadata-document). The engine
 * fetches, checks and keeps those documents, in bounds; which may be fetched at all the operator says.
 */
import { errors, type Provider } from 'oidc-provider'
import type { Logger } from '../../lib/logger.ts'
import type { ClientSource } from '../clients.ts'
import type { ClientOptions } from '../options.ts'
import { currentState } from '../state.ts'
import { judgeMetadata, optionsOf, type RegisteredMetadata, withoutForeignGrants } from './metadata.ts'
import type { DynamicClientOptions } from './options.ts'

/** The state of that draft which the engine speaks. */
const draft = 'draft-02'

/** Letters; no longer id is looked at. */
const longestId = 1_000

/** The engine's settings. */
export function documentSettings(documents: DynamicClientOptions['documents']) {
  return {
    enabled: documents !== undefined,
    ack: draft,
    allowFetch: async () => (await currentState().admitFetch?.()) ?? false,
    // Seconds.
    cacheDuration: { min: 60, max: 3600 },
  }
}

export interface Documents extends ClientSource {
  /** Told once the engine is there, which the clients are needed for first. */
  connect(provider: Provider): void
}

/** Asks the engine only for addresses that the operator allows. */
export function clientDocuments(options: DynamicClientOptions, log: Logger): Documents {
  const origins = options.documents?.origins ?? []
  let find: ((id: string) => Promise<{ metadata(): RegisteredMetadata } | undefined>) | undefined

  const mayBe = (id: string): boolean => {
    if (id.length > longestId || !id.startsWith('https://')) return false
    const url = URL.parse(id)
    return url !== null && (origins === 'any' || origins.includes(url.origin))
  }

  return {
    connect(provider) {
      const { Client } = provider
      find = Client.find.bind(Client) as unknown as typeof find
    },
    async find(id): Promise<ClientOptions | undefined> {
      if (!mayBe(id)) return undefined
      try {
        const client = await find?.(id)
        if (!client) return undefined
        const metadata = withoutForeignGrants(JSON.parse(JSON.stringify(client.metadata())))
        judgeMetadata(metadata, options)
        return optionsOf(id, metadata, 'document', options)
      } catch (error) {
        if (!(error instanceof errors.OIDCProviderError)) throw error
        log.info('a client document was not accepted', {
          client_id: id,
          reason: error.error_detail ?? error.error_description,
          err: error.cause,
        })
        return undefined
      }
    },
  }
}
