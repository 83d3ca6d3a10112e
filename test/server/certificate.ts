/** Self-signed certificates made on the spot (RFC 5280), so that no key lies in the repository and none runs out. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'

export interface Pair {
  /** PEM */
  cert: string
  key: string
}

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts)
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'))
const utcTime = (time: Date): Buffer =>
  tlv(0x17, Buffer.from(`${time.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

/** For `hosts` and 127.0.0.1, valid for a day around now; `name` tells certificates apart. */
export const selfSigned = (name: string, hosts: string[] = ['localhost']): Pair => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const issuer = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(name)))))
  const names = sequence(...hosts.map((host) => tlv(0x82, Buffer.from(host))), tlv(0x87, Buffer.from([127, 0, 0, 1])))
  const authority = sequence(oid('551d13'), tlv(0x04, sequence(tlv(0x01, Buffer.from([0xff])))))
  const alternatives = sequence(oid('551d11'), tlv(0x04, names))
  const serial = createHash('sha256').update(`${name}${Date.now()}`).digest().subarray(0, 8)
  serial[0] = (serial[0] ?? 0) & 0x7f || 1
  const halfDay = 12 * 3600 * 1000
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    issuer,
    sequence(utcTime(new Date(Date.now() - halfDay)), utcTime(new Date(Date.now() + halfDay))),
    issuer,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(authority, alternatives)),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(body, algorithm, tlv(0x03, Buffer.from([0]), signature))
  const lines = certificate.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
