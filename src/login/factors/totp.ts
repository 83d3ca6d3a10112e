/** Time-based one-time codes (RFC 6238): six digits of SHA-1 each thirty seconds, which every application understands. */
import { Secret, TOTP } from 'otpauth'
import { encode } from 'uqr'

const form = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** Bytes; RFC 4226, 4 recommends 160 bits. */
const secretSize = 20
/** Steps before and after the current one that are taken too, for clocks that differ (RFC 6238, 5.2). */
const skew = 1

/** 160 random bits in base32. */
export const newSecret = (): string => new Secret({ size: secretSize }).base32

/** `otpauth://totp/…`, which applications read from a QR code or a link; `issuer` and `account` are what they show. */
export const enrolmentAddress = (secret: string, issuer: string, account: string): string =>
  // The issuer of the label ends at the first colon, encoded or not.
  new TOTP({ ...form, secret, issuer, label: account.replaceAll(':', ' ') }).toString()

/** The address as a QR code for an `img` element, some 6 kB: one stroke for each run of dark squares. */
export function qrPicture(address: string): string {
  const { data, size } = encode(address, { ecc: 'L', border: 4 })
  const strokes = data.flatMap((row, y) => runs(row).map(([x, length]) => `M${x} ${y}h${length}`))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${size}v${size}H0z"/><path stroke="#000" transform="translate(0 .5)" d="${strokes.join('')}"/></svg>`
  return `data:image/svg+xml,${svg.replace(/[<>"#%]/g, encodeURIComponent)}`
}

const runs = (row: boolean[]): [start: number, length: number][] =>
  row.flatMap((dark, start): [number, number][] => {
    if (!dark || row[start - 1]) return []
    const end = row.indexOf(false, start)
    return [[start, (end < 0 ? row.length : end) - start]]
  })

/**
 * The time step of a code, if it is one of now or of the steps beside; compared in constant time.
 * @param code as it was typed; blanks do not count
 */
export function stepOf(secret: string, code: string, now: Date): number | undefined {
  const token = code.replace(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const timestamp = now.getTime()
  const totp = new TOTP({ ...form, secret })
  const delta = totp.validate({ token, timestamp, window: skew })
  return delta === null ? undefined : totp.counter({ timestamp }) + delta
}
