/** Turns what came over the wire into a form that can be written down: what changes from run to run becomes `<…>`. */
import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import type { Json } from '../../../src/lib/json.ts'
import type { Response } from './exchange.ts'
import { describePage } from './page.ts'
import type { Answer, Fields, Names } from './scenarios.ts'
import { standInNames } from './upstreams/index.ts'
import type { Arrival, Walk } from './walk.ts'

type JsonObject = { [key: string]: Json }
export type Key = JsonWebKey & { kid?: string }

/** What values are judged by. */
export interface Scope {
  names: Names
  /** The server's, when there is a token to be checked. */
  keys?: Key[] | undefined
  /** The form of the request. */
  sent?: Fields | undefined
  anyOrder?: string[] | undefined
}

/** Inside a token: what came beside it, and how it is signed. */
interface TokenScope extends Scope {
  siblings?: JsonObject
  algorithm?: string
}

const HEADERS = [
  'location',
  'cache-control',
  'www-authenticate',
  'allow',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-expose-headers',
  'access-control-max-age',
]
const RANDOM = new Set([
  'code',
  'jti',
  'sid',
  'device_code',
  'refresh_token',
  'kid',
  'code_challenge',
  'code_verifier',
  'upstream_state',
])
const SKEW_S = 90
const SPEAKS_OF_AN_ERROR = new RegExp(
  [
    'invalid|error|denied|wrong|incorrect|fail|expired|unknown|forbidden|reject|missing|no longer|try again',
    'not (found|valid|allowed|registered)|bad request|unauthori[sz]ed|unregistered',
  ].join('|'),
  'i',
)

export const written = ({ pages, client, last }: Walk, scope: Scope): Answer =>
  plain({
    pages: pages.length > 0 ? pages : undefined,
    client: client && writeArrival(client, scope),
    ...(last && writeResponse(last, scope)),
  })

/** What a stand-in saw. */
export const writtenLog = (log: object, scope: Scope): Answer => writeObject(plain(log), '', scope)

/** As JSON has it: without members that are undefined. */
const plain = (item: object): Answer => JSON.parse(JSON.stringify(item)) as Answer

function writeResponse({ status, headers, text }: Response, scope: Scope): Record<string, unknown> {
  const type = (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  const kept = writeHeaders(headers, scope)
  return {
    status,
    type: text ? type : '',
    headers: Object.keys(kept).length > 0 ? kept : undefined,
    ...(text && writeContent(type, text, status, scope)),
  }
}

function writeContent(type: string, text: string, status: number, scope: Scope): Record<string, unknown> {
  if (type === 'application/json') {
    try {
      return { body: writeValue(JSON.parse(text) as Json, '', scope, {}) }
    } catch {
      return { body: '<not JSON>' }
    }
  }
  if (type === 'text/html') return { page: writePage(text, status) }
  return type === 'text/plain' && status < 400 ? { body: '<text>' } : {}
}

/** Words of pages are each program's own: only the kind, the fields, the connectors and whether it speaks of an error stay. */
function writePage(html: string, status: number): Record<string, unknown> {
  const { kind, forms, offers, text } = describePage(html)
  const error = SPEAKS_OF_AN_ERROR.test(text)
  const isForm = kind === 'password' || kind === 'user code'
  if (status >= 400 && !isForm) return { kind: 'page', error }
  return {
    kind,
    forms: forms.length > 0 ? forms : undefined,
    offers: kind === 'choice' ? offers : undefined,
    error: isForm ? error : undefined,
  }
}

function writeHeaders(headers: Response['headers'], scope: Scope): JsonObject {
  const out: JsonObject = {}
  for (const name of HEADERS) {
    const text = headers[name] as string | undefined
    if (text === undefined) continue
    if (name === 'location') out[name] = writeValue(text, name, scope, {})
    else if (name === 'www-authenticate')
      out[name] = text.split(' ')[0]! // the scheme
    else if (/cache-control|headers|methods|allow$/.test(name)) out[name] = inOrder(text)
    else out[name] = text
  }
  return out
}

const inOrder = (list: string): string =>
  list
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .toSorted()
    .join(', ')

function writeArrival({ status, location, posted }: Arrival, scope: Scope): Record<string, unknown> {
  const [, uri, search = '', hash = ''] = location.match(/^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/)!
  return {
    status,
    uri: writeValue(uri!, 'uri', scope, {}),
    query: search ? writeParameters(search, scope) : undefined,
    fragment: hash ? writeParameters(hash, scope) : undefined,
    form_post: posted && writeObject(posted, '', scope),
  }
}

function writeParameters(text: string, scope: Scope): JsonObject {
  const all: JsonObject = {}
  for (const [name, item] of new URLSearchParams(text)) all[name] = name in all ? [all[name]!, item].flat() : item
  return writeObject(all, '', scope)
}

/** One value with its name and its siblings, from which times and hashes are judged. */
function writeValue(item: Json, name: string, scope: TokenScope, siblings: JsonObject): Json {
  if (Array.isArray(item))
    return writeList(
      item.map((one) => writeValue(one, '', scope, {})),
      name,
      scope,
    )
  if (typeof item === 'object' && item !== null) return writeObject(item, name, scope)
  if (typeof item === 'number' || (name === 'expires_in' && /^\d+$/.test(String(item)))) {
    return writeTime(Number(item), name, siblings) ?? item
  }
  return typeof item === 'string' ? writeText(item, name, scope, siblings) : item
}

function writeObject(item: JsonObject, name: string, scope: TokenScope): JsonObject {
  // Dex hashes codes and tokens in access tokens as well; they cover nothing that a client holds.
  const entries = Object.entries(item).filter(([key]) => name === 'claims of id_token' || !/^(at|c)_hash$/.test(key))
  return Object.fromEntries(entries.map(([key, one]) => [key, writeValue(one, key, scope, item)]))
}

function writeText(item: string, name: string, scope: TokenScope, siblings: JsonObject): Json {
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(item)) return { jwt: writeToken(item, name, scope, siblings) }
  if (name === 'error_description') return '<text>'
  if (name === 'at_hash') return hash(item, scope.siblings?.access_token, scope.algorithm)
  if (name === 'c_hash') return hash(item, scope.siblings?.code ?? scope.sent?.code, scope.algorithm)
  if ((RANDOM.has(name) && item) || (/^[nxy]$/.test(name) && item.length > 20)) return '<random>'
  if (name === 'user_code') return `<user code ${item.replace(/[A-Z\d]/g, 'X')}>`
  const placed = places(item, scope.names)
  return name === 'verification_uri_complete' ? placed.replace(/user_code=.+$/, 'user_code=<user code>') : placed
}

