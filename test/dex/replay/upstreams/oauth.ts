/** A plain OAuth 2.0 server with a userinfo address, as the generic connector expects it. */
import type { Json } from '../../../../src/lib/json.ts'
import { called, type GrantState, Grants } from './grants.ts'
import { base64url, random, standIn } from './stand-in.ts'

const ANN = {
  id: 'ann-1',
  uid: 4711,
  user_name: 'Ann Example',
  preferred_username: 'ann',
  email: 'ann@example.com',
  email_verified: true,
  groups: ['devops'],
}

/** What scenarios may arrange besides. */
interface OAuthState extends GrantState {
  user: typeof ANN
  /** Claims of an access token that is a JWT. */
  inToken?: Json
}

export const startOAuth = () =>
  standIn<OAuthState>({ user: ANN }, (state) => {
    const jwt = (claims: Json) => `${base64url('{"alg":"RS256"}')}.${base64url(JSON.stringify(claims))}.${random()}`
    const mint = () => (state.inToken ? jwt(state.inToken) : random())
    const grants = new Grants(state, { mint, shape: ({ scope }) => ({ scope }) })
    return (exchange) => {
      const { request, url, json, text, log } = exchange
      if (url.pathname === '/authorize') return grants.authorize(exchange)
      log.calls.push(called(exchange))
      if (url.pathname === '/token') return grants.token(exchange)
      if (state.api) return text(state.api.status, state.api.text)
      if (!grants.scopesOf(request)) return json(401, { error: 'invalid_token' })
      return url.pathname === '/userinfo' ? json(200, state.user) : json(404, {})
    }
  })
