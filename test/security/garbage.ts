/** What scanners, broken clients and attackers send instead of a request. */
import { randomBytes } from 'node:crypto'
import type { RawRequest } from './raw.ts'

const form = ['Content-Type', 'application/x-www-form-urlencoded'] as const

/** Every parameter that any route reads, with a value of the right form. */
export const parameters: Record<string, string> = {
  acr_values: '1',
  approval: 'approve',
  approval_prompt: 'force',
  claims: '{"id_token":{"email":null}}',
  client_id: 'web',
  client_secret: 'web-secret',
  code: 'x'.repeat(43),
  code_challenge: 'x'.repeat(43),
  code_challenge_method: 'S256',
  code_verifier: 'x'.repeat(43),
  connector_id: 'mock',
  continue: 'x'.repeat(43),
  device_code: 'x'.repeat(43),
  dpop_jkt: 'x'.repeat(43),
  error: 'access_denied',
  further: 'key',
  grant_type: 'refresh_token',
  id_token_hint: 'x.y.z',
  login: 'jane',
  login_hint: 'jane',
  logout_token: 'x.y.z',
  max_age: '1',
  nonce: 'n',
  password: 'password',
  post_logout_redirect_uri: 'http://127.0.0.1:9/after',
  posted: 'x'.repeat(43),
  prompt: 'login',
  RelayState: 'x'.repeat(43),
  redirect_uri: 'http://127.0.0.1:9/web/callback',
  refresh_token: 'x'.repeat(65),
  request: 'x.y.z',
  request_uri: 'urn:ietf:params:oauth:request_uri:x',
  requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  response_mode: 'query',
  response_type: 'code',
  scope: 'openid',
  state: 'x'.repeat(43),
  subject_token: 'x',
  subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  token: 'x',
  totp: '123456',
  ui_locales: 'en',
  user_code: 'BCDF-GHJK',
  username: 'jane',
}

const all = new URLSearchParams(parameters).toString()

export const queries: string[] = [
  '?',
  '?=&=&&',
  '?%',
  '?state=%',
  '?state=%E0%A4%A&client_id=%ff%fe',
  '?state=%00&client_id=%00&user_code=%00',
  '?state=%F0%9F%98%80&client_id=%ED%A0%80',
  '?state=\xff\xfe&client_id=\x80',
  '?__proto__=x&constructor=y&client_id=__proto__&state=__proto__',
  '?client_id=constructor&connector_id=toString&state=hasOwnProperty',
  '?client_id[]=web&client_id[a]=b&state[]=x&redirect_uri[]=y',
  '?state=a;b=c&client_id=web;redirect_uri=x',
  `?${'a=1&'.repeat(5000)}client_id=web`,
  `?state=${'a'.repeat(20_000)}`,
  `?client_id=${'%00'.repeat(5_000)}`,
  `?${'['.repeat(5_000)}`,
  '?posted=__proto__',
  `?${all}`,
  `?${all}&${all}`,
]

const bodies: (readonly [string | Buffer, type?: string])[] = [
  ['{"client_id":"web","grant_type":{"$ne":1}}', 'application/json'],
  ['[]', 'application/json'],
  ['null', 'application/json'],
  ['{', 'application/json; charset=utf-8'],
  ['<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', 'application/xml'],
  ['x', 'text/plain'],
  ['--x\r\nContent-Disposition: form-data; name="state"\r\n\r\nx\r\n--x--', 'multipart/form-data; boundary=x'],
  ['x', 'multipart/form-data'],
  ['x', 'application/x-www-form-urlencoded; charset=utf-16'],
  ['x', 'application/x-www-form-urlencoded; charset=nothing'],
  ['x', 'application/x-www-form-urlencoded; charset="'],
  ['x', ';'],
  ['x', '\xff'],
  ['', 'application/x-www-form-urlencoded'],
  ['x'],
  ['='],
  ['%'],
  ['state=%E0%A4%A&client_id=%&token=%zz'],
  ['state=%00&token=%00&login=%00&password=%00&user_code=%00'],
  ['__proto__=x&constructor=y&grant_type=__proto__&client_id=constructor'],
  ['grant_type=toString&client_id=web&client_secret=web-secret'],
  ['client_id[]=web&grant_type[]=x&token[a]=b'],
  [`${'a=1&'.repeat(5_000)}client_id=web`],
  [`login=${'\u{1F600}'.repeat(5_000)}&password=${'x'.repeat(30_000)}`],
  [randomBytes(10_000)],
  [Buffer.alloc(10_000)],
  [`state=${'x'.repeat(300_000)}`],
  [`token=${'x'.repeat(300_000)}&client_id=web&client_secret=web-secret`],
  [all],
  [`${all}&${all}`],
]

