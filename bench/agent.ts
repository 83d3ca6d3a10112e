/** A browser and a client in as few instructions as possible, so that the load costs less than what it measures. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Connections are kept: what is measured is the server, not the handshakes. */
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

export function send(
  url: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const form: Record<string, string> =
      body === undefined
        ? {}
        : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': String(Buffer.byteLength(body)) }
    const sent = request(url, { method, agent, headers: { ...form, ...headers } }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Cookies of one origin, without regard to paths: no server under test sets the same name on two. */
class Jar {
  readonly cookies = new Map<string, string>()

  take(lines: string[] | undefined): void {
    for (const line of lines ?? []) {
      const pair = line.split(';', 1)[0] ?? ''
      const at = pair.indexOf('=')
      if (at < 1) continue
      if (pair.length === at + 1) this.cookies.delete(pair.slice(0, at))
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
  }

  get headers(): Record<string, string> {
    if (this.cookies.size === 0) return {}
    return { Cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  }
}

/** Follows redirects from `start` until one leads to `target`, typing into a form that stands in the way; returns its query. */
export async function browse(
  start: string,
  target: string,
  credentials?: { login: string; password: string },
): Promise<URLSearchParams> {
  const jar = new Jar()
  const home = new URL(start).origin
  let url = start
  let form: string | undefined
  for (let hop = 0; hop < 20; hop++) {
    const options = form === undefined ? {} : { method: 'POST', body: form }
    const answer = await send(url, { ...options, headers: url.startsWith(home) ? jar.headers : {} })
    if (url.startsWith(home)) jar.take(answer.headers['set-cookie'])
    const { location } = answer.headers
    form = undefined
    if (location !== undefined) {
      url = new URL(location, url).href
      if (url.startsWith(target)) return new URL(url).searchParams
    } else if (answer.status === 200 && credentials !== undefined && answer.body.includes('name="password"')) {
      ;({ url, form } = fill(answer.body, url, credentials))
    } else {
      throw new Error(`${url} answered ${answer.status}: ${answer.body.slice(0, 500)}`)
    }
  }
  throw new Error(`More than 20 redirects from ${start}`)
}

const unescapeHtml = (text: string) =>
  text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))).replaceAll('&amp;', '&')

function fill(page: string, url: string, credentials: { login: string; password: string }) {
  const action = /<form[^>]*\baction="([^"]*)"/.exec(page)?.[1]
  const form = new URLSearchParams({ ...credentials })
  for (const [input] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const name = /\bname="([^"]*)"/.exec(input)?.[1]
    if (name) form.set(name, unescapeHtml(/\bvalue="([^"]*)"/.exec(input)?.[1] ?? ''))
  }
  return { url: action ? new URL(unescapeHtml(action), url).href : url, form: form.toString() }
}
