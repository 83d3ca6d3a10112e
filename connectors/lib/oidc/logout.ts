/** Leaving for the upstream's logout, and coming back from it (OpenID Connect RP-Initiated Logout 1.0). */
import { type ConnectorFailure, type Departure, failure } from '../../contract.ts'
import type { Metadata } from './discovery.ts'
import type { OidcSettings } from './settings.ts'

/** Letters; a longer hint makes an address that servers refuse, and most upstreams know the browser by their cookie. */
const longestHint = 6000

export const isUsableHint = (idToken: string | undefined): idToken is string =>
  idToken !== undefined && idToken.length <= longestHint

/** @returns `undefined` where the upstream has no end session endpoint */
export function logoutRequest(
  { clientID }: OidcSettings,
  { end_session_endpoint: endpoint = '' }: Metadata,
  { idToken, returnTo, state }: { idToken: string | undefined; returnTo: URL; state: string },
): Departure | undefined {
  // A copy: its own query stays.
  const url = URL.parse(endpoint)
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined
  if (idToken !== undefined) url.searchParams.set('id_token_hint', idToken)
  if (clientID) url.searchParams.set('client_id', clientID)
  url.searchParams.set('post_logout_redirect_uri', returnTo.href)
  url.searchParams.set('state', state)
  return { via: 'redirect', url }
}

/** The standard knows no error there; some upstreams send one all the same. */
export function refusalOf(params: URLSearchParams): ConnectorFailure | undefined {
  const code = params.get('error')
  if (!code) return undefined
  return failure('login_refused', `the upstream did not log the person out: ${code.slice(0, 100)}`)
}
