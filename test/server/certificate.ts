/** Certificates made on the spot (RFC 5280), so that no key lies in the repository and none runs out. */
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

const attributes = { CN: '550403', O: '55040a', C: '550406' }

/** Attributes in the order of the certificate: the last one stands first in its text. */
const nameOf = (parts: [type: keyof typeof attributes, value: string][]): Buffer =>
  sequence(
    ...parts.map(([type, value]) => tlv(0x31, sequence(oid(attributes[type]), tlv(0x0c, Buffer.from(value, 'utf8'))))),
  )

export interface CertificateRequest {
  subject: [type: keyof typeof attributes, value: string][]
  /** Tagged alternative names: 1 e-mail, 2 DNS, 6 URI, 7 address. */
  alternatives?: [tag: 1 | 2 | 6 | 7, value: string | number[]][]
  authority?: boolean
  /** Days from now at which it ends; default a half. */
  days?: number
  /** Who signs, with the name of that certificate; default itself. */
  by?: { key: string; subject: CertificateRequest['subject'] }
}

/** For `hosts` and 127.0.0.1, valid for a day around now; `name` tells certificates apart. */
export const selfSigned = (name: string, hosts: string[] = ['localhost']): Pair =>
  certificate({
    subject: [['CN', name]],
    alternatives: [...hosts.map((host): [2, string] => [2, host]), [7, [127, 0, 0, 1]]],
    authority: true,
  })

export const certificate = (request: CertificateRequest): Pair => {
  const { subject, alternatives: given = [], by, days = 0.5 } = request
  const name = JSON.stringify(subject)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const issuer = nameOf(by?.subject ?? subject)
  const names = sequence(...given.map(([tag, value]) => tlv(0x80 | tag, Buffer.from(value as string))))
  const basic = request.authority ? [tlv(0x01, Buffer.from([0xff]))] : []
  const authority = sequence(oid('551d13'), tlv(0x04, sequence(...basic)))
  const alternatives = given.length === 0 ? [] : [sequence(oid('551d11'), tlv(0x04, names))]
  const serial = createHash('sha256').update(`${name}${Date.now()}`).digest().subarray(0, 8)
  serial[0] = (serial[0] ?? 0) & 0x7f || 1
  const day = 24 * 3600 * 1000
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    issuer,
    sequence(utcTime(new Date(Date.now() - day)), utcTime(new Date(Date.now() + days * day))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(authority, ...alternatives)),
  )
  const signature = sign('sha256', body, by?.key ?? privateKey)
  const signed = sequence(body, algorithm, tlv(0x03, Buffer.from([0]), signature))
  const lines = signed.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
