/** An OpenID provider shaped as an Okta org: claims by scope, `groups` in the ID token only, never email_verified. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Json } from '../../../../src/lib/json.ts'
import { base64url, CLIENT, credentials, type Exchange, type Parameters, random, standIn } from './stand-in.ts'

type Claims = Record<string, Json>

const ANN: Claims = {
  sub: '00u1ann',
  name: 'Ann Example',
  preferred_username: 'ann@example.com',
  locale: 'en_US',
  email: 'ann@example.com',
  groups: ['Everyone', 'devops'],
}
const BY_SCOPE: Record<string, string[]> = {
  profile: ['name', 'preferred_username', 'locale', 'nickname'],
  email: ['email', 'email_verified'],
  groups: ['groups'],
}
const SCOPED = new Set(Object.values(BY_SCOPE).flat())

/** What scenarios may arrange. */
interface OidcState {
  /** Of the person. */
  claims: Claims
  deny?: boolean
  refuseRefresh?: boolean
  /** The token endpoint answers 503. */
  down?: boolean
  noIdToken?: boolean
}

export const startOidc = () =>
  standIn<OidcState>({ claims: ANN }, (state) => {
    const provider = new Provider(state)
    return (exchange) => provider.answer(exchange)
  })

class Provider {
  readonly #state: OidcState
  readonly #privateKey
  readonly #jwk
  /** What was asked for, by code, access token and refresh token. */
  readonly #grants = new Map<string | undefined, Parameters>()

  constructor(state: OidcState) {
    this.#state = state
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#privateKey = privateKey
    this.#jwk = { ...publicKey.export({ format: 'jwk' }), kid: random(), use: 'sig', alg: 'RS256' }
  }

  answer(exchange: Exchange): ServerResponse {
    const { request, url, query, json, log, origin } = exchange
    const where = url.pathname
    if (where === '/.well-known/openid-configuration') return json(200, discovery(origin))
    if (where === '/v1/keys') return json(200, { keys: [this.#jwk] })
    if (where === '/mint') {
      const extra = JSON.parse(query.claims ?? '{}') as Claims
      return json(200, this.#tokens({ scope: 'openid profile email groups' }, origin, extra))
    }
    if (where === '/v1/authorize') return this.#authorize(exchange)
    log.calls.push(`${request.method} ${where}`)
    if (where === '/v1/token') return this.#token(exchange)
    if (where !== '/v1/userinfo') return json(404)
    const grant = this.#grants.get(request.headers.authorization?.replace(/^Bearer /i, ''))
    return grant ? json(200, this.#claimsFor(grant.scope, 'userinfo')) : json(401)
  }

  #authorize({ query, redirect, log }: Exchange): ServerResponse {
    log.authorize = query
    if (this.#state.deny) {
      return redirect({ error: 'access_denied', error_description: 'not assigned to this application' })
    }
    const code = random()
    this.#grants.set(code, query)
    return redirect({ code })
  }

  #token({ request, form, json, log, origin }: Exchange): ServerResponse {
    const { auth, id, secret } = credentials(request, form)
    log.token = { auth, ...form }
    if (this.#state.down) return json(503, {})
    if (id !== CLIENT.id || secret !== CLIENT.secret) return json(401, { error: 'invalid_client' })
    const refused = () => json(400, { error: 'invalid_grant' })
    if (form.grant_type === 'refresh_token') {
      const grant = this.#grants.get(form.refresh_token)
      return grant && !this.#state.refuseRefresh ? json(200, this.#tokens(grant, origin)) : refused()
    }
    const grant = this.#grants.get(form.code)
    this.#grants.delete(form.code)
    const isProven = !grant?.code_challenge || challengeOf(form.code_verifier ?? '') === grant.code_challenge
    const isRight = isProven && grant?.redirect_uri === form.redirect_uri
    return grant && isRight ? json(200, this.#tokens(grant, origin)) : refused()
  }

  #tokens(grant: Parameters, iss: string, extra: Claims = {}): object {
    const { scope = '', nonce } = grant
    const iat = Math.floor(Date.now() / 1000)
    const access = random()
    this.#grants.set(access, grant)
    const claims = { iss, aud: CLIENT.id, iat, exp: iat + 3600, ...(nonce && { nonce }) }
    const idToken = this.#mint({ ...claims, ...this.#claimsFor(scope, 'id'), ...extra })
    const refresh = scope.includes('offline_access') ? random() : undefined
    if (refresh) this.#grants.set(refresh, grant)
    return {
      token_type: 'Bearer',
      expires_in: 3600,
      access_token: access,
      scope,
      ...(!this.#state.noIdToken && { id_token: idToken }),
      ...(refresh && { refresh_token: refresh }),
    }
  }

  #mint(claims: Claims): string {
    const head = base64url(JSON.stringify({ alg: 'RS256', kid: this.#jwk.kid }))
    const input = `${head}.${base64url(JSON.stringify(claims))}`
    return `${input}.${base64url(sign('sha256', Buffer.from(input), this.#privateKey))}`
  }

  #claimsFor(scope = '', place: 'id' | 'userinfo'): Claims {
    const isGiven = (name: string): boolean => !(name === 'groups' && place === 'userinfo')
    const names = scope
      .split(' ')
      .filter(isGiven)
      .flatMap((one) => BY_SCOPE[one] ?? [])
    const claims = Object.entries(this.#state.claims)
    return Object.fromEntries(claims.filter(([name]) => names.includes(name) || !SCOPED.has(name)))
  }
}

const challengeOf = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')

const discovery = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/v1/authorize`,
  token_endpoint: `${issuer}/v1/token`,
  userinfo_endpoint: `${issuer}/v1/userinfo`,
  jwks_uri: `${issuer}/v1/keys`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['RS256'],
  scopes_supported: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  code_challenge_methods_supported: ['S256'],
})
