/** Client certificates (RFC 8705): whether one is whom a client names, and its thumbprint. */
import { hash, type X509Certificate } from 'node:crypto'
import type { CertificateSubject } from './options.ts'

/** The certificate that came with a request. */
export interface ClientCertificate {
  certificate: X509Certificate
  /** It comes from an authority that the operator named; whoever checked that, it has not expired. */
  authorized: boolean
}

/** `x5t#S256` (RFC 8705, 3.1). */
export const thumbprintOf = ({ raw }: X509Certificate): string => hash('sha256', raw, 'base64url')

/** Whether the certificate has the one subject value that the client registered (RFC 8705, 2.1.2). */
export function subjectMatches(
  certificate: X509Certificate,
  property: CertificateSubject['property'],
  expected: string,
): boolean {
  switch (property) {
    case 'tls_client_auth_subject_dn':
      return sameName(certificate, expected)
    case 'tls_client_auth_san_dns':
      // A leading dot would match every name below.
      return (
        !expected.startsWith('.') &&
        certificate.checkHost(expected, { subject: 'never', wildcards: false, partialWildcards: false }) !== undefined
      )
    case 'tls_client_auth_san_ip':
      return certificate.checkIP(expected) !== undefined
    case 'tls_client_auth_san_email':
      return certificate.checkEmail(expected, { subject: 'never' }) !== undefined
    case 'tls_client_auth_san_uri':
      return uris(certificate.subjectAltName ?? '').includes(expected)
    default:
      return false
  }
}

/** Attributes of one part of a name; several only where they are joined by "+". */
type Part = string[]

function sameName(certificate: X509Certificate, expected: string): boolean {
  // Node writes a line a part, in the order of the certificate; RFC 4514, 2.1 has the last one first.
  const lines = (certificate.subject ?? '').split('\n').toReversed()
  const actual = lines.map((line) => parsePart(line.replaceAll(/(?<!\\) \+ /g, '+')))
  const wanted = parseName(expected)
  return wanted !== undefined && wanted.length > 0 && JSON.stringify(wanted) === JSON.stringify(actual)
}

/** A distinguished name as text (RFC 4514, 3); `undefined` for what is none. */
export function parseName(text: string): Part[] | undefined {
  const parts = text.split(/(?<=(?<!\\)(?:\\\\)*)[,;]/).map((part) => parsePart(part.trim()))
  return parts.every((part) => part !== undefined) ? (parts as Part[]) : undefined
}

function parsePart(text: string): Part | undefined {
  const attributes = text.split(/(?<=(?<!\\)(?:\\\\)*)\+/).map((attribute) => {
    const [, type, value] = /^\s*([A-Za-z][\w-]*|\d+(?:\.\d+)+)\s*=\s*(.+)$/s.exec(attribute) ?? []
    return type === undefined || value === undefined ? undefined : `${type.toUpperCase()}=${unescaped(value)}`
  })
  return attributes.every((attribute) => attribute !== undefined) ? attributes.toSorted() : undefined
}

/** `\2C` and `\,`; consecutive bytes are one UTF-8 text. */
const unescaped = (value: string): string =>
  value.replaceAll(/(?:\\[\da-fA-F]{2})+|\\(.)/gs, (escaped, letter: string | undefined) =>
    letter === undefined ? Buffer.from(escaped.replaceAll('\\', ''), 'hex').toString('utf8') : letter,
  )

/** Of Node's text of the alternative names, which quotes what could be taken for a separator. */
function uris(names: string): string[] {
  const found: string[] = []
  const entry = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/gy
  for (const [, kind, value = ''] of names.matchAll(entry)) {
    if (kind === 'URI') found.push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  return found
}
