/** Request objects (OpenID Connect Core, 6.1) that are refused unread. */

const wishes = ['response_mode', 'state'] as const

/**
 * How a request object wants to be answered. It is refused, and what it says is believed in nothing that a parameter beside
 * it could not say as well: not who asks, nor where the answer goes.
 */
export function wishesOfObject(object: string): Record<string, string> {
  const [, payload = ''] = object.split('.')
  try {
    const said: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const members = Object(said) as Record<string, unknown>
    return Object.fromEntries(
      wishes.flatMap((name) => (typeof members[name] === 'string' ? [[name, members[name]]] : [])),
    )
  } catch {
    return {}
  }
}
