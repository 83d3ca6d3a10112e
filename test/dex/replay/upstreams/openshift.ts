/** An OpenShift cluster over TLS: the metadata of its OAuth server, OAuth, and the user that a token belongs to. */
import { called, type GrantState, Grants } from './grants.ts'
import { standInOverTls } from './stand-in.ts'

const ANN = { uid: 'b5a1-0001', name: 'ann', fullName: 'Ann Example', groups: ['developers', 'viewers'] }

interface OpenShiftState extends GrantState {
  user: typeof ANN
}

/** OpenShift gives no refresh tokens. */
export const startOpenShift = () =>
  standInOverTls<OpenShiftState>({ user: ANN }, (state) => {
    const grants = new Grants(state, {
      refreshable: () => false,
      shape: ({ scope }) => ({ scope, expires_in: state.expiresIn ?? 86400 }),
    })
    return (exchange) => {
      const { request, url, json, text, log, origin } = exchange
      if (url.pathname === '/.well-known/oauth-authorization-server') return json(200, metadata(origin))
      if (url.pathname === '/oauth/authorize') return grants.authorize(exchange)
      log.calls.push(called(exchange))
      if (url.pathname === '/oauth/token') return grants.token(exchange)
      if (state.api) return text(state.api.status, state.api.text)
      const scopes = grants.scopesOf(request)
      if (!scopes) return json(401, status(401, 'Unauthorized'))
      if (url.pathname !== '/apis/user.openshift.io/v1/users/~') return json(404, status(404, 'NotFound'))
      if (!scopes.includes('user:info') && !scopes.includes('user:full')) return json(403, status(403, 'Forbidden'))
      const { name, uid, fullName, groups } = state.user
      const kind = { kind: 'User', apiVersion: 'user.openshift.io/v1', metadata: { name, uid } }
      return json(200, { ...kind, fullName, identities: [`htpasswd:${name}`], groups })
    }
  })

const status = (code: number, reason: string) => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code })

const metadata = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/oauth/authorize`,
  token_endpoint: `${issuer}/oauth/token`,
  scopes_supported: ['user:check-access', 'user:full', 'user:info', 'user:list-projects', 'user:list-scoped-projects'],
  response_types_supported: ['code', 'token'],
  grant_types_supported: ['authorization_code', 'implicit'],
  code_challenge_methods_supported: ['plain', 'S256'],
})
