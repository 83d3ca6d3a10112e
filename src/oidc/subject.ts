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
