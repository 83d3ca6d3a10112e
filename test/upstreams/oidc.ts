/**
 * An OpenID provider of which a test can bend every answer: discovery, keys, ID token, token and userinfo endpoint.
 * It checks client authentication, codes, redirect URI and PKCE like a strict one, and records what it was asked.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, compactVerify, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'

export interface Asked {
  method: string
  path: string
  query: URLSearchParams
  form: URLSearchParams
  authorization: string | undefined
}

export interface Answer {
  status: number
  body: unknown
  headers?: Record<string, string>
}

/** What a test may change while the server runs. */
export interface Bends {
  /** Members merged into the discovery document; `undefined` removes one. */
  discovery?: Record<string, unknown>
  claims?: Record<string, unknown>
  /** Last word on the claims of an ID token. */
  idTokenClaims?(claims: Record<string, unknown>): Record<string, unknown>
  /** Makes the ID token itself. */
  idToken?(claims: Record<string, unknown>, key: SigningKey): Promise<string> | string | undefined
  jwks?(keys: JWK[]): unknown[]
  userinfo?: Record<string, unknown>
  /** Replaces the answer of a path. */
  answers?: Record<string, (asked: Asked) => Answer | undefined>
  /** Paths that never answer. */
  hanging?: string[]
  /** Where a logout may return to. */
  postLogoutRedirectUris?: string[]
}

export interface SigningKey {
  kid: string
  privateKey: CryptoKey
  publicJwk: JWK
}

export interface OidcUpstream {
  issuer: string
  bends: Bends
  asked: Asked[]
  /** Method and path of each request so far. */
  calls(): string[]
  /** Follows an authorization URL as a browser of a signed-in person would; gives the callback's query. */
  authorize(url: URL): Promise<URLSearchParams>
  key(): SigningKey
  rotate(kid?: string): Promise<void>
  /** Signs claims with the current key. */
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
  /** A logout token of now (Back-Channel Logout 1.0, 2.4); `undefined` removes a claim. */
  logoutToken(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
  close(): Promise<void>
}

export const upstreamClient = { clientID: 'countersign', clientSecret: 'upstream s3cret' }

export const jane = {
  sub: '00u1jane',
  name: 'Jane Doe',
  preferred_username: 'jane',
  email: 'jane@example.com',
  email_verified: true,
  groups: ['Everyone', 'devops'],
}

const newKey = async (kid: string): Promise<SigningKey> => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' } }
}

