/** Authorization code and refresh token grant (RFC 6749, PKCE by RFC 7636) for upstreams that have no discovery. */
import * as client from 'openid-client'
import {
  type Arrival,
  type ConnectorContext,
  type ConnectorFailure,
  type Departure,
  failure,
  type Json,
  type StartRequest,
} from '../contract.ts'
import { errorOf, ownFailure } from './oidc/failures.ts'

export interface OAuthSettings {
  authorizationEndpoint: string
  tokenEndpoint: string
  clientId: string
  clientSecret: string
  fetch: typeof fetch
  /** Whether the login is bound by PKCE S256. */
  pkce: boolean
  /** Judges an error code of the upstream's own; `undefined` leaves it to the rules of RFC 6749. */
  recognise?(code: string, call: OAuthCall): ConnectorFailure | undefined
  /** Judges an answer that is neither tokens nor an OAuth error, such as a rate limit. */
  recogniseResponse?(response: Response): ConnectorFailure | undefined
}

/** Where an error came from: the browser's return, the code or the refresh token. */
export type OAuthCall = 'callback' | 'code' | 'refresh'

export interface OAuthTokens {
  accessToken: string
  refreshToken?: string
  /** Unix seconds; absent: it does not expire by itself. */
  expiresAt?: number
  /** As the upstream wrote it. */
  scope?: string
}

export interface OAuthClient {
  /** The authorization request; `more` are parameters of the upstream's own. */
  depart(request: StartRequest, scopes: readonly string[], more?: Readonly<Record<string, string>>): Promise<Departure>
  redeem(arrival: Arrival): Promise<OAuthTokens>
  /** @throws ConnectorFailure `identity_gone` when the refresh token is refused */
  renew(refreshToken: string): Promise<OAuthTokens>
}

/** Nothing is called before the first use. */
export function oauthClient(settings: OAuthSettings, context: ConnectorContext): OAuthClient {
  const atTokenEndpoint = tokenEndpoint(settings)

  const tokens = async (call: OAuthCall, grant: () => Promise<client.TokenEndpointResponse>): Promise<OAuthTokens> => {
    try {
      return read(await grant(), context.now())
    } catch (error) {
      throw grantFailure(error, call, settings)
    }
  }

  return {
    async depart({ callbackUrl, state }, scopes, more = {}) {
      const url = new URL(settings.authorizationEndpoint)
      const set = (name: string, value: string) => url.searchParams.set(name, value)
      set('client_id', settings.clientId)
      set('redirect_uri', callbackUrl.href)
      set('response_type', 'code')
      set('scope', scopes.join(' '))
      set('state', state)
      for (const [name, value] of Object.entries(more)) set(name, value)
      if (!settings.pkce) return { via: 'redirect', url }
      const verifier = client.randomPKCECodeVerifier()
      set('code_challenge', await client.calculatePKCECodeChallenge(verifier))
      set('code_challenge_method', 'S256')
      return { via: 'redirect', url, memo: { verifier } }
    },

    redeem(arrival) {
      const address = new URL(arrival.callbackUrl)
      address.search = arrival.params.toString()
      const pkceCodeVerifier = readVerifier(arrival.memo, settings.pkce)
      return tokens('code', () =>
        atTokenEndpoint((configuration) =>
          client.authorizationCodeGrant(configuration, address, {
            expectedState: arrival.state,
            ...(pkceCodeVerifier !== undefined && { pkceCodeVerifier }),
          }),
        ),
      )
    },

    renew(refreshToken) {
      return tokens('refresh', () =>
        atTokenEndpoint((configuration) => client.refreshTokenGrant(configuration, refreshToken)),
      )
    },
  }
}

/**
 * The upstream returns to one address of ours; a login that would end elsewhere is stopped before it starts.
 * @throws ConnectorFailure `misconfigured`
 */
export function checkRedirectUri(redirectURI: string | undefined, { issuer }: Pick<ConnectorContext, 'issuer'>): void {
  const expected = `${issuer.replace(/\/$/, '')}/callback`
  if (!redirectURI || redirectURI === expected) return
  throw failure('misconfigured', `redirectURI is "${redirectURI}", but the upstream must return to "${expected}"`)
}

type AtTokenEndpoint = <T>(call: (configuration: client.Configuration) => Promise<T>) => Promise<T>

