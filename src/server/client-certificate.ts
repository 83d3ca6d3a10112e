/**
 * The certificate of an application (RFC 8705): from the connection where TLS ends here, from a header where it ends at a
 * proxy that the operator trusts. From anybody else the header is taken away before anything reads it.
 */
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { ClientCertificate } from '../oidc/certificates.ts'
import { proxyTest } from './client-address.ts'

export interface ClientCertificateOptions {
  /** PEM file of the authorities that the listener believes. */
  ca?: string
  /** Where applications with certificates reach this server. */
  address?: string
  header?: {
    name: string
    /** Networks. */
    trustedProxies: string[]
    /** Header that says `SUCCESS` where the proxy has checked the certificate. */
    verified?: string
  }
}

export interface ClientCertificates {
  /** Takes away what only a trusted proxy may say. */
  strip(request: IncomingMessage): void
  of(request: IncomingMessage): ClientCertificate | undefined
}

/** @throws Error if a trusted network is none */
export function clientCertificates({ header }: ClientCertificateOptions = {}): ClientCertificates {
  const isProxy = proxyTest(header?.trustedProxies ?? [])
  const [name, verified] = [header?.name.toLowerCase(), header?.verified?.toLowerCase()]
  const trusts = ({ socket }: IncomingMessage) => name !== undefined && isProxy(socket.remoteAddress)

  return {
    strip(request) {
      if (trusts(request)) return
      for (const each of [name, verified]) if (each !== undefined) delete request.headers[each]
    },
    of(request) {
      // A certificate on a proxy's own connection is the proxy's.
      if (!trusts(request)) return ofConnection(request.socket as TLSSocket)
      const certificate = parse(request.headers[name!])
      const word = verified === undefined ? undefined : request.headers[verified]
      return certificate && { certificate, authorized: word === 'SUCCESS' && isCurrent(certificate) }
    },
  }
}

function ofConnection(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.encrypted) return undefined
  const certificate = socket.getPeerX509Certificate()
  return certificate && { certificate, authorized: socket.authorized }
}

/**
 * Percent-encoded PEM (nginx, AWS), base64 of DER with or without PEM's lines (HAProxy, Traefik), `:base64:` (RFC 9440);
 * `undefined` for anything else and for a header that came twice.
 */
function parse(value: string | string[] | undefined): X509Certificate | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  try {
    const text = value.includes('%') ? decodeURIComponent(value) : value
    const base64 = text.replaceAll(/-----(BEGIN|END) CERTIFICATE-----|^:|:$|\s/g, '')
    return /^[\w+/]+=*$/.test(base64) ? new X509Certificate(Buffer.from(base64, 'base64')) : undefined
  } catch {
    return undefined
  }
}

const isCurrent = ({ validFromDate, validToDate }: X509Certificate): boolean =>
  validFromDate.getTime() <= Date.now() && Date.now() < validToDate.getTime()
