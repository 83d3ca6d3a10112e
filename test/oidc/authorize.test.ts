import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { JudgeContext } from '../../src/oidc/authorization-request.ts'
import { judgeAuthorization } from '../../src/oidc/authorize.ts'
import { openClients } from '../../src/oidc/clients.ts'
import { modes } from '../../src/oidc/modes.ts'
import type { ClientOptions } from '../../src/oidc/options.ts'
import { outOfBand } from '../../src/oidc/redirects.ts'

const client = (id: string, more: Partial<ClientOptions> = {}): ClientOptions => ({
  id,
  name: id,
  public: false,
  redirectURIs: ['https://app.example/cb'],
  trustedPeers: [],
  allowedConnectors: [],
  ...more,
})
const clients = openClients([client('web', { secret: 's' }), client('cli', { public: true, redirectURIs: [] })])
const pkce: JudgeContext['pkce'] = { enforce: false, methods: ['S256'] }

const good = {
  client_id: 'web',
  redirect_uri: 'https://app.example/cb',
  response_type: 'code',
  scope: 'openid email',
  state: 's',
}
type Params = Record<string, string | string[] | undefined>

const judge = (params: Params, more: Partial<JudgeContext> = {}) =>
  judgeAuthorization(
    { ...good, ...params },
    { clients, pkce, responseTypes: ['code'], hintedSubject: async () => 'jane', ...more },
  )

const errorOf = async (params: Params, more?: Partial<JudgeContext>) => {
  const judgement = await judge(params, more)
  return judgement.accepted ? 'accepted' : 'status' in judgement ? judgement.status : judgement.error
}

const challenge = 'c'.repeat(43)

