/**
 * What the overrides in src/oidc/dialect rely on in the engine, pinned on the bare engine: where one of these fails after an
 * upgrade of oidc-provider, the file that the title begins with has to be looked at.
 */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Configuration, errors, type KoaContextWithOIDC, Provider } from 'oidc-provider'

type Fields = Record<string, unknown>

/** As much of a model of the engine as these tests touch. */
interface Model {
  new (...args: unknown[]): Instance
  IN_PAYLOAD: string[]
  find(...args: unknown[]): Promise<Instance | undefined>
  adapter: object
}
interface Instance extends Fields {
  jti: string
  addOIDCScope(scope: string): void
  loginAccount(login: Fields): void
  save(...args: unknown[]): Promise<string>
  consume(): Promise<void>
  destroy(): Promise<void>
  issue(options: Fields): Promise<string>
}

const verifier = 'v'.repeat(43)
const redirectUri = 'https://app.example/cb'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

interface Engine extends AsyncDisposable {
  provider: Provider
  url: string
  /** What the engine did with its models and its adapter, in order. */
  calls: string[]
  authorize(more?: Record<string, string>): Promise<{ location: string; cookies: string[]; status: number }>
  post(
    path: string,
    form: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<Fields & { status: number }>
  redeem(code: string): Promise<Fields & { status: number }>
}

type Overrides = (provider: Provider, note: (call: string) => void) => Record<string, unknown>

/** The engine on a free port with an adapter in memory; the person is always known, as after a login of ours. */
async function startEngine(overrides: Overrides = () => ({}), more: Configuration = {}): Promise<Engine> {
  const calls: string[] = []
  const note = (call: string) => void calls.push(call)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const grants = new Map<string, Instance>()
  const provider = new Provider(url, {
    adapter: adapters(note),
    jwks: { keys: [privateKey()] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      {
        client_id: 'app',
        client_secret: 'app-secret-of-at-least-thirty-two-letters',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token', deviceGrant],
      },
    ],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      deviceFlow: { enabled: true },
    },
    interactions: { policy: [] },
    findAccount: (_ctx, accountId, token) => {
      note(`findAccount ${token?.kind ?? 'no token'}`)
      return { accountId, claims: async () => ({ sub: accountId }) }
    },
    loadExistingGrant: async (ctx) => {
      const grant = new (provider.Grant as unknown as Model)({ accountId: 'jane', clientId: ctx.oidc.client!.clientId })
      grant.jti = 'the-grant'
      grant.addOIDCScope('openid')
      grants.set(grant.jti, grant)
      return grant as never
    },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: 60, AuthorizationCode: 60, DeviceCode: 60, IdToken: 60, RefreshToken: 60 },
    expiresWithSession: async () => false,
    ...more,
  })
  const Session = class Session extends (provider.Session as unknown as Model) {
    readonly destroyed = true
    static async get(ctx: KoaContextWithOIDC) {
      const session = new Session()
      session.loginAccount({ accountId: 'jane', loginTs: 1000 })
      ctx.oidc.entity('Session', session as never)
      return session
    }
  }
  const Grant = class Grant extends (provider.Grant as unknown as Model) {
    static override async find(id: string, options: unknown) {
      note(`Grant.find ${id} ${JSON.stringify(options)}`)
      return grants.get(id)
    }
  }
  const models = { Session, Grant, ...overrides(provider, note) }
  for (const [name, value] of Object.entries(models))
    Object.defineProperty(provider, name, { value, configurable: true })
  provider.silent = true
  server.on('request', provider.callback())

  const post: Engine['post'] = async (path, form, headers = {}) => {
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: new URLSearchParams(form) })
    const text = await answer.text()
    return { ...(text.startsWith('{') ? (JSON.parse(text) as Fields) : { text }), status: answer.status }
  }
  const client = { client_id: 'app', client_secret: 'app-secret-of-at-least-thirty-two-letters' }
  return {
    provider,
    url,
    calls,
    async authorize(params = {}) {
      const query = new URLSearchParams({
        client_id: 'app',
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: 'openid',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...params,
      })
      const { headers, status } = await fetch(`${url}/auth?${query}`, { redirect: 'manual' })
      return { location: headers.get('location') ?? '', cookies: headers.getSetCookie(), status }
    },
    post: (path, form, headers) => post(path, headers ? form : { ...client, ...form }, headers),
    redeem: (code) =>
      post('/token', {
        ...client,
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const codeOf = ({ location }: { location: string }): string => new URL(location).searchParams.get('code')!

const privateKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: 'ES256',
})

function adapters(note: (call: string) => void) {
  return (name: string) => {
    note(`adapter ${name}`)
    const rows = new Map<string, Fields>()
    return {
      async upsert(id: string, payload: Fields) {
        note(`${name} upsert`)
        rows.set(id, payload)
      },
      find: async (id: string) => rows.get(id),
      findByUserCode: async () => undefined,
      findByUid: async () => undefined,
      async consume(id: string) {
        note(`${name} consume`)
        rows.get(id)!.consumed = 1
      },
      destroy: async (id: string) => void rows.delete(id),
      revokeByGrantId: async () => {},
    } as never
  }
}

/** A model that notes each call and does what the engine's does; it has the engine's name, which kinds and adapters go by. */
function noting(provider: Provider, name: keyof Provider & string, note: (call: string) => void): Model {
  const Base = provider[name] as unknown as Model
  const made = { [name]: class extends Base {} }[name]!
  const replace = (on: object, method: string, inherited: unknown) => {
    if (typeof inherited !== 'function') return
    Object.defineProperty(on, method, {
      value(this: unknown, ...args: unknown[]) {
        note(`${name}.${method}`)
        return inherited.apply(this, args)
      },
    })
  }
  replace(made, 'find', Base.find)
  for (const method of ['save', 'consume', 'destroy', 'issue']) replace(made.prototype, method, Base.prototype[method])
  return made
}

const tokenModels = ['AuthorizationCode', 'RefreshToken', 'AccessToken', 'IdToken'] as const
const noteAll: Overrides = (provider, note) =>
  Object.fromEntries(tokenModels.map((name) => [name, noting(provider, name, note)]))

/** Only what concerns models of tokens, without finding adapters and grants. */
const ofModels = (calls: string[]): string[] => calls.filter((call) => /^(\w+\.\w+$|findAccount)/.test(call))

describe('the engine, as the dialect needs it', () => {
  it('index.ts: reads each model through a property of the provider, so that one of its own hides the getter', async () => {
    const names = [
      'OIDCContext',
      'Client',
      'Session',
      'Grant',
      'AuthorizationCode',
      'RefreshToken',
      'DeviceCode',
      'AccessToken',
      'IdToken',
    ] as const
    await using engine = await startEngine()
    const seen = new Set<string>()
    for (const name of names) {
      const value = engine.provider[name as keyof Provider]
      const get = () => {
        seen.add(name)
        return value
      }
      Object.defineProperty(engine.provider, name, { get, configurable: true })
    }
    const { refresh_token: token } = await engine.redeem(codeOf(await engine.authorize()))
    await engine.post('/token', { grant_type: 'refresh_token', refresh_token: String(token) })
    await engine.post('/device/auth', { scope: 'openid' })
    assert.deepEqual([...seen].sort(), [...names].sort())
  })

  it('context.ts: assigns the parsed form to `oidc.body` once, before the client is looked at', async () => {
    const bodies: Fields[] = []
    await using engine = await startEngine((provider) => ({
      OIDCContext: class OIDCContext extends (provider.OIDCContext as unknown as { new (ctx: unknown): Fields }) {
        #body: Fields = {}
        get body(): Fields {
          return this.#body
        }
        set body(fields: Fields) {
          bodies.push({ ...fields })
          const { req } = this.ctx as { req: { headers: Fields } }
          delete req.headers.authorization
          this.#body = { ...fields, client_id: 'app', client_secret: 'app-secret-of-at-least-thirty-two-letters' }
        }
      },
    }))
    const code = codeOf(await engine.authorize())
    const answer = await engine.post(
      '/token',
      { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
      { authorization: 'Basic bm9ib2R5Og==' },
    )
    assert.equal(answer.status, 200, 'neither the header nor the form said who the client is, only the setter')
    assert.equal(bodies.length, 1)
    assert.equal(bodies[0]?.code, code)
  })

  it('context.ts: answers an error thrown while the form is assigned as invalid_request with that error as its cause', async () => {
    await using engine = await startEngine((provider) => ({
      OIDCContext: class OIDCContext extends (provider.OIDCContext as unknown as { new (ctx: unknown): Fields }) {
        set body(_fields: Fields) {
          throw new errors.UnsupportedGrantType()
        }
      },
    }))
    let cause: unknown
    engine.provider.on('grant.error', (_ctx, error) => {
      cause = error.cause
    })
    const answer = await engine.post('/token', { grant_type: 'x' })
    assert.equal(answer.error, 'invalid_request')
    assert.ok(cause instanceof errors.UnsupportedGrantType)
  })

  it('context.ts: makes the addresses of its answers by `oidc.urlFor`', async () => {
    await using engine = await startEngine((provider) => ({
      OIDCContext: class OIDCContext extends (provider.OIDCContext as unknown as {
        new (ctx: unknown): { urlFor(name: string): string }
      }) {
        override urlFor(name: string) {
          return `https://elsewhere.example/${name}`
        }
      },
    }))
    const answer = await engine.post('/device/auth', { scope: 'openid' })
    assert.equal(answer.verification_uri, 'https://elsewhere.example/code_verification')
  })

  it('context.ts: gives the path of a route without the mount, and shows the query of the request', async () => {
    const seen: unknown[] = []
    await using engine = await startEngine((provider) => ({
      OIDCContext: class OIDCContext extends (provider.OIDCContext as unknown as {
        new (ctx: { query: object }): { urlFor(name: string): string }
      }) {
        constructor(ctx: { query: object }) {
          super(ctx)
          seen.push(ctx.query)
        }
      },
    }))
    assert.equal(engine.provider.pathFor('token', { mountPath: '' }), '/token')
    assert.equal(engine.provider.pathFor('token', { mountPath: '/x' }), '/x/token')
    await engine.post('/token/introspection?token=t', { token: 't' })
    assert.deepEqual({ ...(seen[0] as object) }, { token: 't' })
  })

  it('context.ts: refuses what looks like a JWT at introspection and revocation, and asks for anything else', async () => {
    await using engine = await startEngine(noteAll)
    const jwt = 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln'
    for (const path of ['/token/introspection', '/token/revocation']) {
      assert.equal((await engine.post(path, { token: jwt })).error, 'unsupported_token_type')
      engine.calls.length = 0
      assert.equal((await engine.post(path, { token: 'presented' })).status, 200)
      assert.deepEqual(ofModels(engine.calls).sort(), ['AccessToken.find', 'RefreshToken.find'])
    }
  })

  it('client.ts: finds clients by `Client.find` and asks the client itself about a redirect URI', async () => {
    const asked: string[] = []
    await using engine = await startEngine((provider) => {
      const Base = provider.Client as unknown as { new (...args: unknown[]): object; find(id: string): Promise<object> }
      return {
        Client: class Client extends Base {
          static override async find(id: string) {
            asked.push(`find ${id}`)
            const client = await Base.find(id)
            return Object.assign(Object.create(client), {
              redirectUriAllowed(uri: string) {
                asked.push(`redirectUriAllowed ${uri}`)
                return true
              },
            }) as object
          }
        },
      }
    })
    const { location } = await engine.authorize({ redirect_uri: 'http://localhost:1/anything' })
    assert.ok(location.startsWith('http://localhost:1/anything?code='), location)
    assert.deepEqual([...new Set(asked)], ['find app', 'redirectUriAllowed http://localhost:1/anything'])
  })

  it('session.ts: saves nothing and sets no cookie for a session that is marked as destroyed', async () => {
    await using engine = await startEngine()
    const { cookies, location } = await engine.authorize()
    assert.ok(codeOf({ location }))
    assert.deepEqual(cookies, [])
    assert.equal(
      engine.calls.some((call) => /^(Session|Interaction|Grant) /.test(call)),
      false,
    )
  })

  it('session.ts: takes account and time of the login from the session', async () => {
    let code: Instance | undefined
    await using engine = await startEngine((provider, note) => {
      const AuthorizationCode = noting(provider, 'AuthorizationCode', note)
      return { AuthorizationCode }
    })
    engine.provider.on('authorization_code.saved', (saved) => {
      code = saved as unknown as Instance
    })
    await engine.authorize()
    assert.deepEqual([code?.accountId, code?.authTime], ['jane', 1000])
  })

  it('grant.ts: finds the grant by the id in the token, even an expired one', async () => {
    await using engine = await startEngine()
    const { refresh_token: token } = await engine.redeem(codeOf(await engine.authorize()))
    await engine.post('/token', { grant_type: 'refresh_token', refresh_token: String(token) })
    const found = engine.calls.filter((call) => call.startsWith('Grant.find'))
    assert.deepEqual(found, Array(2).fill('Grant.find the-grant {"ignoreExpiration":true}'))
  })

  it('code.ts: makes a code by `generateTokenId`, saves it once and keeps what IN_PAYLOAD lists', async () => {
    await using engine = await startEngine((provider, note) => {
      const Base = noting(provider, 'AuthorizationCode', note)
      const AuthorizationCode = class AuthorizationCode extends Base {
        static override get IN_PAYLOAD() {
          return [...Base.IN_PAYLOAD, 'source']
        }
        generateTokenId() {
          return 'made-from-a-seed'
        }
        override async save(...args: unknown[]) {
          this.source = { login: 'jane' }
          return super.save(...args)
        }
      }
      return { AuthorizationCode }
    })
    let source: unknown
    engine.provider.on('authorization_code.consumed', (code) => {
      ;({ source } = code as unknown as { source: unknown })
    })
    const authorized = await engine.authorize()
    assert.equal(codeOf(authorized), 'made-from-a-seed')
    assert.deepEqual(
      ofModels(engine.calls).filter((call) => call.startsWith('Auth')),
      ['AuthorizationCode.save'],
    )
    assert.equal((await engine.redeem('made-from-a-seed')).status, 200)
    assert.deepEqual(source, { login: 'jane' })
  })

  it('code.ts: redeems in the order find, consume, account, access token, refresh token, ID token', async () => {
    await using engine = await startEngine(noteAll)
    const code = codeOf(await engine.authorize())
    engine.calls.length = 0
    await engine.redeem(code)
    assert.deepEqual(ofModels(engine.calls), [
      'AuthorizationCode.find',
      'AuthorizationCode.consume',
      'findAccount AuthorizationCode',
      'AccessToken.save',
      'RefreshToken.save',
      'IdToken.issue',
    ])
  })

  it('code.ts: passes an error that `find` throws on to the client', async () => {
    await using engine = await startEngine((provider) => ({
      AuthorizationCode: class AuthorizationCode extends (provider.AuthorizationCode as unknown as Model) {
        static override async find(): Promise<never> {
          throw new errors.InvalidGrant('used already')
        }
      },
    }))
    const answer = await engine.redeem('any')
    assert.deepEqual([answer.status, answer.error], [400, 'invalid_grant'])
  })

  it('refresh-token.ts: asks for the account before it consumes, then saves the successor once', async () => {
    await using engine = await startEngine(noteAll)
    const { refresh_token: token } = await engine.redeem(codeOf(await engine.authorize()))
    engine.calls.length = 0
    const answer = await engine.post('/token', { grant_type: 'refresh_token', refresh_token: String(token) })
    assert.deepEqual(ofModels(engine.calls), [
      'RefreshToken.find',
      'findAccount RefreshToken',
      'RefreshToken.consume',
      'RefreshToken.save',
      'AccessToken.save',
      'IdToken.issue',
    ])
    assert.notEqual(answer.refresh_token, token)
  })

  it('refresh-token.ts: knows the token before as the entity RotatedRefreshToken when the successor is saved', async () => {
    const before: unknown[] = []
    await using engine = await startEngine((provider) => ({
      RefreshToken: class RefreshToken extends (provider.RefreshToken as unknown as Model) {
        override async save(...args: unknown[]) {
          const { oidc } = Provider.ctx!
          before.push((oidc.entities.RotatedRefreshToken as unknown as Instance | undefined)?.jti)
          await super.save(...args)
          return `token ${before.length}`
        }
        static override async find(value: string) {
          return value === 'token 1'
            ? new RefreshToken({
                jti: 'first',
                clientId: 'app',
                accountId: 'jane',
                grantId: 'the-grant',
                scope: 'openid',
              })
            : undefined
        }
        override async consume() {}
      },
    }))
    const first = await engine.redeem(codeOf(await engine.authorize()))
    assert.equal(first.refresh_token, 'token 1', 'what `save` gives is what the client gets')
    const second = await engine.post('/token', { grant_type: 'refresh_token', refresh_token: 'token 1' })
    assert.equal(second.refresh_token, 'token 2')
    assert.deepEqual(before, [undefined, 'first'])
  })

  it('refresh-token.ts: takes a token without `exp` as one that does not expire', async () => {
    await using engine = await startEngine((provider) => ({
      RefreshToken: class RefreshToken extends (provider.RefreshToken as unknown as Model) {
        static override async find() {
          return new RefreshToken({
            jti: 'x',
            clientId: 'app',
            accountId: 'jane',
            grantId: 'the-grant',
            scope: 'openid',
          })
        }
      },
    }))
    await engine.authorize()
    const answer = await engine.post('/token', { grant_type: 'refresh_token', refresh_token: 'x' })
    assert.notEqual(answer.error_description, 'refresh token is expired')
    assert.equal(new (engine.provider.RefreshToken as unknown as Model)({ jti: 'x' }).isExpired, false)
  })

  it('refresh-token.ts: asks whether there is a refresh token with the client, and has read `scope` when it asks who it is', async () => {
    const seen: unknown[] = []
    await using engine = await startEngine(noteAll, {
      issueRefreshToken: async (_ctx, client) => {
        seen.push(client.clientId)
        return true
      },
      findAccount: (ctx, accountId, token) => {
        if (token?.kind === 'RefreshToken') seen.push(ctx.oidc.params?.scope)
        return { accountId, claims: async () => ({ sub: accountId }) }
      },
    })
    const { refresh_token: token } = await engine.redeem(codeOf(await engine.authorize()))
    const fields = { grant_type: 'refresh_token', refresh_token: String(token) }
    const { refresh_token: next } = await engine.post('/token', { ...fields, scope: 'openid' })
    await engine.post('/token', { ...fields, refresh_token: String(next) })
    assert.deepEqual(seen, ['app', 'openid', undefined])
  })

  it('refresh-token.ts: decides about rotation when the upstream was asked, and answers the same token without it', async () => {
    await using engine = await startEngine(noteAll, {
      rotateRefreshToken: (ctx) => {
        assert.ok(ctx.oidc.entities.RefreshToken)
        engine.calls.push('rotateRefreshToken')
        return false
      },
    })
    const { refresh_token: token } = await engine.redeem(codeOf(await engine.authorize()))
    engine.calls.length = 0
    const answer = await engine.post('/token', { grant_type: 'refresh_token', refresh_token: String(token) })
    assert.equal(answer.refresh_token, token)
    const calls = engine.calls.filter((call) => /^(findAccount|rotate|RefreshToken\.)/.test(call))
    assert.deepEqual(calls, ['RefreshToken.find', 'findAccount RefreshToken', 'rotateRefreshToken'])
  })

  it('refresh-token.ts, access-token.ts: revokes by `destroy` of the token and then by its grant', async () => {
    const revoked: string[] = []
    const revoking = (Base: Model, name: string) => ({
      [name]: class extends Base {
        static override async find() {
          const token = new this({ jti: 'x', clientId: 'app' })
          token.grantId = 'the-grant'
          return name === 'RefreshToken' ? token : undefined
        }
        override async destroy() {
          revoked.push('destroy')
        }
        static async revokeByGrantId(id: string) {
          revoked.push(`${name} ${id}`)
        }
      },
    })
    await using engine = await startEngine((provider) => ({
      ...revoking(provider.RefreshToken as unknown as Model, 'RefreshToken'),
      ...revoking(provider.AccessToken as unknown as Model, 'AccessToken'),
    }))
    assert.equal((await engine.post('/token/revocation', { token: 'x' })).status, 200)
    assert.equal(revoked[0], 'destroy')
    assert.deepEqual(revoked.slice(1).sort(), ['AccessToken the-grant', 'RefreshToken the-grant'])
  })

  describe('device-code.ts', () => {
    const withCode = (fields: Fields) => {
      const seen: string[] = []
      const overrides: Overrides = (provider) => ({
        DeviceCode: class DeviceCode extends (provider.DeviceCode as unknown as Model) {
          override async save() {
            seen.push(`save ${this.userCode}`)
            return 'the-device-code'
          }
          static override async find() {
            seen.push('find')
            const code = new DeviceCode({ clientId: 'app', jti: 'the-device-code', exp: 4e9 })
            return Object.assign(code, fields)
          }
          override async consume() {
            seen.push('consume')
          }
        },
      })
      return { seen, overrides }
    }
    const poll = (engine: Engine) => engine.post('/token', { grant_type: deviceGrant, device_code: 'the-device-code' })

    it('saves a request with its user code as it is compared, and shows it with its mask', async () => {
      const { seen, overrides } = withCode({})
      await using engine = await startEngine(overrides)
      const answer = await engine.post('/device/auth', { scope: 'openid' })
      assert.equal(answer.device_code, 'the-device-code')
      assert.deepEqual(seen, [`save ${String(answer.user_code).replaceAll('-', '')}`])
    })

    const states: [what: string, fields: Fields, error: string | undefined, consumed: boolean][] = [
      ['nobody has decided', {}, 'authorization_pending', false],
      ['it has run out', { exp: 1 }, 'expired_token', false],
      ['the person refused', { error: 'access_denied', errorDescription: 'no' }, 'access_denied', true],
      ['another client asks', { clientId: 'other' }, 'invalid_grant', false],
      [
        'the person approved',
        { accountId: 'jane', grantId: 'the-grant', scope: 'openid', authTime: 1 },
        undefined,
        true,
      ],
    ]
    for (const [what, fields, error, consumed] of states) {
      it(`answers ${error ?? 'tokens'} when ${what}, and has ${consumed ? '' : 'not '}consumed the code`, async () => {
        const { seen, overrides } = withCode(fields)
        await using engine = await startEngine(overrides)
        await engine.authorize()
        const answer = await poll(engine)
        assert.equal(answer.error, error)
        assert.deepEqual(seen, consumed ? ['find', 'consume'] : ['find'])
      })
    }

    it('passes `slow_down` that `find` throws on to the device', async () => {
      await using engine = await startEngine((provider) => ({
        DeviceCode: class DeviceCode extends (provider.DeviceCode as unknown as Model) {
          static override async find(): Promise<never> {
            throw new errors.SlowDown()
          }
        },
      }))
      assert.equal((await poll(engine)).error, 'slow_down')
    })
  })

  it('access-token.ts, id-token.ts: answers what `save` and `issue` give, and how long `expiration` says', async () => {
    let asked: unknown
    await using engine = await startEngine((provider) => ({
      AccessToken: class AccessToken extends (provider.AccessToken as unknown as Model) {
        get expiration() {
          return 77
        }
        override async save() {
          return 'a.jwt.of-ours'
        }
      },
      IdToken: class IdToken extends (provider.IdToken as unknown as Model) {
        override async issue(options: Fields) {
          const { ctx, client, scope } = this as unknown as {
            ctx: KoaContextWithOIDC
            client: { clientId: string }
            scope: string
          }
          asked = [options, client.clientId, scope, typeof ctx.oidc.params?.code]
          return 'an-id-token'
        }
      },
    }))
    const { access_token, id_token, expires_in, token_type } = await engine.redeem(codeOf(await engine.authorize()))
    assert.deepEqual([access_token, id_token, expires_in, token_type], ['a.jwt.of-ours', 'an-id-token', 77, 'Bearer'])
    assert.deepEqual(asked, [{ use: 'idtoken' }, 'app', 'openid', 'string'])
  })

  it('adapter.ts: asks for an adapter by the name of a model’s class, and only for models in use', async () => {
    await using engine = await startEngine()
    await engine.redeem(codeOf(await engine.authorize()))
    const names = engine.calls.filter((call) => call.startsWith('adapter ')).map((call) => call.slice(8))
    assert.deepEqual(names.sort(), ['AccessToken', 'AuthorizationCode', 'RefreshToken'])
  })

  it('authorize.ts: hands answers to response modes of any name, with the redirect URI as it was written', async () => {
    await using engine = await startEngine()
    let answered: unknown
    engine.provider.registerResponseMode('as_written', (ctx, uri, payload) => {
      answered = [uri, Object.keys(payload).sort()]
      ctx.status = 204
    })
    const { status } = await engine.authorize({ response_mode: 'as_written', state: 's' })
    assert.equal(status, 204)
    assert.deepEqual(answered, [redirectUri, ['code', 'iss', 'state']])
  })
})
