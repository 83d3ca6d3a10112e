/** One HTTP exchange, and the cookies of a browser. */
import http, { type IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import type { Fields } from './scenarios.ts'

const PATIENCE_MS = 15_000
const isLoopback = (hostname: string): boolean => /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname)

interface Cookie {
  host: string
  path: string
  name: string
  value: string
}

/** Cookies of one browser, by host (ports share cookies, as in browsers), path and name. */
export class Jar {
  readonly #cookies = new Map<string, Cookie>()

  header(url: string): string {
    const { hostname, pathname } = new URL(url)
    const fits = (cookie: Cookie): boolean =>
      cookie.host === hostname &&
      (cookie.path === '/' || pathname === cookie.path || pathname.startsWith(cookie.path.replace(/\/?$/, '/')))
    return [...this.#cookies.values()]
      .filter(fits)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }

  keep(url: string, lines: string[] = []): void {
    const { hostname, pathname } = new URL(url)
    for (const line of lines) {
      const [, name, value = '', rest = ''] = line.match(/^([^=;]+)=([^;]*)(.*)$/) ?? []
      if (!name) continue
      const path = rest.match(/;\s*path=(\/[^;]*)/i)?.[1] ?? (pathname.replace(/\/[^/]*$/, '') || '/')
      const age = rest.match(/;\s*max-age=(-?\d+)/i)?.[1]
      const expires = rest.match(/;\s*expires=([^;]+)/i)?.[1]
      const isDead = age !== undefined ? Number(age) <= 0 : expires !== undefined && Date.parse(expires) <= Date.now()
      const key = `${hostname} ${path} ${name}`
      if (isDead) this.#cookies.delete(key)
      else this.#cookies.set(key, { host: hostname, path, name, value })
    }
  }
}

export interface Request {
  method?: string | undefined
  headers?: Record<string, string> | undefined
  form?: Fields | undefined
  body?: string | undefined
  jar?: Jar | undefined
  /** PEM of the authority that an address over TLS is trusted by. */
  ca?: string | undefined
}

export interface Response {
  /** 0: the connection was closed without an answer. */
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** Sends one request to this machine, follows nothing. */
export function send(
  url: string,
  { method = 'GET', headers = {}, form, body, jar, ca }: Request = {},
): Promise<Response> {
  const target = new URL(url)
  if (!isLoopback(target.hostname)) return Promise.reject(new Error(`${url} is not on loopback`))
  const all: Record<string, string | number> = { ...headers }
  const cookie = jar?.header(url)
  if (cookie) all.cookie = cookie
  let payload = body
  if (form) {
    payload = encode(form)
    all['content-type'] ??= 'application/x-www-form-urlencoded'
  }
  if (payload !== undefined) all['content-length'] = Buffer.byteLength(payload)
  return new Promise((resolve, reject) => {
    const { request } = target.protocol === 'https:' ? https : http
    const out = request(target, { method, headers: all, agent: false, ca }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        jar?.keep(url, response.headers['set-cookie'])
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode!, headers: response.headers, text })
      })
    })
    out.setTimeout(PATIENCE_MS, () =>
      out.destroy(new Error(`${method} ${url}: no answer within ${PATIENCE_MS / 1000} s`)),
    )
    out.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') resolve({ status: 0, headers: {}, text: '' })
      else reject(error)
    })
    out.end(payload)
  })
}

/** Fields as a query or a form. */
export function encode(fields: Fields): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    for (const one of [value].flat()) if (one !== null) params.append(name, one)
  }
  return params.toString()
}
