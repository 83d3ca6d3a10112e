/**
 * What pushed and signed requests, proofs of possession and resources rely on in the engine, pinned on the bare engine as in
 * dialect.test.ts: the title begins with the file to look at.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync, hash, type KeyObject, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt, SignJWT } from 'jose'
import type { Context, Middleware } from 'koa'
import { type Configuration, interactionPolicy, type KoaContextWithOIDC, Provider } from 'oidc-provider'

type Fields = Record<string, unknown>

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwkOf = (key: KeyObject, more: Fields = {}) => ({ ...key.export({ format: 'jwk' }), ...more }) as Fields
const client = pair()
const proofs = pair()
const verifier = 'v'.repeat(43)
const redirectUri = 'https://app.example/cb'
const secret = 'app-secret-of-at-least-thirty-two-letters'
const resource = 'https://api.example'
const request = {
  client_id: 'app',
  redirect_uri: redirectUri,
  response_type: 'code',
  scope: 'openid nonsense offline_access',
  state: 's',
  code_challenge: hash('sha256', verifier, 'base64url'),
  code_challenge_method: 'S256',
}

interface Engine extends AsyncDisposable {
  provider: Provider
  url: string
  calls: string[]
  signed(claims?: Fields): Promise<string>
  proof(claims: Fields): Promise<string>
  authorize(params: Record<string, string>): Promise<URL>
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Response>
}

/** Signs in whoever comes, unless a policy of the test stands before. */
async function startEngine(
  more: Configuration & { metadata?: Fields } = {},
  before: (provider: Provider, note: (call: string) => void) => void = () => {},
): Promise<Engine> {
  const { metadata, features, ...others } = more
  const calls: string[] = []
  const note = (call: string) => void calls.push(call)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const rows = new Map<string, Fields>()
  const provider = new Provider(url, {
    adapter: (name: string) => ({
      upsert: async (id: string, payload: Fields) => {
        note(`upsert ${name}`)
        rows.set(`${name} ${id}`, payload)
      },
      find: async (id: string) => rows.get(`${name} ${id}`) as never,
      findByUid: async () => undefined,
      findByUserCode: async () => undefined,
      consume: async (id: string) => {
        note(`consume ${name}`)
        rows.get(`${name} ${id}`)!.consumed = 1
      },
      destroy: async () => {},
      revokeByGrantId: async () => {},
    }),
    jwks: { keys: [jwkOf(pair().privateKey, { alg: 'ES256', use: 'sig', kid: 'one' })] } as never,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      {
        client_id: 'app',
        client_secret: secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        jwks: { keys: [jwkOf(client.publicKey, { kid: 'key' })] } as never,
        ...metadata,
      },
    ],
    scopes: ['openid', 'offline_access'],
    pkce: { required: () => false },
    cookies: { keys: ['key'] },
    interactions: { policy: [] },
    findAccount: (_ctx, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    issueRefreshToken: async () => true,
    expiresWithSession: async () => false,
    loadExistingGrant: async (ctx) => {
      const grant = new provider.Grant({ accountId: 'jane', clientId: 'app' })
      grant.addOIDCScope('openid')
      for (const each of Object.keys(ctx.oidc.resourceServers ?? {})) grant.addResourceScope(each, 'openid')
      await (grant as unknown as { save(ttl: number): Promise<string> }).save(600)
      return grant
    },
    ttl: {
      AccessToken: 60,
      AuthorizationCode: 60,
      IdToken: 60,
      RefreshToken: 60,
      Grant: 600,
      Session: 60,
      Interaction: 60,
    },
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true },
      requestObjects: { enabled: true },
      dPoP: { enabled: true },
      userinfo: { enabled: true },
      ...features,
    },
    ...others,
  })
  const Session = class Session extends (provider.Session as unknown as new () => {
    loginAccount(login: Fields): void
  }) {
    readonly destroyed = true
    static async get(ctx: KoaContextWithOIDC) {
      const session = new Session()
      session.loginAccount({ accountId: 'jane', loginTs: 1000 })
      ctx.oidc.entity('Session', session as never)
      return session
    }
  }
  Object.defineProperty(provider, 'Session', { value: Session })
  provider.silent = true
  before(provider, note)
  server.on('request', provider.callback())
  return {
    provider,
    url,
    calls,
    signed: (claims = {}) =>
      new SignJWT({ ...request, iss: 'app', aud: url, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'key' })
        .setExpirationTime('1m')
        .sign(client.privateKey),
    proof: (claims) =>
      new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${url}/token`, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: jwkOf(proofs.publicKey) as never })
        .setIssuedAt()
        .sign(proofs.privateKey),
    async authorize(params) {
      const answer = await fetch(`${url}/auth?${new URLSearchParams(params)}`, { redirect: 'manual' })
      return new URL(answer.headers.get('location') ?? `${url}/${answer.status}`, url)
    },
    post: (path, form, headers = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers,
        body: new URLSearchParams({ client_id: 'app', client_secret: secret, ...form }),
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const redeem = (
  engine: Engine,
  code: string,
  more: Record<string, string> = {},
  headers: Record<string, string> = {},
) =>
  engine.post(
    '/token',
    { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier, ...more },
    headers,
  )

const { Check, Prompt } = interactionPolicy

describe('the engine, as pushed and signed requests need it', () => {
  it('resolve.ts: is the last middleware of a new provider, and can be entered with a context of its own', async () => {
    const seen: string[] = []
    await using engine = await startEngine({}, (provider) => {
      const itself = provider.middleware.at(-1) as unknown as Middleware
      provider.use(async (ctx, next) => {
        const { url } = ctx
        for (let times = 0; times < 2; times++) {
          const inner = Object.create(ctx) as Context
          inner.url = `/auth?${new URLSearchParams({ ...request, scope: 'openid' })}`
          await itself(inner, async () => {})
          seen.push(String(ctx.status), String('oidc' in ctx && Object.hasOwn(ctx, 'oidc')))
          ctx.url = url
          ctx.status = 404
        }
        await next()
      })
    })
    assert.match((await engine.authorize({ ...request, scope: 'openid' })).href, /code=/)
    assert.deepEqual(seen, ['303', 'false', '303', 'false'])
  })

  it('resolve.ts: opens a request object before it asks the policy, and waits at the address that `url` gives', async () => {
    let resolved: Fields = {}
    await using engine = await startEngine({
      interactions: {
        policy: [
          new Prompt(
            { name: 'login', requestable: true },
            new Check('known', '', (ctx) => {
              resolved = { ...(ctx.oidc.params as Fields) }
              Object.assign(ctx.oidc.params!, { prompt: undefined })
              return Check.REQUEST_PROMPT
            }),
          ),
        ],
        url: () => '/waits',
      },
    })
    const answer = await engine.authorize({
      ...request,
      state: 'outside',
      request: await engine.signed({ prompt: 'none' }),
    })
    assert.equal(answer.pathname, '/waits')
    assert.deepEqual(
      engine.calls.filter((call) => call.startsWith('upsert')),
      ['upsert Grant', 'upsert Interaction'],
    )
    assert.equal(resolved.state, 's')
    assert.equal(resolved.prompt, 'none')
    assert.equal(resolved.request, undefined)
  })

  it('resolve.ts: tells by an event why it refuses, with what it knew, before it answers', async () => {
    const told: unknown[] = []
    await using engine = await startEngine({}, (provider) => {
      provider.on('authorization.error', (ctx, error) => {
        told.push(error.error, ctx.oidc.params?.state, ctx.body)
      })
    })
    await engine.authorize({ ...request, request: `${await engine.signed()}x` })
    assert.deepEqual(told, ['invalid_request_object', 's', undefined])
  })

  it('pushed-request.ts: keeps what it filtered, in a field that a subclass adds to', async () => {
    await using engine = await startEngine({}, (provider, note) => {
      const Base = provider.PushedAuthorizationRequest as unknown as new () => {
        request: string
        save(ttl: number): Promise<string>
      }
      Object.defineProperty(provider, 'PushedAuthorizationRequest', {
        value: class PushedAuthorizationRequest extends Base {
          override async save(ttl: number) {
            note(`scope ${decodeJwt(this.request).scope} for ${ttl} of ${Provider.ctx!.oidc.body!.scope}`)
            return super.save(ttl)
          }
        },
      })
    })
    const answer = await engine.post('/request', request)
    assert.equal(answer.status, 201)
    assert.ok(engine.calls.includes('scope openid for 60 of openid nonsense offline_access'), engine.calls.join())
  })

  it('profile-settings.ts: asks about every request object, those of pushed parameters too', async () => {
    const seen: unknown[] = []
    await using engine = await startEngine({
      features: {
        requestObjects: {
          enabled: true,
          assertJwtClaimsAndHeader: async (ctx, claims, header) => {
            seen.push([claims.scope, header.alg, 'PushedAuthorizationRequest' in ctx.oidc.entities])
          },
        },
      },
    })
    await engine.authorize({ client_id: 'app', request: await engine.signed() })
    const { request_uri: uri } = (await (await engine.post('/request', request)).json()) as Record<string, string>
    await engine.authorize({ client_id: 'app', request_uri: uri! })
    assert.deepEqual(seen, [
      [request.scope, 'ES256', false],
      ['openid', 'none', true],
    ])
  })

  it('client.ts: reads what a client has to do from the client', async () => {
    for (const [metadata, error] of [
      [{ require_pushed_authorization_requests: true }, /Pushed/],
      [{ require_signed_request_object: true }, /Request Object/],
    ] as const) {
      await using engine = await startEngine({ metadata })
      assert.match((await engine.authorize(request)).searchParams.get('error_description')!, error)
      const app = (await engine.provider.Client.find('app'))!
      Object.defineProperties(app, {
        requirePushedAuthorizationRequests: { get: () => false },
        requireSignedRequestObject: { get: () => false },
      })
      assert.match((await engine.authorize(request)).href, /code=/)
    }
    await using engine = await startEngine({ metadata: { dpop_bound_access_tokens: true } })
    const code = (await engine.authorize(request)).searchParams.get('code')!
    assert.equal((await redeem(engine, code)).status, 400)
    const app = (await engine.provider.Client.find('app'))!
    Object.defineProperty(app, 'dpopBoundAccessTokens', { value: false })
    assert.equal((await redeem(engine, code)).status, 200)
  })

  it('code.ts: asks the model how long a code of this client lives, and keeps `dpop_jkt`', async () => {
    const asked: unknown[] = []
    await using engine = await startEngine({}, (provider) => {
      const Base = provider.AuthorizationCode as unknown as new () => { dpopJkt?: string; save(): Promise<string> }
      Object.defineProperty(provider, 'AuthorizationCode', {
        value: class AuthorizationCode extends Base {
          static expiresIn(_ctx: unknown, code: { dpopJkt: string }, { clientId }: { clientId: string }) {
            asked.push(code.dpopJkt, clientId)
            return 5
          }
        },
      })
    })
    await engine.authorize({ ...request, dpop_jkt: 'thumb' })
    assert.deepEqual(asked, ['thumb', 'app'])
  })

  it('access-token.ts, refresh-token.ts: puts the key on the tokens before they are saved', async () => {
    const seen: unknown[] = []
    await using engine = await startEngine({ metadata: { token_endpoint_auth_method: 'none' } }, (provider) => {
      for (const name of ['AccessToken', 'RefreshToken'] as const) {
        const Base = provider[name] as unknown as new () => { jkt?: string; tokenType: string; save(): Promise<string> }
        const Noting = class extends Base {
          override async save() {
            seen.push([name, this.jkt?.length, this.tokenType])
            return super.save()
          }
        }
        Object.defineProperty(provider, name, { value: Object.defineProperty(Noting, 'name', { value: name }) })
      }
    })
    const code = (await engine.authorize(request)).searchParams.get('code')!
    const answer = await redeem(engine, code, { client_secret: '' }, { dpop: await engine.proof({}) })
    assert.deepEqual(seen, [
      ['AccessToken', 43, 'DPoP'],
      ['RefreshToken', 43, 'DPoP'],
    ])
    assert.equal(((await answer.json()) as Fields).token_type, 'DPoP')
  })

  it('access-token.ts: at userinfo asks for the token itself, wants the scope openid and no audience', async () => {
    const found: unknown[] = []
    const fields: Fields = {}
    await using engine = await startEngine({}, (provider) => {
      const Base = provider.AccessToken as unknown as {
        new (): Fields
        find(value: string): Promise<object>
      }
      Object.defineProperty(provider, 'AccessToken', {
        value: class AccessToken extends Base {
          static override async find(value: string) {
            found.push(value, Provider.ctx!.oidc.route)
            return Object.assign(await Base.find(value), fields)
          }
        },
      })
    })
    const code = (await engine.authorize(request)).searchParams.get('code')!
    const { access_token: token } = (await (await redeem(engine, code)).json()) as Record<string, string>
    const ask = async () => (await fetch(`${engine.url}/me`, { headers: { authorization: `Bearer ${token}` } })).status
    assert.equal(await ask(), 200)
    assert.deepEqual(found, [token, 'userinfo'])
    fields.aud = 'somebody'
    assert.equal(await ask(), 401)
    Object.assign(fields, { aud: undefined, jkt: 'another' })
    assert.equal(await ask(), 401)
  })

  it('grant.ts: uses the code up before it looks at the resource', async () => {
    await using engine = await startEngine({
      features: {
        resourceIndicators: {
          enabled: true,
          defaultResource: () => undefined as never,
          useGrantedResource: () => true,
          getResourceServerInfo: () => ({ scope: 'openid' }),
        },
      },
    })
    const code = (await engine.authorize({ ...request, resource })).searchParams.get('code')!
    const answer = await redeem(engine, code, { resource: 'https://other.example' })
    assert.equal(((await answer.json()) as Fields).error, 'invalid_target')
    assert.ok(engine.calls.includes('consume AuthorizationCode'))
  })

  it('response-modes.ts: leaves `iss` out of answers in modes whose names have jwt in them', async () => {
    const answers: Fields[] = []
    await using engine = await startEngine({}, (provider) => {
      for (const mode of ['query.jwt', 'plain']) {
        provider.registerResponseMode(mode, (ctx, _uri, payload) => {
          answers.push(payload)
          ctx.body = 'answered'
        })
      }
    })
    for (const mode of ['query.jwt', 'plain']) await engine.authorize({ ...request, response_mode: mode })
    assert.deepEqual(
      answers.map(({ iss }) => iss),
      [undefined, engine.url],
    )
  })

  it('profile-settings.ts: tells where a client is of FAPI 2.0', async () => {
    let fapi: unknown
    await using engine = await startEngine({
      features: { fapi: { enabled: true, profile: () => '2.0' } },
      pkce: {
        required: (ctx) => {
          fapi = ctx.oidc.isFapi('2.0')
          return false
        },
      },
    })
    const { code_challenge: _, code_challenge_method: _method, ...bare } = request
    await engine.authorize(bare)
    assert.equal(fapi, '2.0')
  })
})
