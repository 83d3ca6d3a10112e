/**
 * `sub` as Dex writes it: base64url of a Protocol Buffers message with the person's id at the upstream (field 1) and the
 * connector's id (field 2). Clients and their role bindings know people by these bytes.
 */

const tags = { userId: 0x0a, connectorId: 0x12 } as const

/** The stable name of an end-user at one connector (OpenID Connect Core, 2: `sub`); empty parts are left out. */
export function encodeSubject(userId: string, connectorId: string): string {
  return Buffer.concat([field(tags.userId, userId), field(tags.connectorId, connectorId)]).toString('base64url')
}

function field(tag: number, text: string): Buffer {
  if (text === '') return Buffer.alloc(0)
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes])
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >> 7)]
}

/** The parts of a `sub` of ours; `undefined` for any other text. */
export function decodeSubject(sub: string): { userId: string; connectorId: string } | undefined {
  const bytes = Buffer.from(sub, 'base64url')
  const parts = { userId: '', connectorId: '' }
  let at = 0
  while (at < bytes.length) {
    const name = bytes[at] === tags.userId ? 'userId' : bytes[at] === tags.connectorId ? 'connectorId' : undefined
    let length = 0
    let shift = 0
    do {
      at++
      length += (bytes[at]! & 0x7f) * 2 ** shift
      shift += 7
    } while (at < bytes.length && bytes[at]! >= 0x80)
    at++
    if (name === undefined || at + length > bytes.length) return undefined
    parts[name] = bytes.toString('utf8', at, at + length)
    at += length
  }
  return encodeSubject(parts.userId, parts.connectorId) === sub ? parts : undefined
}