/** Bodies with their headers; for every method that brings one. */
export const contents: Pick<RawRequest, 'headers' | 'body'>[] = [
  ...bodies.map(([body, type]) => ({ headers: [type === undefined ? form : (['Content-Type', type] as const)], body })),
  { headers: [form, ['Content-Encoding', 'gzip']], body: 'state=x' },
  { headers: [form, ['Transfer-Encoding', 'chunked']], body: '7\r\nstate=x\r\n0\r\n\r\n' },
  { headers: [form, ['Transfer-Encoding', 'chunked']], body: 'zz\r\n' },
  { headers: [form, ['Transfer-Encoding', 'gzip, chunked']], body: '0\r\n\r\n' },
  { headers: [form, ['Transfer-Encoding', 'chunked'], ['Content-Length', '3']], body: '0\r\n\r\n' },
  { headers: [form, ['Content-Length', '-1']], body: 'x' },
  { headers: [form, ['Content-Length', '1e9']], body: 'x' },
  { headers: [form, ['Content-Length', '1'], ['Content-Length', '2']], body: 'xx' },
  { headers: [form, ['Expect', '100-continue']], body: 'state=x' },
  { headers: [form, ['Expect', 'nonsense']], body: 'state=x' },
]

const unsigned = `${Buffer.from('{"alg":"RS256","kid":{},"typ":7}').toString('base64url')}.e30.x`
const event = (members: unknown) => ({ eventType: 'com.okta.event_hook', data: { events: [members] } })

/** What an upstream would send, almost; as JSON, and as the form that carries logout tokens. */
export const messages: string[] = [
  ...[null, 1, 'x', [], {}, [[]], { __proto__: 1 }, { eventType: 1, data: null }, { data: { events: {} } }],
  ...[null, 'x', [], { uuid: 'x', eventType: '__proto__', target: [] }].map(event),
  ...[null, [null], [{ type: 'User', id: {} }], [{ type: 'User', id: '\u0000' }], { length: 1e9 }].map((target) =>
    event({ uuid: '\u0000', eventType: 'user.session.clear', target }),
  ),
  { eventType: 'x', data: { events: Array.from({ length: 5_000 }, (_, uuid) => ({ uuid: `${uuid}` })) } },
  ...[null, 'x', [], { format: 'email', email: [] }, { format: '__proto__' }, { format: {} }].map((sub_id) => ({
    sub_id,
  })),
]
  .map((message) => JSON.stringify(message))
  .concat('', '{', '\u0000', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)

export const logoutTokens: string[] = [
  ...['', '.', '..', '...', 'x', 'x.y.z', 'a.b', '\u0000', '%00.%00.%00', unsigned, `${'A'.repeat(100_000)}.e30.x`],
  `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`,
  `${Buffer.from('{"alg":"HS256","crit":["x"],"x":1}').toString('base64url')}.e30.x`,
  `${Buffer.from('null').toString('base64url')}.${Buffer.from('null').toString('base64url')}.x`,
]

