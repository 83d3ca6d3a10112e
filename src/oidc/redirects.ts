/** The one place that decides where a browser may be sent with an answer, and how the answer's address is made. */
import { isIPv4 } from 'node:net'
import type { ClientOptions } from './options.ts'

/** Out-of-band: the code is shown for the person to copy. */
export const outOfBand = 'urn:ietf:wg:oauth:2.0:oob'

/** Schemes that run code or read files when a browser is sent to them. */
const forbidden = new Set(['javascript:', 'vbscript:', 'data:', 'blob:', 'file:', 'about:'])

/**
 * Whether `uri` is a redirect URI of the client: one that is registered, to the letter (RFC 9700, 2.1); of a public client
 * also its registered loopback addresses on any port (RFC 8252, 7.3), and without any registered one every http address on
 * loopback, as in Dex.
 */
export function redirectAllowed(
  client: Pick<ClientOptions, 'public' | 'redirectURIs' | 'httpsLoopback' | 'origin'>,
  uri: string,
): boolean {
  if (uri === '' || !isRedirectable(uri)) return false
  if (client.redirectURIs.includes(uri)) return true
  if (!client.public) return false
  // What an operator may leave out, a client that registers itself may not.
  if (client.redirectURIs.length === 0 && client.origin !== undefined) return false
  if (client.redirectURIs.length === 0) return uri === outOfBand || loopbackOf(uri) !== undefined
  const asked = loopbackOf(uri)
  const written = (registered: string) =>
    client.httpsLoopback ? registered.replace(/^https:\/\/(?=localhost[:/])/i, 'http://') : registered
  return asked !== undefined && client.redirectURIs.some((registered) => loopbackOf(written(registered)) === asked)
}

/** Whether a logout may return to `uri`: one that is registered for that, to the letter (RP-Initiated Logout 1.0, 3). */
export function logoutRedirectAllowed(client: Pick<ClientOptions, 'postLogoutRedirectURIs'>, uri: string): boolean {
  return isRedirectable(uri) && (client.postLogoutRedirectURIs?.includes(uri) ?? false)
}

/**
 * What keeps a client that nobody vouches for from registering this address; `undefined` when nothing does. Stricter than
 * for the operator's own: https, http on loopback only (RFC 8252, 7.3), or a scheme that an application has taken for itself.
 */
export function registrable(uri: string): string | undefined {
  const url = URL.parse(uri)
  if (url === null || !isRedirectable(uri)) return 'is no address that a browser may be sent to'
  if (/[#*]/.test(uri)) return 'must have no fragment and no wildcard'
  if (url.username !== '' || url.password !== '') return 'must hold no user name'
  if (url.protocol === 'https:') {
    // What is written must be what a browser makes of it: no other host by a backslash, a tab or a letter that looks like a dot.
    return uri.toLowerCase().startsWith(`https://${url.host}`) ? undefined : 'must be written as browsers write it'
  }
  if (url.protocol === 'http:') return loopbackOf(uri) === undefined ? 'must be https, or http on loopback' : undefined
  // RFC 8252, 7.1: a name turned round, such as com.example.app.
  return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol)
    ? undefined
    : 'must be https, or a scheme such as com.example.app'
}

/** An absolute address whose scheme only carries an answer to an application. */
function isRedirectable(uri: string): boolean {
  const url = URL.parse(uri)
  if (url === null || forbidden.has(url.protocol)) return false
  return !/[\u0000-\u001f\u007f]/.test(uri) && !/[ \\]/.test(uri.split('?', 1)[0]!)
}

/** The address without its port if it is http on loopback; hosts are compared as they are written, as in Dex. */
function loopbackOf(uri: string): string | undefined {
  const found = /^http:\/\/((?:[^@/?#]*@)?)(\[[\da-f:]+\]|[^:/?#[\]]+)(?::\d{1,5})?([/?#].*)?$/s.exec(
    uri.replace(/^http:/i, 'http:'),
  )
  if (!found) return undefined
  const [, user, host = '', rest = ''] = found
  return isLoopback(host) ? `${user}${host}${rest}` : undefined
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))

/** Where the members of an answer stand: the query (RFC 6749, 4.1.2) or the fragment (Multiple Response Types, 5). */
export type AnswerPlace = 'query' | 'fragment'

/** The redirect URI, to the letter as the client wrote it, with the members of an answer; its own query stays. */
export function answerAddress(
  redirectUri: string,
  answer: Record<string, string | undefined>,
  place: AnswerPlace = 'query',
): string {
  const members = new URLSearchParams(
    Object.entries(answer).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const [address = ''] = redirectUri.split('#', 1)
  if (members.size === 0) return encodeRest(address)
  if (place === 'fragment') return `${encodeRest(address)}#${members}`
  const separator = address.includes('?') ? (/[?&]$/.test(address) ? '' : '&') : '?'
  return encodeRest(`${address}${separator}`) + members
}

/** What must not stand in a header as it is; everything else stays as the client wrote it. */
const encodeRest = (address: string): string =>
  address.replace(/[^\x21-\x7e]/gu, (letter) => (letter === ' ' ? '%20' : encodeURIComponent(letter)))

/**
 * What a page's `form-action` must name so that the browser follows the redirect to the client after its form: Chromium
 * applies that directive to the redirects as well (CSP 3, 6.4.1).
 */
export function formTarget(redirectUri: string): string | undefined {
  const url = URL.parse(redirectUri)
  if (!url || forbidden.has(url.protocol)) return undefined
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : url.protocol
}

/** Sends the browser on with GET (RFC 9110, 15.4.4). Koa's own `redirect` writes addresses anew, which clients compare as text. */
export function redirectTo(
  ctx: { status: number; body: unknown; set(name: string, value: string): void },
  address: string,
): void {
  ctx.status = 303
  ctx.set('Location', address)
  ctx.body = ''
}
