/** Where the server listens: `web`, `telemetry`, `grpc`. */
import { isIP } from 'node:net'
import type { WebOptions } from '../../server/options.ts'
import type { TelemetryOptions } from '../../telemetry/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { readClientCertificates } from './client-auth.ts'
import { readCredentials, standardHeaders } from './shapes.ts'

/** Values of `serve`'s command line, which win over the file. */
export interface Flags {
  webHttp?: string | undefined
  webHttps?: string | undefined
  telemetry?: string | undefined
  grpc?: string | undefined
}

type TlsVersion = 'TLSv1.2' | 'TLSv1.3'
const TLS: Record<string, TlsVersion | undefined> = { '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' }

export const readWeb = async (
  web: Part<'web'>,
  layout: string | undefined,
  flags: Flags,
  reading: Reading,
): Promise<WebOptions> => {
  const { report, files } = reading
  const http = flags.webHttp || web.http
  const https = flags.webHttps || web.https
  if (!http && !https && !report.broken('/web/http') && !report.broken('/web/https'))
    report.fault('/web/http', 'needs an address to listen on: http or https, such as 0.0.0.0:5556')
  checkAddress('/web/http', http, reading)
  checkAddress('/web/https', https, reading)
  if (http && http === https && !http.endsWith(':0')) report.fault('/web/https', 'is the same address as web.http')
  checkTlsRange('/web', web, reading)
  if (https) {
    for (const [key, what] of [
      ['tlsCert', 'certificate'],
      ['tlsKey', 'private key'],
    ] as const) {
      const at = child('/web', key)
      const file = web[key]
      if (report.broken(at)) continue
      if (!file) report.fault(at, `is missing: https needs the file of a ${what}`)
      else if (!(await files.readable(file))) report.fault(at, `names ${file}, which cannot be read`)
    }
  }
  const { tlsCert, tlsKey } = web
  const maxVersion = TLS[web.tlsMaxVersion ?? '']
  const clientAddress = readClientAddress(web.clientRemoteIP, web.clientCertificates?.header, reading)
  const { trustedProxies = [] } = web.clientRemoteIP ?? {}
  const clientCertificates = await readClientCertificates(web.clientCertificates, trustedProxies, reading)
  return {
    ...(http && { http }),
    ...(https && { https }),
    ...(https &&
      tlsCert &&
      tlsKey && {
        tls: {
          cert: tlsCert,
          key: tlsKey,
          minVersion: TLS[web.tlsMinVersion ?? ''] ?? 'TLSv1.2',
          ...(maxVersion && { maxVersion }),
          ...(clientCertificates && { askClient: true }),
          ...(clientCertificates?.ca !== undefined && { clientCA: clientCertificates.ca }),
        },
      }),
    headers: Object.fromEntries(Object.entries(web.headers ?? {}).filter(([, value]) => value !== '')) as Record<
      string,
      string
    >,
    cors: {
      origins: readOrigins(web.allowedOrigins ?? [], reading),
      headers: web.allowedHeaders?.length ? web.allowedHeaders : standardHeaders(layout),
      ...(readCredentials(web, reading) && { credentials: true }),
    },
    ...(clientAddress && { clientAddress }),
    ...(clientCertificates && { clientCertificates }),
  }
}

const checkAddress = (pointer: string, address: string | undefined, { report }: Reading): void => {
  if (!address) return
  const port = /^(?:\[[^\]]*\]|[^:\s]*):(\d{1,5})$/.exec(address)?.[1]
  if (port === undefined || Number(port) > 65535)
    report.fault(pointer, `must be an address and a port such as 0.0.0.0:5556, not ${address}`)
}

const checkTlsRange = (
  pointer: string,
  { tlsMinVersion: min, tlsMaxVersion: max }: Part<'web'>,
  { report }: Reading,
): void => {
  if (min && max && min > max)
    report.fault(child(pointer, 'tlsMinVersion'), `is newer than tlsMaxVersion: ${min} against ${max}`)
}

const readOrigins = (origins: string[], { report }: Reading): string[] => {
  for (const [index, origin] of origins.entries()) {
    const at = child('/web/allowedOrigins', index)
    if (origin === '*' || origin === 'null' || report.broken(at)) continue
    const url = URL.canParse(origin) ? new URL(origin) : undefined
    if (!url || url.origin === 'null')
      report.warn(at, 'is no origin such as https://app.example.com, so no browser can match it')
    else if (url.origin !== origin.toLowerCase())
      report.warn(at, 'is more than an origin, so no browser can match it', { nearest: url.origin })
  }
  return origins
}

const readClientAddress = (
  settings: Part<'web'>['clientRemoteIP'],
  certificateHeader: string | undefined,
  { report }: Reading,
): WebOptions['clientAddress'] => {
  const { header = '', trustedProxies = [] } = settings ?? {}
  for (const [index, network] of trustedProxies.entries()) {
    const at = child('/web/clientRemoteIP/trustedProxies', index)
    const [, address = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(network) ?? []
    const family = isIP(address)
    if (report.broken(at)) continue
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) {
      const single = isIP(network)
      const better = single === 0 ? undefined : `${network}/${single === 4 ? 32 : 128}`
      report.fault(at, 'must be a network such as 10.0.0.0/8', { nearest: better })
    }
  }
  if (header !== '' && trustedProxies.length > 0) return { header, trustedProxies }
  if (header !== '')
    report.warn('/web/clientRemoteIP/header', 'has no effect without trustedProxies: nobody is believed')
  else if (trustedProxies.length > 0 && !certificateHeader)
    report.warn('/web/clientRemoteIP/trustedProxies', 'has no effect without header')
  return undefined
}

export const readTelemetry = (
  telemetry: Part<'telemetry'>,
  web: WebOptions,
  flags: Flags,
  reading: Reading,
): TelemetryOptions => {
  const http = flags.telemetry || telemetry.http
  checkAddress('/telemetry/http', http, reading)
  if (http && !http.endsWith(':0') && (http === web.http || http === web.https)) {
    reading.report.fault('/telemetry/http', 'is the same address as that of web')
  }
  return { ...(http && { http }), enableProfiling: telemetry.enableProfiling ?? false }
}

/** Checks the block whole, although nothing listens there yet. */
export const checkGrpc = (grpc: Part<'grpc'>, flags: Flags, reading: Reading): void => {
  const { report } = reading
  const addr = flags.grpc || grpc.addr
  checkAddress('/grpc/addr', addr, reading)
  checkTlsRange('/grpc', grpc, reading)
  if (!addr && (grpc.tlsCert || grpc.tlsKey) && !report.broken('/grpc/addr'))
    report.fault('/grpc/addr', 'is missing beside tlsCert and tlsKey')
  if (!grpc.tlsCert !== !grpc.tlsKey) {
    const missing = grpc.tlsCert ? 'tlsKey' : 'tlsCert'
    if (!report.broken(`/grpc/${missing}`))
      report.fault(`/grpc/${missing}`, 'is missing: certificate and key are needed together')
  } else if (!grpc.tlsCert && grpc.tlsClientCA) {
    report.fault('/grpc/tlsClientCA', 'needs tlsCert and tlsKey beside it')
  }
  if (addr) report.warn('/grpc', 'is understood, but nothing listens there yet: the gRPC API is not built')
}
