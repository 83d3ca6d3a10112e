/** A real OpenID provider (oidc-provider with its own session and grants) as an upstream, and a browser for its login. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'
import { upstreamClient } from './oidc.ts'

export interface RealProvider {
  issuer: string
  authorize(url: URL): Promise<URLSearchParams>
  /** How often somebody had to log in, having no session. */
  logins(): number
  close(): Promise<void>
}

const person = { sub: 'jane', name: 'Jane Doe', email: 'jane@example.com', email_verified: true, groups: ['devops'] }

/**
 * @param redirectUri what the client is registered with
 * @param logout where it is told of a logout, and where one may return to
 */
export async function startRealProvider(
  redirectUri: string,
  logout?: { backchannelUri: string; returnTo: string },
): Promise<RealProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: upstreamClient.clientID,
        client_secret: upstreamClient.clientSecret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        ...(logout && {
          backchannel_logout_uri: logout.backchannelUri,
          backchannel_logout_session_required: true,
          post_logout_redirect_uris: [logout.returnTo],
        }),
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256' }] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    rotateRefreshToken: true,
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, RefreshToken: 600, IdToken: 600 },
    pkce: { required: () => true },
    cookies: { keys: ['a-key-for-tests-only'] },
    // Its own refuses to call loopback.
    fetch(url, options) {
      const { dispatcher: _, ...rest } = (options ?? {}) as RequestInit & { dispatcher?: unknown }
      return fetch(url, rest)
    },
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ ...person, sub: id }) }),
  })
  let logins = 0
  const handle = provider.callback()
  server.on('request', (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void handle(request, response)
    void consented(provider, request, response, () => void logins++).catch((error: Error) =>
      response.writeHead(500).end(error.message),
    )
  })
  return {
    issuer,
    authorize: (url) => browse(url, redirectUri),
    logins: () => logins,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

type Details = Parameters<Provider['interactionDetails']>

/** Signs the person in and grants whatever the client asked for. */
async function consented(
  provider: Provider,
  request: Details[0],
  response: Details[1],
  loggedIn: () => void,
): Promise<void> {
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    loggedIn()
    await provider.interactionFinished(request, response, { login: { accountId: person.sub } })
    return
  }
  const grant = new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params.client_id) })
  grant.addOIDCScope(String(params.scope))
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}

/** Follows redirects with cookies until the provider sends the browser back. */
async function browse(start: URL, redirectUri: string): Promise<URLSearchParams> {
  const cookies = new Map<string, string>()
  let url = start
  for (let step = 0; step < 10; step += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { headers: { cookie }, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split(/=(.*)/s)
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (!location) throw new Error(`the provider answered ${response.status}: ${await response.text()}`)
    url = new URL(location, url)
    if (url.href.startsWith(redirectUri)) return url.searchParams
  }
  throw new Error('the provider never sent the browser back')
}
