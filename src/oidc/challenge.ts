/** PKCE (RFC 7636) in the engine's terms. */
import { hash } from 'node:crypto'
import type { AuthorizationParams } from './authorization-request.ts'

/** The engine knows S256 only: a plain challenge is the verifier itself, so its S256 challenge can be computed. */
export function challenge({
  code_challenge: value,
  code_challenge_method: method,
}: AuthorizationParams): AuthorizationParams {
  if (value === undefined) return {}
  return {
    code_challenge: method === 'S256' ? value : hash('sha256', value, 'base64url'),
    code_challenge_method: 'S256',
  }
}
