/** How an application says who it is: keys and certificates of `staticClients`, and `web.clientCertificates`. */
import { createPublicKey } from 'node:crypto'
import { isIP } from 'node:net'
import { parseName } from '../../oidc/certificates.ts'
import type { ClientAuthentication, ClientKeys, ClientOptions } from '../../oidc/options.ts'
import type { WebOptions } from '../../server/options.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'

type Entry = Part<'staticClients'>[number]

type Read = Pick<ClientOptions, 'authentication' | 'keys' | 'certificateBoundTokens'>

/** Methods that need no secret. */
const secretless = new Set(['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'])

/** Whether the method that an entry names stands in the place of a secret. */
export const needsNoSecret = ({ tokenEndpointAuthMethod: method }: Entry): boolean => secretless.has(method ?? '')

export const readClientAuthentication = (
  entry: Entry,
  secret: string | undefined,
  pointer: string,
  reading: Reading,
): Read => {
  const { report } = reading
  const at = (key: keyof Entry) => child(pointer, key)
  const method = entry.tokenEndpointAuthMethod
  const keys = readKeys(entry, pointer, reading)
  const authentication = readMethod(entry, keys, secret, pointer, reading)
  if (entry.tokenEndpointAuthSigningAlg && method !== 'private_key_jwt' && method !== 'client_secret_jwt')
    report.warn(at('tokenEndpointAuthSigningAlg'), 'has no effect: it is for private_key_jwt and client_secret_jwt')
  if (secret !== undefined && secretless.has(method ?? ''))
    report.warn(at(entry.secret ? 'secret' : 'secretEnv'), `is not accepted here, since ${method} takes its place`)
  const bound = entry.tlsClientCertificateBoundAccessTokens ?? false
  if (bound && entry.public)
    report.fault(
      at('tlsClientCertificateBoundAccessTokens'),
      'is for applications that prove who they are: a public client cannot have it',
    )
  return {
    ...(authentication && { authentication }),
    ...(keys && { keys }),
    ...(bound && { certificateBoundTokens: true }),
  }
}

const readMethod = (
  entry: Entry,
  keys: ClientKeys | undefined,
  secret: string | undefined,
  pointer: string,
  { report }: Reading,
): ClientAuthentication | undefined => {
  const at = (key: keyof Entry) => child(pointer, key)
  const here = at('tokenEndpointAuthMethod')
  const method = entry.tokenEndpointAuthMethod
  const algorithm = entry.tokenEndpointAuthSigningAlg
  const subject = readSubject(entry, pointer, report)
  if (subject && method !== 'tls_client_auth')
    report.warn(at(subjectKeys[subject.property]), 'has no effect without tokenEndpointAuthMethod: tls_client_auth')
  if (!method || report.broken(here)) return undefined
  if (entry.public && method !== 'none') {
    report.fault(here, `is ${method}, but the client is public: it can keep no secret and no key`)
    return undefined
  }
  switch (method) {
    case 'none':
      if (!entry.public) report.fault(here, 'is none, which only a public client may have: set public: true')
      else if (secret !== undefined) report.fault(here, 'is none, but the client has a secret: take one of them out')
      return undefined
    case 'client_secret_jwt':
      // RFC 7518, 3.2: as long as the hash.
      if (secret !== undefined && Buffer.byteLength(secret) < 32)
        report.fault(here, 'needs a secret of at least 32 bytes, since it signs with it (HS256)')
      if (algorithm && algorithm !== 'HS256')
        report.fault(at('tokenEndpointAuthSigningAlg'), 'must be HS256 for client_secret_jwt')
      return { method }
    case 'private_key_jwt':
      if (!keys && !report.broken(at('jwks')))
        report.fault(here, 'needs the public keys of the client: jwks or jwksURI')
      if (algorithm === 'HS256') report.fault(at('tokenEndpointAuthSigningAlg'), 'must be an algorithm of public keys')
      return { method, ...(algorithm && { algorithm }) }
    case 'self_signed_tls_client_auth':
      if (!keys && !report.broken(at('jwks')))
        report.fault(here, 'needs the certificates of the client: jwks with x5c, or jwksURI')
      else if (keys && 'jwks' in keys && !keys.jwks.keys.some(({ x5c }) => Array.isArray(x5c)))
        report.fault(at('jwks'), 'holds no certificate (x5c), which self_signed_tls_client_auth compares')
      return { method }
    case 'tls_client_auth':
      if (subject) return { method, subject }
      report.fault(here, `needs to know the certificate: one of ${Object.values(subjectKeys).join(', ')}`)
      return undefined
    default:
      return undefined
  }
}

type Subject = (ClientAuthentication & { method: 'tls_client_auth' })['subject']

const subjectKeys = {
  tls_client_auth_subject_dn: 'tlsClientAuthSubjectDN',
  tls_client_auth_san_dns: 'tlsClientAuthSanDNS',
  tls_client_auth_san_uri: 'tlsClientAuthSanURI',
  tls_client_auth_san_ip: 'tlsClientAuthSanIP',
  tls_client_auth_san_email: 'tlsClientAuthSanEmail',
} as const satisfies Record<Subject['property'], keyof Entry>

