/** What clients are shown: the layout of paths, and the claims that each of them gets. */
import { nearest } from '../../lib/nearest.ts'
import type { ClientOptions, NameRule, OidcOptions } from '../../oidc/options.ts'
import { federatedId, listedScopes, peerOf } from '../../oidc/scopes.ts'
import type { Part, Reading, Understood } from '../reading.ts'
import { child } from '../report.ts'

export const readLayout = (
  { issuer = '', layout = 'dex', oauth2 = {} }: Understood,
  { report }: Reading,
): Pick<OidcOptions, 'layout' | 'introspectionQuery'> => {
  const okta = layout === 'okta'
  const introspectionQuery = oauth2.introspectionQuery ?? false
  if (introspectionQuery && !okta) {
    report.warn('/oauth2/introspectionQuery', 'has no effect without layout: okta')
  }
  if (okta && URL.canParse(issuer) && !new URL(issuer).pathname.includes('/oauth2')) {
    report.warn(
      '/layout',
      'puts the paths at /oauth2/v1/…, as of an Okta without an authorization server of its own, since the issuer has no /oauth2 in its path; most software wants an issuer such as https://login.example.com/oauth2/default',
    )
  }
  return { layout: okta ? 'okta' : 'dex', ...(okta && introspectionQuery && { introspectionQuery }) }
}

/** Request headers that scripts of other origins may send where `web.allowedHeaders` does not say. */
export const standardHeaders = (layout: string | undefined): string[] =>
  // What Okta's library for browsers sends.
  layout === 'okta' ? ['Authorization', 'Content-Type', 'X-Okta-User-Agent-Extended'] : ['Authorization']

/** Whether scripts of other origins may send credentials: only where each of those is named. */
export const readCredentials = (
  { allowedOrigins = [], allowCredentials = false }: Part<'web'>,
  { report }: Reading,
): boolean => {
  if (!allowCredentials) return false
  const why = allowedOrigins.includes('*') ? 'beside "*" in allowedOrigins: name the origins' : 'without allowedOrigins'
  if (allowedOrigins.length > 0 && !allowedOrigins.includes('*')) return true
  report.warn('/web/allowCredentials', `has no effect ${why}`)
  return false
}

type Entry = Part<'staticClients'>[number]
type Shapes = Pick<ClientOptions, 'defaultScopes' | 'groupsClaim' | 'preferredUsername' | 'httpsLoopback'>

export const readClientShapes = (entry: Entry, pointer: string, { report }: Reading): Shapes => {
  const { defaultScopes = [], groupsClaim, httpsLoopback = false } = entry
  const at = child(pointer, 'defaultScopes')
  const known = [...listedScopes, federatedId]
  for (const [index, scope] of defaultScopes.entries()) {
    if (known.includes(scope as 'openid') || peerOf(scope) !== undefined || report.broken(child(at, index))) continue
    report.fault(child(at, index), `"${scope}" is no scope`, { nearest: nearest(scope, known) })
  }
  if (defaultScopes.length > 0 && !defaultScopes.includes('openid')) {
    report.fault(at, 'must name "openid", which every request needs')
  }
  if (httpsLoopback && !entry.public) {
    report.warn(child(pointer, 'httpsLoopback'), 'has no effect: only a public client may use loopback at any port')
  }
  const name = entry.claims?.preferredUsername
  return {
    ...(defaultScopes.length > 0 && { defaultScopes }),
    ...(groupsClaim !== undefined && { groupsClaim: groupsClaim as 'omit' | 'empty' | 'fail' }),
    ...(name && { preferredUsername: readName(name) }),
    ...(httpsLoopback && { httpsLoopback }),
  }
}

const readName = ({
  cutDomain = false,
  form = 'as-is',
  suffix = 'always',
  maxLength,
}: NonNullable<NonNullable<Entry['claims']>['preferredUsername']>): NameRule => ({
  cutDomain,
  form: form as NameRule['form'],
  suffix: suffix as NameRule['suffix'],
  ...(maxLength !== undefined && { maxLength }),
})
