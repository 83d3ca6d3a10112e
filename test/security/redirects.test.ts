/** Lessons, rows 6, 9, 17, 18, 22, 47, 52: one validator for every address that a browser may be sent to. */
import assert from 'node:assert/strict'
import { routes } from '../../src/server/routes.ts'
import { openBrowser } from '../flows/browser.ts'
import { type Client, type FlowServer, startLogin, startServer } from '../flows/server.ts'
import { dangerous, disguises, evil, notLoopback } from './addresses.ts'
import { followHere } from './attack.ts'

type Id = 'web' | 'spa' | 'native' | 'cli'
const clients: Record<Id, string[]> = {
  web: ['https://app.example.com/oauth/callback', 'https://app.example.com/oauth/callback?tenant=1'],
  spa: ['https://spa.example.com/'],
  native: ['http://127.0.0.1/cb', 'com.example.app:/cb'],
  cli: [],
}
const entry = (id: Id) => ({
  id,
  name: id,
  redirectURIs: clients[id],
  ...(id === 'web' ? { secret: 'web-secret' } : { public: true }),
})

/** Answered in the query or in the fragment, with a login or an error. */
const requests: Record<string, string>[] = [
  {},
  { prompt: 'none' },
  { response_mode: 'fragment', prompt: 'none' },
  { response_type: 'id_token' },
  { response_type: 'code id_token', prompt: 'none' },
]

/** Where the answers of a client may go, as a browser reads the address. */
function isHome(id: Id, location: string): boolean {
  if (clients[id].some((uri) => location.startsWith(`${uri}${uri.includes('?') ? '&' : '?'}`))) return true
  if (id !== 'cli' && id !== 'native') return false
  const { protocol, hostname, pathname } = new URL(location, 'https://relative.invalid/')
  const loopback = protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)
  return loopback && (id === 'cli' || (hostname === '127.0.0.1' && pathname === '/cb'))
}

/**
 * Every route, and the parameters of it that name an address: who adds a route looks at what it does with them, and adds
 * those to the tests below.
 */
const examined: Record<string, string[]> = {
  'GET /': [],
  'GET /auth': ['redirect_uri', 'request_uri'],
  'POST /auth': ['redirect_uri', 'request_uri'],
  'GET /auth/:connector': ['redirect_uri', 'request_uri'],
  'POST /auth/:connector': ['redirect_uri', 'request_uri'],
  'GET /auth/:connector/login': [],
  'POST /auth/:connector/login': [],
  'GET /auth/:connector/post': [],
  'GET /callback': [],
  'POST /callback': [],
  'GET /callback/:connector': [],
  'POST /callback/:connector': [],
  'GET /approval': [],
  'POST /approval': [],
  'GET /mfa': [],
  'GET /mfa/totp': [],
  'POST /mfa/totp': [],
  'GET /mfa/webauthn': [],
  'POST /mfa/webauthn/register/begin': [],
  'POST /mfa/webauthn/register/finish': [],
  'POST /mfa/webauthn/login/begin': [],
  'POST /mfa/webauthn/login/finish': [],
  'GET /device': [],
  'POST /device/auth/verify_code': [],
  'GET /device/auth/verify_code': [],
  'GET /device/auth/:connector': [],
  'POST /device/code': [],
  // Sealed by the page.
  'POST /': [],
  'GET /logout': ['post_logout_redirect_uri'],
  'POST /logout': ['post_logout_redirect_uri'],
  // Sealed by the page that asks.
  'POST /logout/confirm': [],
  // Judged as at the authorization endpoint: below, and in test/flows/pushed.test.ts.
  'POST /par': ['redirect_uri'],
  // Sealed by the logout that left for the upstream.
  'GET /logout/post': [],
  'GET /logout/callback': [],
  'POST /logout/callback': [],
  // Answers programs, and never with a redirect.
  'GET /logout/upstream/:connector': [],
  'POST /logout/upstream/:connector': [],
  // Compared with that of the code, never gone to.
  'POST /token': [],
  'POST /token/introspect': [],
  'POST /token/revoke': [],
  // Registered, see registration.test.ts; keys are fetched as those of strangers, see client-documents.test.ts.
  'POST /register': ['redirect_uris', 'jwks_uri', 'sector_identifier_uri'],
  'GET /register/:clientId': [],
  'PUT /register/:clientId': ['redirect_uris', 'jwks_uri', 'sector_identifier_uri'],
  'DELETE /register/:clientId': [],
  'GET /userinfo': [],
  'POST /userinfo': [],
  'GET /healthz': [],
}

