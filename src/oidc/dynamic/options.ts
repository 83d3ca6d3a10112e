/** Clients that do not stand in the operator's file. */
export interface DynamicClientOptions {
  /** Applications register themselves (RFC 7591, RFC 7592); absent: none can. */
  registration?: {
    /** One of them must be presented to register; empty: anybody may. */
    initialAccessTokens: string[]
    /** How many may be registered at a time. */
    maxClients: number
    /** Seconds without a token after which a registration ends; absent: never. */
    unusedFor?: number
  }
  /** The client id is the address of a document that describes the client; absent: it is not. */
  documents?: {
    /** Origins where those documents may lie; `any`: everywhere. */
    origins: string[] | 'any'
  }
  /** What of the listed scopes such clients may ask for; absent: all. */
  allowedScopes?: string[]
  /** Connector ids; empty: all. */
  allowedConnectors: string[]
  /** Networks that addresses of such clients may lie in although they are not public. */
  privateNetworks: string[]
}
