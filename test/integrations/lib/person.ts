/** A person with a browser without scripts: cookies, redirects, links and forms. */
import assert from 'node:assert/strict'
import { type Form, filled, type Page, readPage } from '../../dex/replay/page.ts'

export interface Seen extends Page {
  /** The address at which the way ended. */
  url: URL
  status: number
  headers: Headers
  html: string
  /** Every address on the way, that of the page included. */
  way: URL[]
}

export interface Person {
  /** Follows redirects to a page, at most to an address that begins with `end`, which is not asked for any more. */
  open(address: string | URL, end?: string): Promise<Seen>
  /** Presses the button of a page's form, by default of its first. */
  submit(page: Seen, fields: Record<string, string>, options?: { form?: Form; end?: string }): Promise<Seen>
  /** Opens and wants to end at an address that begins with `end`; returns that address. */
  arrive(address: string | URL, end: string): Promise<URL>
}

interface Cookie {
  name: string
  value: string
  host: string
  path: string
  secure: boolean
}

const mostHops = 20

export function newPerson(fetchPage: typeof fetch = fetch): Person {
  const cookies = new Map<string, Cookie>()

  const cookieFor = ({ hostname, pathname, protocol }: URL): string =>
    [...cookies.values()]
      .filter(({ host, path, secure }) => {
        const below = pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
        return host === hostname && below && (!secure || protocol === 'https:' || hostname === 'localhost')
      })
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')

  const keep = (line: string, { hostname }: URL): void => {
    const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? []
    const path = /; *path=([^;]*)/i.exec(line)?.[1] ?? '/'
    const key = `${hostname} ${path} ${name}`
    if (value === '' || /; *max-age=0(;|$)/i.test(line)) cookies.delete(key)
    else cookies.set(key, { name, value, host: hostname, path, secure: /; *secure(;|$)/i.test(line) })
  }

  const walk = async (start: URL, end: string | undefined, first: RequestInit = {}): Promise<Seen> => {
    const way: URL[] = []
    let url = start
    let init: RequestInit = first
    for (let hop = 0; hop < mostHops; hop++) {
      way.push(url)
      if (end !== undefined && hop > 0 && url.href.startsWith(end)) {
        return { url, way, status: 0, headers: new Headers(), html: '', text: '', forms: [], links: [] }
      }
      const cookie = cookieFor(url)
      const answer = await fetchPage(url, {
        ...init,
        redirect: 'manual',
        headers: { ...(init.headers as Record<string, string>), ...(cookie !== '' && { cookie }) },
      })
      for (const line of answer.headers.getSetCookie()) keep(line, url)
      const location = answer.headers.get('location')
      const html = await answer.text()
      if (location === null)
        return { ...readPage(html), url, way, status: answer.status, headers: answer.headers, html }
      url = new URL(location, url)
      // As browsers do for 302 and 303 (Fetch standard, 4.4).
      init = {}
    }
    throw new Error(`more than ${mostHops} redirects from ${start}`)
  }

  return {
    open: (address, end) => walk(new URL(address), end),

    submit(page, fields, { form = page.forms[0], end } = {}) {
      assert.ok(form, `no form on ${page.url}: ${page.text}`)
      const address = new URL(form.action, page.url)
      return walk(address, end, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: page.url.origin },
        body: new URLSearchParams(filled(form, fields)).toString(),
      })
    },

    async arrive(address, end) {
      const { url, status, text } = await walk(new URL(address), end)
      assert.ok(url.href.startsWith(end), `stopped at ${url} with ${status}: ${text}`)
      return url
    },
  }
}

/** The query of an address as an object. */
export const queryOf = (url: URL): Record<string, string> => Object.fromEntries(url.searchParams)
