/** The loopback redirect of a command line (RFC 8252, section 7.3). */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Arrival {
  /** The redirect URI with what the provider added. */
  url: URL
  /** Shows the person how it ended. */
  answer(title: string, text: string): void
}

export interface Callback extends AsyncDisposable {
  redirectUri: string
  /** The first request that carries this state. Rejects with the reason of `signal`. */
  next(state: string, signal: AbortSignal): Promise<Arrival>
}

/** Listens on `http://127.0.0.1:PORT/callback`; port 0 is any free one. Rejects when the port is in use. */
export async function waitForCallback(port: number): Promise<Callback> {
  const arrived = Promise.withResolvers<Arrival>()
  let expectedState: string | undefined
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', redirectUri())
    // A browser that asks for an icon, or another program, must not end the wait.
    if (request.method !== 'GET' || url.pathname !== '/callback') return show(response, 404, 'Nothing here', '')
    if (expectedState === undefined || url.searchParams.get('state') !== expectedState) {
      return show(response, 400, 'This is not the login that was started', 'Go back to the command line and try again.')
    }
    const failed = url.searchParams.has('error')
    arrived.resolve({ url, answer: (title, text) => show(response, failed ? 400 : 200, title, text) })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const redirectUri = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`

  return {
    redirectUri: redirectUri(),
    next(state, signal) {
      expectedState = state
      if (signal.aborted) arrived.reject(signal.reason)
      else signal.addEventListener('abort', () => arrived.reject(signal.reason), { once: true })
      return arrived.promise
    },
    async [Symbol.asyncDispose]() {
      // The answer to the browser says `Connection: close`, so that it goes out whole and the server then ends.
      server.close()
      server.closeIdleConnections()
    },
  }
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)

function show(response: ServerResponse, status: number, title: string, text: string): void {
  response
    .writeHead(status, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      Connection: 'close',
    })
    .end(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">` +
        `<title>${escapeHtml(title)}</title><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p></html>\n`,
    )
}
