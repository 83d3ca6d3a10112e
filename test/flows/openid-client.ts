/** openid-client 6 as a client of the harness, for journeys where the client signs, pushes or proves something. */
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'openid-client'
import { type Browser, openBrowser } from './browser.ts'
import { answerAt, type FlowServer } from './server.ts'

export type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

/** A key of a client, with the set that its entry in the configuration gets. */
export async function clientKey(alg = 'ES256') {
  const pair = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'key', alg, use: 'sig' }
  return { ...pair, jwks: { keys: [jwk] }, signing: { key: pair.privateKey, kid: 'key' } }
}

export const addressOf = (id: string): string => `https://${id}.example/callback`

/** A client as it discovers the server. */
export const discover = (
  { issuer }: FlowServer,
  id: string,
  authentication: oauth.ClientAuth = oauth.ClientSecretPost(`${id}-secret`),
  metadata: Partial<oauth.ClientMetadata> = {},
): Promise<oauth.Configuration> =>
  oauth.discovery(new URL(issuer), id, metadata, authentication, {
    execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks],
  })

export interface Asked {
  params: Record<string, string>
  verifier: string
  state: string
  nonce: string
}

/** Parameters of a request with PKCE, state and nonce. */
export async function ask(id: string, more: Record<string, string> = {}): Promise<Asked> {
  const verifier = oauth.randomPKCECodeVerifier()
  const [state, nonce] = [oauth.randomState(), oauth.randomNonce()]
  return {
    verifier,
    state,
    nonce,
    params: {
      redirect_uri: addressOf(id),
      scope: 'openid email groups offline_access',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      ...more,
    },
  }
}

/** Where the browser ends at the client, with nobody asked for anything. */
export async function arriveAt(url: URL | string, browser: Browser = openBrowser()): Promise<URL> {
  const answer = await browser.follow(String(url))
  if (answer.location === undefined) throw new Error(`${answer.status} ${answer.text.slice(0, 400)}`)
  return new URL(answer.location)
}

/** What the client was told at its redirect URI. */
export async function toldAt(url: URL | string): Promise<Record<string, string>> {
  return answerAt(await openBrowser().follow(String(url)))
}

/** Redeems the code, with all that the client has to check. */
export const redeem = (
  config: oauth.Configuration,
  arrived: URL,
  { verifier, state, nonce }: Asked,
  options: oauth.DPoPOptions = {},
  parameters?: Record<string, string>,
) =>
  oauth.authorizationCodeGrant(
    config,
    arrived,
    { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
    parameters,
    options,
  )

/** `error` of a refusal by an endpoint for programs; fails when nothing was refused. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) return error.error
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.cause[0]!.parameters.error!
    throw error
  }
  throw new Error('nothing was refused')
}
