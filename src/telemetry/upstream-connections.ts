/** The connections to one connector's upstream: whom they trust, and which proxy they pass. */
import type { LookupAddress, LookupOptions } from 'node:dns'
import type { SecureContext } from 'node:tls'
import type { Dispatcher } from 'undici'
import { type Environment, proxyFor } from './proxy.ts'

/** Shaped as `HttpOptions` of the connectors' contract. */
export interface HttpTrust {
  /** Further trusted certificates, PEM text; the system's stay trusted. */
  ca?: string[]
  skipVerify?: boolean
  /** Client certificate and key, PEM text. */
  cert?: string
  key?: string
}

/** Finds the addresses of a host, as `dns.lookup`; it may refuse. */
export type Lookup = (
  host: string,
  options: LookupOptions,
  done: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void

interface Limits {
  timeoutMs: number
  /** Of a body. */
  maxBytes: number
  lookup?: Lookup
}

export interface Connections {
  /** Equal trust shares its connections, however often it is asked for. */
  trusting(trust: HttpTrust): (url: URL) => Promise<Dispatcher>
  close(): Promise<void>
}

type Undici = typeof import('undici').default

let client: Promise<Undici> | undefined

/** The HTTP client; loaded at the first call, since it is a quarter of all code. */
export const undici = (): Promise<Undici> => {
  // A CommonJS package: in the bundle its names are members of `default` only.
  client ??= import('undici').then((module) => module.default)
  return client
}

/** Node's own list and the machine's: operators add their authority to the image's store, which Go reads. */
let systemAuthorities: string[] | undefined
const trustedAuthorities = ({ getCACertificates }: typeof import('node:tls')): string[] => {
  systemAuthorities ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
  return systemAuthorities
}

// Reading some hundred certificates takes tens of milliseconds: once for all who trust nobody else, and when first needed.
let plainContext: SecureContext | undefined

const secureContext = async ({ ca = [], cert, key }: HttpTrust): Promise<SecureContext> => {
  const tls = await import('node:tls')
  if (ca.length === 0 && cert === undefined && key === undefined) {
    plainContext ??= tls.createSecureContext({ ca: trustedAuthorities(tls), minVersion: 'TLSv1.2' })
    return plainContext
  }
  return tls.createSecureContext({
    ca: [...trustedAuthorities(tls), ...ca],
    minVersion: 'TLSv1.2',
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  })
}

/** Reads the proxy variables at once, since a broken one should stop the start; connects when called. */
export const openConnections = ({ env, timeoutMs, maxBytes, lookup }: Limits & { env: Environment }): Connections => {
  const proxyOf = proxyFor(env)
  const agents = new Map<string, Promise<Dispatcher>>()

  const open = async (secure: boolean, trust: HttpTrust, proxy: string | undefined): Promise<Dispatcher> => {
    const { Agent, ProxyAgent } = await undici()
    const tls = secure
      ? { secureContext: await secureContext(trust), rejectUnauthorized: trust.skipVerify !== true }
      : undefined
    const common = { maxResponseSize: maxBytes, connectTimeout: timeoutMs, keepAliveTimeout: 4_000 }
    if (proxy === undefined)
      return new Agent({ ...common, connect: { timeout: timeoutMs, ...(lookup && { lookup }), ...tls } })
    return new ProxyAgent({
      ...common,
      uri: proxy,
      // A plain call is passed on by the proxy; many refuse CONNECT to port 80.
      proxyTunnel: secure,
      ...(tls !== undefined && { requestTls: tls }),
    })
  }

  return {
    trusting: (trust) => {
      const trustKey = JSON.stringify([trust.skipVerify, trust.ca, trust.cert, trust.key])
      return (url) => {
        const secure = url.protocol === 'https:'
        const proxy = proxyOf(url)
        const key = `${proxy} ${secure ? trustKey : 'plain'}`
        let agent = agents.get(key)
        if (agent === undefined) {
          agent = open(secure, trust, proxy)
          agents.set(key, agent)
          agent.catch(() => agents.delete(key))
        }
        return agent
      }
    },
    close: async () => {
      const open = [...agents.values()]
      agents.clear()
      await Promise.all(open.map(async (agent) => (await agent).close()))
    },
  }
}
