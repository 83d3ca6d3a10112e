/** The authorization endpoint of the Okta stand-in. */
import { type OktaOrg, random, scopesOf } from './okta-org.ts'
import type { OktaCall, Reply } from './okta-wire.ts'

const page = (text: string): Reply => ({
  status: 400,
  body: `<html><body>${text}</body></html>`,
  headers: { 'content-type': 'text/html' },
})

/** Errors about client or redirect URI stay on a page of Okta; all others go back. */
export function authorize(org: OktaOrg, server: string, { query }: OktaCall): Reply {
  const redirectUri = query.get('redirect_uri') ?? ''
  if (query.get('client_id') !== org.clientId) return page('Invalid value for client_id parameter.')
  if (!URL.canParse(redirectUri)) return page('redirect_uri is missing.')
  if (org.redirectUris && !org.redirectUris.includes(redirectUri)) return page('redirect_uri is not in the list.')
  const back = (fields: Record<string, string>): Reply => {
    const location = new URL(redirectUri)
    const state = query.get('state')
    for (const [name, value] of Object.entries({ ...fields, ...(state !== null && { state }) })) {
      location.searchParams.set(name, value)
    }
    return { status: 302, headers: { location: location.href } }
  }
  const refuse = (error: string, description: string) => back({ error, error_description: description })
  if (!/^[A-Za-z0-9,._-]+$/.test(query.get('state') ?? '')) {
    return refuse('invalid_request', "The authentication request has an invalid 'state' parameter.")
  }
  if (query.get('response_type') !== 'code')
    return refuse('unsupported_response_type', 'The response type is not supported.')
  const scope = (query.get('scope') ?? '').split(' ').filter(Boolean)
  if (scope.length === 0) return refuse('invalid_scope', 'The authentication request has no scope.')
  if (new Set(scope).size !== scope.length || scope.some((name) => !scopesOf(server).includes(name))) {
    return refuse('invalid_scope', 'One or more scopes are not configured for the authorization server resource.')
  }
  if (scope.includes('offline_access') && !org.refreshGrant) {
    return refuse('invalid_scope', 'The application does not have the refresh token grant.')
  }
  const challenge = query.get('code_challenge') ?? undefined
  if (challenge !== undefined && query.get('code_challenge_method') !== 'S256') {
    return refuse('invalid_request', 'The code challenge method is not supported.')
  }
  if (org.pkceRequired && challenge === undefined) return refuse('invalid_request', 'PKCE code challenge is required.')
  if (query.get('prompt') === 'none')
    return refuse('login_required', 'The client specified not to prompt, but the user is not logged in.')
  if (org.status !== 'active') return refuse('access_denied', 'User is not assigned to the client application.')
  const code = random()
  org.codes.set(code, {
    server,
    scope,
    nonce: query.get('nonce') ?? undefined,
    redirectUri,
    challenge,
    expires: org.now() + 300_000,
    chain: { ended: false },
  })
  return back({ code })
}
