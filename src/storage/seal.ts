/** Sealing of what a store must not hold in clear: AES-256-GCM (NIST SP 800-38D), for a stated purpose. */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import type { Json } from '../lib/json.ts'

export interface Sealer {
  /** Text that only this key opens, and only for the same purpose; safe in cookies and URLs. */
  seal(value: Json, purpose: string): string
  /** What was sealed; `undefined` when the text was changed, is of another purpose or of a key that is not known. */
  open(text: string, purpose: string): Json | undefined
  /** 32 bytes that whoever has the same key works out alike, for that purpose alone (HKDF-SHA256, RFC 5869). */
  derive(purpose: string): Buffer
}

const cipher = 'aes-256-gcm'
/** Bytes. */
const sizes = { key: 32, nonce: 12, tag: 16 } as const

/**
 * A sealer over keys of 32 bytes. The first key seals and all of them open, so a key is rotated by putting a new one in
 * front and dropping the old one when nothing is sealed with it any more. The sealed text begins with the key's id.
 * @throws {TypeError} without a key, or with one of another length
 */
export function sealerOf(keys: readonly Uint8Array[]): Sealer {
  const known = new Map<string, KeyObject>()
  for (const key of keys) {
    if (key.length !== sizes.key) throw new TypeError(`a sealing key has ${sizes.key} bytes, not ${key.length}`)
    // As a KeyObject the key is imported once; as bytes it would be on every use.
    known.set(sealingKeyId(key), createSecretKey(key))
  }
  const [first] = known
  if (!first) throw new TypeError('a sealer needs a key')
  const [firstId, firstKey] = first

  return {
    seal(value, purpose) {
      const nonce = randomBytes(sizes.nonce)
      const sealing = createCipheriv(cipher, firstKey, nonce, { authTagLength: sizes.tag })
      sealing.setAAD(Buffer.from(purpose))
      const text = [nonce, sealing.update(JSON.stringify(value), 'utf8'), sealing.final(), sealing.getAuthTag()]
      return `${firstId}.${Buffer.concat(text).toString('base64url')}`
    },

    open(text, purpose) {
      const dot = text.indexOf('.')
      const key = known.get(text.slice(0, Math.max(dot, 0)))
      const bytes = Buffer.from(text.slice(dot + 1), 'base64url')
      if (!key || bytes.length < sizes.nonce + sizes.tag) return undefined
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, sizes.nonce), { authTagLength: sizes.tag })
      opening.setAAD(Buffer.from(purpose))
      opening.setAuthTag(bytes.subarray(-sizes.tag))
      try {
        const clear = opening.update(bytes.subarray(sizes.nonce, -sizes.tag), undefined, 'utf8') + opening.final('utf8')
        return JSON.parse(clear) as Json
      } catch {
        return undefined
      }
    },

    derive(purpose) {
      return Buffer.from(hkdfSync('sha256', firstKey, '', `countersign: ${purpose}`, sizes.key))
    },
  }
}

/**
 * A sealer under a key derived from a secret that somebody presents (HKDF-SHA256, RFC 5869), such as a refresh token:
 * what is sealed can only be opened by who presents the same secret again. The secret must be random, not a password.
 */
export function sealUnder(secret: string): Sealer {
  return sealerOf([new Uint8Array(hkdfSync('sha256', secret, '', 'countersign: sealed under a secret', sizes.key))])
}

/** A new random key. */
export function newSealingKey(): Buffer {
  return randomBytes(sizes.key)
}

/** What a text that this key has sealed begins with, before a dot. */
export function sealingKeyId(key: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from('countersign: key id\n'), key]), 'base64url').slice(0, 8)
}
