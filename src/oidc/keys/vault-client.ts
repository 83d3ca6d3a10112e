/** Calls to Vault's Transit engine (API of HashiCorp Vault and OpenBao): reading a key, signing with a version of it. */
import { hash } from 'node:crypto'
import { algorithms, type SigningAlgorithm } from './algorithms.ts'

export interface VaultOptions {
  /** Such as `https://vault.example.com:8200`. */
  addr: string
  token: string
  /** Of the key in the engine that is mounted at `transit`. */
  keyName: string
  /** Of Vault Enterprise, or of OpenBao. */
  namespace?: string
  /** Further trusted certificates, PEM text. */
  ca?: string
  /** Vault's certificate is not checked. */
  skipVerify?: boolean
}

/** What Vault said no to, or that it said nothing; the message is a sentence for the operator. */
export class VaultError extends Error {
  /** HTTP status; absent when no answer came. */
  readonly status: number | undefined

  constructor(message: string, status?: number, cause?: unknown) {
    super(message, { cause })
    this.status = status
  }
}

export interface VaultClient {
  /** `data` of the answer, unchecked. @throws VaultError */
  readKey(): Promise<unknown>
  /** A signature over `text` in base64url, made by this version of the key alone. @throws VaultError */
  sign(version: number, algorithm: SigningAlgorithm, text: string): Promise<string>
}

/** Seconds after which a call that failed is not tried again. */
const patience = 1
/** Statuses with which Vault asks to come again: rate limit, not yet caught up, sealed or failing. */
const passing = new Set([412, 429, 500, 502, 503, 504])
const longestReason = 200

export function openVaultClient(options: VaultOptions, fetch: typeof globalThis.fetch): VaultClient {
  const { addr, token, keyName, namespace } = options
  const base = `${addr.replace(/\/+$/, '')}/v1/transit`
  const headers = {
    'X-Vault-Token': token,
    'X-Vault-Request': 'true',
    Accept: 'application/json',
    ...(namespace !== undefined && { 'X-Vault-Namespace': namespace }),
  }

  const send = async (method: 'GET' | 'POST', url: string, body: string | undefined): Promise<Response> => {
    const init = {
      method,
      headers: { ...headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
      ...(body !== undefined && { body }),
    }
    const response = await fetch(url, init)
    // A standby names the active node.
    if (response.status !== 307 && response.status !== 308) return response
    const target = new URL(response.headers.get('location') ?? '', url)
    if (target.protocol !== new URL(url).protocol) throw new VaultError(`Vault redirects to ${target.protocol}`)
    return fetch(target, init)
  }

  /** Neither reading nor signing changes anything in Vault, so both may be sent once more. */
  const call = async (method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> => {
    const since = performance.now()
    for (let last = false; ; last = true) {
      last ||= performance.now() - since > patience * 1000
      try {
        const response = await send(method, `${base}${path}`, body && JSON.stringify(body))
        const answer = (await response.json().catch(() => undefined)) as
          | { data?: unknown; errors?: unknown }
          | undefined
        if (response.ok && typeof answer?.data === 'object' && answer.data !== null)
          return answer.data as Record<string, unknown>
        throw refusal(response.status, path, answer?.errors)
      } catch (error) {
        const status = error instanceof VaultError ? error.status : undefined
        const mayPass = status === undefined ? !(error instanceof VaultError) : passing.has(status)
        if (mayPass && !last && performance.now() - since < patience * 1000) continue
        if (error instanceof VaultError) throw error
        throw new VaultError(
          `Vault does not answer: ${error instanceof Error ? error.message : error}`,
          undefined,
          error,
        )
      }
    }
  }

  return {
    readKey: () => call('GET', `/keys/${encodeURIComponent(keyName)}`),

    async sign(version, algorithm, text) {
      const { digest } = algorithms[algorithm]
      const input = digest ? hash(digest, text, 'base64') : Buffer.from(text).toString('base64')
      const data = await call('POST', `/sign/${encodeURIComponent(keyName)}`, {
        input,
        key_version: version,
        marshaling_algorithm: 'jws',
        ...(digest && { prehashed: true, hash_algorithm: digest.replace('sha', 'sha2-') }),
        ...(algorithm === 'RS256' && { signature_algorithm: 'pkcs1v15' }),
      })
      const [, signed, signature] = /^vault:v(\d+):([\w-]+)$/.exec(String(data.signature)) ?? []
      if (signature === undefined) throw new VaultError('Vault answered without a signature in the form of JWS')
      if (Number(signed) !== version) throw new VaultError(`Vault signed with version ${signed} instead of ${version}`)
      return signature
    },
  }
}

/** In the operator's words, with Vault's own reason behind. */
function refusal(status: number, path: string, errors: unknown): VaultError {
  const reason = [errors].flat().filter((text) => typeof text === 'string' && text !== '')
  const said = reason.length > 0 ? ` (${reason.join('; ').slice(0, longestReason)})` : ''
  return new VaultError(`${why(status, `transit${path}`)}${said}`, status)
}

function why(status: number, path: string): string {
  if (status === 403) return `Vault refuses the token, or its policies do not allow ${path}`
  if (status === 404) return `Vault has nothing at ${path}: is the key there, and Transit mounted at "transit"?`
  if (status === 503) return 'Vault is sealed or in maintenance'
  if (status === 429) return 'Vault limits the rate of calls'
  return `Vault answered ${path} with status ${status}`
}
