/**
 * `countersign login`: logs in at any OpenID provider as a command line does, and prints the claims of the ID token.
 * Authorization code with PKCE on a loopback port (RFC 8252), or the device grant (RFC 8628).
 */
import { readFile } from 'node:fs/promises'
import * as oauth from 'openid-client'
import { fetchTrusting } from './fetch.ts'
import { waitForCallback } from './loopback.ts'

export interface LoginCommand {
  /** The provider's issuer, as in its discovery document. */
  issuer: string
  clientId: string
  /** Name of the environment variable that holds the secret; absent for a public client. */
  clientSecretEnv?: string
  /** Separated by blanks; default `openid email profile groups`. */
  scopes?: string
  /** Device grant instead of a browser on this machine. */
  device?: boolean
  /** Whether to open a browser; default true. The address is printed in any case. */
  browser?: boolean
  /** Port of `http://127.0.0.1:PORT/callback`; default: any free one. */
  redirectPort?: number
  /** File with further trusted certificates, PEM. */
  ca?: string
  /** Further parameters of the authorization request, such as `connector_id`. */
  parameters?: Record<string, string>
}

export interface LoginIo {
  /** Standard output: the claims and nothing else. */
  out(text: string): void
  /** Standard error: what to do, and what went wrong. */
  err(text: string): void
  env: Readonly<Record<string, string | undefined>>
  /** Starts the person's browser; must not throw when there is none. */
  open(url: string): void
  /** Ends the wait. */
  signal?: AbortSignal
}

const DEFAULT_SCOPES = 'openid email profile groups'
const WAIT_SECONDS = 300

/** Logs in and prints the claims as JSON on `io.out`. Returns the exit code: 0, or 1 after one sentence on `io.err`. */
export async function login(command: LoginCommand, io: LoginIo): Promise<number> {
  try {
    const provider = await discover(command, io)
    const tokens = command.device
      ? await logInByDevice(provider, command, io)
      : await logInByBrowser(provider, command, io)
    const claims = tokens.claims()
    if (claims === undefined) throw new LoginError('The answer holds no ID token: ask for the scope openid.')
    io.out(`${JSON.stringify(claims, undefined, 2)}\n`)
    return 0
  } catch (error) {
    io.err(`${explain(error, command)}\n`)
    return 1
  }
}

/** A failure whose message is for the person at the terminal as it stands. */
class LoginError extends Error {}

async function discover(command: LoginCommand, io: LoginIo): Promise<oauth.Configuration> {
  const issuer = parseIssuer(command.issuer)
  const secret = secretOf(command, io)
  const ca = command.ca === undefined ? undefined : await readCertificates(command.ca)
  const provider = await oauth.discovery(
    issuer,
    command.clientId,
    undefined,
    secret === undefined ? oauth.None() : oauth.ClientSecretBasic(secret),
    {
      ...(ca === undefined ? {} : { [oauth.customFetch]: fetchTrusting(ca) }),
      execute: [
        oauth.enableNonRepudiationChecks,
        ...(issuer.protocol === 'http:' ? [oauth.allowInsecureRequests] : []),
      ],
    },
  )
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(issuer.hostname)
  if (issuer.protocol === 'http:' && !isLoopback) io.err('Warning: this issuer is not protected by TLS.\n')
  return provider
}

function parseIssuer(text: string): URL {
  const issuer = URL.parse(text)
  if (issuer?.protocol !== 'https:' && issuer?.protocol !== 'http:') {
    throw new LoginError(`--issuer must be an address such as https://id.example.com/dex, not ${JSON.stringify(text)}.`)
  }
  return issuer
}

function secretOf({ clientSecretEnv }: LoginCommand, { env }: LoginIo): string | undefined {
  if (clientSecretEnv === undefined) return undefined
  const secret = env[clientSecretEnv]
  if (!secret) throw new LoginError(`The environment variable ${clientSecretEnv} (--client-secret-env) is not set.`)
  return secret
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new LoginError(`--ca: cannot read ${path}: ${messageOf(cause)}`)
  }
}

type Tokens = oauth.TokenEndpointResponse & oauth.TokenEndpointResponseHelpers

