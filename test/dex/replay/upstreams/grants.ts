/** The OAuth half that several stand-ins share: codes and refresh tokens that work once, access tokens with their scope. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { CLIENT, credentials, type Exchange, type FixedAnswer, type Parameters, random } from './stand-in.ts'

/** What scenarios may arrange of it. */
export interface GrantState {
  /** The person says no. */
  deny?: boolean
  /** The token endpoint answers 503. */
  down?: boolean
  /** The token endpoint answers a web page. */
  garbageToken?: boolean
  /** No HTTP Basic. */
  bodyOnly?: boolean
  /** Seconds of an access token. */
  expiresIn?: number
  refuseRefresh?: boolean
  /** For every call of the API. */
  api?: FixedAnswer
}

export interface GrantOptions {
  /** Whether a grant gets a refresh token. */
  refreshable?(grant: Parameters): boolean
  /** The vendor's further members of a token answer. */
  shape?(grant: Parameters): object
  /** Makes an access token. */
  mint?(): string
}

export class Grants {
  readonly #state: GrantState
  readonly #options: Required<GrantOptions>
  readonly #codes = new Map<string | undefined, Parameters>()
  readonly #access = new Map<string | undefined, Parameters>()
  readonly #refresh = new Map<string | undefined, Parameters>()

  constructor(state: GrantState, options: GrantOptions = {}) {
    this.#state = state
    this.#options = { refreshable: () => true, shape: () => ({}), mint: random, ...options }
  }

  authorize({ query, redirect, json, log }: Exchange): ServerResponse {
    log.authorize = query
    if (query.client_id !== CLIENT.id || query.response_type !== 'code') return json(400, { error: 'invalid_request' })
    if (this.#state.deny) return redirect({ error: 'access_denied', error_description: 'the person said no' })
    const code = random()
    this.#codes.set(code, query)
    return redirect({ code })
  }

  token({ request, form, json, text, log }: Exchange): ServerResponse {
    const { auth, id, secret } = credentials(request, form)
    const { down, garbageToken, bodyOnly, refuseRefresh } = this.#state
    log.token = { auth, ...form }
    if (down) return json(503, {})
    if (garbageToken) return text(200, '<html><body>maintenance</body></html>')
    const isClient = id === CLIENT.id && secret === CLIENT.secret
    if (!isClient || (bodyOnly && auth === 'basic')) return json(401, { error: 'invalid_client' })
    const refreshing = form.grant_type === 'refresh_token'
    if (!refreshing && form.grant_type !== 'authorization_code') return json(400, { error: 'unsupported_grant_type' })
    const [from, key] = refreshing ? [this.#refresh, form.refresh_token] : [this.#codes, form.code]
    const grant = from.get(key)
    from.delete(key)
    const isRight = refreshing ? !refuseRefresh : grant?.redirect_uri === form.redirect_uri
    return grant && isRight ? json(200, this.tokens(grant)) : json(400, { error: 'invalid_grant' })
  }

  tokens(grant: Parameters): object {
    const { mint, shape, refreshable } = this.#options
    const access = mint()
    this.#access.set(access, grant)
    const out = {
      access_token: access,
      token_type: 'Bearer',
      expires_in: this.#state.expiresIn ?? 7200,
      ...shape(grant),
    }
    if (!refreshable(grant)) return out
    const refresh = random()
    this.#refresh.set(refresh, grant)
    return { ...out, refresh_token: refresh }
  }

  /** The scopes of the access token that a request carries, or undefined. */
  scopesOf(request: IncomingMessage): string[] | undefined {
    const grant = this.#access.get(request.headers.authorization?.match(/^Bearer (.+)$/i)?.[1])
    return grant && (grant.scope ?? '').split(' ')
  }
}

/** A line of the log: method, path and query, and what was posted as JSON. */
export const called = ({ request, url, body }: Exchange): string => {
  const isJson = request.headers['content-type'] === 'application/json' && body
  return `${request.method} ${url.pathname}${url.search}${isJson ? ` ${JSON.stringify(JSON.parse(body))}` : ''}`
}
