/** Signatures over digests that somebody else has made, which node:crypto alone does not offer. */
import { constants, createECDH, type KeyObject, privateEncrypt } from 'node:crypto'

export type Hash = 'sha2-256' | 'sha2-384' | 'sha2-512'

/** Bytes. */
export const hashLengths: Record<Hash, number> = { 'sha2-256': 32, 'sha2-384': 48, 'sha2-512': 64 }

/** DigestInfo without the digest (RFC 8017, 9.2, note 1). */
const digestInfos: Record<Hash, string> = {
  'sha2-256': '3031300d060960864801650304020105000420',
  'sha2-384': '3041300d060960864801650304020205000430',
  'sha2-512': '3051300d060960864801650304020305000440',
}

/** RSASSA-PKCS1-v1_5 (RFC 8017, 8.2). */
export function signRsa(key: KeyObject, hash: Hash, digest: Buffer): Buffer {
  const info = Buffer.concat([Buffer.from(digestInfos[hash], 'hex'), digest])
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info)
}

interface Curve {
  name: string
  order: bigint
  /** Bytes of a coordinate. */
  size: number
}

/** FIPS 186-5 and SP 800-186, 3.2.1. */
export const curves: Record<'P-256' | 'P-384' | 'P-521', Curve> = {
  'P-256': {
    name: 'prime256v1',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    size: 32,
  },
  'P-384': {
    name: 'secp384r1',
    order: BigInt('0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
    size: 48,
  },
  'P-521': {
    name: 'secp521r1',
    order: BigInt(
      '0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
    ),
    size: 66,
  },
}

/** Both numbers at full length, one after the other. */
export function signEcdsa(key: KeyObject, digest: Buffer): Buffer {
  const { crv, d } = key.export({ format: 'jwk' })
  const { name, order, size } = curves[crv as keyof typeof curves]
  const bits = BigInt(order.toString(2).length)
  const longer = BigInt(digest.length * 8) - bits
  const z = numberOf(digest) >> (longer > 0n ? longer : 0n)
  for (;;) {
    // The point of a fresh random number is what a key pair is.
    const pair = createECDH(name)
    const point = pair.generateKeys()
    const k = numberOf(pair.getPrivateKey())
    const r = numberOf(point.subarray(1, 1 + size)) % order
    const s = (inverse(k, order) * (z + r * numberOf(Buffer.from(d!, 'base64url')))) % order
    if (r !== 0n && s !== 0n) return Buffer.concat([bytesOf(r, size), bytesOf(s, size)])
  }
}

const numberOf = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex') || '0'}`)
const bytesOf = (value: bigint, size: number): Buffer => Buffer.from(value.toString(16).padStart(size * 2, '0'), 'hex')

/** By Euclid's extended algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n]
  while (a > 1n) {
    const quotient = b / a
    ;[a, b] = [b % a, a]
    ;[x, y] = [y - quotient * x, x]
  }
  return ((x % modulus) + modulus) % modulus
}
