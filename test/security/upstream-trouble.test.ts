/** Lessons, rows 53 and 55: one upstream that is down, slow or gone mad hurts its own logins only, and nothing waits in line. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { openBrowser } from '../flows/browser.ts'
import { authorize, corp, type FlowServer, logIn, startLogin, startServer, tokensOf } from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'
import { startOidcUpstream } from '../upstreams/oidc.ts'
import { oidcConnector, queryOf } from './attack.ts'

const mock = { type: 'mockCallback', id: 'mock', name: 'Mock' }
const scope = 'openid email offline_access'

/** What the client is told of a login that cannot begin or end. */
const refusal = async (server: FlowServer, connector: string): Promise<string | null> =>
  queryOf((await openBrowser().follow(startLogin(server, { connector }).url)).location).get('error')

async function within(milliseconds: number, work: () => Promise<unknown>): Promise<void> {
  const since = performance.now()
  await work()
  const taken = performance.now() - since
  assert.ok(taken < milliseconds, `${taken} ms`)
}

/** What must work whatever the upstreams do. */
async function othersAreWell(server: FlowServer): Promise<void> {
  await within(5000, () => logIn(server, { connector: 'mock' }))
  await within(3000, async () => assert.equal((await server.request(server.url('/keys'))).status, 200))
  await within(3000, async () => assert.equal((await server.request(server.url('/healthz'))).status, 200))
}

describe('one upstream in trouble', () => {
  it('down when the server starts: its login works as soon as it is up, without a restart', async () => {
    const first = await startOidcUpstream()
    const { port } = new URL(first.issuer)
    await first.close()
    await using server = await startServer({ connectors: [oidcConnector(first), mock] })
    assert.equal(await refusal(server, 'corp'), 'temporarily_unavailable')
    await othersAreWell(server)
    const second = await startOidcUpstream({}, { port: Number(port) })
    assert.equal(second.issuer, first.issuer)
    await logIn(server, { connector: 'corp' })
    await second.close()
  })

  it('down between departure and return, and at a refresh: nothing is lost', async () => {
    const first = await startOidcUpstream()
    const port = Number(new URL(first.issuer).port)
    await using server = await startServer({ connectors: [oidcConnector(first), mock] })
    const { tokens } = await logIn(server, { connector: 'corp', scope })
    const browser = openBrowser()
    const departure = await browser.request(startLogin(server, { connector: 'corp' }).url)
    const { location } = await openBrowser().request(departure.location!)
    first.bends.answers = { '/token': () => ({ status: 503, body: 'maintenance' }) }
    const refused = await server.refresh(tokens.refresh_token!)
    assert.deepEqual([refused.status, refused.json().error], [503, 'temporarily_unavailable'])
    await first.close()
    assert.equal((await server.refresh(tokens.refresh_token!)).status, 503)
    assert.equal(queryOf((await browser.request(location!)).location).get('error'), 'temporarily_unavailable')
    await othersAreWell(server)
    const second = await startOidcUpstream({}, { port })
    // It has forgotten its own tokens, which is a refusal.
    assert.equal((await server.refresh(tokens.refresh_token!)).json().error, 'invalid_grant')
    await logIn(server, { connector: 'corp', scope })
    await second.close()
  })

  it('silent: given up after its time, while everything else goes on', async () => {
    const up = await startOidcUpstream()
    await using server = await startServer({ connectors: [oidcConnector(up), mock] })
    await logIn(server, { connector: 'corp' })
    up.bends.hanging = ['/token']
    const hanging = Array.from({ length: 20 }, () => refusal(server, 'corp'))
    await pause(100)
    await othersAreWell(server)
    await within(20_000, async () => {
      assert.deepEqual(await Promise.all(hanging), Array(20).fill('temporarily_unavailable'))
    })
    up.bends.hanging = []
    await logIn(server, { connector: 'corp' })
    await up.close()
  }).timeout(40_000)

  it('row 53: mad answers are refused and not remembered', async () => {
    const up = await startOidcUpstream()
    const bends: Record<string, () => { status: number; body: unknown; headers?: Record<string, string> }> = {
      'nothing at all': () => ({ status: 200, body: '' }),
      'too much': () => ({ status: 200, body: { id_token: 'x'.repeat(9 * 1024 * 1024) } }),
      'no object': () => ({ status: 200, body: [] }),
      null: () => ({ status: 200, body: 'null' }),
      deep: () => ({ status: 200, body: '['.repeat(100_000) }),
      'status 999': () => ({ status: 999, body: {} }),
      'an endless redirect': () => ({ status: 302, body: '', headers: { location: '/token' } }),
    }
    const paths = ['/token', '/keys', '/.well-known/openid-configuration']
    const cases = Object.entries(bends).flatMap(([what, reply]) => paths.map((path) => ({ what, reply, path })))
    // One for each, since a connector keeps what it has learned.
    const connectors = cases.map((_, at) => ({ ...oidcConnector(up), id: `corp${at}` }))
    await using server = await startServer({ connectors: [...connectors, mock] })
    for (const [at, { what, reply, path }] of cases.entries()) {
      up.bends.answers = { [path]: reply }
      const error = await refusal(server, `corp${at}`)
      assert.match(error ?? '', /^(server_error|temporarily_unavailable|access_denied)$/, `${what} at ${path}`)
      up.bends.answers = {}
      await logIn(server, { connector: `corp${at}` })
    }
    await othersAreWell(server)
    await up.close()
  })

  for (const store of ['memory', 'lowdb'] as const) {
    it(`row 55: fifty refreshes at once with an upstream that takes a second, store ${store}`, async () => {
      await using server = await startServer({ connectors: [corp(`slow ${store}`), mock] }, { store })
      const it = upstream(`slow ${store}`)
      const arrivals = []
      for (let each = 0; each < 50; each++) arrivals.push(await authorize(server, { connector: 'corp', scope }))
      const tokens = await Promise.all(arrivals.map(async (arrived) => tokensOf(await server.redeem(arrived))))
      it.refresh = async () => {
        await pause(1000)
        return jane()
      }
      await within(20_000, async () => {
        const refreshes = tokens.map(({ refresh_token }) => server.refresh(refresh_token!))
        await pause(100)
        await othersAreWell(server)
        const statuses = (await Promise.all(refreshes)).map(({ status }) => status)
        assert.deepEqual(statuses, Array(50).fill(200))
      })
    }).timeout(40_000)
  }
})
