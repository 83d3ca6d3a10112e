import assert from 'node:assert/strict'
import { openBrowser } from './browser.ts'
import {
  answerAt,
  arrive,
  cli,
  corp,
  type FlowServer,
  logIn,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'
import { upstream } from './upstream.ts'

describe('authorization requests', () => {
  let server: FlowServer
  const people = upstream('requests')
  before(async () => {
    server = await startServer({ connectors: [corp('requests')] })
  })
  after(() => server[Symbol.asyncDispose]())

  const send = (params: Record<string, string>) => openBrowser().follow(startLogin(server, { params }).url)
  const answered = async (params: Record<string, string>) => answerAt(await send(params))

  it('are refused on a page when there is nowhere safe to return to', async () => {
    const wrong = [
      { client_id: 'nobody' },
      { client_id: '' },
      { redirect_uri: '' },
      { redirect_uri: `${web.redirectUri}/more` },
      { redirect_uri: 'javascript:alert(1)' },
    ]
    for (const params of wrong) {
      const answer = await send(params)
      assert.equal(answer.status, 400)
      assert.equal(answer.location, undefined)
      assert.match(answer.page().text, /client_id|redirect_uri/)
    }
  })

  const refusals: [fault: string, params: Record<string, string>, error: string][] = [
    ['no scope', { scope: '' }, 'invalid_scope'],
    ['a scope without `openid`', { scope: 'email' }, 'invalid_scope'],
    ['an unknown scope', { scope: 'openid bogus' }, 'invalid_scope'],
    ['an audience that does not trust it', { scope: 'openid audience:server:client_id:cli' }, 'invalid_scope'],
    ['no response type', { response_type: '' }, 'invalid_request'],
    ['a response type that is not served', { response_type: 'id_token' }, 'unsupported_response_type'],
    ['a challenge that is too short', { code_challenge: 'abc' }, 'invalid_request'],
    ['a request object', { request: 'e30.e30.' }, 'request_not_supported'],
    ['a request by reference', { request_uri: 'https://example.com/r' }, 'request_uri_not_supported'],
    ['an unknown prompt', { prompt: 'sometimes' }, 'invalid_request'],
    ['`prompt=none` with another', { prompt: 'none login' }, 'invalid_request'],
    ['`max_age` that is no number', { max_age: '-1' }, 'invalid_request'],
    ['a hint that is no token of ours', { id_token_hint: 'e30.e30.e30' }, 'invalid_request'],
    ['`prompt=none`, since nobody is signed in', { prompt: 'none' }, 'login_required'],
  ]
  for (const [fault, params, error] of refusals) {
    it(`go back with ${error} for ${fault}`, async () => {
      const answer = await answered({ state: 'ab c', ...params })
      assert.equal(answer.error, error)
      assert.equal(answer.state, 'ab c')
      assert.equal(answer.iss, server.issuer)
      assert.match(answer.error_description!, / \(request [\da-f-]{36}\)$/)
      assert.equal('code' in answer, false)
    })
  }

  it('that stand in a request object are refused in the mode and with the state that it names', async () => {
    const object = (members: unknown) => `e30.${Buffer.from(JSON.stringify(members)).toString('base64url')}.`
    const said = {
      response_mode: 'form_post',
      state: 'inside',
      redirect_uri: 'https://evil.example/',
      client_id: 'cli',
    }
    const posted = await send({ request: object(said), state: '' })
    assert.equal(posted.page().forms[0]?.action, web.redirectUri)
    const { error, state } = answerAt(posted)
    assert.deepEqual([error, state], ['request_not_supported', 'inside'])
    const beside = { request: object(said), state: 'beside', response_mode: 'fragment' }
    assert.match((await send(beside)).location ?? '', /#error=request_not_supported&.*&state=beside&/)
    const twice = `${startLogin(server, { params: { request: object(said), state: 'a' } }).url}&state=b`
    assert.equal('state' in answerAt(await openBrowser().follow(twice)), false)
    for (const members of [null, [], 'x', { response_mode: ['form_post'], state: 1 }]) {
      assert.equal((await answered({ request: object(members), state: 's' })).state, 's')
    }
  })

  it('go back with an error for a parameter that is sent twice', async () => {
    const { url } = startLogin(server)
    const answer = answerAt(await openBrowser().follow(`${url}&nonce=other`))
    assert.equal(answer.error, 'invalid_request')
    assert.match(answer.error_description!, /nonce/)
  })

  it('ask the upstream each time, whatever `prompt` and `max_age` say', async () => {
    const browser = openBrowser()
    await logIn(server, { browser })
    for (const params of [{ prompt: 'login' }, { prompt: 'select_account' }, { max_age: '0' }, { max_age: '3600' }]) {
      const before = people.arrivals.length
      const { claims } = await logIn(server, { browser, params })
      assert.equal(people.arrivals.length, before + 1)
      assert.ok(Math.abs(Number(claims.auth_time) - Date.now() / 1000) < 5)
    }
  })

  it('pass on to the connector what the client wishes of the login', async () => {
    const params = {
      prompt: 'login',
      max_age: '60',
      login_hint: 'jane@example.com',
      acr_values: 'a b',
      ui_locales: 'de',
    }
    await logIn(server, { params })
    assert.deepEqual(people.started.at(-1)?.wishes, {
      prompt: 'login',
      maxAge: 60,
      loginHint: 'jane@example.com',
      acrValues: ['a', 'b'],
      uiLocales: ['de'],
    })
  })

  it('take an expired ID token of ours as a hint', async () => {
    const { tokens } = await logIn(server)
    await logIn(server, { params: { id_token_hint: tokens.id_token } })
  })

  describe('with a response mode', () => {
    it('`fragment` are answered behind the #', async () => {
      const started = startLogin(server, { params: { response_mode: 'fragment' } })
      const answer = await openBrowser().follow(started.url)
      assert.ok(answer.location?.startsWith(`${web.redirectUri}#code=`), answer.location)
      tokensOf(await server.redeem(arrive(started, answer)))
      const refused = await send({ response_mode: 'fragment', prompt: 'none' })
      assert.ok(refused.location?.startsWith(`${web.redirectUri}#error=login_required`), refused.location)
    })

    it('`form_post` are answered by a page with a form and a button, without inline code', async () => {
      const started = startLogin(server, { params: { response_mode: 'form_post' } })
      const answer = await openBrowser().follow(started.url)
      assert.equal(answer.status, 200)
      const [form] = answer.page().forms
      assert.equal(form?.action, web.redirectUri)
      assert.equal(form?.method, 'POST')
      assert.ok(form.buttons.length > 0)
      assert.doesNotMatch(answer.text, /<script(?![^>]*\bsrc=)|\son\w+=/)
      const policy = answer.headers.get('content-security-policy') ?? ''
      assert.ok(policy.includes(`form-action 'self' ${new URL(web.redirectUri).origin}`), policy)
      tokensOf(await server.redeem(arrive(started, answer)))
      assert.equal((await answered({ response_mode: 'form_post', prompt: 'none' })).error, 'login_required')
    })

    it('that nobody knows are answered in the query, as in Dex', async () => {
      const answer = await send({ response_mode: 'pigeon' })
      assert.ok(answer.location?.startsWith(`${web.redirectUri}?code=`), answer.location)
    })
  })

  it('of a client out of band end with the code on a page', async () => {
    const outOfBand = { ...cli, redirectUri: 'urn:ietf:wg:oauth:2.0:oob' }
    const started = startLogin(server, { client: outOfBand })
    const answer = await openBrowser().follow(started.url)
    assert.equal(answer.status, 200)
    const code = / id="code"[^>]*>([\w-]+)</.exec(answer.text)?.[1]
    tokensOf(await server.redeem({ ...started, code: code!, location: '' }))
  })

  it('keep the query of a redirect URI that has one', async () => {
    const redirectUri = `${cli.redirectUri}?tenant=a%20b`
    const answer = await openBrowser().follow(startLogin(server, { client: { ...cli, redirectUri } }).url)
    assert.ok(answer.location?.startsWith(`${redirectUri}&code=`), answer.location)
  })
})