/** Client authentication by Basic, or by the body where the upstream does not understand that; the way that worked is kept. */
function tokenEndpoint({
  authorizationEndpoint,
  tokenEndpoint,
  clientId,
  clientSecret,
  fetch,
}: OAuthSettings): AtTokenEndpoint {
  const metadata = {
    issuer: new URL(authorizationEndpoint).origin,
    authorization_endpoint: authorizationEndpoint,
    token_endpoint: tokenEndpoint,
  }
  const configure = (authentication: client.ClientAuth): client.Configuration => {
    const configuration = new client.Configuration(metadata, clientId, {}, authentication)
    configuration[client.customFetch] = fetch as client.CustomFetch
    configuration.timeout = 0 // the context's fetch is limited in time
    client.allowInsecureRequests(configuration) // plain http upstreams exist in clusters
    return configuration
  }
  const inHeader = configure(client.ClientSecretBasic(clientSecret))
  const inBody = configure(client.ClientSecretPost(clientSecret))
  let known: client.Configuration | undefined

  return async (call) => {
    if (known) return call(known)
    try {
      const answer = await call(inHeader)
      known = inHeader
      return answer
    } catch (error) {
      // A code is not used up by a request that the upstream could not assign to a client.
      if (!isUnauthenticated(error)) throw error
      const answer = await call(inBody)
      known = inBody
      return answer
    }
  }
}

function isUnauthenticated(error: unknown): boolean {
  const told = errorOf(error)
  if (told) return ['invalid_client', 'incorrect_client_credentials', 'invalid_request'].includes(told.code)
  const status = responseIn(error)?.status
  return status === 401 || status === 404
}

function read(answer: client.TokenEndpointResponse, now: Date): OAuthTokens {
  const { access_token, refresh_token, expires_in, scope } = answer
  return {
    accessToken: access_token,
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
    ...(typeof expires_in === 'number' && { expiresAt: Math.floor(now.getTime() / 1000) + expires_in }),
    ...(scope !== undefined && { scope }),
  }
}

function readVerifier(memo: Json | undefined, wanted: boolean): string | undefined {
  if (!wanted) return undefined
  if (typeof memo === 'object' && memo !== null && !Array.isArray(memo) && typeof memo.verifier === 'string') {
    return memo.verifier
  }
  throw failure('login_refused', 'the callback belongs to no login that was started here')
}

function grantFailure(error: unknown, call: OAuthCall, settings: OAuthSettings): ConnectorFailure {
  const own = ownFailure(error)
  if (own) return own
  if (error instanceof client.AuthorizationResponseError) {
    return toldFailure(error.error, error.error_description ?? '', 'callback', settings, error)
  }
  const told = errorOf(error)
  if (told) return toldFailure(told.code, told.description, call, settings, error)
  const response = responseIn(error)
  const recognised = response && settings.recogniseResponse?.(response)
  if (recognised) return recognised
  if (response && response.status >= 500) {
    return failure('upstream_unavailable', `the token endpoint answered ${response.status}`, { cause: error })
  }
  const reason = error instanceof Error ? error.message : 'unknown'
  return failure('upstream_invalid_response', `the answer of the token endpoint was refused: ${reason}`, {
    cause: error,
  })
}

/** Errors that RFC 6749 lets an authorization response carry (4.1.2.1), and what they mean for the login. */
const callbackErrors: Readonly<Record<string, ConnectorFailure['code']>> = {
  access_denied: 'login_refused',
  server_error: 'upstream_unavailable',
  temporarily_unavailable: 'upstream_unavailable',
  invalid_request: 'misconfigured',
  unauthorized_client: 'misconfigured',
  unsupported_response_type: 'misconfigured',
  invalid_scope: 'misconfigured',
}

/** Errors of the token endpoint (RFC 6749, 5.2), but for `invalid_grant`, which depends on the grant. */
const tokenErrors: Readonly<Record<string, ConnectorFailure['code']>> = {
  ...callbackErrors,
  invalid_client: 'misconfigured',
  unsupported_grant_type: 'misconfigured',
}

function toldFailure(
  code: string,
  description: string,
  call: OAuthCall,
  settings: OAuthSettings,
  cause: unknown,
): ConnectorFailure {
  const message = `the upstream answered ${oneLine(code)}${description && `: ${oneLine(description)}`}`
  const recognised = settings.recognise?.(code, call)
  if (recognised)
    return failure(recognised.code, `${recognised.message} (${message})`, { cause, ...recognised.details })
  if (call === 'callback') {
    const known = callbackErrors[code]
    return failure(known ?? 'login_refused', message, { cause, ...(known && { upstreamCode: code }) })
  }
  if (code === 'invalid_grant') {
    return failure(call === 'refresh' ? 'identity_gone' : 'upstream_invalid_response', message, { cause })
  }
  return failure(tokenErrors[code] ?? 'upstream_invalid_response', message, { cause })
}

/** Free text of the upstream for the log, limited in length. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').slice(0, 200)

/** The HTTP answer in an error of the client library. */
function responseIn(error: unknown): Response | undefined {
  let current = error
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    if (current instanceof Response) return current
    const { response, cause } = current as { response?: unknown; cause?: unknown }
    if (response instanceof Response) return response
    current = cause
  }
  return undefined
}
