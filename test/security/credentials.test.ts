/** Scripts of listed origins may send credentials: the cookies of a person who is signed in here give them nothing. */
import assert from 'node:assert/strict'
import { type FlowServer, logIn, startServer } from '../flows/server.ts'

const page = 'https://app.example.com'

describe('credentials of other origins', () => {
  for (const layout of ['dex', 'okta']) {
    it(`are not looked at by any endpoint that scripts may call, layout ${layout}`, async () => {
      await using server: FlowServer = await startServer(
        { layout, sessions: {}, web: { http: '127.0.0.1:0', allowedOrigins: [page], allowCredentials: true } },
        { path: '/oauth2/default' },
      )
      const { browser, tokens } = await logIn(server)
      const cookie = [...browser.cookies(server.issuer)].map(([name, value]) => `${name}=${value}`).join('; ')
      assert.match(cookie, /dex_session=/)
      const requests: [path: string, form?: Record<string, string>][] = [
        ['/token', { grant_type: 'authorization_code', code: 'x', client_id: 'cli', redirect_uri: page }],
        ['/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id: 'cli' }],
        ['/token/introspect', { token: tokens.access_token }],
        ['/token/revoke', { token: 'x' }],
        ['/userinfo'],
        ['/keys'],
        ['/.well-known/openid-configuration'],
        ...(layout === 'okta' ? ([['/v1/userinfo'], ['/v1/token', { grant_type: 'x' }]] as [string][]) : []),
      ]
      for (const [path, form] of requests) {
        const ask = (headers: Record<string, string>) =>
          server.request(server.url(path), { headers: { origin: page, ...headers }, ...(form && { form }) })
        const [signedIn, stranger] = await Promise.all([ask({ cookie }), ask({})])
        assert.equal(signedIn.status, stranger.status, path)
        assert.equal(signedIn.text, stranger.text, path)
        assert.equal(signedIn.headers.get('set-cookie'), null, path)
        assert.equal(signedIn.headers.get('access-control-allow-credentials'), 'true', path)
        const other = await ask({ cookie, origin: 'https://evil.example' })
        assert.equal(other.headers.get('access-control-allow-origin'), null, path)
        assert.equal(other.headers.get('access-control-allow-credentials'), null, path)
      }
      // What does look at cookies may not be read by anybody else.
      for (const path of [
        '/auth',
        '/',
        '/logout',
        '/device',
        ...(layout === 'okta' ? ['/v1/authorize', '/v1/logout'] : []),
      ]) {
        const answer = await server.request(server.url(path), { headers: { origin: page, cookie } })
        assert.equal(answer.headers.get('access-control-allow-origin'), null, path)
        assert.equal(answer.headers.get('access-control-allow-credentials'), null, path)
      }
    })
  }
})
