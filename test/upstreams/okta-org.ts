/** What the endpoints of the Okta stand-in share: the org, its person, its keys, codes and tokens. */
import { createHash, randomBytes } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export interface OktaUser {
  sub: string
  name: string
  preferred_username: string
  email: string
  email_verified: boolean
  groups: string[]
}

export interface Grant {
  server: string
  scope: string[]
  nonce: string | undefined
  redirectUri: string
  challenge: string | undefined
  expires: number
  /** When a rotated refresh token was first used, and the chain it belongs to. */
  used?: number
  chain: { ended: boolean }
}

/** State of one org. `server` is the id of an authorization server, empty for the org's own. */
export interface OktaOrg {
  clientId: string
  clientSecret: string
  redirectUris?: string[]
  postLogoutRedirectUris: string[]
  refreshGrant: boolean
  pkceRequired: boolean
  thinIdToken: boolean
  user: OktaUser
  /** `active`, or what an administrator did; anything else ends refresh tokens and refuses logins. */
  status: 'active' | 'suspended' | 'unassigned'
  key: Key
  codes: Map<string, Grant>
  refreshTokens: Map<string, Grant>
  accessTokens: Map<string, Grant>
  /** Milliseconds during which a refresh token that was used still works; negative: it never does. */
  leeway: number
  now(): number
  issuerOf(server: string): string
}

const orgScopes = ['openid', 'email', 'profile', 'address', 'phone', 'offline_access', 'groups']
const customScopes = ['openid', 'email', 'profile', 'address', 'phone', 'offline_access', 'device_sso']

/** What an authorization server lists; asking for anything else is an error. */
export const scopesOf = (server: string) => (server === '' ? orgScopes : customScopes)

export const random = () => randomBytes(24).toString('base64url')
export const s256 = (verifier: string) => createHash('sha256').update(verifier).digest('base64url')

export interface Key {
  privateKey: CryptoKey
  publicJwk: JWK
}

export async function newKey(): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  return { privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid: random(), use: 'sig', alg: 'RS256' } }
}

export const signed = ({ privateKey, publicJwk }: Key, claims: Record<string, unknown>) =>
  new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: publicJwk.kid ?? '' }).sign(privateKey)
