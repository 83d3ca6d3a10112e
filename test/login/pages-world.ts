/** The real server, `serve FILE`, with connectors and clients for every page that a person can meet, and an application. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { freePort, type RunningProvider, startProvider } from '../clients/lib/program.ts'

export interface Arrival {
  method: string
  params: URLSearchParams
}

export interface World extends AsyncDisposable {
  provider: RunningProvider
  /** Where the application takes answers; shows the heading "Application". */
  callback: string
  /** What reached the application, in order. */
  arrivals: Arrival[]
  /** An address of the server. */
  at(path: string): string
  /** The address that begins a login for a client; `params` go over what it sends otherwise. */
  authorize(client: string, params?: Record<string, string>): string
  /** Starts a device login; the address that the device shows. */
  device(): Promise<string>
  /** Status of the token endpoint's answer to a code. */
  redeem(client: string, code: string): Promise<number>
}

const verifier = randomBytes(32).toString('base64url')
const pkce = {
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

export async function openWorld({ skipApproval = false } = {}): Promise<World> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const callback = `${origin}/callback`
  const arrivals: Arrival[] = []
  const application = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { pathname, search } = new URL(request.url ?? '/', origin)
    const method = request.method ?? ''
    if (pathname === '/callback') {
      arrivals.push({ method, params: new URLSearchParams(method === 'POST' ? body : search) })
    }
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end('<!doctype html><link rel="icon" href="data:,"><title>Application</title><h1>Application</h1>')
  })
  application.listen(port, '127.0.0.1')
  await once(application, 'listening')

  const type = join(import.meta.dirname, 'pages-connector.ts')
  const odd = (how: string, name: string) => ({ type, id: how, name, config: { how, address: `${origin}/sso` } })
  const client = (id: string, allowedConnectors?: string[]) => ({
    id,
    name: 'Kargo',
    public: true,
    redirectURIs: [callback],
    ...(allowedConnectors && { allowedConnectors }),
  })
  const provider = await startProvider({
    oauth2: { skipApprovalScreen: skipApproval },
    frontend: { issuer: 'Acme' },
    connectors: [
      { type: 'mockCallback', id: 'mock', name: 'Example' },
      { type: 'mockPassword', id: 'staff', name: 'Staff', config: { username: 'kilgore', password: 'trout' } },
      odd('groups', 'Partners'),
      odd('post', 'SAML'),
      odd('broken', 'Broken'),
      odd('locked', 'Locked'),
    ],
    staticClients: [
      client('app'),
      client('few', ['local', 'mock', 'staff']),
      client('one', ['local']),
      client('nobody', ['gone']),
      { id: 'cli', name: 'Kargo CLI', public: true },
    ],
  })
  const at = (path: string) => `${provider.issuer}${path}`
  const post = (path: string, form: Record<string, string>) =>
    fetch(at(path), { method: 'POST', body: new URLSearchParams(form) })

  return {
    provider,
    callback,
    arrivals,
    at,
    authorize: (client_id, params = {}) =>
      at(
        `/auth?${new URLSearchParams({
          client_id,
          redirect_uri: callback,
          response_type: 'code',
          scope: 'openid profile email groups offline_access',
          state: 'a state',
          ...pkce,
          ...params,
        })}`,
      ),
    async device() {
      const answer = await post('/device/code', { client_id: 'cli', scope: 'openid email', ...pkce })
      return ((await answer.json()) as { verification_uri_complete: string }).verification_uri_complete
    },
    async redeem(client_id, code) {
      const grant = { grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier }
      return (await post('/token', { client_id, ...grant })).status
    },
    async [Symbol.asyncDispose]() {
      application.close()
      application.closeAllConnections()
      await provider[Symbol.asyncDispose]()
    },
  }
}
