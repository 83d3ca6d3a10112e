import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface FakeProvider extends AsyncDisposable {
  issuer: string
  /** Every form that the token endpoint was sent, and every query of the authorization endpoint. */
  asked: { token: URLSearchParams[]; authorize: URLSearchParams[] }
}

export interface FakeOptions {
  /** Error that the authorization endpoint sends back. */
  refuse?: string
  /** Error that the token endpoint answers. */
  refuseToken?: string
  /** Answers of the device grant before it is approved. */
  device?: string[]
  /** Claims that differ from what is right. */
  claims?: Record<string, unknown>
  /** Issuer that the discovery document names instead of its own. */
  namedIssuer?: string
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** An OpenID provider that approves at once, checks PKCE, and does wrong what the test asks for. */
export async function fakeProvider(options: FakeOptions = {}): Promise<FakeProvider> {
  const asked: FakeProvider['asked'] = { token: [], authorize: [] }
  const codes = new Map<string, URLSearchParams>()
  const pending = [...(options.device ?? [])]

  const idToken = (aud: string, nonce: string | null) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: issuer,
      aud,
      sub: 'person',
      iat: now,
      exp: now + 60,
      ...(nonce === null ? {} : { nonce }),
      groups: ['admin'],
      ...options.claims,
    }
    const input = `${encode({ alg: 'RS256', kid: 'one' })}.${encode(claims)}`
    return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', issuer)
    const answer = (body: object, status = 200) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return answer({
          issuer: options.namedIssuer ?? issuer,
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          ...(options.device ? { device_authorization_endpoint: `${issuer}/device/code` } : {}),
        })
      case '/keys':
        return answer({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] })
      case '/auth': {
        asked.authorize.push(url.searchParams)
        const back = new URL(url.searchParams.get('redirect_uri') ?? '')
        back.searchParams.set('state', url.searchParams.get('state') ?? '')
        const code = randomUUID()
        if (options.refuse) back.searchParams.set('error', options.refuse)
        else back.searchParams.set('code', code)
        codes.set(code, url.searchParams)
        return response.writeHead(302, { Location: back.href }).end()
      }
      case '/device/code':
        return answer({
          device_code: 'device',
          user_code: 'ABCD-EFGH',
          verification_uri: `${issuer}/device`,
          expires_in: 60,
          interval: 0.01,
        })
      case '/token': {
        const form = new URLSearchParams(await text(request))
        asked.token.push(form)
        if (options.refuseToken) return answer({ error: options.refuseToken, error_description: 'as planned' }, 400)
        const tokens = (nonce: string | null) => ({
          access_token: 'access',
          token_type: 'Bearer',
          expires_in: 60,
          id_token: idToken('cli', nonce),
        })
        if (form.get('device_code') === 'device') {
          const error = pending.shift()
          return error === undefined ? answer(tokens(null)) : answer({ error }, 400)
        }
        const started = codes.get(form.get('code') ?? '')
        const challenge = createHash('sha256')
          .update(form.get('code_verifier') ?? '')
          .digest('base64url')
        if (started?.get('code_challenge') !== challenge) return answer({ error: 'invalid_grant' }, 400)
        return answer(tokens(started.get('nonce')))
      }
      default:
        return response.writeHead(404).end()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