/** Each in a request of its own. */
export const headers: (readonly [string, string])[] = [
  ['Authorization', 'Basic'],
  ['Authorization', 'Basic '],
  ['Authorization', 'Basic !!!'],
  ['Authorization', `Basic ${Buffer.from('web').toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from(':').toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from('web:%zz').toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from('__proto__:x').toString('base64')}`],
  ['Authorization', `Basic ${Buffer.from('\u0000:\u0000').toString('base64')}`],
  ['Authorization', `Basic ${'A'.repeat(40_000)}`],
  ['Authorization', 'Bearer'],
  ['Authorization', 'Bearer x.y.z'],
  ['Authorization', `Bearer ${'A'.repeat(50_000)}`],
  ['Authorization', `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
  ['Authorization', 'Negotiate x'],
  ['Authorization', 'DPoP x'],
  ['Authorization', '\xff'],
  ['DPoP', 'x.y.z'],
  ['DPoP', 'A'.repeat(20_000)],
  ['DPoP', `${Buffer.from('{"alg":"ES256","typ":"dpop+jwt","jwk":{}}').toString('base64url')}.e30.x`],
  ['Cookie', '\xff=\xff;;;=;'],
  ['Cookie', `login_${'x'.repeat(16)}=${'x'.repeat(30_000)}`],
  ['Cookie', 'login_xxxxxxxxxxxxxxxx=0.x.x; _interaction=x; _session=x; _interaction_resume=x'],
  ['Cookie', `${'a=b; '.repeat(8_000)}`],
  ['Origin', 'nonsense'],
  ['Origin', '\xff'],
  ['Sec-Fetch-Site', 'nonsense'],
  ['Accept', '*/*;q=nonsense, \xff'],
  ['Accept-Language', `${'x-'.repeat(5_000)}x`],
  ['Accept-Charset', 'nonsense'],
  ['Accept-Encoding', 'identity;q=0'],
  ['If-None-Match', `"${'x'.repeat(10_000)}`],
  ['If-Modified-Since', 'never'],
  ['Range', 'bytes=0-,5-1,-0'],
  ['Upgrade', 'websocket'],
  ['Host', ''],
  ['Host', 'a@b@c'],
  ['Host', '[::1'],
  ['Host', '\xff'],
  ['Host', `${'x'.repeat(5_000)}`],
  ['X-Forwarded-For', `${'1,'.repeat(20_000)}`],
  ['X-Forwarded-Proto', '\xff'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-Large', 'x'.repeat(60_000)],
  ['X-TooLarge', 'x'.repeat(70_000)],
]

export const methods = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'SEARCH', 'PURGE'],
  ...['QUERY', 'M-SEARCH', 'NONSENSE', 'get'],
]

/** What is no HTTP, or hardly; with `@` for the path of the issuer. */
export const lines: string[] = [
  '\r\n\r\n',
  'GET\r\n\r\n',
  'GET @/auth\r\n\r\n',
  'GET @/auth HTTP/0.9\r\n\r\n',
  'GET @/auth HTTP/9.9\r\nHost: x\r\n\r\n',
  'GET @/auth HTTP/1.1\r\n\r\n',
  'GET @/auth HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n',
  'GET @/auth\0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/auth\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/auth HTTP/1.1\r\nHost: x\r\nx\0y: z\r\n\r\n',
  'GET @/auth HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n',
  'GET http://evil.example@/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET //evil.example@/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET /\\evil.example@/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET ?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/static/../../package.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/static/%2e%2e/%2e%2e/package.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/static/..%5c..%5cpackage.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/theme/..%2f..%2fpackage.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'GET @/static/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
]

const odd = [
  '',
  ' ',
  '\0',
  '"',
  '\\',
  '%',
  '\u{1F600}',
  '[object Object]',
  '__proto__',
  '-1',
  '1e999',
  '../x',
  'x'.repeat(40_000),
]
const grantTypes: Record<string, string[]> = {
  authorization_code: ['code', 'code_verifier', 'redirect_uri', 'scope', 'resource'],
  refresh_token: ['refresh_token', 'scope', 'resource'],
  'urn:ietf:params:oauth:grant-type:device_code': ['device_code', 'code_verifier'],
  password: ['username', 'password', 'scope', 'nonce'],
  client_credentials: ['scope', 'nonce'],
  'urn:ietf:params:oauth:grant-type:token-exchange': [
    ...['subject_token', 'subject_token_type', 'requested_token_type', 'connector_id', 'audience', 'actor_token'],
  ],
  '': ['token', 'token_type_hint', 'grant_type', 'scope', 'client_id', 'client_secret', 'client_assertion_type'],
}

/** Forms of every grant type, in which one value is odd. */
export const grants: string[] = Object.entries(grantTypes).flatMap(([grantType, names]) =>
  names.flatMap((name) =>
    odd.map((value) => {
      const usual = Object.fromEntries(names.map((each) => [each, parameters[each] ?? 'x']))
      return new URLSearchParams({ ...usual, ...(grantType && { grant_type: grantType }), [name]: value }).toString()
    }),
  ),
)
