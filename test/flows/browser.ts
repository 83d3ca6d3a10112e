/**
 * A browser without scripts: cookies, pages, forms. It follows redirects one by one, so that a test can look at each
 * answer and step in anywhere; it never goes to a client, so `follow` ends with the address that the client would get.
 *
 *     const browser = openBrowser()
 *     const answer = await browser.follow(server.authorizationUrl(request))   // the last answer, a page or a redirect
 *     await browser.submit(answer, { login: 'jane', password: 'secret' })     // its form, as a person sends it
 */
import { type Button, decision, type Form, filled, type Page, readPage } from '../dex/replay/page.ts'

export interface BrowserAnswer {
  /** What was asked for. */
  url: string
  status: number
  headers: Headers
  text: string
  /** Where a redirect leads, as it was written. */
  location: string | undefined
  /** Forms and links of a page. */
  page(): Page
  json(): Record<string, unknown>
}

export interface BrowserRequest {
  method?: string
  headers?: Record<string, string>
  /** Fields of a form; makes it a POST. */
  form?: Record<string, string> | URLSearchParams
  body?: string
}

export interface Browser {
  /** Names and values of what a request to the address would bring. */
  cookies(url: string): Map<string, string>
  setCookie(name: string, value: string): void
  /** One request; follows nothing. */
  request(url: string, request?: BrowserRequest): Promise<BrowserAnswer>
  /** A request and all its redirects, as long as they lead to loopback and to no client (see `isClient`). */
  follow(url: string, request?: BrowserRequest): Promise<BrowserAnswer>
  /** Goes on from a redirect that was looked at: follows it, unless it leads to a client. */
  goOn(answer: BrowserAnswer): Promise<BrowserAnswer>
  /** Sends a form of a page, by default its first one, with what a person typed; then follows. */
  submit(answer: BrowserAnswer, typed?: Record<string, string>, form?: Form, button?: Button): Promise<BrowserAnswer>
  /** Presses the button that approves, or the one that refuses. */
  decide(answer: BrowserAnswer, approve: boolean): Promise<BrowserAnswer>
  /** Addresses asked for, in order, with their methods. */
  readonly asked: string[]
}

/** Where a redirect ends at a client: the harness's clients all live here. */
export const isClient = (url: string): boolean =>
  !/^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\//.test(url) || url.startsWith(clientOrigin)

/** Nobody listens there. */
export const clientOrigin = 'http://127.0.0.1:9/'

interface Cookie {
  host: string
  path: string
  name: string
  value: string
}

export function openBrowser(): Browser {
  const cookies = new Map<string, Cookie>()
  const asked: string[] = []

  const matching = (url: string): Cookie[] => {
    const { hostname, pathname } = new URL(url)
    return [...cookies.values()].filter(
      ({ host, path }) =>
        host === hostname && (path === '/' || pathname === path || pathname.startsWith(path.replace(/\/?$/, '/'))),
    )
  }

  const keep = (url: string, lines: string[]): void => {
    const { hostname } = new URL(url)
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
      const at = pair.indexOf('=')
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
      const attribute = (wanted: string) =>
        attributes.find((one) => one.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
      const path = attribute('path') ?? '/'
      const key = `${hostname} ${path} ${name}`
      if (Number(attribute('max-age') ?? 1) <= 0) cookies.delete(key)
      else cookies.set(key, { host: hostname, path, name, value })
    }
  }

  const self: Browser = {
    asked,
    cookies: (url) => new Map(matching(url).map(({ name, value }) => [name, value])),
    setCookie(name, value) {
      for (const cookie of cookies.values()) if (cookie.name === name) cookie.value = value
    },

    async request(url, { form, body, method = form || body !== undefined ? 'POST' : 'GET', headers = {} } = {}) {
      asked.push(`${method} ${url}`)
      const cookie = matching(url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      const answer = await fetch(url, {
        method,
        redirect: 'manual',
        headers: { ...(cookie && { cookie }), ...headers },
        ...(form && { body: new URLSearchParams(form) }),
        ...(body !== undefined && { body }),
      })
      keep(url, answer.headers.getSetCookie())
      return answerOf(url, answer, await answer.text())
    },

    follow: async (url, request) => self.goOn(await self.request(url, request)),

    async goOn(answer) {
      let here = answer
      for (let hop = 0; hop < 20; hop++) {
        if (here.location === undefined) return here
        const next = URL.parse(here.location, here.url)?.href ?? here.location
        if (isClient(next)) return here
        here = await self.request(next)
      }
      throw new Error(`more than 20 redirects from ${answer.url}`)
    },

    async submit(answer, typed = {}, form = answer.page().forms[0], button = form?.buttons[0]) {
      if (!form) throw new Error(`${answer.url} has no form: ${answer.status} ${answer.text.slice(0, 300)}`)
      const fields = filled(form, typed, button)
      const target = new URL(form.action || answer.url, answer.url)
      if (form.method === 'POST') return self.follow(target.href, { form: fields })
      return self.follow(`${target.href.split('?')[0]}?${new URLSearchParams(fields)}`)
    },

    async decide(answer, approve) {
      const chosen = decision(answer.page(), approve)
      if (!chosen) throw new Error(`${answer.url} asks for no approval: ${answer.status} ${answer.text.slice(0, 300)}`)
      return self.submit(answer, {}, chosen.form, chosen.button)
    },
  }
  return self
}

function answerOf(url: string, { status, headers }: Response, text: string): BrowserAnswer {
  return {
    url,
    status,
    headers,
    text,
    location: headers.get('location') ?? undefined,
    page: () => readPage(text),
    json: () => JSON.parse(text) as Record<string, unknown>,
  }
}
