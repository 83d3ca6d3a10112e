/** What no page of ours may hold, whatever stood in a name or a parameter, and the headers that every page brings. */
import assert from 'node:assert/strict'
import type { BrowserAnswer } from '../flows/browser.ts'

/** For names of clients, connectors and people, and for parameters. */
export const payloads = [
  '"><script>alert(1)</script>',
  "'><img src=x onerror=alert(1)>",
  '</title></style></textarea><svg onload=alert(1)>',
  '" onfocus=alert(1) autofocus x="',
  '<!--<%= 1234*5678 %>{{1234*5678}}#{1234*5678}',
  '&lt;script&gt;alert(1)&lt;/script&gt;&#x3c;b&#x3e;',
]

/** What a browser would take for tags. */
const tagsOf = (html: string): string[] => html.match(/<[a-z!/?][^>]*(>|$)/gi) ?? []

/** Asserts that a text came as text, if it came. */
export function assertMarkup({ text, url }: Pick<BrowserAnswer, 'text' | 'url'>): void {
  for (const tag of tagsOf(text)) {
    const what = `${url}: ${tag}`
    assert.doesNotMatch(tag, /^<\/?(img(?! class="(mark|logo)")|svg|iframe|object|embed|base|style|!--)/i, what)
    assert.doesNotMatch(tag.replace(/="[^"]*"/g, '=""'), /\s(on\w+|style|srcdoc|formaction|http-equiv)\b/i, what)
    assert.doesNotMatch(tag, /\s(href|src|action)="\s*(javascript|vbscript|data|blob|file):/i, what)
    if (/^<script/i.test(tag)) assert.match(tag, /^<script src="[\w/-]*\/static\/\w+\.js(\?v=[\w-]+)?" defer>$/, what)
  }
  assert.doesNotMatch(text, /<script[^>]*>[^<]/i, `${url}: inline code`)
  assert.ok(!text.includes(String(1234 * 5678)), `${url}: a template in a text was run`)
}

const policy = (csp: string): Map<string, string[]> =>
  new Map(
    csp.split(';').map((directive) => {
      const [name = '', ...sources] = directive.trim().split(/\s+/)
      return [name, sources]
    }),
  )

/** Asserts the headers of a page; `targets` are where its forms may lead beside our own origin. */
export function assertPageHeaders(
  headers: { get(name: string): string | null },
  what: string,
  targets?: string[],
): void {
  const value = (name: string): string => headers.get(name) ?? ''
  const directives = policy(value('content-security-policy'))
  const sources = (name: string): string[] => directives.get(name) ?? ['absent']
  assert.deepEqual(sources('default-src'), ["'none'"], what)
  assert.deepEqual(sources('script-src'), ["'self'"], what)
  assert.deepEqual(sources('style-src'), ["'self'"], what)
  assert.deepEqual(sources('frame-ancestors'), ["'none'"], what)
  assert.deepEqual(sources('base-uri'), ["'none'"], what)
  assert.equal(sources('form-action')[0], "'self'", what)
  if (targets) assert.deepEqual(sources('form-action').slice(1), targets, what)
  assert.doesNotMatch(value('content-security-policy'), /unsafe|\*|nonce-|strict-dynamic/, what)
  assert.equal(value('x-frame-options'), 'DENY', what)
  assert.equal(value('x-content-type-options'), 'nosniff', what)
  assert.match(value('referrer-policy'), /^(same-origin|no-referrer)$/, what)
  assert.match(value('cache-control'), /no-store/, what)
  assert.match(value('content-type'), /^text\/html; charset=utf-8$/i, what)
}
