/**
 * What the dialect relies on where the engine's authorization endpoint answers with tokens, pinned on the bare engine as in
 * dialect.test.ts.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Configuration, type KoaContextWithOIDC, Provider, type ResponseType } from 'oidc-provider'

type Fields = Record<string, unknown>
interface Model {
  new (...args: unknown[]): Fields & { loginAccount(login: Fields): void; addOIDCScope(scope: string): void }
}

const redirectUri = 'https://app.example/cb'
const every: ResponseType[] = [
  'code',
  'code id_token',
  'code id_token token',
  'code token',
  'id_token',
  'id_token token',
]

/** Nothing of it is asked for. */
const noRecords = { find: async () => undefined, destroy: async () => {}, upsert: async () => assert.fail('stored') }

interface Answered {
  members: Fields
  /** What was made, in order. */
  made: string[]
  /** What an ID token was asked to be. */
  asked: unknown
  /** What the event told, and what was made until then. */
  told?: string[]
}

interface Settings {
  responseTypes?: ResponseType[]
  /** Of the client. */
  ofClient?: ResponseType[]
  mode?: string
}

async function ask(
  params: Record<string, string>,
  { responseTypes = every, ofClient = every, mode = 'ours' }: Settings = {},
): Promise<Answered> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const made: string[] = []
  let asked: unknown
  let told: string[] | undefined
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const configuration: Configuration = {
    adapter: () => noRecords as never,
    ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 60, Grant: 60, Session: 60, Interaction: 60 },
    jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256' }] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    responseTypes,
    clients: [
      {
        client_id: 'app',
        client_secret: 'app-secret-of-at-least-thirty-two-letters',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'implicit'],
        response_types: ofClient,
      },
    ],
    pkce: { required: () => false },
    features: { devInteractions: { enabled: false } },
    interactions: { policy: [] },
    findAccount: (_ctx, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    expiresWithSession: async () => false,
    loadExistingGrant: async (ctx) => {
      const grant = new (provider.Grant as unknown as Model)({ accountId: 'jane', clientId: ctx.oidc.client!.clientId })
      grant.jti = 'the-grant'
      grant.addOIDCScope('openid')
      return grant as never
    },
  }
  const provider = new Provider(url, configuration)
  const Session = class Session extends (provider.Session as unknown as Model) {
    readonly destroyed = true
    static async get(ctx: KoaContextWithOIDC) {
      const session = new Session()
      session.loginAccount({ accountId: 'jane', loginTs: 1000 })
      ctx.oidc.entity('Session', session as never)
      return session
    }
  }
  const AuthorizationCode = class AuthorizationCode extends (provider.AuthorizationCode as unknown as Model) {
    async save() {
      await new Promise((resolve) => setImmediate(resolve))
      made.push('code')
      return 'the-code'
    }
  }
  const AccessToken = class AccessToken extends (provider.AccessToken as unknown as Model) {
    async save() {
      await new Promise((resolve) => setImmediate(resolve))
      made.push(`access token for ${this.scope}`)
      delete this.scope
      return 'the-access-token'
    }
  }
  const IdToken = class IdToken extends (provider.IdToken as unknown as Model) {
    async issue(options: Fields) {
      made.push('id token')
      asked = options
      return 'the-id-token'
    }
  }
  for (const [name, value] of Object.entries({ Session, AuthorizationCode, AccessToken, IdToken })) {
    Object.defineProperty(provider, name, { value })
  }
  let members: Fields = {}
  provider.registerResponseMode('ours', (ctx, _uri, payload) => {
    members = payload
    ctx.status = 204
  })
  provider.on('authorization.success', (_ctx, out) => {
    told = [...Object.keys(out ?? {}).sort(), `after ${made.length}`]
  })
  provider.silent = true
  server.on('request', provider.callback())
  try {
    const query = new URLSearchParams({
      client_id: 'app',
      redirect_uri: redirectUri,
      scope: 'openid',
      state: 's',
      ...(mode && { response_mode: mode }),
      ...params,
    })
    const answer = await fetch(`${url}/auth?${query}`, { redirect: 'manual' })
    const location = answer.headers.get('location')
    if (location) members = Object.fromEntries(new URLSearchParams(location.split('#')[1] ?? location.split('?')[1]))
    return { members, made, asked, ...(told && { told }) }
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('the engine, as the dialect needs it for tokens of the authorization endpoint', () => {
  it('id-token.ts: makes the ID token when the code and the access token are there, for `c_hash` and `at_hash`', async () => {
    const { made, members, asked } = await ask({ response_type: 'code id_token token', nonce: 'n' })
    assert.deepEqual(made.slice(0, 2).sort(), ['access token for openid', 'code'])
    assert.deepEqual(made.slice(2), ['id token'])
    assert.deepEqual(asked, { use: 'idtoken' })
    const { code, access_token, id_token, token_type } = members
    assert.deepEqual(
      [code, access_token, id_token, token_type],
      ['the-code', 'the-access-token', 'the-id-token', 'Bearer'],
    )
  })

  it('access-token.ts: tells the scope that the token has when it is saved, and none where it has none', async () => {
    const { members } = await ask({ response_type: 'id_token token', nonce: 'n' })
    assert.equal('scope' in members, false)
    assert.deepEqual(Object.keys(members).sort(), ['access_token', 'expires_in', 'id_token', 'state', 'token_type'])
  })

  it('provider.ts: leaves `iss` out beside an ID token, which is why it is added', async () => {
    assert.ok('iss' in (await ask({ response_type: 'code token' })).members)
    assert.equal('iss' in (await ask({ response_type: 'code id_token', nonce: 'n' })).members, false)
  })

  it('provider.ts: says `authorization.success` when everything is made', async () => {
    const { told } = await ask({ response_type: 'id_token token', nonce: 'n' })
    assert.deepEqual(told, ['access_token', 'expires_in', 'id_token', 'scope', 'state', 'token_type', 'after 2'])
  })

  it('response-types.ts: knows a response type by its words in the order of the alphabet', async () => {
    const { members } = await ask({ response_type: 'token id_token', nonce: 'n' })
    assert.equal(members.id_token, 'the-id-token')
  })

  it('client.ts: asks the client whether it may have a response type', async () => {
    const { members } = await ask({ response_type: 'id_token', nonce: 'n' }, { ofClient: ['code'] })
    assert.equal(members.error, 'invalid_request')
  })

  it('authorize.ts: asks for a nonce itself, and knows the mode `query` by its name only, so that ours is judged before', async () => {
    assert.equal((await ask({ response_type: 'id_token' })).members.error, 'invalid_request')
    assert.equal(
      (await ask({ response_type: 'id_token', nonce: 'n' }, { mode: 'query' })).members.error,
      'invalid_request',
    )
    assert.equal((await ask({ response_type: 'id_token', nonce: 'n' })).members.id_token, 'the-id-token')
  })

  it('response-types.ts: refuses to be built for `token` alone', async () => {
    await assert.rejects(ask({}, { responseTypes: ['token' as ResponseType] }), TypeError)
  })
})
