/** Reads certificate authorities as configurations name them. */
import { readFileSync } from 'node:fs'
import { failure } from '../contract.ts'

const marker = '-----BEGIN CERTIFICATE-----'

/**
 * PEM texts of `entries`, each a file path, base64 of PEM, or PEM text, tried in this order.
 * @param key the configuration key, for the message
 * @throws ConnectorFailure `misconfigured` when an entry is none of these
 */
export const readCertificates = (entries: readonly string[], key = 'rootCAs'): string[] =>
  entries.map((entry, index) => {
    const pem = fromFile(entry) ?? fromBase64(entry) ?? entry
    if (pem.includes(marker)) return pem
    throw failure(
      'misconfigured',
      `${key}[${index}] is neither a readable file with certificates, nor base64 of PEM, nor PEM`,
    )
  })

function fromFile(path: string): string | undefined {
  if (path.includes('\n') || path.includes('\0')) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function fromBase64(text: string): string | undefined {
  const decoded = Buffer.from(text, 'base64').toString('utf8')
  return decoded.includes(marker) ? decoded : undefined
}
