/** The certificate of the HTTPS listener: read, checked, and read again when its files change. */
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Logger } from '../lib/logger.ts'

export interface TlsOptions {
  /** Paths of PEM files. */
  cert: string
  key: string
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  maxVersion?: 'TLSv1.2' | 'TLSv1.3'
  /** Only the cipher suites that BCP 195 recommends (RFC 9325, 4.2), as FAPI 2.0 wants it. */
  recommendedOnly?: true
  /** Whoever connects is asked for a certificate, and let in without. */
  askClient?: true
  /** Path of a PEM file: the authorities whose certificates of clients are believed. */
  clientCA?: string
}

export interface Certificates {
  /** For `https.createServer`. */
  current: SecureContextOptions
  /** Reads the files again; a broken pair is logged and the one in use stays. */
  reload(reason: string): Promise<void>
  close(): void
}

/** Dex's, in OpenSSL's names, with those of TLS 1.3, without which Node would not offer 1.3. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
]
/** Of TLS 1.2 those with forward secrecy and AES-GCM. */
const recommended = ciphers.filter((name) => /^TLS_|^ECDHE-\w+-AES/.test(name))

const reasons: Record<string, string> = { ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'is a folder' }

const readPem = async (key: 'tlsCert' | 'tlsKey' | 'clientCertificates.ca', path: string): Promise<Buffer> => {
  try {
    return await readFile(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    throw new Error(`web.${key}: cannot read ${path}: ${reasons[code] ?? code}`, { cause: error })
  }
}

const explain = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  if (/key values mismatch|key type mismatch/i.test(text)) return 'the key does not belong to the certificate'
  if (/no start line|PEM|unsupported|asn1|wrong tag/i.test(text)) return `no usable PEM (${text})`
  return text
}

/** What settles after a change before the files are read: certificate and key are seldom written at one moment. */
const settleMs = 100

/**
 * Reads the pair and watches the folders of both files: a mounted Kubernetes secret changes by a link beside the files.
 * `use` receives each further good pair.
 * @throws Error with the option and the path if the first pair cannot be used
 */
export const openCertificates = async (
  options: TlsOptions,
  log: Logger,
  use: (pair: SecureContextOptions) => void,
): Promise<Certificates> => {
  // One maker for the first and all later pairs, so that a reload cannot lose the limits on versions and ciphers.
  const load = async (): Promise<{ pair: SecureContextOptions; fingerprint: string }> => {
    const cert = await readPem('tlsCert', options.cert)
    const key = await readPem('tlsKey', options.key)
    const ca = options.clientCA === undefined ? undefined : await readPem('clientCertificates.ca', options.clientCA)
    const pair: SecureContextOptions = {
      cert,
      key,
      ciphers: (options.recommendedOnly ? recommended : ciphers).join(':'),
      honorCipherOrder: true,
      minVersion: options.minVersion,
      ...(options.maxVersion !== undefined && { maxVersion: options.maxVersion }),
      // Without an authority of the operator no certificate is believed, least of all those of the system's authorities.
      ...(options.askClient && { ca: ca ?? [] }),
    }
    try {
      createSecureContext(pair)
    } catch (error) {
      throw new Error(`web.tlsCert ${options.cert}, web.tlsKey ${options.key}: ${explain(error)}`, { cause: error })
    }
    return {
      pair,
      fingerprint: createHash('sha256')
        .update(cert)
        .update('\0')
        .update(key)
        .update('\0')
        .update(ca ?? '')
        .digest('base64'),
    }
  }

  let inUse = await load()
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const reload = async (reason: string): Promise<void> => {
    try {
      const next = await load()
      if (closed || next.fingerprint === inUse.fingerprint) return
      inUse = next
      use(next.pair)
      log.info('TLS certificate reloaded', { reason, file: options.cert })
    } catch (error) {
      log.error('TLS certificate not reloaded, the one in use stays', { reason, err: error })
    }
  }

  const changed = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => void reload('file changed'), settleMs).unref()
  }
  const watchers: FSWatcher[] = []
  for (const folder of new Set(
    [options.cert, options.key, options.clientCA ?? options.cert].map((file) => dirname(file)),
  )) {
    try {
      const watcher = watch(folder, { persistent: false }, changed)
      watcher.on('error', (error) =>
        log.warn('folder of the TLS certificate is no longer watched', { folder, err: error }),
      )
      watchers.push(watcher)
    } catch (error) {
      log.warn('folder of the TLS certificate cannot be watched; SIGHUP reloads it', { folder, err: error })
    }
  }

  return {
    current: inUse.pair,
    reload,
    close: () => {
      closed = true
      clearTimeout(timer)
      for (const watcher of watchers) watcher.close()
    },
  }
}
