/** Grants and lifetimes: `oauth2`, `expiry`. */
import { nearest } from '../../lib/nearest.ts'
import type { OidcOptions } from '../../oidc/options.ts'
import { GRANT_TYPES, SERVED_GRANT_TYPES } from '../keys/tokens.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { readDuration } from './duration.ts'

const DAY = 86_400

export const readOauth2 = (
  oauth2: Part<'oauth2'>,
  { report }: Reading,
): Pick<OidcOptions, 'grantTypes' | 'pkce' | 'dpop'> => {
  const methods =
    oauth2.pkce?.codeChallengeMethodsSupported?.filter((method) => method === 'S256' || method === 'plain') ?? []
  const plain = oauth2.pkce?.codeChallengeMethodsSupported?.indexOf('plain') ?? -1
  if (plain >= 0) {
    const at = child('/oauth2/pkce/codeChallengeMethodsSupported', plain)
    report.warn(at, 'lets clients send the verifier in clear; S256 alone is safer (RFC 9700, 2.1.1)')
  }
  return {
    grantTypes: readGrantTypes(oauth2.grantTypes ?? [], report),
    ...(oauth2.dpop?.requireNonce && { dpop: { requireNonce: true } }),
    pkce: { enforce: oauth2.pkce?.enforce ?? false, methods: methods.length > 0 ? [...new Set(methods)] : ['S256'] },
  }
}

const readGrantTypes = (names: string[], report: Reading['report']): string[] => {
  if (names.length === 0) return SERVED_GRANT_TYPES
  for (const [index, name] of names.entries()) {
    const at = child('/oauth2/grantTypes', index)
    if (SERVED_GRANT_TYPES.includes(name) || name === 'client_credentials' || report.broken(at)) continue
    if (name === 'implicit') report.warn(at, '"implicit" has no effect without a response type that brings tokens')
    else if (name === 'password') report.warn(at, '"password" has no effect without oauth2.passwordConnector')
    else report.warn(at, `"${name}" is no known grant type and has no effect`, { nearest: nearest(name, GRANT_TYPES) })
  }
  const served = SERVED_GRANT_TYPES.filter((name) => names.includes(name))
  if (served.length === 0)
    report.warn('/oauth2/grantTypes', 'leaves no grant type that is served: no client can get a token')
  return served
}

export const readExpiry = (
  expiry: Part<'expiry'>,
  reading: Reading,
): Pick<OidcOptions, 'lifetimes' | 'refreshTokens'> => {
  const life = (key: 'idTokens' | 'authRequests' | 'deviceRequests', standard: number) =>
    readDuration(`/expiry/${key}`, expiry[key], reading) || standard
  const refresh = expiry.refreshTokens ?? {}
  const limit = (key: 'absoluteLifetime' | 'validIfNotUsedFor' | 'reuseInterval') =>
    readDuration(`/expiry/refreshTokens/${key}`, refresh[key], reading)
  const absoluteLifetime = limit('absoluteLifetime')
  const validIfNotUsedFor = limit('validIfNotUsedFor')
  return {
    lifetimes: {
      tokens: life('idTokens', DAY),
      authRequests: life('authRequests', DAY),
      deviceRequests: life('deviceRequests', 300),
    },
    refreshTokens: {
      rotate: !refresh.disableRotation,
      reuseInterval: Math.max(0, limit('reuseInterval')),
      ...(absoluteLifetime !== 0 && { absoluteLifetime }),
      ...(validIfNotUsedFor !== 0 && { validIfNotUsedFor }),
    },
  }
}
