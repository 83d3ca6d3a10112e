/** What the stand-ins share: a small HTTP server with a log, a state that scenarios arrange, and a certificate. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json } from '../../../../src/lib/json.ts'
import { selfSigned } from '../../../server/certificate.ts'
import type { Arrangement } from '../scenarios.ts'

export interface StandIn {
  url: string
  /** Of a stand-in over TLS: the authority to trust, as PEM text and in a file. */
  ca?: { pem: string; file: string }
  log: Log
  /** Goes back to the start, with these changes, and clears the log. */
  arrange(changes: Arrangement): void
  close(): void
}

/** What came: the last authorization and token request, the last name and password, and every back-channel request in order. */
export interface Log {
  authorize?: Parameters | undefined
  token?: Parameters | undefined
  login?: { [key: string]: Json } | undefined
  calls: string[]
}

export type Parameters = Record<string, string>

/** A request in parts, and ways to answer it, which give the response back. */
export interface Exchange {
  request: IncomingMessage
  url: URL
  query: Parameters
  form: Parameters
  body: string
  /** The address of the stand-in itself. */
  origin: string
  log: Log
  text(status: number, content: string, type?: string, headers?: Parameters): ServerResponse
  json(status: number, item?: unknown, headers?: Parameters): ServerResponse
  /** Back to the client, with the state that it sent. */
  redirect(fields: Parameters): ServerResponse
}

/** Answers every request. */
export type Handler = (exchange: Exchange) => ServerResponse

/** What a stand-in answers to every call of its interface when a scenario wants that. */
export interface FixedAnswer {
  status: number
  text: string
  type?: string
}

/** How the program under test is registered with every stand-in. */
export const CLIENT = { id: 'upstream-client', secret: 'upstream-secret' }

export const random = (): string => randomBytes(18).toString('base64url')
export const base64url = (data: string | Buffer): string => Buffer.from(data).toString('base64url')

/** Client id and secret of a request, and whether they came as HTTP Basic (`decode` as in RFC 6749, 2.3.1) or in the body. */
export function credentials(
  request: IncomingMessage,
  form: Parameters = {},
  decode: (part: string) => string = decodeURIComponent,
): { auth: 'basic' | 'body'; id: string | undefined; secret: string | undefined } {
  const basic = request.headers.authorization?.match(/^Basic (.+)$/i)?.[1]
  if (!basic) return { auth: 'body', id: form.client_id, secret: form.client_secret }
  const [id, secret] = Buffer.from(basic, 'base64').toString().split(':').map(decode)
  return { auth: 'basic', id, secret }
}

/**
 * Serves on a free loopback port. Of what a scenario arranges, the members of `start` are patched and the rest is set;
 * the handler made by `handle` sees the state as it is at the moment.
 */
export async function standIn<State extends object>(
  start: State,
  handle: (state: State) => Handler,
  tls?: { cert: string; key: string },
): Promise<StandIn> {
  const log: Log = { calls: [] }
  const state = { ...start }
  const handler = handle(state)
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += chunk
    const exchange = exchangeOf(request, response, body, { origin: url, log })
    try {
      handler(exchange)
    } catch (error) {
      exchange.text(500, String(error), 'text/plain')
    }
  }
  const server = tls ? createTlsServer(tls, answer) : createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    log,
    arrange(changes) {
      for (const key of Object.keys(state)) delete (state as Record<string, unknown>)[key]
      const patched = Object.entries(start).map(([key, item]) => [key, { ...item, ...(changes[key] as object) }])
      Object.assign(state, changes, Object.fromEntries(patched))
      Object.assign(log, { authorize: undefined, token: undefined, login: undefined, calls: [] })
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Likewise over TLS with a certificate of its own. */
export async function standInOverTls<State extends object>(
  start: State,
  handle: (state: State) => Handler,
): Promise<StandIn> {
  const { cert: pem, key } = selfSigned('stand-in')
  const folder = mkdtempSync(join(tmpdir(), 'recorded-answers-ca-'))
  const file = join(folder, 'stand-in.crt')
  writeFileSync(file, pem)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove) // when the run is cut short
  const served = await standIn(start, handle, { cert: pem, key })
  return {
    ...served,
    ca: { pem, file },
    close() {
      served.close()
      process.off('exit', remove)
      remove()
    },
  }
}

function exchangeOf(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  { origin, log }: { origin: string; log: Log },
): Exchange {
  const url = new URL(request.url!, 'http://stand-in')
  const text: Exchange['text'] = (status, content, type = 'text/html', headers = {}) => {
    response.writeHead(status, { 'content-type': type, ...headers })
    return response.end(content)
  }
  return {
    request,
    url,
    query: Object.fromEntries(url.searchParams),
    form: Object.fromEntries(new URLSearchParams(body)),
    body,
    origin,
    log,
    text,
    json: (status, item, headers) =>
      text(status, item === undefined ? '' : JSON.stringify(item), 'application/json', headers),
    redirect(fields) {
      const back = new URL(url.searchParams.get('redirect_uri')!)
      const all = { ...fields, state: String(url.searchParams.get('state')) }
      for (const [name, item] of Object.entries(all)) back.searchParams.set(name, item)
      return response.writeHead(302, { location: back.href }).end()
    },
  }
}
