/**
 * Signing keys that HashiCorp Vault or OpenBao keeps in its Transit engine, as Dex's `vault` signer has them: private keys
 * never leave it, and rotation is its operator's. Of Dex's two calls a signature one is left: versions and public halves are
 * remembered and read again every half minute. A new version is published before it signs.
 */
import type { Logger } from '../../lib/logger.ts'
import { halfHashOf, type SigningAlgorithm } from './algorithms.ts'
import { jwksMaxAge } from './life.ts'
import { claimsBrought, claimsOf, parseToken, tokenText } from './token.ts'
import type { KeyInfo, SigningKeys } from './types.ts'
import { SignerUnavailable } from './unavailable.ts'
import { openVaultClient, VaultError, type VaultOptions } from './vault-client.ts'
import { type KeyVersion, readVaultKey, signingVersion, type VaultKey } from './vault-key.ts'

export type { VaultOptions }

export interface VaultKeysContext {
  options: VaultOptions
  /** Limited in time, trusting what the options say. */
  fetch: typeof globalThis.fetch
  log: Logger
  now?: () => Date
}

/** Seconds between two readings of the key; shorter while Vault does not answer, and at most so often for a stranger. */
const pause = { well: 30, afterFailure: 5, stranger: 5 } as const

/** Asks Vault for the key; a Vault that does not answer yet is asked again and again, see `check`. */
export async function openVaultKeys({
  options,
  fetch,
  log,
  now = () => new Date(),
}: VaultKeysContext): Promise<SigningKeys> {
  const vault = openVaultClient(options, fetch)
  const seconds = () => Math.floor(now().getTime() / 1000)
  const listeners: (() => void)[] = []
  let known: VaultKey | undefined
  let published = ''
  let failure: VaultError | undefined
  let reading: Promise<void> | undefined
  let looked = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let closed = false

  /** Until Vault has signed something, and again after it would not. */
  let proven = false

  const failed = (error: unknown): VaultError => {
    const problem =
      error instanceof VaultError ? error : new VaultError('the key in Vault cannot be used', undefined, error)
    if (problem.message !== failure?.message)
      log.error('Vault does not sign', { reason: problem.message, err: problem })
    if (!failure) lookIn(pause.afterFailure)
    failure = problem
    proven = false
    return problem
  }
  const well = () => {
    if (failure) log.info('Vault signs again')
    failure = undefined
    proven = true
  }

  /** Everybody who asks meanwhile waits for the same answer. */
  const read = (): Promise<void> => {
    reading ??= (async () => {
      try {
        const told = await readVaultKey(await vault.readKey())
        signingVersion(told, seconds())
        known = told
        notify()
      } finally {
        reading = undefined
      }
    })()
    return reading
  }

  /** The order of the set says which version signs, which time alone may change. */
  const notify = () => {
    const now = inOrder()
      .map(({ key }) => key.kid)
      .join(' ')
    if (now === published) return
    if (published !== '') log.info('keys rotated', { reason: 'changed in Vault' })
    published = now
    for (const listener of listeners) listener()
  }

  /** A server that serves nobody since it is not ready has to find out by itself that Vault signs again. */
  const prove = async () => {
    const { version, key } = signingVersion(known!, seconds())
    await vault.sign(version, key.algorithm, 'countersign: does Vault sign?')
    well()
  }

  const look = async () => {
    try {
      await read()
      if (!proven) await prove()
    } catch (error) {
      failed(error)
    }
    lookIn(failure ? pause.afterFailure : pause.well)
  }
  const lookIn = (seconds: number) => {
    clearTimeout(timer)
    if (closed) return
    timer = setTimeout(look, seconds * 1000)
    timer.unref()
  }

  /** The signing version, the older ones with the youngest first, and those that are to sign later. */
  const inOrder = (): KeyVersion[] => {
    if (!known) return []
    const signing = signingVersion(known, seconds())
    const before = known.versions.filter(({ version }) => version < signing.version)
    const after = known.versions.filter(({ version }) => version > signing.version).toReversed()
    return [signing, ...before, ...after]
  }

  const ready = async (): Promise<VaultKey> => {
    if (!known) {
      await read().catch((error) => {
        throw new SignerUnavailable(failed(error))
      })
    }
    return known!
  }

  const signWith = ({ version, key }: KeyVersion, claims: object, typ: string | undefined): Promise<string> => {
    const text = tokenText(key, claims, typ)
    return vault.sign(version, key.algorithm, text).then((signature) => {
      const token = `${text}.${signature}`
      // A signature that nobody can verify must not leave: another key under the same name, or a broken proxy.
      if (!claimsOf(parseToken(token)!, key)) throw new VaultError('Vault gave a signature that its public key denies')
      return token
    })
  }

  const find = (kid: string) => known?.versions.find(({ key }) => key.kid === kid)?.key

  /** All versions of a Transit key are of one type; before it is known, what most keys are. */
  const algorithm = (): SigningAlgorithm => known?.versions[0]?.key.algorithm ?? 'RS256'

  await look()
  return {
    get algorithm() {
      return algorithm()
    },
    get algorithms() {
      return [algorithm()]
    },

    async sign(claims, { typ } = {}) {
      const before = await ready()
      const signing = signingVersion(before, seconds())
      try {
        const token = await signWith(signing, claims, typ).catch(async (error) => {
          // The operator may have taken the version away: whoever else signs now does so in its place.
          if (!(error instanceof VaultError) || error.status !== 400) throw error
          await read()
          const other = signingVersion(known!, seconds())
          if (other.version === signing.version) throw error
          return signWith(other, claims, typ)
        })
        well()
        return token
      } catch (error) {
        throw new SignerUnavailable(failed(error))
      }
    },

    halfHash: (value) => halfHashOf(algorithm(), value),

    async verify(token) {
      const parsed = parseToken(token)
      if (!parsed) return undefined
      let key = find(parsed.kid)
      if (!key && thumbprint.test(parsed.kid) && Math.abs(seconds() - looked) >= pause.stranger) {
        looked = seconds()
        await read().catch(failed)
        key = find(parsed.kid)
      }
      return key && claimsBrought(parsed, key)
    },

    jwks: () => ({ keys: inOrder().map(({ key }) => ({ ...key.jwk })) }),
    onChange: (listener) => void listeners.push(listener),

    async rotate() {
      throw new Error(
        `the keys are Vault's: rotate there, with "vault write -f transit/keys/${options.keyName}/rotate"; the new version ` +
          `signs some ${Math.ceil(jwksMaxAge / 60)} minutes later, or at once when min_encryption_version is set to it`,
      )
    },

    list() {
      const [signing, ...others] = inOrder()
      if (!signing) return []
      const told = ({ key }: KeyVersion, state: KeyInfo['state']): KeyInfo => {
        return { kid: key.kid, algorithm: key.algorithm, state }
      }
      const later = (each: KeyVersion) => (each.version > signing.version ? 'next' : 'retired')
      return [told(signing, 'signing'), ...others.map((each) => told(each, later(each)))]
    },
    async ready() {
      await ready()
    },
    async check() {
      if (failure) throw failure
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await reading?.catch(() => {})
    },
  }
}

/** What a `kid` of ours looks like (RFC 7638 with SHA-256, in base64url). */
const thumbprint = /^[\w-]{43}$/
