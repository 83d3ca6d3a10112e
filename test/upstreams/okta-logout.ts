/** Logging out of the Okta stand-in, and what Okta sends by itself: event hooks and Universal Logout. */
import { randomUUID } from 'node:crypto'
import { compactVerify, importJWK, SignJWT } from 'jose'
import type { OktaOrg } from './okta-org.ts'
import type { OktaCall, Reply } from './okta-wire.ts'

const page = (text: string): Reply => ({ status: 400, body: text, headers: { 'content-type': 'text/html' } })

/** `id_token_hint` is required, and the address must be registered with the app; what is wrong is told on Okta's own page. */
export async function signOut(org: OktaOrg, server: string, { query }: OktaCall): Promise<Reply> {
  const key = await importJWK(org.key.publicJwk, 'RS256')
  const hint = await compactVerify(query.get('id_token_hint') ?? '', key).catch(() => undefined)
  const claims = hint && (JSON.parse(new TextDecoder().decode(hint.payload)) as Record<string, unknown>)
  if (claims?.iss !== org.issuerOf(server) || claims.aud !== org.clientId) return page('The ID token is invalid.')
  const uri = query.get('post_logout_redirect_uri') ?? ''
  if (!org.postLogoutRedirectUris.includes(uri))
    return page("The 'post_logout_redirect_uri' parameter must be registered.")
  return { status: 302, headers: { location: `${uri}?${new URLSearchParams({ state: query.get('state') ?? '' })}` } }
}

/** As event hooks carry it, with one event about the person. */
export function hookOf(org: OktaOrg, eventType: string, event: Record<string, unknown> = {}): Record<string, unknown> {
  const { sub, email, name } = org.user
  return {
    eventType: 'com.okta.event_hook',
    eventTypeVersion: '1.0',
    cloudEventsVersion: '0.1',
    source: `${org.issuerOf('')}/api/v1/eventHooks/who1EXAMPLE`,
    eventId: randomUUID(),
    data: {
      events: [
        {
          uuid: randomUUID(),
          published: new Date(org.now()).toISOString(),
          eventType,
          version: '0',
          severity: 'INFO',
          actor: { id: '00u1ADMIN', type: 'User', alternateId: 'admin@example.com', displayName: 'Admin' },
          outcome: { result: 'SUCCESS', reason: null },
          target: [{ id: sub, type: 'User', alternateId: email, displayName: name }],
          ...event,
        },
      ],
    },
    eventTime: new Date(org.now()).toISOString(),
    contentType: 'application/json',
  }
}

/** Signed by the org server, whatever server people log in at. */
export function revocationToken(
  org: OktaOrg,
  audience: string,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const iat = Math.floor(org.now() / 1000)
  const plain = {
    iss: org.issuerOf(''),
    sub: org.clientId,
    aud: audience,
    iat,
    exp: iat + 300,
    jti: randomUUID(),
    ...claims,
  }
  const { privateKey, publicJwk } = org.key
  return new SignJWT(plain)
    .setProtectedHeader({ alg: 'RS256', kid: publicJwk.kid ?? '', typ: 'global-token-revocation+jwt', ...header })
    .sign(privateKey)
}