describe('redirects', function () {
  this.timeout(30_000)
  let server: FlowServer
  before(async () => {
    server = await startServer({
      oauth2: { skipApprovalScreen: true, responseTypes: ['code', 'id_token'] },
      staticClients: [entry('web'), entry('spa'), entry('native'), entry('cli')],
    })
  })
  after(() => server[Symbol.asyncDispose]())

  it('row 22: every route has been looked at for addresses that it takes', () => {
    const known = routes.map(({ method, path }) => `${method} ${path}`)
    assert.deepEqual(Object.keys(examined).sort(), known.sort())
  })

  for (const id of Object.keys(clients) as Id[]) {
    it(`rows 6, 9, 18: lead to what is registered and nowhere else, client "${id}"`, async () => {
      const client: Client = { id, redirectUri: '' }
      const registered = clients[id].length > 0 ? clients[id] : ['http://127.0.0.1/cb', 'http://localhost:8000/']
      const corpus = [...new Set([...registered.flatMap(disguises), ...dangerous, ...notLoopback])]
      for (const redirectUri of corpus) {
        if (clients[id].includes(redirectUri)) continue
        for (const params of requests) {
          const { url } = startLogin(server, { client, redirectUri, params })
          const answer = await followHere(openBrowser(), server, url)
          const { location = '' } = answer
          const what = JSON.stringify({ id, redirectUri, location, status: answer.status })
          if (answer.status === 400) assert.equal(location, '', what)
          else assert.ok(answer.status === 303 && isHome(id, location.replace('#', '?')), what)
        }
      }
    })
  }

  it('row 22: a logout leads to what is registered for it and nowhere else', async () => {
    const registered = 'https://app.example/after'
    const staticClients = [{ ...entry('web'), postLogoutRedirectURIs: [registered] }]
    await using asked = await startServer({ staticClients })
    const corpus = [...disguises(registered), ...dangerous, ...notLoopback]
    for (const uri of corpus.filter((each) => each !== registered)) {
      const query = new URLSearchParams({ client_id: 'web', post_logout_redirect_uri: uri })
      const { status, location } = await asked.request(asked.url(`/logout?${query}`))
      assert.equal(location, undefined, uri)
      assert.equal(status, uri === '' ? 200 : 400, uri)
    }
    const good = new URLSearchParams({ client_id: 'web', post_logout_redirect_uri: registered })
    assert.equal((await asked.request(asked.url(`/logout?${good}`))).location, registered)
  })

  it('row 22: the way back from a logout at the upstream names no address itself', async () => {
    const names = ['post_logout_redirect_uri', 'redirect_uri', 'returnTo', 'url', 'next']
    for (const path of ['/logout/callback', '/logout/post']) {
      for (const uri of dangerous) {
        const query = new URLSearchParams(names.map((name): [string, string] => [name, uri]))
        query.set('state', 'x'.repeat(43))
        const headers = { cookie: `logout_${'x'.repeat(16)}=${encodeURIComponent(uri)}` }
        const { status, location } = await server.request(`${server.url(path)}?${query}`, { headers })
        assert.deepEqual([status, location], [400, undefined], `${path} ${uri}`)
      }
    }
  })

  it('row 17: never run code, whatever was registered', async () => {
    const staticClients = [{ ...entry('web'), redirectURIs: [...dangerous, 'javascript:*', '*'] }]
    await using careless = await startServer({ staticClients })
    for (const redirectUri of [...dangerous.slice(0, -2), 'javascript:*', '*', 'javascript:alert(1)//*']) {
      const { url } = startLogin(careless, { client: { id: 'web', redirectUri } })
      const answer = await openBrowser().request(url)
      assert.equal(`${answer.status} ${answer.location}`, '400 undefined', redirectUri)
      assert.doesNotMatch(answer.text, /(href|action|src)="\s*(javascript|vbscript|data|file)/i)
    }
  })

  it('row 9: a path of /auth that names a host stays a path', async () => {
    for (const path of [
      `/auth//${evil}`,
      `/auth/%2F%2F${evil}`,
      `/auth/..%2f..%2f${evil}`,
      `//${evil}/auth`,
      `/auth\\${evil}`,
    ]) {
      const answer = await server.request(`${server.issuer}${path}`, { form: { client_id: 'cli' } })
      const { origin } = new URL(answer.location ?? server.issuer, server.issuer)
      assert.equal(origin, server.origin, `${path}: ${answer.location}`)
    }
  })

  it('row 22: no parameter that other software takes for an address leads anywhere, at any route', async () => {
    const names = 'redirect_uri back next url return_to returnTo continue rd target_link_uri iss request_uri'.split(' ')
    names.push('post_logout_redirect_uri', 'RelayState', 'state', 'connector_id', 'response_uri', 'initiate_login_uri')
    for (const address of [`https://${evil}/`, `//${evil}/`, `/\\${evil}/`]) {
      const fields = Object.fromEntries(names.map((name) => [name, address]))
      for (const { method, path } of routes) {
        const url = server.url(path.replace(':connector', 'mock'))
        const query = new URLSearchParams({ ...fields, client_id: 'cli' })
        const answer = await server.request(`${url}?${query}`, method === 'POST' ? { form: fields } : {})
        const { origin } = new URL(answer.location ?? server.issuer, server.issuer)
        assert.equal(origin, server.origin, `${method} ${path}: ${answer.location}`)
      }
    }
  })
})
