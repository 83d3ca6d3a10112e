/** The sockets of this server: opened with plain sentences when that fails, closed without cutting anybody off. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import type { Logger } from '../lib/logger.ts'
import type { Certificates, TlsOptions } from './tls.ts'

export interface ListenOptions {
  /** `host:port`; without a host (`:5556`) on all addresses, with port 0 on a free one. */
  http?: string
  https?: string
  /** Needed for `https`. */
  tls?: TlsOptions
  handler: RequestListener
  log: Logger
  /** What stands before `http` and `https` in messages; default `web`. */
  section?: string
}

export interface BoundAddress {
  scheme: 'http' | 'https'
  host: string
  port: number
}

export interface Listening {
  addresses: BoundAddress[]
  /** Reads the certificate again, as SIGHUP does. */
  reload(): Promise<void>
  /**
   * Takes no more connections, lets requests in flight finish and closes the rest. Resolves within a second when
   * nothing is in flight, after `limitMs` (default one minute) whatever is.
   */
  close(limitMs?: number): Promise<void>
}

const limits: ServerOptions = {
  // Kerberos tickets of people in many groups are larger than Node's default.
  maxHeaderSize: 64 * 1024,
  headersTimeout: 20_000,
  requestTimeout: 60_000,
  // Longer than the idle time of usual load balancers, so that they, not we, close first.
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 10_000,
}

/** @throws Error if `address` is no `host:port` */
export const parseAddress = (option: string, address: string): { host?: string; port: number } => {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? []
  if (port === undefined || Number(port) > 65535) {
    throw new Error(`${option}: "${address}" is no address such as 0.0.0.0:5556 or [::1]:5556`)
  }
  const host = bracketed ?? plain ?? ''
  return host === '' ? { port: Number(port) } : { host, port: Number(port) }
}

const explanations: Record<string, string> = {
  EADDRINUSE: 'another program already listens there',
  EACCES: 'permission denied; ports below 1024 need a privilege',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'this name has no address',
  EAFNOSUPPORT: 'this machine has no addresses of that kind',
}

const bind = (server: NetServer, option: string, address: string): Promise<AddressInfo> => {
  const where = parseAddress(option, address)
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = explanations[error.code ?? ''] ?? error.message
      reject(new Error(`${option}: cannot listen on ${address}: ${why}`, { cause: error }))
    })
    server.listen(where, () => {
      const bound = server.address()
      if (bound !== null && typeof bound === 'object') resolve(bound)
    })
  })
}

const idleCheckMs = 20
/** For a connection that was opened and has not said anything yet, as browsers do in advance. */
const silentGraceMs = 400

interface OpenServer {
  server: Server
  close(limitMs: number): Promise<void>
}

/** Counts requests for each connection, since Node takes a connection that never spoke for a busy one. */
const withGracefulClose = (server: Server, connectionEvent: 'connection' | 'secureConnection'): OpenServer => {
  const inFlight = new Map<Socket, number>()
  let requests = 0
  server.on(connectionEvent, (socket: Socket) => {
    inFlight.set(socket, 0)
    socket.once('close', () => inFlight.delete(socket))
  })
  server.prependListener('request', (request, response) => {
    const { socket } = request
    const change = (by: 1 | -1): void => {
      requests += by
      const count = inFlight.get(socket)
      if (count !== undefined) inFlight.set(socket, count + by)
    }
    change(1)
    response.once('close', () => change(-1))
  })

  const close = (limitMs: number): Promise<void> =>
    new Promise((resolve) => {
      const started = performance.now()
      const finish = (): void => {
        clearInterval(timer)
        server.closeAllConnections()
        resolve()
      }
      const timer = setInterval(() => {
        const waited = performance.now() - started
        server.closeIdleConnections()
        if (waited >= silentGraceMs) {
          for (const [socket, count] of inFlight) if (count === 0) socket.destroy()
          // What is left are handshakes that do not proceed.
          if (requests === 0) finish()
        }
        if (waited >= limitMs) finish()
      }, idleCheckMs)
      server.close(finish)
      server.closeIdleConnections()
    })
  return { server, close }
}

/**
 * Opens the listeners that are configured; if one fails, none stays open.
 * @throws Error that names the option and the reason
 */
export const listen = async (options: ListenOptions): Promise<Listening> => {
  const { handler, log, section = 'web' } = options
  const open: OpenServer[] = []
  const addresses: BoundAddress[] = []
  let certificates: Certificates | undefined

  const start = async (scheme: 'http' | 'https', wanted: string, opened: OpenServer): Promise<void> => {
    const { address: host, port } = await bind(opened.server, `${section}.${scheme}`, wanted)
    open.push(opened)
    opened.server.on('error', (error) => log.error('listener failed', { server: scheme, err: error }))
    addresses.push({ scheme, host, port })
    log.info('listening on', { server: section === 'web' ? scheme : section, address: wanted })
  }

  const startSecure = async (wanted: string, tls: TlsOptions | undefined): Promise<void> => {
    if (tls === undefined) throw new Error(`${section}.https needs ${section}.tlsCert and ${section}.tlsKey`)
    // Many servers stand behind something that ends TLS for them: 4 MB less.
    const [https, { openCertificates }] = await Promise.all([import('node:https'), import('./tls.ts')])
    let server: SecureServer | undefined
    certificates = await openCertificates(tls, log, (pair) => server?.setSecureContext(pair))
    // Certificates of any authority are let in: what each is good for, the client's own settings say.
    const ask = tls.askClient ? { requestCert: true, rejectUnauthorized: false } : {}
    server = https.createServer({ ...limits, ...certificates.current, ...ask, handshakeTimeout: 10_000 }, handler)
    await start('https', wanted, withGracefulClose(server, 'secureConnection'))
  }

  const hangUp = (): void => void certificates?.reload('SIGHUP')
  const close = async (limitMs = 60_000): Promise<void> => {
    process.off('SIGHUP', hangUp)
    certificates?.close()
    await Promise.all(open.map((opened) => opened.close(limitMs)))
  }

  try {
    if (options.http !== undefined) {
      await start('http', options.http, withGracefulClose(createServer(limits, handler), 'connection'))
    }
    if (options.https !== undefined) await startSecure(options.https, options.tls)
  } catch (error) {
    await close(0)
    throw error
  }
  // Without a certificate the signal keeps its own meaning.
  if (certificates !== undefined) process.on('SIGHUP', hangUp)

  return { addresses, reload: async () => certificates?.reload('asked for'), close }
}
