/**
 * A stand-in of HashiCorp Vault with its Transit engine, made after the API that Vault documents: tokens with policies,
 * keys with versions, real signatures. It is strict rather than kind: what Vault takes by default (PSS for RSA, ASN.1 for
 * ECDSA) it takes too, and a parameter that Vault does not know is refused, so that a misspelt one is found.
 */
import { type ECKeyPairKeyObjectOptions, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Hash, hashLengths, signEcdsa, signRsa } from './vault-crypto.ts'

export type KeyType = 'rsa-2048' | 'rsa-3072' | 'ecdsa-p256' | 'ecdsa-p384' | 'ecdsa-p521' | 'ed25519' | 'aes256-gcm96'

interface Version {
  privateKey: KeyObject
  publicKey: KeyObject
  created: Date
}

interface TransitKey {
  type: KeyType
  versions: Map<number, Version>
  minDecryption: number
  minEncryption: number
  derived: boolean
}

export interface Vault extends AsyncDisposable {
  addr: string
  /** May read and use every key. */
  token: string
  /** Method and path of each request. */
  asked: string[]
  /** Bodies of the sign requests. */
  signed: Record<string, unknown>[]
  /** Makes a key, or replaces one of the name. */
  create(name: string, type: KeyType, more?: { derived?: boolean }): void
  rotate(name: string): void
  /** As `transit/keys/NAME/config`. */
  configure(name: string, change: { minDecryption?: number; minEncryption?: number }): void
  /** A token with capabilities on paths below `transit/`. */
  issue(policy: Record<string, ('read' | 'update')[]>): string
  revoke(token: string): void
  sealed: boolean
  /** Requests must name it. */
  namespace: string | undefined
  /** Answers these statuses first, one a request. */
  trouble: number[]
  /** Takes requests and does not answer. */
  hanging: boolean
  /** A standby: sends everybody there. */
  standbyOf: string | undefined
  /** Ed25519 keys as OpenBao may tell them. */
  rawEd25519: boolean
  /** Spoils signatures, as a broken proxy would. */
  forge: boolean
  stop(): Promise<void>
  /** On the same port. */
  start(): Promise<void>
}

const parameters = new Set([
  ...[
    'input',
    'key_version',
    'hash_algorithm',
    'algorithm',
    'prehashed',
    'signature_algorithm',
    'marshaling_algorithm',
  ],
  ...['context', 'batch_input', 'salt_length', 'reference'],
])

class Refusal extends Error {
  readonly status: number
  readonly errors: string[]

  constructor(status: number, ...errors: string[]) {
    super(errors.join())
    this.status = status
    this.errors = errors
  }
}

