/** PKCE and lifetimes: `oauth2.pkce`, `expiry`. */
import type { OidcOptions } from '../../oidc/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { readDuration } from './duration.ts'
import { readRefreshTokens } from './refresh.ts'

const DAY = 86_400

export const readPkce = (oauth2: Part<'oauth2'>, { report }: Reading): Pick<OidcOptions, 'pkce'> => {
  const methods =
    oauth2.pkce?.codeChallengeMethodsSupported?.filter((method) => method === 'S256' || method === 'plain') ?? []
  const plain = oauth2.pkce?.codeChallengeMethodsSupported?.indexOf('plain') ?? -1
  if (plain >= 0) {
    const at = child('/oauth2/pkce/codeChallengeMethodsSupported', plain)
    report.warn(at, 'lets clients send the verifier in clear; S256 alone is safer (RFC 9700, 2.1.1)')
  }
  return {
    pkce: { enforce: oauth2.pkce?.enforce ?? false, methods: methods.length > 0 ? [...new Set(methods)] : ['S256'] },
  }
}

export const readExpiry = (
  expiry: Part<'expiry'>,
  reading: Reading,
): Pick<OidcOptions, 'lifetimes' | 'refreshTokens'> => {
  const life = (key: 'idTokens' | 'authRequests' | 'deviceRequests', standard: number) =>
    readDuration(`/expiry/${key}`, expiry[key], reading) || standard
  return {
    lifetimes: {
      tokens: life('idTokens', DAY),
      authRequests: life('authRequests', DAY),
      deviceRequests: life('deviceRequests', 300),
    },
    refreshTokens: readRefreshTokens('/expiry/refreshTokens', expiry.refreshTokens ?? {}, reading),
  }
}
