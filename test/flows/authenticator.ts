/** An authenticator application: RFC 6238 by the letter, apart from the library that the server uses. */
import { createHmac } from 'node:crypto'
import type { BrowserAnswer } from './browser.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648, 6. */
function base32(text: string): Buffer {
  const bits = [...text].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2)))
}

/** The code of a time step: the current one, or so many steps away. */
export function codeOf(secret: string, away = 0, now = Date.now()): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000) + away))
  const digest = createHmac('sha1', base32(secret)).update(counter).digest()
  const truncated = digest.readUInt32BE(digest.at(-1)! & 15) & 0x7fffffff
  return String(truncated % 1_000_000).padStart(6, '0')
}

/** A code that is none of now. */
export function wrongCode(secret: string): string {
  const good = [-2, -1, 0, 1, 2].map((away) => codeOf(secret, away))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !good.includes(code))!
}

/** What a page shows to be typed into an application. */
export function secretOn({ text }: BrowserAnswer): string | undefined {
  return />([A-Z2-7 ]+)<\/code>/.exec(text)?.[1]?.replaceAll(' ', '')
}