const readSubject = (entry: Entry, pointer: string, report: Reading['report']): Subject | undefined => {
  const given = Object.entries(subjectKeys).flatMap(([property, key]) => {
    const value = entry[key]
    return value ? [{ property: property as Subject['property'], key, value }] : []
  })
  const [first, second] = given
  if (second)
    report.fault(child(pointer, second.key), `stands beside ${first!.key}: only one may be given (RFC 8705, 2.1.2)`)
  if (!first) return undefined
  const { property, key, value } = first
  const doubt = subjectFault(property, value)
  if (doubt) report.fault(child(pointer, key), doubt)
  return { property, value }
}

const subjectFault = (property: Subject['property'], value: string): string | undefined => {
  if (property === 'tls_client_auth_subject_dn' && parseName(value) === undefined)
    return 'is no subject such as CN=app,O=Example,C=DE'
  if (property === 'tls_client_auth_san_ip' && isIP(value) === 0) return 'is no IP address'
  if (property === 'tls_client_auth_san_dns' && /^\.|\*/.test(value)) return 'must be one whole name'
  return undefined
}

const readKeys = (entry: Entry, pointer: string, { report }: Reading): ClientKeys | undefined => {
  const at = child(pointer, 'jwks')
  const { jwks, jwksURI } = entry
  if (jwks && jwksURI) {
    report.fault(child(pointer, 'jwksURI'), 'stands beside jwks: only one of them may be given')
    return undefined
  }
  if (jwksURI) {
    const { protocol } = URL.parse(jwksURI) ?? {}
    if (protocol !== 'https:' && protocol !== 'http:') {
      report.fault(child(pointer, 'jwksURI'), 'must be an address such as https://app.example.com/jwks')
    } else if (protocol === 'http:') {
      report.warn(child(pointer, 'jwksURI'), 'is read without TLS: whoever is on the way can put keys of theirs there')
    }
    return { jwksURI }
  }
  if (!jwks) return undefined
  const keys = jwks.keys ?? []
  if (keys.length === 0) report.fault(child(at, 'keys'), 'holds no key')
  for (const [index, key] of keys.entries()) {
    const fault = keyFault(key)
    if (fault) report.fault(child(child(at, 'keys'), index), fault)
  }
  return report.broken(at) ? undefined : { jwks: { keys: keys as Record<string, unknown>[] } }
}

const keyFault = (key: unknown): string | undefined => {
  if (typeof key !== 'object' || key === null) return 'must be a JSON Web Key'
  const jwk = key as Record<string, unknown>
  if (jwk.kty === 'oct' || jwk.k !== undefined) return 'is a shared secret, which must not stand here'
  if (jwk.d !== undefined) return 'is a private key: take out all but its public part, and make a new one'
  try {
    createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' })
    return undefined
  } catch {
    // YAML 1.1, which Dex reads, has `y` for a truth.
    if (jwk.true !== undefined) return 'has a "y" that YAML takes for true: write it in quotes'
    return 'is no public key that can be read (RFC 7517)'
  }
}

type Certificates = NonNullable<WebOptions['clientCertificates']>

/** @param trustedProxies as `clientRemoteIP` names them */
export const readClientCertificates = async (
  block: Part<'web'>['clientCertificates'],
  trustedProxies: string[],
  { report, files }: Reading,
): Promise<Certificates | undefined> => {
  if (!block) return undefined
  const at = (key: string) => child('/web/clientCertificates', key)
  const { ca, header, verifiedHeader, address } = block
  if (address && URL.parse(address)?.protocol !== 'https:')
    report.fault(at('address'), 'must be an address such as https://mtls.example.com/dex')
  if (ca && !(await files.readable(ca))) report.fault(at('ca'), `names ${ca}, which cannot be read`)
  if (header && trustedProxies.length === 0)
    report.fault(at('header'), 'needs clientRemoteIP.trustedProxies: without them anybody could send it')
  if (verifiedHeader && !header) report.fault(at('verifiedHeader'), 'has no effect without header')
  return {
    ...(ca && { ca }),
    ...(address && { address: address.replace(/\/$/, '') }),
    ...(header && { header: { name: header, trustedProxies, ...(verifiedHeader && { verified: verifiedHeader }) } }),
  }
}

/** Whether a certificate can arrive where a client needs one; said once the whole file is read. */
export const checkCertificateWays = (clients: readonly ClientOptions[], web: WebOptions, reading: Reading): void => {
  const { clientCertificates: ways, https } = web
  const arrives = ways && (https || ways.header)
  for (const { id, authentication, certificateBoundTokens } of clients) {
    const method = authentication?.method
    const needs = method === 'tls_client_auth' || method === 'self_signed_tls_client_auth' || certificateBoundTokens
    if (!needs) continue
    if (!arrives) {
      reading.report.fault(
        '/web/clientCertificates',
        `is needed for "${id}": with https here, or with a header from your proxies, no certificate arrives otherwise`,
      )
    } else if (method === 'tls_client_auth' && !(https && ways.ca) && !ways.header?.verified) {
      reading.report.fault(
        '/web/clientCertificates',
        `needs ca with https, or verifiedHeader, for "${id}": nobody says whether a certificate is genuine otherwise`,
      )
    }
  }
}
