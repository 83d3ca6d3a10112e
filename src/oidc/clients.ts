/** The applications that this server knows: those of the operator's file, and those that come from elsewhere. */
import type { ClientOptions } from './options.ts'
import { knownClients } from './state.ts'

export interface Clients {
  /** A client of the file, or one that was loaded in this request. */
  get(id: string): ClientOptions | undefined
  /** Looks the client up wherever there may be one; asks nobody for a client of the file. */
  load(id: string): Promise<ClientOptions | undefined>
  /** A client that the file switches off: neither `get` nor `load` knows it, wherever else it may come from. */
  disabled(id: string): ClientOptions | undefined
}

/** Where clients are that do not stand in the file. */
export interface ClientSource {
  find(id: string): Promise<ClientOptions | undefined>
}

/** Clients of the file win over those of `sources`, whose first answer counts. */
export function openClients(file: readonly ClientOptions[], sources: readonly ClientSource[] = []): Clients {
  const fixed = new Map(file.map((client) => [client.id, client]))
  const disabled = (id: string) => {
    const client = fixed.get(id)
    return client?.disabled ? client : undefined
  }
  const get = (id: string) => {
    if (disabled(id)) return undefined
    return fixed.get(id) ?? (sources.length > 0 ? knownClients()?.get(id) : undefined)
  }
  return {
    get,
    disabled,
    async load(id) {
      const known = get(id)
      if (known || typeof id !== 'string' || id === '' || disabled(id)) return known
      for (const source of sources) {
        const found = await source.find(id)
        if (!found) continue
        knownClients()?.set(id, found)
        return found
      }
      return undefined
    },
  }
}

/** Whether the client can prove who it is (RFC 6749, 2.1). */
export const isConfidential = ({ secret, secretHash, authentication }: ClientOptions): boolean =>
  secret !== undefined || secretHash !== undefined || authentication !== undefined
