/** Who signs: `signer`, with the variables that Vault's own clients read. */
import type { LocalAlgorithm } from '../../oidc/keys.ts'
import type { SignerOptions } from '../../oidc/options.ts'
import { parseBoolean } from '../environment.ts'
import { localSigner, vaultSigner } from '../keys/signer.ts'
import type { Part, Reading } from '../reading.ts'
import { child } from '../report.ts'
import { readSection } from '../section.ts'
import { readDuration } from './duration.ts'

/** A key needs some time in the published set before it signs. */
const SHORTEST_ROTATION = 60

const standard: SignerOptions & { type: 'local' } = { type: 'local', algorithm: 'RS256', rotationPeriod: 6 * 3600 }

export const readSigner = async (
  signer: Part<'signer'> | undefined,
  expiry: Part<'expiry'>,
  reading: Reading,
): Promise<SignerOptions> => {
  const { report } = reading
  const deprecated = '/expiry/signingKeys'
  const fromExpiry = readDuration(deprecated, expiry.signingKeys, reading)
  if (!signer) {
    if (expiry.signingKeys && !report.broken(deprecated))
      report.warn(deprecated, 'is deprecated: use signer.config.keysRotationPeriod')
    return expiry.signingKeys && !report.broken(deprecated)
      ? { ...standard, rotationPeriod: period(deprecated, fromExpiry, reading) }
      : standard
  }
  if (expiry.signingKeys) report.warn(deprecated, 'is deprecated and has no effect beside a signer block')
  if (signer.type === 'vault') return readVault(reading)
  return signer.type === 'local' ? readLocal(reading) : standard
}

const readLocal = (reading: Reading): SignerOptions => {
  const config = readSection('/signer/config', localSigner, reading) as
    | { keysRotationPeriod: string; algorithm?: LocalAlgorithm }
    | undefined
  if (!config) return standard
  const at = '/signer/config/keysRotationPeriod'
  const rotation = readDuration(at, config.keysRotationPeriod, reading)
  return {
    type: 'local',
    algorithm: config.algorithm ?? 'RS256',
    rotationPeriod: reading.report.broken(at) ? standard.rotationPeriod : period(at, rotation, reading),
  }
}

const period = (pointer: string, seconds: number, { report }: Reading): number => {
  if (seconds >= SHORTEST_ROTATION) return seconds
  report.warn(pointer, `is too short for clients to learn a new key; ${SHORTEST_ROTATION}s is taken`)
  return SHORTEST_ROTATION
}

/** What stands in the file wins over the environment, as in Dex. */
const readVault = async (reading: Reading): Promise<SignerOptions> => {
  const { report, env } = reading
  const at = '/signer/config'
  const config = readSection(at, vaultSigner, reading) as { keyName: string; addr?: string; token?: string } | undefined
  const either = (key: 'addr' | 'token', variable: string, what: string): string => {
    const value = config?.[key] || env[variable] || ''
    // What stands there and is at fault has been reported.
    if (value === '' && !report.broken(child(at, key)) && (config || !report.node(child(at, key))))
      report.fault(child(at, key), `is missing: give ${what} here or in the environment variable ${variable}`)
    return value
  }
  const addr = either('addr', 'VAULT_ADDR', 'the address of Vault')
  const token = either('token', 'VAULT_TOKEN', 'a token')
  checkAddress(addr, config?.addr ? child(at, 'addr') : undefined, reading)
  if (/[^\x21-\x7e]/.test(token)) {
    report.fault(child(at, 'token'), 'holds a character that no token of Vault has, such as a line end or a blank')
  }
  const ca = await readAuthority(reading)
  const namespace = env.VAULT_NAMESPACE
  return {
    type: 'vault',
    addr,
    token,
    keyName: config?.keyName ?? '',
    ...(namespace && { namespace }),
    ...(ca !== undefined && { ca }),
    ...(readSkipVerify(reading) && { skipVerify: true }),
  }
}

const checkAddress = (addr: string, pointer: string | undefined, { report }: Reading): void => {
  if (addr === '') return
  const say = (message: string, severity: 'fault' | 'warning') => {
    if (pointer === undefined) report.environment('VAULT_ADDR', message, severity)
    else if (severity === 'fault') report.fault(pointer, message)
    else report.warn(pointer, message)
  }
  const url = URL.canParse(addr) ? new URL(addr) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    say('must be an address such as https://vault.example.com:8200', 'fault')
  } else if (url.search !== '' || url.hash !== '' || url.username !== '') {
    say('must be an address without a query, a fragment or a user', 'fault')
  } else if (url.protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)) {
    say('is plain http: the token of Vault travels unprotected; use https', 'warning')
  }
}

const readAuthority = async ({ env, files, report }: Reading): Promise<string | undefined> => {
  const path = env.VAULT_CACERT
  if (!path) return undefined
  const bytes = await files.read(path)
  const pem = bytes && Buffer.from(bytes).toString()
  if (pem?.includes('-----BEGIN CERTIFICATE-----')) return pem
  const why = bytes ? 'which holds no certificate in PEM form' : 'which cannot be read'
  report.environment('VAULT_CACERT', `names the file ${path}, ${why}`, 'fault')
  return undefined
}

const readSkipVerify = ({ env, report }: Reading): boolean => {
  const text = env.VAULT_SKIP_VERIFY
  if (!text) return false
  const skip = parseBoolean(text)
  if (skip === undefined)
    report.environment('VAULT_SKIP_VERIFY', `must be true or false; false is taken instead of "${text}"`, 'warning')
  else if (skip)
    report.environment('VAULT_SKIP_VERIFY', 'lets anybody between here and Vault read the token', 'warning')
  return skip ?? false
}

/** Vault signs with one key, so no client can ask for another algorithm. */
export const checkClientAlgorithms = (
  entries: Part<'staticClients'>,
  signer: Part<'signer'> | undefined,
  { report }: Reading,
): void => {
  if (signer?.type !== 'vault') return
  for (const [index, { signingAlgorithm }] of entries.entries()) {
    if (signingAlgorithm === undefined) continue
    report.fault(
      child(child('/staticClients', index), 'signingAlgorithm'),
      'cannot stand beside the signer "vault", whose one key signs for all clients',
    )
  }
}
