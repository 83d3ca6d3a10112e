/** Which request is being served, for the log: every record of a request carries its number. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'

type RequestAttributes = {
  request_id: string
  client_remote_addr?: string
}

const requests = new AsyncLocalStorage<RequestAttributes>()

/** Attributes for the log; `undefined` outside a request. */
export const requestAttributes = (): Record<string, string> | undefined =>
  requests.getStore() as Record<string, string> | undefined

/** Runs the service of one request under a new number. `address` is told in the log where the operator configured whose word counts. */
export function inRequest<T>(address: string | undefined, serve: (requestId: string) => T): T {
  const requestId = randomUUID()
  const attributes = { request_id: requestId, ...(address !== undefined && { client_remote_addr: address }) }
  return requests.run(attributes, () => serve(requestId))
}
