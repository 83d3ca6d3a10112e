import assert from 'node:assert/strict'
import { type BrowserAnswer, openBrowser } from './browser.ts'
import {
  authorize,
  claimsOf,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  type StartOptions,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const scope = 'openid groups offline_access'
const times = 50

/** All at once; the answers by status and error. */
async function atOnce(ask: (position: number) => Promise<BrowserAnswer>) {
  const answers = await Promise.all(Array.from({ length: times }, (_, position) => ask(position)))
  const won = answers.filter(({ status }) => status === 200).map(tokensOf)
  const lost = answers.filter(({ status }) => status !== 200).map((one) => `${one.status} ${one.json().error}`)
  return { won, lost: [...new Set(lost)].join(', '), losers: lost.length }
}

for (const store of ['memory', 'lowdb'] as const satisfies StartOptions['store'][]) {
  describe(`what works once, with the store ${store}`, () => {
    const people = upstream(`once ${store}`)
    const open = (refreshTokens: Record<string, unknown>): Promise<FlowServer> =>
      startServer({ connectors: [corp(`once ${store}`)], expiry: { refreshTokens } }, { store })
    let strict: FlowServer
    let lenient: FlowServer
    // However slow this machine is, nobody is later than an interval allows.
    let clock: ReturnType<typeof stopClock>
    before(async () => {
      clock = stopClock()
      strict = await open({ reuseInterval: '0s' })
      lenient = await open({ reuseInterval: '10s' })
    })
    after(async () => {
      await strict[Symbol.asyncDispose]()
      await lenient[Symbol.asyncDispose]()
      clock[Symbol.dispose]()
    })
    beforeEach(() => {
      people.person = jane()
      people.refresh = undefined
      people.refreshed.length = 0
    })

    it(`gives tokens to one of ${times} who redeem a code at once, and they stay good`, async () => {
      const arrived = await authorize(strict, { scope })
      const { won, lost, losers } = await atOnce(() => strict.redeem(arrived))
      assert.equal(won.length, 1)
      assert.equal(lost, '400 invalid_grant')
      assert.equal(losers, times - 1)
      tokensOf(await strict.refresh(won[0]!.refresh_token!))
      assert.equal((await strict.userinfo(won[0]!.access_token)).status, 200)
    })

    it(`gives tokens to one of ${times} who redeem a device code at once, and they stay good`, async () => {
      const began = (await strict.post('/device/code', { scope }, device)).json()
      const browser = openBrowser()
      await browser.submit(await browser.follow(strict.url('/device')), { user_code: String(began.user_code) })
      const fields = {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: String(began.device_code),
      }
      const { won, lost, losers } = await atOnce(() => strict.token(fields, device))
      assert.equal(won.length, 1)
      assert.equal(lost, '400 invalid_grant')
      assert.equal(losers, times - 1)
      tokensOf(await strict.refresh(won[0]!.refresh_token!, device))
    })

    it(`gives a successor to one of ${times} who refresh at once without an interval, and it works`, async () => {
      const { tokens } = await logIn(strict, { scope })
      const { won, lost, losers } = await atOnce(() => strict.refresh(tokens.refresh_token!))
      assert.equal(won.length, 1)
      assert.equal(lost, '400 invalid_grant')
      assert.equal(losers, times - 1)
      tokensOf(await strict.refresh(won[0]!.refresh_token!))
      assert.equal(people.refreshed.length, 2, 'the upstream was asked for the winners only')
    })

    it(`gives the same successor to all of ${times} who refresh at once within the interval`, async () => {
      const { tokens } = await logIn(lenient, { scope })
      const { won } = await atOnce(() => lenient.refresh(tokens.refresh_token!))
      assert.equal(won.length, times)
      assert.equal(new Set(won.map((each) => each.refresh_token)).size, 1)
      assert.equal(people.refreshed.length, 1, 'the upstream was asked once')
      tokensOf(await lenient.refresh(won[0]!.refresh_token!))
    })

    it(`gives tokens to all of ${times} who refresh at once without rotation`, async () => {
      await using fixed = await open({ disableRotation: true })
      const { tokens } = await logIn(fixed, { scope })
      const { won } = await atOnce(() => fixed.refresh(tokens.refresh_token!))
      assert.equal(won.length, times)
    })

    it('gives nothing to a refresh whose token is revoked while the upstream is asked', async () => {
      const { tokens } = await logIn(strict, { scope })
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
      const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
      people.refresh = async () => {
        ask()
        await answered
        return jane()
      }
      const refreshing = strict.refresh(tokens.refresh_token!)
      await asked
      assert.equal((await strict.post('/token/revoke', { token: tokens.refresh_token! }, web)).status, 200)
      answer()
      assert.equal(errorOf(await refreshing), '400 invalid_grant')
      assert.deepEqual(await strict.introspect(tokens.refresh_token!), { active: false })
    })

    it('lets other people refresh and log in while one upstream call takes its time', async () => {
      const [slow, quick] = [await logIn(strict, { scope }), await logIn(strict, { scope })]
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
      const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
      people.refresh = async () => {
        people.refresh = undefined
        ask()
        await answered
        return jane()
      }
      const waiting = strict.refresh(slow.tokens.refresh_token!)
      await asked
      tokensOf(await strict.refresh(quick.tokens.refresh_token!))
      await logIn(strict, { scope })
      assert.equal((await strict.request(strict.url('/keys'))).status, 200)
      answer()
      tokensOf(await waiting)
    })

    it('lets nobody win while the upstream is out, and the token works afterwards', async () => {
      const { tokens } = await logIn(strict, { scope })
      people.refresh = async () => {
        await new Promise((resolve) => setImmediate(resolve))
        throw Object.assign(new Error('out'), { code: 'upstream_unavailable' })
      }
      const { won, lost } = await atOnce(() => strict.refresh(tokens.refresh_token!))
      assert.equal(won.length, 0)
      assert.equal(lost, '503 temporarily_unavailable')
      people.refresh = undefined
      tokensOf(await strict.refresh(tokens.refresh_token!))
    })

    it(`lets one person log in and refresh ${times} times at once`, async () => {
      const logins = await Promise.all(Array.from({ length: times }, () => logIn(strict, { scope })))
      assert.equal(new Set(logins.map(({ claims }) => claims.sub)).size, 1)
      const { won } = await atOnce((each) => strict.refresh(logins[each]!.tokens.refresh_token!))
      assert.equal(won.length, times)
    })

    it(`lets ${times} people log in and refresh at once, each as themselves`, async () => {
      people.finish = ({ params }) => ({ ...jane(), userId: params.get('who')!, groups: [`of ${params.get('who')}`] })
      people.refresh = (identity) => ({ ...identity, groups: [`still of ${identity.userId}`] })
      const logins = await Promise.all(
        Array.from({ length: times }, async (_, each) => {
          const browser = openBrowser()
          const ask = browser.request
          // The upstream knows the person by what it adds to the callback.
          browser.request = (url, request) =>
            ask(url.includes('/callback?') ? `${url}&who=person-${each}` : url, request)
          return logIn(strict, { scope, browser })
        }),
      )
      people.finish = undefined
      assert.equal(new Set(logins.map(({ claims }) => claims.sub)).size, times)
      const { won } = await atOnce((each) => strict.refresh(logins[each]!.tokens.refresh_token!))
      assert.equal(won.length, times)
      for (const [each, { id_token: token }] of won.entries()) {
        assert.equal(claimsOf(token).sub, logins[each]!.claims.sub)
        assert.deepEqual(claimsOf(token).groups, [`still of person-${each}`])
      }
    })

    it(`lets one person log in and refresh ${times} times at once where upstream tokens belong to the person`, async () => {
      const connectors = [corp(`once ${store}`, { dataPer: 'person' })]
      await using shared = await startServer({ connectors }, { store })
      const logins = await Promise.all(Array.from({ length: times }, () => logIn(shared, { scope })))
      const { won } = await atOnce((each) => shared.refresh(logins[each]!.tokens.refresh_token!))
      assert.equal(won.length, times)
    })
  })
}