describe('an authorization request', () => {
  it('goes on with what was looked at and nothing else', async () => {
    const judgement = await judge({ nonce: 'n', bogus: 'x', claims: '{}', ui_locales: 'de en', acr_values: 'a' })
    assert.ok(judgement.accepted)
    assert.deepEqual(judgement.params, {
      client_id: 'web',
      redirect_uri: 'https://app.example/cb',
      response_type: 'code',
      scope: 'openid',
      response_mode: modes.query,
      state: 's',
      nonce: 'n',
    })
    assert.deepEqual(judgement.scopes, ['openid', 'email'])
    assert.deepEqual(judgement.locales, ['de', 'en'])
    assert.equal(judgement.askApproval, false)
  })

  const verdicts: [params: Params, verdict: string | number][] = [
    [{ client_id: 'nobody' }, 400],
    [{ client_id: undefined }, 400],
    [{ client_id: ['web', 'web'] }, 400],
    [{ redirect_uri: 'https://app.example/other' }, 400],
    [{ redirect_uri: ['https://app.example/cb', 'https://app.example/cb'] }, 400],
    [{ scope: ['openid', 'openid'] }, 'invalid_request'],
    [{ bogus: ['a', 'b'] }, 'invalid_request'],
    [{ scope: undefined }, 'invalid_scope'],
    [{ scope: 'openid audience:server:client_id:cli' }, 'invalid_scope'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    [{ response_type: 'code code' }, 'accepted'],
    [{ response_type: '' }, 'invalid_request'],
    [{ code_challenge: challenge, code_challenge_method: 'S256' }, 'accepted'],
    [{ code_challenge: challenge }, 'invalid_request'],
    [{ code_challenge: challenge, code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge: 'short', code_challenge_method: 'S256' }, 'invalid_request'],
    [{ code_challenge: 'c'.repeat(129), code_challenge_method: 'S256' }, 'invalid_request'],
    [{ code_challenge_method: 'S256' }, 'invalid_request'],
    [{ client_id: 'cli', redirect_uri: 'http://localhost:1/' }, 'invalid_request'],
    [
      {
        client_id: 'cli',
        redirect_uri: 'http://localhost:1/',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      },
      'accepted',
    ],
    [{ prompt: 'login consent' }, 'accepted'],
    [{ prompt: 'create' }, 'invalid_request'],
    [{ prompt: 'none consent' }, 'invalid_request'],
    [{ max_age: '0' }, 'accepted'],
    [{ max_age: '1.5' }, 'invalid_request'],
    [{ max_age: '9'.repeat(16) }, 'invalid_request'],
    [{ id_token_hint: 'x' }, 'accepted'],
    [{ request: 'x' }, 'request_not_supported'],
    [{ request_uri: 'x' }, 'request_uri_not_supported'],
  ]
  const every = ['code', 'token', 'id_token']
  const spa = { client_id: 'cli', redirect_uri: 'http://localhost:1/' }
  const frontChannel: [params: Params, verdict: string, place: string, listed?: string[]][] = [
    [{ response_type: 'id_token', nonce: 'n' }, 'accepted', modes.fragment],
    [{ response_type: 'token id_token', nonce: 'n' }, 'accepted', modes.fragment],
    [{ response_type: 'code token' }, 'accepted', modes.fragment],
    [{ response_type: 'id_token code token', nonce: 'n' }, 'accepted', modes.fragment],
    [{ response_type: 'id_token', nonce: 'n', response_mode: 'form_post' }, 'accepted', modes.formPost],
    [{ response_type: 'id_token', nonce: 'n', response_mode: 'pigeon' }, 'accepted', modes.fragment],
    [{ response_type: 'code', response_mode: 'fragment' }, 'accepted', modes.fragment],
    [{ response_type: 'id_token' }, 'invalid_request', modes.fragment],
    [{ response_type: 'id_token token' }, 'invalid_request', modes.fragment],
    [{ response_type: 'code id_token' }, 'invalid_request', modes.fragment],
    [{ response_type: 'id_token', response_mode: 'form_post' }, 'invalid_request', modes.formPost],
    [{ response_type: 'id_token', nonce: 'n', response_mode: 'query' }, 'invalid_request', modes.fragment],
    [{ response_type: 'code token', response_mode: 'query' }, 'invalid_request', modes.fragment],
    [{ response_type: 'id_token', nonce: 'n', scope: 'openid bogus' }, 'invalid_scope', modes.fragment],
    [{ response_type: 'id_token', nonce: ['n', 'n'] }, 'invalid_request', modes.fragment],
    [{ response_type: 'token', nonce: 'n' }, 'unsupported_response_type', modes.fragment],
    [{ response_type: 'none' }, 'unsupported_response_type', modes.query],
    [{ response_type: 'code id_token', nonce: 'n' }, 'accepted', modes.fragment, ['code id_token']],
    [{ response_type: 'id_token code', nonce: 'n' }, 'accepted', modes.fragment, ['code', 'code id_token']],
    [{ response_type: 'id_token', nonce: 'n' }, 'unsupported_response_type', modes.fragment, ['code', 'code id_token']],
    [{ response_type: 'code' }, 'unsupported_response_type', modes.query, ['id_token']],
    // PKCE protects codes: where none is issued it is not asked for.
    [{ ...spa, response_type: 'id_token token', nonce: 'n' }, 'accepted', modes.fragment],
    [{ ...spa, response_type: 'code id_token', nonce: 'n' }, 'invalid_request', modes.fragment],
    [{ ...spa, response_type: 'code token' }, 'invalid_request', modes.fragment],
    [{ ...spa, redirect_uri: outOfBand, response_type: 'id_token', nonce: 'n' }, 'invalid_request', modes.outOfBand],
  ]
  for (const [params, verdict, place, listed = every] of frontChannel) {
    it(`with ${JSON.stringify(params)} where ${listed} are listed: ${verdict} by ${place}`, async () => {
      const judgement = await judge(params, { responseTypes: listed })
      assert.ok(!('status' in judgement))
      assert.equal(judgement.accepted ? 'accepted' : judgement.error, verdict)
      assert.equal(judgement.accepted ? judgement.params.response_mode : judgement.mode, place)
      if (!judgement.accepted) assert.equal(judgement.state, 's')
    })
  }

  it('asks nobody for PKCE where no code is issued, even where it is enforced', async () => {
    const enforced = { pkce: { ...pkce, enforce: true }, responseTypes: every }
    assert.equal(await errorOf({ response_type: 'id_token', nonce: 'n' }, enforced), 'accepted')
    assert.equal(await errorOf({ response_type: 'code id_token', nonce: 'n' }, enforced), 'invalid_request')
    assert.equal(await errorOf({ response_type: 'code' }, enforced), 'invalid_request')
  })

  it('names the grant type that connectors have to allow', async () => {
    const grantTypeOf = async (params: Params) => {
      const judgement = await judge({ nonce: 'n', ...params }, { responseTypes: every })
      return judgement.accepted && judgement.grantType
    }
    assert.equal(await grantTypeOf({}), 'authorization_code')
    for (const type of ['id_token', 'id_token token', 'code token', 'code id_token']) {
      assert.equal(await grantTypeOf({ response_type: type }), 'implicit')
    }
  })

  for (const [params, verdict] of verdicts) {
    it(`with ${JSON.stringify(params)}: ${verdict}`, async () => assert.equal(await errorOf(params), verdict))
  }

  it('needs a challenge of every client where the operator says so', async () => {
    assert.equal(await errorOf({}, { pkce: { ...pkce, enforce: true } }), 'invalid_request')
  })

  it('may use a plain challenge where the operator says so, which the engine is shown as S256', async () => {
    const plain = { pkce: { enforce: false, methods: ['S256', 'plain'] } satisfies JudgeContext['pkce'] }
    for (const method of [undefined, 'plain']) {
      const judgement = await judge({ code_challenge: challenge, code_challenge_method: method }, plain)
      assert.ok(judgement.accepted)
      assert.equal(judgement.params.code_challenge_method, 'S256')
      assert.equal(judgement.params.code_challenge, createHash('sha256').update(challenge).digest('base64url'))
    }
  })

  it('is refused with a hint that is none of ours', async () => {
    assert.equal(await errorOf({ id_token_hint: 'x' }, { hintedSubject: async () => undefined }), 'invalid_request')
  })

  it('asks for approval by `prompt=consent` and by Dex’s `approval_prompt=force`', async () => {
    for (const params of [{ prompt: 'consent' }, { approval_prompt: 'force' }]) {
      const judgement = await judge(params)
      assert.ok(judgement.accepted && judgement.askApproval)
    }
  })

  it('is answered without the state when that was sent twice, and in the mode that was asked for', async () => {
    const judgement = await judge({ state: ['a', 'b'], response_mode: 'fragment' })
    assert.ok(!judgement.accepted && 'error' in judgement)
    assert.equal(judgement.state, undefined)
    assert.equal(judgement.mode, modes.fragment)
    const twice = await judge({ response_mode: ['fragment', 'form_post'] })
    assert.ok(!twice.accepted && 'mode' in twice)
    assert.equal(twice.mode, modes.query)
  })
})
