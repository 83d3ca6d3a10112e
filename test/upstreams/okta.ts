/**
 * A stand-in of Okta, from its documented behaviour: an org server and custom authorization servers, `state` required
 * and of a small alphabet, `email_verified` only in userinfo, groups only with their scope and never more than a hundred,
 * refresh tokens that rotate with a grace time, rate limits with Okta's headers, and OAuth errors.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { authorize } from './okta-authorize.ts'
import { hookOf, revocationToken, signOut } from './okta-logout.ts'
import { newKey, type OktaOrg, scopesOf } from './okta-org.ts'
import { token, userinfo } from './okta-tokens.ts'
import { notFound, type OktaCall, type Reply, read, write } from './okta-wire.ts'

export interface OktaOptions {
  /** Its address as others see it, where something stands in front of it. */
  origin?: string
  clientId?: string
  clientSecret?: string
  redirectUris?: string[]
  postLogoutRedirectUris?: string[]
  /** Ids of custom authorization servers; the org server is always there. */
  servers?: string[]
  /** Whether the app has the refresh token grant. */
  refreshGrant?: boolean
  pkceRequired?: boolean
  /** Serves TLS with this certificate and key (PEM). */
  tls?: { cert: string; key: string }
  /** Tokens that lack profile and groups, as Okta gives them outside the code flow. */
  thinIdToken?: boolean
  now?: () => number
}

export interface OktaStandIn {
  /** Address of the org, without a trailing slash. */
  url: string
  port: number
  /** Issuer of the org server, or of a custom one. */
  issuer(serverId?: string): string
  clientId: string
  clientSecret: string
  calls: OktaCall[]
  /** The person who is signed in at Okta and what an administrator did to them; may be changed at any time. */
  org: OktaOrg
  /** The next calls of a path are refused with 429. */
  limit(path: 'token' | 'userinfo' | 'authorize', calls: number): void
  /** New signing keys; the old ones go away. */
  rotateKeys(): Promise<void>
  /** Milliseconds that the stand-in's clock is ahead. */
  advance(milliseconds: number): void
  /** What a browser of the signed-in person brings back. @throws when Okta shows a page of its own */
  authorize(url: URL): Promise<URLSearchParams>
  /** An event as hooks carry it, about the person. */
  hook(eventType: string, more?: Record<string, unknown>): Record<string, unknown>
  /** What Universal Logout brings in its Authorization header. */
  revocationToken(audience: string, claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
  close(): Promise<void>
}

export async function startOkta(options: OktaOptions = {}): Promise<OktaStandIn> {
  const { clientId = '0oa1EXAMPLE', clientSecret = 'okta-client-secret', servers = ['default'] } = options
  let ahead = 0
  let url = ''
  const calls: OktaCall[] = []
  const limits = new Map<string, number>()
  const org: OktaOrg = {
    clientId,
    clientSecret,
    ...(options.redirectUris && { redirectUris: options.redirectUris }),
    postLogoutRedirectUris: options.postLogoutRedirectUris ?? [],
    refreshGrant: options.refreshGrant ?? true,
    pkceRequired: options.pkceRequired ?? false,
    thinIdToken: options.thinIdToken ?? false,
    user: {
      sub: '00u8x7EXAMPLE',
      name: 'Jane Doe',
      preferred_username: 'jane@example.com',
      email: 'jane@example.com',
      email_verified: true,
      groups: ['Everyone', 'devops'],
    },
    status: 'active',
    leeway: 30_000,
    key: await newKey(),
    codes: new Map(),
    refreshTokens: new Map(),
    accessTokens: new Map(),
    now: () => (options.now?.() ?? Date.now()) + ahead,
    issuerOf: (server) => (server === '' ? url : `${url}/oauth2/${server}`),
  }

  const answer = async (call: OktaCall): Promise<Reply> => {
    const wellKnown = /^(?:\/oauth2\/([\w-]+))?\/\.well-known\/openid-configuration$/.exec(call.path)
    if (wellKnown) {
      const server = wellKnown[1] ?? ''
      return server === '' || servers.includes(server) ? discovery(url, org.issuerOf(server), server) : notFound
    }
    const [, server = '', name] = /^\/oauth2\/(?:([\w-]+)\/)?v1\/(\w+)$/.exec(call.path) ?? []
    if (name === undefined || (server !== '' && !servers.includes(server))) return notFound
    const left = limits.get(name) ?? 0
    if (left > 0) {
      limits.set(name, left - 1)
      const body = {
        errorCode: 'E0000047',
        errorSummary: 'API call exceeded rate limit due to too many requests.',
        errorLink: 'E0000047',
        errorId: 'oae1EXAMPLE',
        errorCauses: [],
      }
      const reset = String(Math.floor(org.now() / 1000) + 20)
      return {
        status: 429,
        body,
        headers: { 'x-rate-limit-limit': '600', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': reset },
      }
    }
    switch (name) {
      case 'keys':
        return { status: 200, body: { keys: [org.key.publicJwk] } }
      case 'authorize':
        return authorize(org, server, call)
      case 'token':
        return token(org, server, call)
      case 'userinfo':
        return userinfo(org, server, call)
      case 'logout':
        return signOut(org, server, call)
      default:
        return notFound
    }
  }

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void read(request).then(async (call) => {
      calls.push(call)
      write(response, await answer(call))
    })
  }
  const server: Server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const here = `${options.tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  url = options.origin ?? here

  return {
    url,
    port: Number(new URL(here).port),
    issuer: (serverId = '') => org.issuerOf(serverId),
    org,
    clientId,
    clientSecret,
    calls,
    limit: (path, count) => void limits.set(path, count),
    async rotateKeys() {
      org.key = await newKey()
    },
    advance(milliseconds) {
      ahead += milliseconds
    },
    async authorize(address) {
      const response = await fetch(address, { redirect: 'manual' })
      const location = response.headers.get('location')
      if (!location) throw new Error(`Okta answered ${response.status}: ${await response.text()}`)
      return new URL(location).searchParams
    },
    hook: (eventType, more) => hookOf(org, eventType, more),
    revocationToken: (audience, claims, header) => revocationToken(org, audience, claims, header),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

const discovery = (url: string, issuer: string, server: string): Reply => ({
  status: 200,
  body: {
    issuer,
    ...Object.fromEntries(
      Object.entries({
        authorization_endpoint: 'authorize',
        token_endpoint: 'token',
        userinfo_endpoint: 'userinfo',
        jwks_uri: 'keys',
        end_session_endpoint: 'logout',
        introspection_endpoint: 'introspect',
        revocation_endpoint: 'revoke',
      }).map(([name, path]) => [name, `${url}/oauth2/${server === '' ? '' : `${server}/`}v1/${path}`]),
    ),
    response_types_supported: [
      'code',
      'id_token',
      'code id_token',
      'code token',
      'id_token token',
      'code id_token token',
    ],
    response_modes_supported: ['query', 'fragment', 'form_post', 'okta_post_message'],
    grant_types_supported: ['authorization_code', 'implicit', 'refresh_token', 'password'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: scopesOf(server),
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'none',
    ],
    claims_supported: [
      'iss',
      'sub',
      'aud',
      'iat',
      'exp',
      'auth_time',
      'amr',
      'nonce',
      'name',
      'email',
      'email_verified',
    ],
    code_challenge_methods_supported: ['S256'],
  },
})
