/**
 * An internet on this machine: names such as acme.okta.com lead through a proxy (CONNECT, as HTTPS_PROXY names one) to
 * listeners of the test. A name that nobody has put there cannot be reached, and is remembered.
 */
import { createServer, type RequestListener, request } from 'node:http'
import { createServer as createSecureServer, request as secureRequest } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Agent, type Dispatcher, ProxyAgent, fetch as undiciFetch } from 'undici'
import { selfSigned } from '../../server/certificate.ts'

/** What answers at a name: a listener behind the internet's own certificate, or a port that speaks TLS itself. */
export type Site = RequestListener | number

export interface Internet extends AsyncDisposable {
  /** For HTTPS_PROXY. */
  proxy: string
  /** PEM; whoever trusts it trusts every name that is served by a listener. */
  certificate: string
  /** Of somebody on this internet; follows no redirect by itself when asked not to. */
  fetch: typeof fetch
  /** @param host with its port unless that is 443 */
  put(host: string, site: Site): void
  /** Names that were asked for in vain. */
  lost: string[]
}

/** @param trust further certificates that `fetch` trusts, PEM */
export async function startInternet(hosts: string[], trust: string[] = []): Promise<Internet> {
  const pair = selfSigned('an internet of the test', hosts)
  const sites = new Map<string, Site>()
  const lost: string[] = []
  const sockets = new Set<Socket>()

  const secure = createSecureServer(pair, (incoming, response) => {
    const site = sites.get(incoming.headers.host ?? '')
    if (typeof site === 'function') site(incoming, response)
    else response.writeHead(421).end()
  })
  const proxy = createServer((_, response) => response.writeHead(405).end())
  proxy.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
  })
  proxy.on('connect', (incoming, socket: Socket) => {
    const [host = '', port] = (incoming.url ?? '').split(':')
    const site = sites.get(port === '443' ? host : `${host}:${port}`)
    if (site === undefined) {
      lost.push(host)
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    if (typeof site === 'function') {
      secure.emit('connection', socket)
      return
    }
    const onward = connect(site, '127.0.0.1')
    onward.on('error', () => socket.destroy())
    socket.once('close', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`

  const tls = { ca: [pair.cert, ...trust] }
  const through = new ProxyAgent({ uri: address, requestTls: tls })
  const direct = new Agent({ connect: tls })
  const dispatcherOf = ({ protocol, hostname }: URL): Dispatcher =>
    protocol === 'https:' && hostname !== '127.0.0.1' ? through : direct

  return {
    proxy: address,
    certificate: pair.cert,
    fetch: ((input: string | URL, init: object = {}) =>
      undiciFetch(input, { ...init, dispatcher: dispatcherOf(new URL(input)) })) as unknown as typeof fetch,
    put: (host, site) => void sites.set(host, site),
    lost,
    async [Symbol.asyncDispose]() {
      await Promise.all([through.destroy(), direct.destroy()])
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}

export interface Forwarding {
  port: number
  /** Put before the path. */
  prefix?: string
  /** Speaks TLS to the port, and trusts this certificate for this name only. */
  tls?: { servername: string; ca: string }
  /** Told as X-Forwarded-For, as Go's reverse proxy does. */
  forwardedFor?: string
}

/** A reverse proxy that keeps path and `Host`. */
export function forwardTo({ port, prefix = '', tls, forwardedFor }: Forwarding): RequestListener {
  return (incoming, response) => {
    const { method, headers, url } = incoming
    const options = {
      host: '127.0.0.1',
      port,
      method,
      path: prefix + url,
      headers: { ...headers, ...(forwardedFor && { 'x-forwarded-for': forwardedFor }) },
      agent: false as const,
      ...tls,
    }
    const onward = (tls ? secureRequest : request)(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.headersSent || response.writeHead(502).end('the site is down'))
    incoming.pipe(onward)
  }
}

/** Port of an address. */
export const portOf = (address: string): number => Number(new URL(address).port)
