/** What is known of a request beside its own fields, for pages, metrics and the log. */
import type { IncomingMessage } from 'node:http'

interface Noted {
  requestId: string
  route: string
  bytes?: number
}

export const noted = new WeakMap<IncomingMessage, Noted>()

/** The number of a request, which pages show and the log has. */
export const requestIdOf = (request: IncomingMessage): string => noted.get(request)!.requestId

/** Which route it was, for metrics and log. */
export function noteRoute(request: IncomingMessage, route: string): void {
  noted.get(request)!.route = route
}

/** How large the body of the answer is, for metrics, where its headers went past the response. */
export function noteSize(request: IncomingMessage, bytes: number): void {
  const known = noted.get(request)
  if (known) known.bytes = bytes
}