/** Metadata lists have no order; keys that look alike when written down count once (a next key may be published early). */
function writeList(items: Json[], name: string, { anyOrder = [] }: Scope): Json[] {
  if (name.endsWith('_supported') || anyOrder.includes(name)) return items.toSorted()
  if (name !== 'keys') return items
  return [...new Map(items.map((key) => [JSON.stringify(key), key])).values()]
}

function writeTime(seconds: number, name: string, siblings: JsonObject): string | undefined {
  const now = Date.now() / 1000
  const near =
    Math.abs(seconds - now) < SKEW_S ? '<now>' : `<now${seconds > now ? '+' : ''}${Math.round(seconds - now)}>`
  if (name === 'iat' || name === 'auth_time') return near
  if (name === 'exp' || name === 'nbf')
    return typeof siblings.iat === 'number' ? `<iat+${seconds - siblings.iat}>` : near
  if (name === 'expires_in') return about(seconds, seconds < 120 ? 5 : 30)
  return undefined
}

const about = (seconds: number, unit: number): string => `<about ${Math.round(seconds / unit) * unit}>`

function writeToken(jwt: string, name: string, scope: TokenScope, siblings: JsonObject): JsonObject {
  const [head, body, signature] = jwt.split('.') as [string, string, string]
  const header = decode(head)
  const key = scope.keys?.find(({ kid }) => kid === header.kid)
  const out = { ...header }
  if ('kid' in header) out.kid = key ? '<published>' : '<not published>'
  if (key && !isSigned(`${head}.${body}`, signature, key, header.alg as string)) out.signature = '<bad>'
  const inner = { ...scope, siblings, algorithm: header.alg as string }
  out.claims = writeValue(decode(body), `claims of ${name}`, inner, {})
  return out
}

const decode = (part: string): JsonObject => JSON.parse(Buffer.from(part, 'base64url').toString()) as JsonObject

function isSigned(data: string, signature: string, jwk: Key, algorithm: string): boolean {
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const digest = /\d+$/.test(algorithm) ? `sha${algorithm.slice(2)}` : null
  return verify(digest, Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}

/** `<right>` when it is the left half of the hash (OpenID Connect Core, 3.1.3.6), `<random>` when the hashed value is not at hand. */
function hash(item: string, of: Json | undefined, algorithm = ''): string {
  if (of === undefined) return '<random>'
  const bits = Number(algorithm.slice(2)) || 512
  const digest = createHash(`sha${bits}`).update(String(of)).digest()
  return digest.subarray(0, bits / 16).toString('base64url') === item ? '<right>' : '<wrong>'
}

/** Addresses that change from run to run become the `{name}` that the scenario uses for them. */
function places(text: string, names: Names): string {
  let out = text
  for (const name of ['issuer', 'origin', 'callback', ...standInNames]) {
    const known = names[name]
    if (known) out = out.replaceAll(known, `{${name}}`)
  }
  return out
}
