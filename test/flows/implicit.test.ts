import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Browser, type BrowserAnswer, openBrowser } from './browser.ts'
import {
  type AuthRequest,
  answerAt,
  claimsOf,
  cli,
  corp,
  durable,
  errorOf,
  type FlowServer,
  type StartOptions,
  startLogin,
  startServer,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const every = ['code', 'token', 'id_token']
const oauth2 = { skipApprovalScreen: true, responseTypes: every }
const scope = 'openid profile email groups'
const hashOf = (value: string) => createHash('sha256').update(value).digest().subarray(0, 16).toString('base64url')

/** Without PKCE, which has no use where no code is issued. */
const withoutChallenge = { code_challenge: '', code_challenge_method: '' }

async function ask(server: FlowServer, responseType: string, request: AuthRequest & { browser?: Browser } = {}) {
  const { browser = openBrowser(), params, ...rest } = request
  const started = startLogin(server, { scope, ...rest, params: { response_type: responseType, ...params } })
  const answer = await browser.follow(started.url)
  return { started, answer, members: answerAt(answer), browser }
}

/** Members of the fragment, or fails. */
function fragmentOf({ location = '' }: BrowserAnswer): Record<string, string> {
  assert.ok(location.startsWith(`${web.redirectUri}#`) || location.startsWith(`${cli.redirectUri}#`), location)
  assert.doesNotMatch(location.split('#')[0]!, /[?&]/)
  return answerAt({ location } as BrowserAnswer)
}

describe('tokens from the authorization endpoint', () => {
  let server: FlowServer
  const people = upstream('implicit')
  before(async () => {
    server = await startServer({ connectors: [corp('implicit')], oauth2 })
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(() => {
    people.person = jane()
  })

  const types: [responseType: string, members: string[]][] = [
    ['id_token', ['id_token']],
    ['id_token token', ['access_token', 'expires_in', 'id_token', 'token_type']],
    ['code id_token', ['code', 'id_token']],
    ['code token', ['access_token', 'code', 'expires_in', 'token_type']],
    ['code id_token token', ['access_token', 'code', 'expires_in', 'id_token', 'token_type']],
  ]
  for (const [responseType, expected] of types) {
    it(`come for "${responseType}" in the fragment, in whatever order it is written`, async () => {
      for (const written of [responseType, responseType.split(' ').reverse().join(' ')]) {
        const { started, answer } = await ask(server, written)
        const members = fragmentOf(answer)
        assert.deepEqual(Object.keys(members).sort(), [...expected, 'iss', 'state'].sort())
        assert.equal(members.state, started.state)
        assert.equal(members.iss, server.issuer)
        const { access_token: access, id_token: id, code } = members
        if (id !== undefined) {
          const { at_hash, c_hash, nonce, groups, aud, auth_time, name } = claimsOf(id)
          assert.equal(at_hash, access && hashOf(access))
          assert.equal(c_hash, code && hashOf(code))
          assert.deepEqual([nonce, groups, aud, name], [started.nonce, ['staff'], 'web', 'Jane Doe'])
          assert.ok(Math.abs(Number(auth_time) - Date.now() / 1000) < 5)
        }
        if (access !== undefined) {
          assert.equal(members.token_type, 'Bearer')
          assert.equal(members.expires_in, '86400')
          const { email, nonce } = claimsOf(access)
          assert.deepEqual([email, nonce], ['jane@example.com', started.nonce])
        }
        if (code !== undefined) {
          const tokens = tokensOf(await server.redeem({ ...started, code, location: '' }))
          assert.deepEqual(claimsOf(tokens.id_token).groups, ['staff'])
          assert.equal(claimsOf(tokens.id_token).nonce, started.nonce)
          assert.equal(claimsOf(tokens.id_token).c_hash, hashOf(code))
          assert.equal(claimsOf(tokens.id_token).at_hash, hashOf(tokens.access_token))
        }
      }
    })
  }

  it('are access tokens like all others: for userinfo, introspection and revocation', async () => {
    const { members } = await ask(server, 'id_token token')
    const token = members.access_token!
    assert.equal((await server.userinfo(token)).json().email, 'jane@example.com')
    assert.equal((await server.introspect(token)).active, true)
    assert.equal((await server.post('/token/revoke', { token }, web)).status, 200)
    assert.equal((await server.userinfo(token)).status, 401)
  })

  it('are never refresh tokens, whatever was asked for; the code of the hybrid flow brings one', async () => {
    const { members } = await ask(server, 'id_token token', { scope: 'openid offline_access' })
    assert.equal('refresh_token' in members, false)
    const hybrid = await ask(server, 'code id_token token', { scope: 'openid offline_access' })
    assert.equal('refresh_token' in hybrid.members, false)
    const { refresh_token: refreshToken } = tokensOf(
      await server.redeem({ ...hybrid.started, code: hybrid.members.code!, location: '' }),
    )
    tokensOf(await server.refresh(refreshToken!))
  })

  it('name the audiences that the scopes ask for', async () => {
    await using trusting = await startServer({
      oauth2,
      staticClients: [
        { id: 'web', secret: 'web-secret', name: 'Web', redirectURIs: [web.redirectUri] },
        { id: 'k8s', secret: 's', name: 'K8s', trustedPeers: ['web'] },
      ],
    })
    const { members } = await ask(trusting, 'id_token', { scope: 'openid audience:server:client_id:k8s' })
    const { aud, azp } = claimsOf(members.id_token!)
    assert.deepEqual([aud, azp], [['k8s', 'web'], 'web'])
  })

  it('come to a public client without PKCE where no code is issued, and with it where one is', async () => {
    const { members } = await ask(server, 'id_token token', { client: cli, params: withoutChallenge })
    assert.equal(claimsOf(members.id_token!).aud, 'cli')
    const refused = await ask(server, 'code id_token', { client: cli, params: withoutChallenge })
    assert.equal(fragmentOf(refused.answer).error, 'invalid_request')
    const hybrid = await ask(server, 'code id_token', { client: cli })
    const arrived = { ...hybrid.started, code: hybrid.members.code!, location: '' }
    assert.equal(errorOf(await server.redeem({ ...arrived, verifier: 'x'.repeat(43) })), '400 invalid_grant')
    tokensOf(await server.redeem(arrived))
  })

  it('come by `form_post` in a form without inline code', async () => {
    const { answer, members, started } = await ask(server, 'id_token token', { params: { response_mode: 'form_post' } })
    assert.equal(answer.status, 200)
    assert.equal(answer.page().forms[0]?.action, web.redirectUri)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.doesNotMatch(answer.text, /<script(?![^>]*\bsrc=)|\son\w+=/)
    assert.equal(members.state, started.state)
    assert.equal(claimsOf(members.id_token!).at_hash, hashOf(members.access_token!))
  })

  it('are accounted for, and are not in the log', async () => {
    const { members } = await ask(server, 'code id_token token')
    const event = server.audited().findLast(({ type }) => type === 'tokens_issued')
    assert.equal(event?.grant_type, 'implicit')
    assert.equal(event?.client_id, 'web')
    assert.equal(event?.sub, claimsOf(members.id_token!).sub)
    assert.deepEqual(event?.scopes, scope.split(' '))
    for (const value of [members.access_token!, members.id_token!, members.code!]) {
      assert.equal(server.logged().includes(value), false)
    }
  })

  it('ask nothing of the disk', async () => {
    const before = server.commits.length
    await ask(server, 'id_token token', { scope: 'openid' })
    assert.deepEqual(durable(server.commits.slice(before)), [])
  })

  it('are given silently by a session, with its `sid`, and refused silently without one', async () => {
    await using signedOn = await startServer({ connectors: [corp('implicit')], oauth2, sessions: {} })
    const browser = openBrowser()
    const first = claimsOf((await ask(signedOn, 'id_token', { browser })).members.id_token!)
    const arrivals = people.arrivals.length
    const silent = await ask(signedOn, 'id_token token', { browser, params: { prompt: 'none' } })
    const { sid, auth_time, nonce } = claimsOf(fragmentOf(silent.answer).id_token!)
    assert.equal(typeof sid, 'string')
    assert.deepEqual([sid, auth_time, nonce], [first.sid, first.auth_time, silent.started.nonce])
    assert.equal(claimsOf(silent.members.access_token!).sid, sid)
    assert.equal(people.arrivals.length, arrivals, 'the upstream was not asked')
    const stranger = await ask(signedOn, 'id_token', { params: { prompt: 'none' } })
    assert.equal(fragmentOf(stranger.answer).error, 'login_required')
  })

  describe('refused', () => {
    const refusals: [fault: string, params: Record<string, string>, error: string][] = [
      ['without a nonce', { nonce: '' }, 'invalid_request'],
      ['in the query', { response_mode: 'query' }, 'invalid_request'],
      ['without `openid`', { scope: 'email' }, 'invalid_scope'],
      ['for an unknown scope', { scope: 'openid bogus' }, 'invalid_scope'],
      ['to `token` alone', { response_type: 'token' }, 'unsupported_response_type'],
      ['to a word that nobody knows', { response_type: 'id_token pigeon' }, 'unsupported_response_type'],
      ['to `prompt=none`', { prompt: 'none' }, 'login_required'],
      ['to an unknown prompt', { prompt: 'sometimes' }, 'invalid_request'],
    ]
    for (const [fault, params, error] of refusals) {
      it(`${fault}, with ${error} where the answer would have been`, async () => {
        const { answer, started } = await ask(server, 'id_token', { params })
        const members = fragmentOf(answer)
        assert.deepEqual([members.error, members.state, members.iss], [error, started.state, server.issuer])
        if (params.response_mode !== undefined) return
        const posted = await ask(server, 'id_token', { params: { ...params, response_mode: 'form_post' } })
        assert.equal(posted.answer.status, 200)
        assert.equal(posted.answer.page().forms[0]?.action, web.redirectUri)
        assert.equal(posted.members.error, error)
      })
    }

    it('by the upstream, in the fragment and in the form', async () => {
      people.finish = () => {
        throw Object.assign(new Error('no'), { code: 'login_refused', details: {} })
      }
      try {
        assert.equal(fragmentOf((await ask(server, 'id_token token')).answer).error, 'access_denied')
        const { members } = await ask(server, 'id_token', { params: { response_mode: 'form_post' } })
        assert.equal(members.error, 'access_denied')
      } finally {
        people.finish = undefined
      }
    })

    it('by the person, in the fragment; and given when they approve', async () => {
      const params = { prompt: 'consent' }
      for (const approve of [false, true]) {
        const browser = openBrowser()
        const started = startLogin(server, { scope, params: { ...params, response_type: 'id_token' } })
        const members = fragmentOf(await browser.decide(await browser.follow(started.url), approve))
        if (approve) assert.equal(claimsOf(members.id_token!).nonce, started.nonce)
        else assert.equal(members.error, 'access_denied')
        assert.equal(members.state, started.state)
      }
    })

    it('out of band, on a page', async () => {
      const client = { ...cli, redirectUri: 'urn:ietf:wg:oauth:2.0:oob' }
      const started = startLogin(server, { client, params: { response_type: 'code id_token' } })
      const answer = await openBrowser().follow(started.url)
      assert.equal(answer.status, 400)
      assert.equal(answer.location, undefined)
    })

    it('unless the operator lists them, by `oauth2.responseTypes` alone', async () => {
      await using plain = await startServer()
      for (const type of ['id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token']) {
        assert.equal(fragmentOf((await ask(plain, type)).answer).error, 'unsupported_response_type')
      }
      await using hybrid = await startServer({ oauth2: { ...oauth2, responseTypes: ['code', 'code id_token'] } })
      assert.ok((await ask(hybrid, 'id_token code')).members.code)
      assert.equal(fragmentOf((await ask(hybrid, 'id_token')).answer).error, 'unsupported_response_type')
      // As in Dex, `grantTypes` decides what the token endpoint serves and what discovery lists.
      await using narrow = await startServer({ oauth2: { ...oauth2, grantTypes: ['authorization_code'] } })
      assert.ok((await ask(narrow, 'id_token')).members.id_token)
      const { grant_types_supported: listed } = (
        await narrow.request(narrow.url('/.well-known/openid-configuration'))
      ).json()
      assert.deepEqual(listed, ['authorization_code'])
    })

    it('where the connector does not allow `implicit`, the hybrid flow included', async () => {
      const only = (grantTypes: string[]) =>
        startServer({ oauth2, connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock', grantTypes }] })
      await using codes = await only(['authorization_code'])
      for (const type of ['id_token', 'code id_token']) {
        const answer = await openBrowser().follow(startLogin(codes, { params: { response_type: type } }).url)
        assert.equal(answer.status, 400)
        assert.match(answer.page().text, /No connectors available/)
      }
      await using tokens = await only(['implicit'])
      assert.ok((await ask(tokens, 'id_token token')).members.id_token)
      const { started, members } = await ask(tokens, 'code id_token')
      tokensOf(await tokens.redeem({ ...started, code: members.code!, location: '' }))
      const answer = await openBrowser().follow(startLogin(tokens).url)
      assert.equal(answer.status, 400)
    })

    it('at the token endpoint, where `implicit` is no grant type', async () => {
      assert.equal(errorOf(await server.token({ grant_type: 'implicit' }, web)), '400 unsupported_grant_type')
    })
  })
})

for (const store of ['memory', 'lowdb'] as const satisfies StartOptions['store'][]) {
  describe(`a login without a code, with the store ${store}`, () => {
    let server: FlowServer
    before(async () => {
      server = await startServer({ connectors: [corp(`implicit ${store}`)], oauth2 }, { store })
    })
    after(() => server[Symbol.asyncDispose]())

    for (const mode of ['fragment', 'form_post']) {
      it(`is finished once, however often the callback comes at the same moment, by ${mode}`, async () => {
        const params = { response_type: 'id_token token', response_mode: mode }
        const browser = openBrowser()
        const departure = await browser.request(startLogin(server, { params }).url)
        const cookie = [...browser.cookies(server.issuer)].map((pair) => pair.join('=')).join('; ')
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => openBrowser().request(departure.location!, { headers: { cookie } })),
        )
        const won = answers.filter(({ text, location = '' }) => /access_token/.test(text + location))
        assert.equal(won.length, 1)
        for (const lost of answers.filter((each) => !won.includes(each))) {
          assert.equal(lost.status, 403)
          assert.match(lost.page().text, /This login is finished/)
          assert.doesNotMatch(lost.text, /eyJ/)
          assert.equal(lost.location, undefined)
          assert.match(lost.headers.get('content-security-policy') ?? '', /form-action 'self'(;|$)/)
        }
      })
    }

    it('is finished once where the approval is sent twice', async () => {
      const browser = openBrowser()
      const started = startLogin(server, { params: { response_type: 'id_token', prompt: 'consent' } })
      const page = await browser.follow(started.url)
      const cookie = [...browser.cookies(server.issuer)].map((pair) => pair.join('=')).join('; ')
      const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
      const approve = () => openBrowser().request(server.url('/approval'), { form, headers: { cookie } })
      const answers = await Promise.all([approve(), approve(), approve()])
      assert.deepEqual(answers.map(({ status }) => status).sort(), [303, 403, 403])
    })
  })
}
