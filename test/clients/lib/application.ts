import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Application extends AsyncDisposable {
  origin: string
}

/** An application of one empty page on an origin of its own, with a library that it loads as script or imports as module. */
export async function serveApplication(library: string, type: 'script' | 'module' = 'script'): Promise<Application> {
  const tag = type === 'script' ? '<script src="library.js"></script>' : ''
  const page = `<!doctype html><meta charset="utf-8"><title>Application</title>${tag}`
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname === '/favicon.ico') return response.writeHead(404).end()
    if (pathname !== '/library.js') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(page)
    return response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(await readFile(library))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
}
