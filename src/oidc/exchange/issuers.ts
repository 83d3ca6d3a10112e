/**
 * Tokens of CI systems and workloads (`tokenIssuers`): JSON Web Tokens that somebody else signed, verified against the keys
 * that their issuer publishes (RFC 7519, RFC 8725).
 */
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { failure } from '../../../connectors/contract.ts'
import { readCertificates } from '../../../connectors/lib/certificates.ts'
import { type KeySet, keySet } from '../../../connectors/lib/oidc/keys.ts'
import type { TokenIssuerOptions } from './options.ts'
import type { TokenClaims } from './template.ts'

/** The token is not to be taken; the message says why and nothing of what it holds. */
export class SubjectTokenRefused extends Error {
  override readonly name = 'SubjectTokenRefused'
}

export interface TokenIssuer {
  readonly options: TokenIssuerOptions
  /**
   * The claims of a token whose signature, issuer and times are good. Its audience is judged by the rules.
   * @throws SubjectTokenRefused for a bad token; ConnectorFailure when the keys cannot be had
   */
  verify(token: string): Promise<TokenClaims>
}

export interface TokenIssuers {
  readonly ids: ReadonlySet<string>
  get(id: string): TokenIssuer | undefined
  /** The one that says so in `iss`. */
  named(issuer: string): TokenIssuer | undefined
}

export interface TokenIssuersContext {
  /** `fetch` for calls to that issuer, limited in time and size. */
  http(id: string, options: { ca: string[] }): typeof fetch
  now(): Date
}

/** Characters; those of GitHub have some 2,000. */
const longestToken = 16 * 1024
/** Seconds that clocks may differ. */
const tolerance = 30
/** Of headers that say so: other kinds of JWT must not pass for an identity (RFC 8725, 3.11). */
const types = new Set(['JWT', 'JOSE'])

/** @throws ConnectorFailure `misconfigured` when certificates cannot be read */
export function openTokenIssuers(options: readonly TokenIssuerOptions[], context: TokenIssuersContext): TokenIssuers {
  const all = options.map((each) => openTokenIssuer(each, context))
  const byId = new Map(all.map((each) => [each.options.id, each]))
  const byIssuer = new Map(all.map((each) => [each.options.issuer, each]))
  return { ids: new Set(byId.keys()), get: (id) => byId.get(id), named: (issuer) => byIssuer.get(issuer) }
}

function openTokenIssuer(options: TokenIssuerOptions, { http, now }: TokenIssuersContext): TokenIssuer {
  const { id, issuer, algorithms, rootCAs, jwksURI } = options
  const fetch = http(id, { ca: readCertificates(rootCAs, `tokenIssuers "${id}": rootCAs`) })
  let finding: Promise<KeySet> | undefined
  const keys = (): Promise<KeySet> => {
    finding ??= findKeys().catch((error: unknown) => {
      finding = undefined
      throw error
    })
    return finding
  }
  const findKeys = async (): Promise<KeySet> =>
    keySet(jwksURI ?? (await discover(issuer, fetch)), fetch, now, (reason) => new SubjectTokenRefused(reason))

  return {
    options,
    async verify(token) {
      checkHeader(token, algorithms)
      const claims = await (await keys()).verify(token, algorithms)
      checkClaims(claims, options, Math.floor(now().getTime() / 1000))
      return claims
    },
  }
}

/** Before any key is asked for. */
function checkHeader(token: string, algorithms: readonly string[]): void {
  if (token.length > longestToken) throw new SubjectTokenRefused('the subject token is too long')
  const { alg, typ, crit } = headerOf(token)
  if (typeof alg !== 'string' || !algorithms.includes(alg)) {
    throw new SubjectTokenRefused(`the subject token must be signed with ${algorithms.join(' or ')}`)
  }
  if (crit !== undefined)
    throw new SubjectTokenRefused('the subject token has critical extensions, of which none is known')
  if (typ !== undefined && !(typeof typ === 'string' && types.has(typ.toUpperCase()))) {
    throw new SubjectTokenRefused('the subject token is of another kind than an identity: its "typ" is not "JWT"')
  }
}

function headerOf(token: string): ReturnType<typeof decodeProtectedHeader> {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw new SubjectTokenRefused('the subject token is no signed JSON Web Token')
  }
}

function checkClaims(claims: TokenClaims, options: TokenIssuerOptions, now: number): void {
  const fault = faultOf(claims, options, now)
  if (fault !== undefined) throw new SubjectTokenRefused(`the subject token ${fault}`)
}

function faultOf(
  claims: TokenClaims,
  { issuer, maxLifetime, singleUse }: TokenIssuerOptions,
  now: number,
): string | undefined {
  const { iss, sub, exp, iat, nbf, jti, events } = claims
  if (iss !== issuer) return 'is of another issuer'
  if (typeof sub !== 'string' || sub === '') return 'has no "sub"'
  if (!isTime(exp)) return 'has no "exp"'
  if (!isTime(iat)) return 'has no "iat"'
  if (exp <= now - tolerance) return 'has expired'
  if (iat > now + tolerance) return 'was issued in the future'
  if (nbf !== undefined && !(isTime(nbf) && nbf <= now + tolerance)) return 'is not valid yet'
  if (exp - iat > maxLifetime) return 'lives longer than maxLifetime of its issuer allows'
  // A security event (RFC 8417), such as a logout token, is no identity.
  if (events !== undefined) return 'is a security event'
  if (jti !== undefined && typeof jti !== 'string') return 'has a "jti" that is no text'
  return singleUse && !jti ? 'has no "jti", without which it cannot be taken once only' : undefined
}

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** `iss` of a token as it says itself, before anything is verified; `undefined` for what is no JWT. */
export function claimedIssuer(token: string): string | undefined {
  if (token.length > longestToken) return undefined
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

/** `jwks_uri` of the discovery document (OpenID Connect Discovery 1.0, 4). */
async function discover(issuer: string, fetch: typeof globalThis.fetch): Promise<string> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(address, { headers: { accept: 'application/json' } })
  if (!response.ok) {
    await response.body?.cancel()
    throw failure('upstream_unavailable', `${address} answered ${response.status}`)
  }
  const document = (await response.json().catch(() => undefined)) as
    | { issuer?: unknown; jwks_uri?: unknown }
    | undefined
  if (document?.issuer !== issuer) throw failure('upstream_invalid_response', `${address} is of another issuer`)
  const keys = typeof document.jwks_uri === 'string' ? URL.parse(document.jwks_uri) : null
  // Keys that came over an open line would make the certificate of the issuer worthless.
  const allowed = issuer.startsWith('https:') ? ['https:'] : ['https:', 'http:']
  if (!keys || !allowed.includes(keys.protocol)) {
    throw failure('upstream_invalid_response', `${address} has no usable jwks_uri`)
  }
  return keys.href
}
