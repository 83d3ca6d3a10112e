/** The userinfo endpoint (OpenID Connect Core, 5.3). Asked only after the ID token has been judged. */
import { failure } from '../../contract.ts'
import type { Claims } from './claims.ts'
import type { Upstream } from './upstream.ts'

/**
 * Claims about the holder of an access token.
 * @param subject whom they must be about (5.3.2); `undefined` only where no ID token says so
 * @throws ConnectorFailure, or what failed on the way
 */
export async function userinfo(upstream: Upstream, accessToken: string, subject: string | undefined): Promise<Claims> {
  const address = upstream.metadata.userinfo_endpoint
  if (!address) throw failure('misconfigured', 'the upstream has no userinfo endpoint')
  const response = await upstream.fetch(address, {
    headers: { accept: 'application/json, application/jwt', authorization: `Bearer ${accessToken}` },
    redirect: 'error',
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new UserinfoRefused(response)
  }
  const claims = await read(upstream, response)
  if (typeof claims.sub !== 'string' || claims.sub === '') {
    throw failure('upstream_invalid_response', 'missing "sub" claim in userinfo')
  }
  if (subject !== undefined && claims.sub !== subject) {
    throw failure('upstream_invalid_response', 'userinfo is about somebody else than the ID token')
  }
  return claims
}

/** `cause` is the answer; its status says what it means. */
class UserinfoRefused extends Error {
  override readonly name = 'UserinfoRefused'
  readonly body: { error?: string }

  constructor(response: Response) {
    super(`userinfo answered ${response.status}`, { cause: response })
    const told = /error="?([\w-]+)/.exec(response.headers.get('www-authenticate') ?? '')?.[1]
    this.body = told === undefined ? (response.status === 401 ? { error: 'invalid_token' } : {}) : { error: told }
  }
}

async function read(upstream: Upstream, response: Response): Promise<Claims> {
  if (/^application\/jwt\b/i.test(response.headers.get('content-type') ?? '')) {
    const { metadata } = upstream
    const claims = await upstream.keys.verify(await response.text(), metadata.id_token_signing_alg_values_supported)
    if (claims.iss !== undefined && claims.iss !== metadata.issuer) {
      throw failure('upstream_invalid_response', 'userinfo was signed for another issuer')
    }
    return claims
  }
  const told: unknown = await response.json()
  if (typeof told === 'object' && told !== null && !Array.isArray(told)) return told as Claims
  throw failure('upstream_invalid_response', 'userinfo is no JSON object')
}
