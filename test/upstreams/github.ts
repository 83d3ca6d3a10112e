/**
 * A stand-in of GitHub, or of an Enterprise Server over TLS: OAuth with errors of status 200, comma separated scopes and
 * tokens that end; the REST API with paging, single sign-on, unapproved organisations and limits. All that passes at the
 * API is held against GitHub's own description of it.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { acmeAndOther, type GitHubAccount, type GitHubCall, type GitHubReply, octocat } from './github-account.ts'
import { describeGitHub } from './github-description.ts'
import { authorize, token } from './github-oauth.ts'
import { answer } from './github-rest.ts'

export interface GitHubOptions extends Partial<GitHubAccount> {
  /** Serves as an Enterprise Server, with this certificate and key (PEM); else as github.com, to be reached by `fetch`. */
  tls?: { cert: string; key: string }
}

export interface GitHubStandIn {
  /** Host and port of the Enterprise Server. */
  host: string
  /** Reaches github.com and api.github.com here. */
  fetch: typeof fetch
  account: GitHubAccount
  /** Method and path of each call, in order; the API's without the address it is below. */
  calls: string[]
  /** The last request that the token endpoint got. */
  tokenRequest(): GitHubCall | undefined
  /** The next calls of the API whose path begins so are answered with this. */
  disturb(path: string, reply: GitHubReply, calls?: number): void
  /** Milliseconds that the stand-in's clock is ahead. */
  advance(milliseconds: number): void
  /** What a browser of the signed-in person brings back. @throws when GitHub shows a page of its own */
  authorize(url: URL): Promise<URLSearchParams>
  /** @throws AssertionError when something passed that GitHub does not describe */
  close(): Promise<void>
}

const prefix = '/api/v3'

export async function startGitHub(options: GitHubOptions = {}): Promise<GitHubStandIn> {
  const { tls, ...changes } = options
  const description = describeGitHub(tls ? 'ghes-3.19' : 'api.github.com')
  let ahead = 0
  const account: GitHubAccount = {
    clientId: 'Iv1.example',
    clientSecret: 'github-client-secret',
    redirectUri: 'https://login.example.com/dex/callback',
    app: 'oauth',
    basic: true,
    ignoresPkce: false,
    person: octocat(),
    organisations: acmeAndOther(),
    codes: new Map(),
    tokens: new Map(),
    refreshTokens: new Map(),
    now: () => Date.now() + ahead,
    ...changes,
  }
  const calls: string[] = []
  const violations: unknown[] = []
  const disturbances: { path: string; reply: GitHubReply; left: number }[] = []
  let tokenRequest: GitHubCall | undefined
  let base = ''

  const api = (call: GitHubCall, path: string): GitHubReply => {
    const disturbed = disturbances.find((each) => each.left > 0 && path.startsWith(each.path))
    if (disturbed) disturbed.left--
    const address = tls ? base + prefix : 'https://api.github.com'
    const web = tls ? base : 'https://github.com'
    const reply = disturbed?.reply ?? answer({ account, description, address, web }, call, path)
    try {
      description.check({ ...call, path }, reply)
    } catch (error) {
      violations.push(error)
    }
    return reply
  }

  const route = (call: GitHubCall): GitHubReply => {
    const isApi = call.path.startsWith(`${prefix}/`)
    const path = isApi ? call.path.slice(prefix.length) : call.path
    calls.push(`${call.method} ${path}`)
    if (isApi) return api(call, path)
    if (path === '/login/oauth/authorize' && call.method === 'GET') return authorize(account, call)
    if (path === '/login/oauth/access_token' && call.method === 'POST') {
      tokenRequest = call
      return token(account, call)
    }
    return { status: 404, body: 'Not Found' }
  }

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void read(request).then((call) => write(response, route(call)))
  }
  const server: Server = tls ? createTlsServer(tls, handle) : createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  base = `${tls ? 'https' : 'http'}://${host}`

  const here = (url: URL): URL => {
    if (url.origin === 'https://api.github.com') return new URL(base + prefix + url.pathname + url.search)
    if (url.origin === 'https://github.com') return new URL(base + url.pathname + url.search)
    throw new Error(`${url.origin} is not GitHub`)
  }

  return {
    host,
    fetch: (input, init) => fetch(here(new URL(String(input))), init),
    account,
    calls,
    tokenRequest: () => tokenRequest,
    disturb: (path, reply, left = 1) => void disturbances.push({ path, reply, left }),
    advance(milliseconds) {
      ahead += milliseconds
    },
    async authorize(url) {
      const reply = authorize(account, { ...call('GET', url), form: new URLSearchParams(), headers: {} })
      const location = reply.headers?.location
      if (!location) throw new Error(`GitHub answered ${reply.status}: ${reply.body}`)
      return new URL(location).searchParams
    },
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      assert.deepEqual(violations, [])
    },
  }
}

const call = (method: string, url: URL) => ({ method, path: url.pathname, query: url.searchParams })

async function read(request: IncomingMessage): Promise<GitHubCall> {
  let body = ''
  for await (const chunk of request) body += chunk
  const url = new URL(request.url ?? '/', 'http://github')
  return { ...call(request.method ?? '', url), form: new URLSearchParams(body), headers: request.headers }
}

function write(response: ServerResponse, { status, body, headers }: GitHubReply): void {
  const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body)
  const type = typeof body === 'string' ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8'
  response.writeHead(status, { 'content-type': type, ...headers }).end(text)
}