/** @param options `port` to come back on a port that was used before */
export async function startOidcUpstream(bends: Bends = {}, options: { port?: number } = {}): Promise<OidcUpstream> {
  let key = await newKey('key-1')
  const grants = new Map<string, URLSearchParams>()
  const asked: Asked[] = []
  let issuer = ''

  const claimsNow = () => ({ ...jane, ...up.bends.claims })
  const sign = (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header }).sign(key.privateKey)

  const tokens = async (grant: URLSearchParams, withNonce: boolean): Promise<Answer> => {
    const now = Math.floor(Date.now() / 1000)
    const nonce = withNonce && grant.get('nonce') ? { nonce: grant.get('nonce') } : {}
    const plain = { iss: issuer, aud: upstreamClient.clientID, iat: now, exp: now + 600, ...nonce, ...claimsNow() }
    const claims = up.bends.idTokenClaims?.(plain) ?? plain
    const token = up.bends.idToken ? await up.bends.idToken(claims, key) : await sign(claims)
    const accessToken = randomUUID()
    grants.set(accessToken, grant)
    const refreshToken = randomUUID()
    const offline = grant.get('scope')?.split(' ').includes('offline_access')
    if (offline) grants.set(refreshToken, grant)
    return {
      status: 200,
      body: {
        token_type: 'Bearer',
        expires_in: 600,
        access_token: accessToken,
        ...(token !== undefined && { id_token: token }),
        ...(offline && { refresh_token: refreshToken }),
      },
    }
  }

  const tokenEndpoint = async ({ form, authorization }: Asked): Promise<Answer> => {
    if (!authenticated(form, authorization)) return { status: 401, body: { error: 'invalid_client' } }
    const refusal = { status: 400, body: { error: 'invalid_grant', error_description: 'expired' } }
    const presented = form.get('grant_type') === 'refresh_token' ? form.get('refresh_token') : form.get('code')
    const grant = grants.get(presented ?? '')
    if (!grant) return refusal
    grants.delete(presented ?? '')
    if (form.get('grant_type') === 'refresh_token') return tokens(grant, false)
    const proven = !grant.has('code_challenge') || grant.get('code_challenge') === s256(form.get('code_verifier') ?? '')
    return proven && grant.get('redirect_uri') === form.get('redirect_uri') ? tokens(grant, true) : refusal
  }

  /** RP-Initiated Logout 1.0: the hint must be ours and of that client, the address one that is registered. */
  const signOut = async ({ query }: Asked): Promise<Answer> => {
    const [uri = '', hint = '', id] = ['post_logout_redirect_uri', 'id_token_hint', 'client_id'].map(
      (name) => query.get(name) ?? undefined,
    )
    const hinted = await compactVerify(hint, await importJWK(key.publicJwk, 'RS256')).catch(() => undefined)
    const claims = hinted && (JSON.parse(new TextDecoder().decode(hinted.payload)) as { aud?: string })
    if (claims?.aud !== upstreamClient.clientID || id !== claims.aud) return { status: 400, body: 'bad hint' }
    if (!up.bends.postLogoutRedirectUris?.includes(uri)) return { status: 400, body: 'not registered' }
    return {
      status: 302,
      body: '',
      headers: { location: `${uri}?${new URLSearchParams({ state: query.get('state') ?? '' })}` },
    }
  }

  const answer = async (request: Asked): Promise<Answer> => {
    const bent = up.bends.answers?.[request.path]?.(request)
    if (bent) return bent
    switch (request.path) {
      case '/.well-known/openid-configuration':
        return { status: 200, body: { ...discoveryDocument(issuer), ...up.bends.discovery } }
      case '/keys':
        return { status: 200, body: { keys: up.bends.jwks?.([key.publicJwk]) ?? [key.publicJwk] } }
      case '/authorize': {
        const code = randomUUID()
        grants.set(code, request.query)
        const back = new URLSearchParams({ code, state: request.query.get('state') ?? '' })
        return { status: 302, body: '', headers: { location: `${request.query.get('redirect_uri')}?${back}` } }
      }
      case '/token':
        return tokenEndpoint(request)
      case '/logout':
        return signOut(request)
      case '/userinfo': {
        const grant = grants.get(/^Bearer (.+)$/.exec(request.authorization ?? '')?.[1] ?? '')
        if (!grant) return { status: 401, body: '', headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }
        return { status: 200, body: up.bends.userinfo ?? claimsNow() }
      }
      default:
        return { status: 404, body: { error: 'not_found' } }
    }
  }

  const server = createServer((request, response) => {
    void read(request).then(async (one) => {
      asked.push(one)
      if (up.bends.hanging?.includes(one.path)) return
      write(response, await answer(one))
    })
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const up: OidcUpstream = {
    issuer,
    bends,
    asked,
    calls: () => asked.map(({ method, path }) => `${method} ${path}`),
    async authorize(url) {
      const response = await fetch(url, { redirect: 'manual' })
      const location = response.headers.get('location')
      if (!location) throw new Error(`the upstream answered ${response.status} ${await response.text()}`)
      return new URL(location).searchParams
    },
    key: () => key,
    async rotate(kid = randomUUID()) {
      key = await newKey(kid)
    },
    sign,
    logoutToken(claims = {}, header = {}) {
      const iat = Math.floor(Date.now() / 1000)
      const plain = {
        iss: issuer,
        aud: upstreamClient.clientID,
        iat,
        exp: iat + 120,
        jti: randomUUID(),
        sub: jane.sub,
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        ...claims,
      }
      return sign(plain, { typ: 'logout+jwt', ...header })
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  return up
}

function discoveryDocument(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/keys`,
    end_session_endpoint: `${issuer}/logout`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    code_challenge_methods_supported: ['S256'],
  }
}

/** Basic as in RFC 6749, 2.3.1, or the body. */
function authenticated(form: URLSearchParams, authorization: string | undefined): boolean {
  const basic = /^Basic (.+)$/.exec(authorization ?? '')?.[1]
  const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
  const [id, secret] = basic
    ? Buffer.from(basic, 'base64').toString().split(':').map(decode)
    : [form.get('client_id'), form.get('client_secret')]
  return id === upstreamClient.clientID && secret === upstreamClient.clientSecret
}

const s256 = (verifier: string) => createHash('sha256').update(verifier).digest('base64url')

async function read(request: IncomingMessage): Promise<Asked> {
  let body = ''
  for await (const chunk of request) body += chunk
  const url = new URL(request.url ?? '/', 'http://upstream')
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    form: new URLSearchParams(body),
    authorization: request.headers.authorization,
  }
}

function write(response: ServerResponse, { status, body, headers }: Answer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}
