/** Logging out with a real OpenID provider as the upstream: here and on to there, and there with word to us. */
import assert from 'node:assert/strict'
import { upstreamClient } from '../upstreams/oidc.ts'
import { type RealProvider, startRealProvider } from '../upstreams/oidc-real.ts'
import { newPerson, type Person } from './lib/person.ts'
import { logIn, type Server, startServer, web, webClient } from './lib/server.ts'

const home = 'http://127.0.0.1:9/after'

describe('Logout with a second OpenID provider as the upstream', function () {
  this.timeout(30_000)
  let upstream: RealProvider
  let server: Server

  before(async () => {
    server = await startServer(async (issuer) => {
      upstream = await startRealProvider(`${issuer}/callback`, {
        backchannelUri: `${issuer}/logout/upstream/second`,
        returnTo: `${issuer}/logout/callback`,
      })
      const config = { ...upstreamClient, issuer: upstream.issuer, getUserInfo: true }
      return {
        sessions: { ssoSharedWithDefault: 'all' },
        staticClients: [{ ...webClient, postLogoutRedirectURIs: [home] }],
        connectors: [{ type: 'oidc', id: 'second', name: 'Second', config }],
      }
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await upstream?.close()
  })

  const isLoggedIn = (person: Person) =>
    logIn(server, web, { prompt: 'none' }, person).then(
      () => true,
      (error: Error) => {
        assert.match(error.message, /^login_required/)
        return false
      },
    )

  it('a logout there ends the session here, and only that of this browser', async () => {
    const [person, other] = [newPerson(), newPerson()]
    await logIn(server, web, {}, person)
    await logIn(server, web, {}, other)
    assert.equal(await isLoggedIn(person), true)
    const page = await person.open(`${upstream.issuer}/session/end`)
    const done = await person.submit(page, { logout: 'yes' })
    assert.equal(done.status, 200)
    for (let tries = 0; (await isLoggedIn(person)) && tries < 50; tries++)
      await new Promise((next) => setTimeout(next, 20))
    assert.equal(await isLoggedIn(person), false)
    assert.equal(await isLoggedIn(other), true)
  })

  it('a logout here goes on there, comes back, and ends both', async () => {
    const person = newPerson()
    const { tokens } = await logIn(server, web, {}, person)
    const query = new URLSearchParams({ id_token_hint: tokens.id_token!, post_logout_redirect_uri: home, state: 's' })
    const page = await person.open(`${server.issuer}/logout?${query}`)
    assert.equal(page.url.origin, upstream.issuer)
    assert.equal(await isLoggedIn(person), false)
    const arrived = await person.submit(page, { logout: 'yes' }, { end: home })
    assert.equal(arrived.url.href, `${home}?state=s`)
    const before = upstream.logins()
    await logIn(server, web, {}, person)
    assert.equal(upstream.logins(), before + 1, 'nobody was logged in there any more')
  })
})
