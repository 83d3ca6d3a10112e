/** What is known of Okta and stands in none of the standards. */
import { type ConnectorFailure, failure } from '../../contract.ts'
import { booleanClaim, type Claims, rawGroups } from './claims.ts'
import type { OidcSettings, UpstreamError } from './settings.ts'

/** So many groups a claim can hold; a filter that yields more makes the login fail. */
export const groupsLimit = 100

/** Whether an address is on a host of Okta's own; custom domains are not known from outside. */
export function isOktaHost(address: string): boolean {
  const host = URL.parse(address)?.hostname ?? ''
  return ['okta.com', 'oktapreview.com'].some((domain) => host === domain || host.endsWith(`.${domain}`))
}

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]'])

/**
 * The issuer of an authorization server: `https://{domain}`, or below it `/oauth2/{serverId}`.
 * Pasted schemes and slashes are taken off. @returns `fault` with advice for what cannot be one
 */
export function oktaIssuer(domain: string, serverId = ''): { issuer: string } | { fault: string } {
  const pasted = domain.trim()
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(pasted) ? pasted : `https://${pasted}`)
  if (!url || url.username || url.password || url.search || url.hash) return { fault: `"${pasted}" is no host name` }
  if (url.protocol === 'http:' && !loopback.has(url.hostname))
    return { fault: 'http is for loopback addresses only; use https' }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { fault: `"${pasted}" is no https address` }
  const admin = /^(.+)-admin(\.(?:okta|oktapreview|okta-emea|okta-gov)\.com)$/.exec(url.hostname)
  if (admin)
    return { fault: `${url.hostname} is the admin console, which is never an issuer; use ${admin[1]}${admin[2]}` }
  const path = url.pathname.replace(/\/+$/, '')
  if (path !== '')
    return { fault: `"${pasted}" has a path; give only the host, and the authorization server as serverId` }
  if (!/^[\w.-]*$/.test(serverId)) return { fault: `"${serverId}" is no id of an authorization server` }
  return { issuer: serverId === '' ? url.origin : `${url.origin}/oauth2/${serverId}` }
}

/**
 * Whether userinfo can tell what this ID token does not: Okta leaves `email_verified` out of it by default,
 * and profile and groups out of thin ones.
 */
export function isOktaThin(claims: Claims, scopes: ReadonlySet<string>, settings: OidcSettings): boolean {
  const verifiedMissing = !settings.insecureSkipEmailVerified && booleanClaim(claims.email_verified) === undefined
  if (scopes.has('email') && (claims.email === undefined || verifiedMissing)) return true
  if (scopes.has('profile') && claims[settings.userNameKey || 'name'] === undefined) return true
  const groupsWanted = settings.insecureEnableGroups === true && scopes.has('groups')
  return groupsWanted && rawGroups(claims, settings).groups === undefined
}

/** Okta refuses a login whose groups claim would hold more than it can (a 400, no shortened list). */
export function recogniseOktaError({ code, description }: UpstreamError): ConnectorFailure | undefined {
  if (!/\bgroups?\b/i.test(description)) return undefined
  if (!/\b100\b|limit|exceed|too many|maximum|more than/i.test(description)) return undefined
  return failure('groups_incomplete', `Okta refused the login since more than ${groupsLimit} groups match (${code})`, {
    safe: `You are in more than ${groupsLimit} groups that match the groups filter of this application in Okta. An administrator must narrow that filter.`,
  })
}
