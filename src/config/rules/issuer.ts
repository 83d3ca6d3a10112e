/** What an issuer must be, and what is doubtful in one. */
import type { Reading } from '../reading.ts'

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

export const isLoopback = (hostname: string): boolean => LOOPBACK.has(hostname)

/** Where upstreams return to: `<issuer>/callback`. */
export const callbackOf = (issuer: string): string => `${issuer.replace(/\/+$/, '')}/callback`

export const checkIssuer = (issuer: string | undefined, { report }: Reading): string => {
  if (issuer === undefined) return ''
  if (!URL.canParse(issuer)) {
    report.fault('/issuer', 'must be an absolute address such as https://dex.example.com/dex')
    return issuer
  }
  const url = new URL(issuer)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    report.fault('/issuer', 'must start with https:// (or http:// for tests)')
    return issuer
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    report.warn('/issuer', 'is plain http: codes and tokens travel unprotected, and many clients refuse it; use https')
  }
  if (issuer.endsWith('/')) {
    report.warn('/issuer', 'ends with a slash: clients must write it exactly so, and many leave it out; better without')
  }
  if (url.search !== '' || url.hash !== '')
    report.warn('/issuer', 'has a query or fragment, which OpenID Connect Discovery forbids')
  if (url.username !== '' || url.password !== '')
    report.warn('/issuer', 'holds a user name or password, which every client gets to see')
  if (/\$[({\w]/.test(issuer))
    report.warn('/issuer', 'holds a variable, and nothing expands it here: it is used as written')
  return issuer
}
