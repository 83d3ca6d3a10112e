/** What the dialect relies on in the engine where clients prove who they are and register themselves. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import Provider from 'oidc-provider'

type Model = { new (...args: never[]): object; find?(value: string): Promise<object | undefined> }

describe('the engine, with clients that prove and register themselves', () => {
  let server: Server
  let provider: Provider
  let url: string
  let keys: Awaited<ReturnType<typeof generateKeyPair>>
  const rows = new Map<string, object>()
  const calls: unknown[][] = []
  let answer = true

  before(async () => {
    keys = await generateKeyPair('ES256', { extractable: true })
    server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    provider = new Provider(url, {
      adapter: ((name: string) => ({
        upsert: async (id: string, payload: object) => void rows.set(`${name} ${id}`, payload),
        find: async (id: string) => rows.get(`${name} ${id}`),
        destroy: async (id: string) => void rows.delete(`${name} ${id}`),
      })) as never,
      clients: [
        {
          client_id: 'signer',
          redirect_uris: ['https://app.example.com/'],
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [(await exportJWK(keys.publicKey)) as never] },
        },
      ],
      jwks: { keys: [{ ...(await exportJWK(keys.privateKey)), alg: 'ES256', use: 'sig' } as never] },
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      extraClientMetadata: { properties: ['userinfo_signed_response_alg'] },
      clientAuthMethods: ['private_key_jwt', 'client_secret_basic'],
      clockTolerance: 10,
      features: {
        devInteractions: { enabled: false },
        introspection: { enabled: true },
        registration: { enabled: true, initialAccessToken: true, secretFactory: () => 'a secret' },
        registrationManagement: { enabled: true },
      },
    })
    const Replay = provider.ReplayDetection as unknown as Model
    class ReplayDetection extends Replay {
      static async unique(...args: unknown[]) {
        calls.push(args)
        return answer
      }
    }
    Object.defineProperty(provider, 'ReplayDetection', { value: ReplayDetection })
    const Initial = provider.InitialAccessToken as unknown as Model
    class InitialAccessToken extends Initial {
      static override async find(value: string) {
        return value === 'right' ? new InitialAccessToken() : undefined
      }
    }
    Object.defineProperty(provider, 'InitialAccessToken', { value: InitialAccessToken })
    const Base = provider.Client as unknown as Model
    class Client extends Base {}
    Object.defineProperty(Client, 'adapter', {
      value: {
        upsert: async (id: string, payload: object) => void rows.set(`ours ${id}`, payload),
        find: async (id: string) => rows.get(`ours ${id}`),
        destroy: async (id: string) => void rows.delete(`ours ${id}`),
      },
    })
    Object.defineProperty(provider, 'Client', { value: Client })
    provider.on('server_error', (_ctx, error) => console.error(error))
    server.on('request', provider.callback())
  })
  after(() => void server?.close())

  const introspect = async (claims: object) => {
    const assertion = await new SignJWT({ iss: 'signer', sub: 'signer', aud: url, jti: 'one', ...claims })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(keys.privateKey)
    const response = await fetch(`${url}/token/introspection`, {
      method: 'POST',
      body: new URLSearchParams({
        token: 'x',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      }),
    })
    return response.status
  }

  it('asks the provider’s own ReplayDetection last, with issuer, jti and the end plus the tolerance', async () => {
    const exp = Math.floor(Date.now() / 1000) + 60
    assert.equal(await introspect({ exp: exp - 3600 }), 401)
    assert.equal(await introspect({ exp, aud: 'https://other.example' }), 401)
    assert.deepEqual(calls, [])
    assert.equal(await introspect({ exp }), 200)
    assert.deepEqual(calls, [['signer', 'one', exp + 10]])
    answer = false
    assert.equal(await introspect({ exp }), 401)
  })

  const register = (token: string, more: object = {}) =>
    fetch(`${url}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ redirect_uris: ['https://app.example.com/'], ...more }),
    })

  it('keeps `userinfo_signed_response_alg` although userinfo is not its own, of an algorithm of its own keys', async () => {
    assert.equal((await register('right', { userinfo_signed_response_alg: 'RS256' })).status, 400)
    const response = await register('right', { userinfo_signed_response_alg: 'ES256' })
    const { client_id, userinfo_signed_response_alg } = (await response.json()) as Record<string, string>
    assert.equal(userinfo_signed_response_alg, 'ES256')
    assert.equal((rows.get(`ours ${client_id}`) as Record<string, unknown>).userinfo_signed_response_alg, 'ES256')
  })

  it('registers through the InitialAccessToken and the adapter of the client class that it is shown', async () => {
    assert.equal((await register('wrong')).status, 401)
    const response = await register('right')
    assert.equal(response.status, 201)
    const { client_id, client_secret, registration_access_token, registration_client_uri } =
      (await response.json()) as Record<string, string>
    assert.equal(client_secret, 'a secret')
    // The secret passes the adapter in clear: that is where it becomes a hash.
    assert.equal((rows.get(`ours ${client_id}`) as Record<string, unknown>).client_secret, 'a secret')
    assert.ok(rows.has(`RegistrationAccessToken ${registration_access_token}`))
    const removed = await fetch(registration_client_uri!, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${registration_access_token}` },
    })
    assert.equal(removed.status, 204)
    assert.equal(rows.has(`ours ${client_id}`), false)
  })
})
