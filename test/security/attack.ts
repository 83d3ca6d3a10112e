/** What the attackers of this folder have in common: addresses to poll, and what they must never get. */
import assert from 'node:assert/strict'
import type { Browser, BrowserAnswer } from '../flows/browser.ts'
import type { FlowServer } from '../flows/server.ts'
import { type OidcUpstream, upstreamClient } from '../upstreams/oidc.ts'

/** The connector `corp`, in front of a stand-in that checks codes, redirect URI and PKCE. */
export const oidcConnector = ({ issuer }: Pick<OidcUpstream, 'issuer'>, more: Record<string, unknown> = {}) => ({
  type: 'oidc',
  id: 'corp',
  name: 'Corp',
  config: { issuer, ...upstreamClient, ...more },
})

/** Every address at which a login goes on, for whoever knows a value of it. */
export const laterAddresses = (server: Pick<FlowServer, 'url'>, state: string, connector: string): string[] =>
  [
    '/callback',
    `/callback/${connector}`,
    `/auth/${connector}/login`,
    `/auth/${connector}/post`,
    `/device/auth/${connector}`,
    '/device/auth/verify_code',
    '/approval',
    '/mfa',
    '/mfa/totp',
    '/mfa/webauthn',
  ].map((path) => `${server.url(path)}?state=${encodeURIComponent(state)}`)

/** A page for the person, and no way on. */
export function isDeadEnd(answer: BrowserAnswer, what = answer.url): void {
  assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status} ${answer.location ?? ''}`)
  assert.equal(answer.location, undefined, what)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/html/, what)
  assert.doesNotMatch(answer.text, handedOut, what)
}

/** Opens all of them, as GET and as the form that the page would send. */
export async function poll(browser: Browser, addresses: string[], form: Record<string, string> = {}): Promise<void> {
  for (const address of addresses) {
    isDeadEnd(await browser.request(address))
    const state = new URL(address).searchParams.get('state') ?? ''
    const answer = await browser.request(address, { form: { state, approval: 'approve', ...form } })
    assertNoCode(answer)
  }
}

/** What a client gets of a login, in an address or in a form. */
const handedOut = /[?&#](code|access_token|id_token)=|name="(code|access_token|id_token)"/

/** Neither the address nor the page brings one, nor a token. */
export function assertNoCode({ status, location, text, url }: BrowserAnswer): void {
  assert.ok(status < 500, `${url}: ${status} ${text}`)
  assert.doesNotMatch(`${location ?? ''} ${text}`, handedOut, url)
}

/** The `Cookie` header that a browser would send, to be kept or put back. */
export const cookieHeader = (browser: Browser, url: string): string =>
  [...browser.cookies(url)].map(([name, value]) => `${name}=${value}`).join('; ')

/** The query of an address. */
export const queryOf = (address: string | undefined): URLSearchParams => new URL(address ?? '').searchParams

/** Follows redirects as long as they stay at the server. */
export async function followHere(
  browser: Browser,
  server: Pick<FlowServer, 'origin'>,
  url: string,
): Promise<BrowserAnswer> {
  let answer = await browser.request(url)
  for (let hop = 0; hop < 10; hop++) {
    const next = answer.location === undefined ? undefined : URL.parse(answer.location, answer.url)
    if (next?.origin !== server.origin) return answer
    answer = await browser.request(next.href)
  }
  throw new Error(`more than 10 redirects from ${url}`)
}
