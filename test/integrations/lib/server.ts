/** A server on plain HTTP, and an application that logs people in there. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  authorizationUrl,
  basic,
  discover,
  type Fields,
  type Metadata,
  post,
  s256,
  type Tokens,
  verified,
  verifierOf,
} from './client.ts'
import { newPerson } from './person.ts'
import { configurationFile, quietPort, type ServeOptions, type Serving, serve } from './program.ts'

export interface Server extends Serving {
  issuer: string
  metadata: Metadata
}

/** @param configure the configuration besides issuer, store and listener */
export async function startServer(
  configure: (issuer: string) => Record<string, unknown> | Promise<Record<string, unknown>>,
  options: ServeOptions & { path?: string } = {},
): Promise<Server> {
  const port = await quietPort()
  const issuer = `http://127.0.0.1:${port}${options.path ?? '/dex'}`
  const { web = {}, ...rest } = await configure(issuer)
  const configuration = {
    issuer,
    storage: { type: 'memory' },
    oauth2: { skipApprovalScreen: true },
    web: { http: `127.0.0.1:${port}`, ...(web as object) },
    ...rest,
  }
  const serving = await serve(configurationFile(configuration), options)
  return { ...serving, issuer, metadata: await discover(issuer) }
}

/** A confidential client of these tests. */
export const web = { id: 'web', secret: 'web-secret', redirectUri: 'https://app.example.com/callback' }
/** As the configuration names it. */
export const webClient = { id: web.id, name: 'Web', secret: web.secret, redirectURIs: [web.redirectUri] }

export const everyScope = 'openid profile email groups offline_access'

export interface Client {
  id: string
  secret?: string
  redirectUri: string
}

export interface Request {
  url: string
  state: string
  nonce: string
  verifier: string
}

/** An authorization request with everything that a careful client sends; an empty value leaves a member out. */
export function requestOf({ metadata }: Pick<Server, 'metadata'>, client: Client, more: Fields = {}): Request {
  const verifier = verifierOf()
  const [state, nonce] = [randomBytes(16), randomBytes(16)].map((bytes) => bytes.toString('base64url')) as [
    string,
    string,
  ]
  const fields = {
    client_id: client.id,
    redirect_uri: client.redirectUri,
    response_type: 'code',
    scope: everyScope,
    state,
    nonce,
    code_challenge: s256(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  const sent = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
  return { url: authorizationUrl(metadata, sent), state, nonce, verifier }
}

/** Redeems a code, or whatever grant `form` names. */
export const token = (
  { metadata }: Pick<Server, 'metadata'>,
  { id, secret }: Client,
  form: Fields,
  fetchJson = fetch,
): Promise<Tokens> =>
  secret === undefined
    ? post(metadata.token_endpoint, { client_id: id, ...form }, { fetch: fetchJson })
    : post(metadata.token_endpoint, form, { headers: basic(id, secret), fetch: fetchJson })

export interface LoggedIn {
  tokens: Tokens['body']
  /** Of the ID token. */
  claims: Record<string, unknown>
}

/** A whole login without a page on the way. @throws with the OAuth error that came back */
export async function logIn(
  server: Server,
  client: Client = web,
  more: Fields = {},
  person = newPerson(),
): Promise<LoggedIn> {
  const request = requestOf(server, client, more)
  return redeem(server, client, request, await person.arrive(request.url, client.redirectUri))
}

/** What a client does when the browser has come back. @throws with the OAuth error that it brought */
export async function redeem(
  server: Pick<Server, 'metadata'>,
  client: Client,
  { state, nonce, verifier }: Request,
  arrived: URL,
  fetchJson = fetch,
): Promise<LoggedIn> {
  const { metadata } = server
  const { code, error, error_description: description, ...rest } = Object.fromEntries(arrived.searchParams)
  if (code === undefined) throw new Error(`${error}: ${description}`)
  assert.deepEqual(rest, { state, iss: metadata.issuer })
  const form = { grant_type: 'authorization_code', code, redirect_uri: client.redirectUri, code_verifier: verifier }
  const { status, body } = await token(server, client, form, fetchJson)
  assert.equal(status, 200, JSON.stringify(body))
  const claims = await verified(body.id_token, metadata, client.id, fetchJson)
  assert.equal(claims.nonce, nonce)
  return { tokens: body, claims }
}

/** A refresh with the claims of its ID token, or the refusal. */
export async function refresh(server: Server, refreshToken: string | undefined, client: Client = web) {
  assert.ok(refreshToken, 'no refresh token')
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken }
  const { status, headers, body } = await token(server, client, form)
  const claims = body.id_token === undefined ? undefined : await verified(body.id_token, server.metadata, client.id)
  return { status, headers, tokens: body, claims, error: body.error }
}