/** @param tls certificate and key, PEM, of a Vault that speaks https */
export async function startVault(
  now: () => Date = () => new Date(),
  tls?: { cert: string; key: string },
): Promise<Vault> {
  const keys = new Map<string, TransitKey>()
  const policies = new Map<string, Record<string, string[]>>()
  let tokens = 0
  let port = 0
  let server: Server = createServer()

  const keyOf = (name: string): TransitKey => {
    const key = keys.get(name)
    if (!key) throw new Error(`there is no key ${name}`)
    return key
  }

  const vault: Vault = {
    addr: '',
    token: '',
    asked: [],
    signed: [],
    sealed: false,
    namespace: undefined,
    trouble: [],
    hanging: false,
    standbyOf: undefined,
    rawEd25519: false,
    forge: false,
    create(name, type, { derived = false } = {}) {
      keys.set(name, { type, derived, versions: new Map(), minDecryption: 1, minEncryption: 0 })
      vault.rotate(name)
    },
    rotate(name) {
      const { type, versions } = keyOf(name)
      versions.set(versions.size + 1, { ...generate(type), created: now() })
    },
    configure(name, { minDecryption, minEncryption }) {
      const key = keyOf(name)
      if ((minDecryption ?? 0) > key.versions.size || (minEncryption ?? 0) > key.versions.size)
        throw new Error('cannot set a minimum above the latest version')
      key.minDecryption = minDecryption ?? key.minDecryption
      key.minEncryption = minEncryption ?? key.minEncryption
    },
    issue(policy) {
      tokens += 1
      const token = `hvs.canary-${tokens}-${hash('sha256', String(tokens), 'base64url')}`
      policies.set(token, policy)
      return token
    },
    revoke: (token) => void policies.delete(token),
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
    async start() {
      const listener: RequestListener = (request, response) => void serve(request, response)
      server = tls ? createSecureServer(tls, listener) : createServer(listener)
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      port = (server.address() as AddressInfo).port
      vault.addr = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
    },
    [Symbol.asyncDispose]: () => vault.stop(),
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    vault.asked.push(`${method} ${url}`)
    let text = ''
    for await (const chunk of request) text += chunk
    if (vault.hanging) return
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
      response.end(JSON.stringify(body))
    }
    try {
      if (vault.standbyOf !== undefined) {
        response.writeHead(307, { Location: `${vault.standbyOf}${url}` }).end()
        return
      }
      const trouble = vault.trouble.shift()
      if (trouble !== undefined) throw new Refusal(trouble, 'internal error')
      if (vault.sealed) throw new Refusal(503, 'Vault is sealed')
      const data = handle(request, method, decodeURIComponent(url), text)
      const envelope = {
        lease_id: '',
        renewable: false,
        lease_duration: 0,
        wrap_info: null,
        warnings: null,
        auth: null,
      }
      answer(200, { request_id: 'b6cea0b3-4f3c-4b7e-9d1e-2f8f3c1f0a55', ...envelope, data, mount_type: 'transit' })
    } catch (error) {
      if (error instanceof Refusal) answer(error.status, { errors: error.errors })
      else answer(500, { errors: [String(error)] })
    }
  }

  function handle(request: IncomingMessage, method: string, url: string, text: string): object {
    const [, path] = /^\/v1\/(.+)$/.exec(url) ?? []
    if (path === undefined || request.headers['x-vault-request'] !== 'true') throw new Refusal(404)
    if (request.headers['x-vault-namespace'] !== vault.namespace) throw new Refusal(403, 'permission denied')
    const policy = policies.get(String(request.headers['x-vault-token']))
    const capability = { GET: 'read', POST: 'update', PUT: 'update' }[method]
    if (capability === undefined) throw new Refusal(405, 'unsupported operation')
    const [mount, engine, name, ...rest] = path.split('/')
    const granted = policy?.[`${engine}/${name}`] ?? policy?.[`${engine}/*`] ?? []
    if (!granted.includes(capability)) throw new Refusal(403, '1 error occurred:\n\t* permission denied\n\n')
    if (mount !== 'transit') throw new Refusal(404, `no handler for route "${path}". route entry not found.`)
    if (rest.length > 0 || name === undefined || !/^\w(([\w-.]+)?\w)?$/.test(name))
      throw new Refusal(404, 'unsupported path')
    if (engine === 'keys' && method === 'GET') return tellKey(name)
    if (engine === 'sign' && method !== 'GET') return signFor(name, request, text)
    throw new Refusal(405, 'unsupported operation')
  }

  function tellKey(name: string): object {
    const key = keys.get(name)
    if (!key) throw new Refusal(404)
    const signs = key.type !== 'aes256-gcm96'
    const live = [...key.versions].filter(([version]) => version >= key.minDecryption)
    return {
      allow_plaintext_backup: false,
      auto_rotate_period: 0,
      deletion_allowed: false,
      derived: key.derived,
      exportable: false,
      imported_key: false,
      keys: Object.fromEntries(
        live.map(([version, each]) => [
          version,
          signs
            ? {
                creation_time: each.created.toISOString(),
                name: key.type,
                public_key: key.derived ? '' : tell(each, key),
              }
            : Math.floor(each.created.getTime() / 1000),
        ]),
      ),
      latest_version: key.versions.size,
      min_available_version: 0,
      min_decryption_version: key.minDecryption,
      min_encryption_version: key.minEncryption,
      name,
      supports_decryption: !signs,
      supports_derivation: !signs,
      supports_encryption: !signs,
      supports_signing: signs,
      type: key.type,
    }
  }

  function tell({ publicKey }: Version, { type }: TransitKey): string {
    if (type !== 'ed25519' || !vault.rawEd25519) return publicKey.export({ format: 'pem', type: 'spki' }).toString()
    return Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64')
  }

  function signFor(name: string, request: IncomingMessage, text: string): object {
    if (!/^application\/json/.test(request.headers['content-type'] ?? ''))
      throw new Refusal(400, 'failed to parse JSON input')
    const body = JSON.parse(text) as Record<string, unknown>
    vault.signed.push(body)
    const unknown = Object.keys(body).filter((each) => !parameters.has(each))
    if (unknown.length > 0) throw new Refusal(400, `unknown parameters ${unknown}`)
    const key = keys.get(name)
    if (!key) throw new Refusal(400, 'signing key not found')
    if (key.type === 'aes256-gcm96') throw new Refusal(400, `key type ${key.type} does not support signing`)
    const version = Number(body.key_version ?? 0) || key.versions.size
    if (version > key.versions.size)
      throw new Refusal(400, 'requested version for signing is higher than the latest key version')
    if (version < key.minEncryption)
      throw new Refusal(400, 'requested version for signing is less than the minimum encryption key version')
    if (version < key.minDecryption) throw new Refusal(400, 'version is archived')
    const signature = rawSignature(key.versions.get(version)!, key, body)
    if (vault.forge) signature[0]! ^= 1
    const jws = body.marshaling_algorithm === 'jws'
    return { signature: `vault:v${version}:${signature.toString(jws ? 'base64url' : 'base64')}`, key_version: version }
  }

  await vault.start()
  vault.token = vault.issue({ 'keys/*': ['read'], 'sign/*': ['update'] })
  return vault
}

