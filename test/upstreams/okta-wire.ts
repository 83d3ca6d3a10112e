/** Requests to the Okta stand-in, its answers, and the shapes of Okta's errors. */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface OktaCall {
  method: string
  path: string
  query: URLSearchParams
  form: URLSearchParams
  authorization: string | undefined
}

export interface Reply {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export const oauthError = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: description },
})

export const apiError = (status: number, errorCode: string, errorSummary: string): Reply => ({
  status,
  body: { errorCode, errorSummary, errorLink: errorCode, errorId: 'oae1EXAMPLE', errorCauses: [] },
})
export const notFound = apiError(404, 'E0000007', 'Not found: Resource not found')

/** One method only (RFC 6749, 2.3): with both, the client is refused. */
export function credentials({ form, authorization }: OktaCall): (string | null | undefined)[] {
  const basic = /^Basic (.+)$/.exec(authorization ?? '')?.[1]
  if (basic === undefined) return [form.get('client_id'), form.get('client_secret')]
  if (form.has('client_secret')) return []
  return Buffer.from(basic, 'base64')
    .toString()
    .split(':')
    .map((part) => decodeURIComponent(part.replaceAll('+', ' ')))
}

export async function read(request: IncomingMessage): Promise<OktaCall> {
  let body = ''
  for await (const chunk of request) body += chunk
  const url = new URL(request.url ?? '/', 'http://okta')
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    form: new URLSearchParams(body),
    authorization: request.headers.authorization,
  }
}

export function write(response: ServerResponse, { status, body, headers }: Reply): void {
  const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-cache, no-store', ...headers })
    .end(text)
}
