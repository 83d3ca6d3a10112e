/** What OAuth clients send, request by request, so that a test can send exactly what one of them does. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'

export interface Metadata {
  issuer: string
  authorization_endpoint: string
  token_endpoint: string
  userinfo_endpoint: string
  jwks_uri: string
  device_authorization_endpoint: string
  revocation_endpoint: string
  scopes_supported: string[]
  code_challenge_methods_supported: string[]
  id_token_signing_alg_values_supported: string[]
}

export interface Tokens {
  status: number
  headers: Headers
  body: {
    access_token?: string
    id_token?: string
    refresh_token?: string
    token_type?: string
    expires_in?: number
    scope?: string
    error?: string
    error_description?: string
  }
}

export type Fields = Record<string, string>

export async function discover(issuer: string, fetchJson: typeof fetch = fetch): Promise<Metadata> {
  const answer = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  assert.equal(answer.status, 200)
  return (await answer.json()) as Metadata
}

/** 64 random bytes make 86 letters; RFC 7636 allows 43 to 128. */
export const verifierOf = (length = 64): string => randomBytes(length).toString('base64url').slice(0, length)

export const s256 = (verifier: string): string => createHash('sha256').update(verifier).digest('base64url')

export const authorizationUrl = ({ authorization_endpoint }: Pick<Metadata, 'authorization_endpoint'>, query: Fields) =>
  `${authorization_endpoint}?${new URLSearchParams(query)}`

/** As RFC 6749, 2.3.1 and golang.org/x/oauth2 have it: both parts form-encoded. */
export const basic = (id: string, secret: string): Fields => ({
  authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`,
})
const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

export async function post(
  address: string,
  form: Fields,
  options: { headers?: Fields; fetch?: typeof fetch } = {},
): Promise<Tokens> {
  const answer = await (options.fetch ?? fetch)(address, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...options.headers },
    body: new URLSearchParams(form).toString(),
  })
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Tokens['body'] }
}

/** The claims of an ID token after the checks of OpenID Connect Core, 3.1.3.7. */
export async function verified(
  idToken: string | undefined,
  { issuer, jwks_uri }: Pick<Metadata, 'issuer' | 'jwks_uri'>,
  audience: string,
  fetchJson: typeof fetch = fetch,
): Promise<JWTPayload & Record<string, unknown>> {
  assert.ok(idToken, 'no ID token')
  const keys = (await (await fetchJson(jwks_uri)).json()) as JSONWebKeySet
  const { payload } = await jwtVerify(idToken, createLocalJWKSet(keys), { issuer, audience, algorithms: ['RS256'] })
  return payload
}
