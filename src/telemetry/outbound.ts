/**
 * How this server fetches what clients publish: their keys, and documents about themselves. An address from the operator's
 * file may lie anywhere; one that a stranger named must not lead into the operator's own network (SSRF), wherever its name
 * leads by the time it is looked up.
 */
import { type LookupAddress, type LookupAllOptions, lookup as system } from 'node:dns'
import { isPublicAddress } from '../lib/addresses.ts'
import type { Attributes } from '../lib/logger.ts'
import type { Metrics } from './metrics.ts'
import type { Environment } from './proxy.ts'
import { openUpstream } from './upstream.ts'
import type { Lookup } from './upstream-connections.ts'

type SystemLookup = (
  host: string,
  options: LookupAllOptions,
  done: (error: Error | null, found: LookupAddress[]) => void,
) => void

export interface OutboundOptions {
  metrics: Pick<Metrics, 'upstreamCall'>
  log: { debug(message: string, attributes?: Attributes): void }
  env: Environment
  userAgent: string
  /** Addresses that stand in the operator's file. */
  operators: ReadonlySet<string>
  /** Networks (CIDR) that the addresses of strangers may lie in although they are not public. */
  privateNetworks: readonly string[]
  /** How names are looked up; the system's way. */
  lookup?: SystemLookup
}

export interface Outbound {
  /** Follows no redirect. Rejects when there is no whole answer in time, or when the address is refused. */
  fetch: typeof fetch
  close(): Promise<void>
}

const timeoutMs = 5_000
/** Of a key set. */
const maxBytes = 256 * 1024

/** The address leads where strangers must not send this server. */
export class ForbiddenAddress extends Error {
  override name = 'ForbiddenAddress'
  constructor(host: string) {
    super(`${host} is no address of the public internet`)
  }
}

export function openOutbound({ operators, privateNetworks, metrics, lookup, ...rest }: OutboundOptions): Outbound {
  const failure = (_code: string, message: string, { cause }: { cause?: unknown }) => new Error(message, { cause })
  const open = (lookup?: Lookup) =>
    openUpstream({
      ...rest,
      connector: '',
      // Hosts of strangers would be labels without end.
      metrics: {
        upstreamCall: (call) => metrics.upstreamCall({ ...call, call: 'GET client' }),
        connectorUp: () => {},
      },
      failure,
      timeoutMs,
      maxBytes,
      ...(lookup && { lookup }),
    })
  const guard = guarded(privateNetworks, lookup ?? system)
  const trusted = open()
  const strangers = open(guard.lookup)
  const [fetchTrusted, fetchStrange] = [trusted.http(), strangers.http()]

  return {
    async fetch(input, init) {
      const url = new URL(input instanceof Request ? input.url : input)
      if (operators.has(url.href)) return fetchTrusted(url, init)
      await guard.check(url)
      return fetchStrange(url, init)
    },
    close: async () => {
      await Promise.all([trusted.close(), strangers.close()])
    },
  }
}

function guarded(
  privateNetworks: readonly string[],
  lookup: SystemLookup,
): { lookup: Lookup; check(url: URL): Promise<void> } {
  const isGood = (address: string) => isPublicAddress(address, privateNetworks)
  return {
    /** The answer that is checked is the one that is connected to, so that a name cannot lead elsewhere a moment later. */
    lookup(host, options, done) {
      lookup(host, { ...options, all: true }, (error, found) => {
        if (error) return done(error, [])
        if (found.length === 0 || !found.every(({ address }) => isGood(address))) {
          return done(new ForbiddenAddress(host), [])
        }
        if (options.all) done(null, found)
        else done(null, found[0]!.address, found[0]!.family)
      })
    },
    /** What a connection does not look up: addresses written as such; and names where a proxy connects in our place. */
    async check({ hostname, protocol, username, password }) {
      const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
      if (protocol !== 'https:' || username !== '' || password !== '') throw new ForbiddenAddress(host)
      const isName = /[a-z]/i.test(host) && !host.includes(':')
      const found: LookupAddress[] = isName ? await resolve(lookup, host) : [{ address: host, family: 0 }]
      if (!found.every(({ address }) => isGood(address))) throw new ForbiddenAddress(host)
    },
  }
}

/** Nothing for a name that is not known here: behind a proxy that is usual, and without one the connection says so. */
const resolve = (lookup: SystemLookup, host: string): Promise<LookupAddress[]> =>
  new Promise((done) => lookup(host, { all: true }, (error, found) => done(error ? [] : found)))