function rawSignature({ privateKey }: Version, { type }: TransitKey, body: Record<string, unknown>): Buffer {
  const algorithm = String(body.hash_algorithm ?? 'sha2-256') as Hash
  if (!(algorithm in hashLengths)) throw new Refusal(400, `invalid hash algorithm "${algorithm}"`)
  if (typeof body.input !== 'string') throw new Refusal(400, 'missing input')
  const input = Buffer.from(body.input, 'base64')
  if (input.toString('base64') !== body.input) throw new Refusal(400, 'unable to decode input as base64')
  if (type === 'ed25519') {
    if (body.prehashed) throw new Refusal(400, 'only hash_algorithm=sha2-512 is supported with prehashed for ed25519')
    return sign(null, input, privateKey)
  }
  const digest = body.prehashed ? input : Buffer.from(hash(algorithm.replace('sha2-', 'sha'), input, 'buffer'))
  if (digest.length !== hashLengths[algorithm]) throw new Refusal(500, 'crypto/rsa: input must be hashed message')
  if (type.startsWith('rsa')) {
    // By default PSS, which is no RS256.
    if (body.signature_algorithm !== 'pkcs1v15') throw new Refusal(400, 'this stand-in makes no PSS signatures')
    return signRsa(privateKey, algorithm, digest)
  }
  if (body.marshaling_algorithm !== 'jws') throw new Refusal(400, 'this stand-in makes no ASN.1 signatures')
  return signEcdsa(privateKey, digest)
}

function generate(type: KeyType): { privateKey: KeyObject; publicKey: KeyObject } {
  const curve = { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' }[type as string]
  if (curve) return generateKeyPairSync('ec', { namedCurve: curve } as ECKeyPairKeyObjectOptions)
  if (type.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) })
  return generateKeyPairSync('ed25519')
}