async function logInByBrowser(provider: oauth.Configuration, command: LoginCommand, io: LoginIo): Promise<Tokens> {
  const verifier = oauth.randomPKCECodeVerifier()
  const state = oauth.randomState()
  const nonce = oauth.randomNonce()
  await using callback = await waitForCallback(command.redirectPort ?? 0)
  const url = oauth.buildAuthorizationUrl(provider, {
    redirect_uri: callback.redirectUri,
    scope: command.scopes ?? DEFAULT_SCOPES,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...command.parameters,
  })
  io.err(`Log in with your browser at\n\n  ${url.href}\n\n`)
  if (command.browser !== false) io.open(url.href)

  const arrival = await callback.next(state, waitLimit(io))
  try {
    const tokens = await oauth.authorizationCodeGrant(provider, arrival.url, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    })
    arrival.answer('You are logged in', 'You can close this window and go back to the command line.')
    return tokens
  } catch (error) {
    arrival.answer('The login did not succeed', explain(error, command))
    throw error
  }
}

async function logInByDevice(provider: oauth.Configuration, command: LoginCommand, io: LoginIo): Promise<Tokens> {
  if (provider.serverMetadata().device_authorization_endpoint === undefined) {
    throw new LoginError('This provider offers no device login: leave --device away.')
  }
  const started = await oauth.initiateDeviceAuthorization(provider, {
    scope: command.scopes ?? DEFAULT_SCOPES,
    ...command.parameters,
  })
  io.err(`On any device, open\n\n  ${started.verification_uri}\n\nand enter the code  ${started.user_code}\n\n`)
  const complete = started.verification_uri_complete
  if (complete !== undefined) {
    io.err(`or open\n\n  ${complete}\n\n`)
    if (command.browser !== false) io.open(complete)
  }
  return oauth.pollDeviceAuthorizationGrant(provider, started, undefined, io.signal ? { signal: io.signal } : {})
}

function waitLimit({ signal }: LoginIo): AbortSignal {
  const limit = AbortSignal.timeout(WAIT_SECONDS * 1000)
  return signal === undefined ? limit : AbortSignal.any([signal, limit])
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const withDescription = (code: string, description: string | undefined) =>
  description ? `${code} (${description})` : code

/** One sentence for the person at the terminal. */
function explain(error: unknown, { issuer, ca }: LoginCommand): string {
  if (error instanceof LoginError) return error.message
  if (error instanceof oauth.AuthorizationResponseError) {
    return `The provider refused the login: ${withDescription(error.error, error.error_description)}`
  }
  if (error instanceof oauth.ResponseBodyError) {
    if (error.error === 'access_denied') return 'The login was refused.'
    if (error.error === 'expired_token') return 'The code has expired: start again.'
    return `The provider refused the request: ${withDescription(error.error, error.error_description)}`
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return `The provider refused this client (status ${error.status}): check --client-id and --client-secret-env.`
  }
  const cause = rootCause(error)
  if (error instanceof Error && error.name === 'TimeoutError') {
    return `Nobody logged in within ${WAIT_SECONDS / 60} minutes.`
  }
  if (error instanceof Error && error.name === 'AbortError') return 'The login was broken off.'
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'EADDRINUSE') return 'The port of --redirect-port is in use.'
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) {
    const advice =
      ca === undefined ? 'name its authority with --ca FILE' : 'the file of --ca does not hold its authority'
    return `The certificate of ${issuer} is not trusted (${code}): ${advice}.`
  }
  if (/^E[A-Z]+$|^UND_ERR/.test(code)) return `${issuer} cannot be reached: ${messageOf(cause)}`
  if (code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') {
    return `The discovery document names another issuer than ${issuer}: write it exactly as the provider does.`
  }
  if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM') {
    return `${issuer} does not answer as an OpenID provider: ${messageOf(error)}`
  }
  return cause === error ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`
}

/** The error underneath; what `cause` holds beside errors (answers, parameters) is left out. */
function rootCause(error: unknown): unknown {
  let at = error
  while (at instanceof Error && at.cause instanceof Error) at = at.cause
  if (at instanceof AggregateError && at.errors.length > 0) return at.errors[0]
  return at
}
