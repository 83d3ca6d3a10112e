/** Lessons, row 10: whatever happens, at the most talkative level and in both formats, no secret gets into the log. */
import assert from 'node:assert/strict'
import { startProvider } from '../clients/lib/program.ts'
import { type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import { answerAt, arrive, challengeOf, passwordHash, startLogin, startServer, web } from '../flows/server.ts'
import { type OidcUpstream, startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { oidcConnector } from './attack.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const canary = (what: string) => `canary-of-the-${what}-4711`
const client = { ...web, secret: canary('client-secret') }

const configuration = (up: OidcUpstream) => ({
  logger: { level: 'debug', format: 'text' },
  oauth2: {
    skipApprovalScreen: true,
    passwordConnector: 'pw',
    responseTypes: ['code', 'id_token', 'token'],
    grantTypes: [
      ...['authorization_code', 'refresh_token', deviceGrant, exchangeGrant],
      ...['password', 'client_credentials'],
    ],
  },
  connectors: [
    oidcConnector(up, { getUserInfo: true }),
    { type: 'mockCallback', id: 'mock', name: 'Mock' },
    { type: 'mockPassword', id: 'pw', name: 'PW', config: { username: 'u', password: canary('password') } },
  ],
  enablePasswordDB: true,
  staticPasswords: [{ email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }],
  staticClients: [
    { id: web.id, secret: client.secret, name: 'Web', redirectURIs: [web.redirectUri] },
    { id: 'device', name: 'Device', public: true, redirectURIs: ['/device/callback'] },
  ],
})

/** Uses everything that there is, rightly and wrongly; gives all that must stay unsaid. */
async function useEverything(issuer: string, up: OidcUpstream): Promise<Set<string>> {
  const secrets = new Set([client.secret, upstreamClient.clientSecret, canary('password'), passwordHash])
  const outside = openBrowser()
  const url = (path: string) => `${issuer}${path}`
  const secret = (...values: unknown[]): void => {
    for (const value of values) if (typeof value === 'string' && value !== '') secrets.add(value)
  }
  const post = async (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) => {
    for (const [name, value] of Object.entries(fields)) {
      if (/secret|password|token$|code|verifier/.test(name)) secret(value)
    }
    const answer = await outside.request(url(path), { form: fields, headers })
    const body = answer.text.startsWith('{') ? answer.json() : {}
    secret(body.access_token, body.id_token, body.refresh_token, body.device_code, body.user_code)
    return body as Record<string, string>
  }
  const credentials = { client_id: client.id, client_secret: client.secret }
  const token = (fields: Record<string, string>) => post('/token', { ...fields, ...credentials })
  const bearer = (path: string, value: string) => {
    secret(value)
    return outside.request(url(path), { headers: { authorization: `Bearer ${value}` } })
  }

  async function login(connector: string, typed?: Record<string, string>, params: Record<string, string> = {}) {
    const browser = openBrowser()
    const scope = 'openid email groups offline_access'
    const started = startLogin({ url }, { client, connector, scope, params })
    secret(started.verifier, started.nonce, started.state)
    let answer: BrowserAnswer = await browser.request(started.url)
    for (const value of browser.cookies(issuer).values()) secret(value)
    answer = await browser.goOn(answer)
    if (typed) {
      secret(typed.password)
      answer = await browser.submit(answer, typed)
    }
    for (const value of browser.cookies(issuer).values()) secret(value)
    if (answer.text.includes('name="approval"')) answer = await browser.decide(answer, true)
    for (const address of [...browser.asked, answer.location ?? '']) {
      const { searchParams, hash = '' } = URL.parse(address, issuer) ?? {}
      const fragment = new URLSearchParams(hash.slice(1))
      for (const name of ['code', 'state', 'nonce', 'code_verifier', 'access_token', 'id_token']) {
        secret(searchParams?.get(name), fragment.get(name))
      }
    }
    return { started, answer, browser }
  }
  async function tokens(connector: string, typed?: Record<string, string>, params?: Record<string, string>) {
    const { started, answer } = await login(connector, typed, params)
    const { code, verifier, redirectUri } = arrive(started, answer)
    const grant = { grant_type: 'authorization_code', code, redirect_uri: redirectUri }
    await token({ ...grant, code_verifier: canary('wrong-verifier').padEnd(43, 'x') })
    const again = await login(connector, typed, params)
    const second = arrive(again.started, again.answer)
    const fields = { ...grant, code: second.code, code_verifier: second.verifier }
    secret(verifier)
    const issued = await token(fields)
    await token(fields)
    return issued
  }

  for (const [connector, typed, params] of [
    ['corp'],
    ['mock', undefined, { prompt: 'consent' }],
    ['pw', { login: 'u', password: canary('password') }],
    ['local', { login: 'jane@example.com', password: 'password' }, { response_mode: 'form_post' }],
  ] as [string, Record<string, string>?, Record<string, string>?][]) {
    const { access_token = '', id_token = '', refresh_token = '' } = await tokens(connector, typed, params)
    assert.notEqual(access_token, '', connector)
    await bearer('/userinfo', access_token)
    await bearer('/userinfo', `${access_token}x`)
    await post('/userinfo', { access_token })
    await post('/userinfo', { access_token: `${access_token}x` })
    for (const each of [access_token, id_token, refresh_token])
      await post('/token/introspect', { token: each, ...credentials })
    const next = await token({ grant_type: 'refresh_token', refresh_token })
    await token({ grant_type: 'refresh_token', refresh_token })
    await token({ grant_type: 'refresh_token', refresh_token: `${refresh_token}x` })
    await post('/token/revoke', { token: next.refresh_token ?? '', ...credentials })
    await login('corp', undefined, { id_token_hint: id_token, login_hint: 'hint' })
  }
  for (const mode of ['fragment', 'form_post']) {
    const params = { response_type: 'code id_token token', response_mode: mode }
    const { answer } = await login('corp', undefined, params)
    const { access_token, id_token, code } = answerAt(answer)
    assert.ok(access_token)
    secret(access_token, id_token, code)
  }
  const passwords = { grant_type: 'password', username: 'u', scope: 'openid offline_access' }
  for (const password of [canary('password'), canary('wrong-granted-password')]) await token({ ...passwords, password })
  assert.ok((await token({ grant_type: 'client_credentials', scope: 'openid' })).id_token)
  // Wrong in every way.
  await login('local', { login: 'jane@example.com', password: canary('wrong-password') })
  await login('pw', { login: 'nobody', password: canary('other-password') })
  const wrong = { client_id: client.id, client_secret: canary('wrong-secret') }
  const pushed = await post('/par', {
    response_type: 'code',
    redirect_uri: client.redirectUri,
    scope: 'openid',
    state: canary('pushed-state'),
    code_challenge: challengeOf(canary('pushed-verifier').padEnd(43, 'x')),
    code_challenge_method: 'S256',
    ...credentials,
  })
  secret(canary('pushed-state'), pushed.request_uri)
  const byReference = new URLSearchParams({ client_id: client.id, request_uri: pushed.request_uri ?? '' })
  await openBrowser().follow(url(`/auth?${byReference}`))
  await openBrowser().follow(url(`/auth?${byReference}x`))
  const proof = `${canary('proof-header')}.${canary('proof-payload')}.${canary('proof-signature')}`
  secret(canary('proof-payload'), canary('proof-signature'))
  for (const path of ['/token', '/token/introspect', '/token/revoke', '/device/code', '/par']) {
    await post(path, { grant_type: 'refresh_token', refresh_token: canary('refresh'), ...credentials }, { dpop: proof })
    await post(path, {
      grant_type: 'refresh_token',
      refresh_token: canary('refresh'),
      token: canary('token'),
      ...wrong,
    })
    const basic = Buffer.from(`${client.id}:${canary('basic-secret')}`).toString('base64')
    secret(canary('basic-secret'), basic)
    await post(path, { grant_type: 'authorization_code', code: canary('code') }, { authorization: `Basic ${basic}` })
  }
  await bearer('/userinfo', canary('bearer'))
  await post('/device/auth/verify_code', { user_code: 'BCDF-GHJK' })

  const begun = await post('/device/code', { client_id: 'device', scope: 'openid offline_access' })
  const person = openBrowser()
  const choice = await person.submit(await person.request(url('/device')), { user_code: begun.user_code ?? '' })
  const link = choice.page().links.find(({ href }) => href.includes('/mock'))
  await person.follow(new URL(link?.href ?? '', choice.url).href)
  const polled = { grant_type: deviceGrant, device_code: begun.device_code ?? '', client_id: 'device' }
  await post('/token', polled)
  await post('/token', polled)

  const exchange = { grant_type: exchangeGrant, connector_id: 'corp', scope: 'openid', subject_token_type: idTokenType }
  const foreign = await up.sign({ iss: up.issuer, aud: upstreamClient.clientID, sub: 'x', exp: 9e9, iat: 1 })
  for (const subject_token of [foreign, canary('subject-token')]) await token({ ...exchange, subject_token })

  // An upstream that answers with its tokens where they do not belong.
  const bare = {
    access_token: canary('upstream-access'),
    refresh_token: canary('upstream-refresh'),
    token_type: 'Bearer',
  }
  const idToken = `${canary('header')}.${canary('payload')}.${canary('signature')}`
  secret(...Object.values(bare), canary('payload'), canary('signature'))
  for (const reply of [
    { status: 200, body: { ...bare, id_token: idToken } },
    { status: 200, body: { ...bare, id_token: await up.sign({ iss: canary('payload'), sub: 'x' }) } },
    { status: 200, body: bare },
    { status: 200, body: `${JSON.stringify(bare)}}` },
    { status: 200, body: `<p>${bare.access_token}</p>`, headers: { 'content-type': 'text/html' } },
    { status: 400, body: { error: 'invalid_grant', ...bare } },
    { status: 500, body: bare },
    { status: 302, body: '', headers: { location: `${up.issuer}/x?access_token=${bare.access_token}` } },
  ]) {
    up.bends.answers = { '/token': () => reply }
    await login('corp')
  }
  up.bends.answers = { '/userinfo': ({ authorization = '' }) => ({ status: 500, body: authorization }) }
  await login('corp')
  up.bends.answers = {}
  for (const { form, query, authorization = '' } of up.asked) {
    for (const name of ['code', 'code_verifier', 'refresh_token', 'client_secret', 'nonce', 'state']) {
      secret(form.get(name), query.get(name))
    }
    secret(authorization.replace(/^(Basic|Bearer) /, ''))
  }
  return secrets
}

/** Short ones, and what is no secret in itself, would be found by chance. */
const worthLooking = (secrets: Set<string>): string[] =>
  [...secrets].filter((each) => each.length >= 8 && each !== 'password')

function assertSilent(log: string, secrets: Set<string>): void {
  const wanted = worthLooking(secrets)
  assert.ok(wanted.length > 150, `${wanted.length} secrets`)
  for (const each of wanted) {
    for (const form of [each, encodeURIComponent(each), Buffer.from(each).toString('base64').replace(/=+$/, '')]) {
      const at = log.indexOf(form)
      assert.ok(at < 0, `"${each.slice(0, 60)}" in the log: ${log.slice(Math.max(0, at - 300), at + 100)}`)
    }
  }
}

describe('secrets and the log', function () {
  this.timeout(30_000)
  let up: OidcUpstream
  beforeEach(async () => {
    up = await startOidcUpstream()
  })
  afterEach(() => up.close())

  it('row 10: are kept apart, as JSON', async () => {
    await using server = await startServer(configuration(up))
    const secrets = await useEverything(server.issuer, up)
    const log = server.logged()
    for (const expected of ['"msg":"upstream call"', '"type":"tokens_refreshed"', '"type":"client_refused"']) {
      assert.ok(log.includes(expected), expected)
    }
    assertSilent(log, secrets)
    assert.ok(!log.includes(challengeOf('x')))
  })

  it('row 10: are kept apart, as text, from the start to the end of the program', async () => {
    const server = await startProvider(configuration(up))
    const secrets = await useEverything(server.issuer, up)
    await server[Symbol.asyncDispose]()
    const log = server.output()
    assert.ok(log.includes('level=DEBUG') && log.includes('msg=audit') && log.includes('type=stopped'))
    assertSilent(log, secrets)
  })
})
