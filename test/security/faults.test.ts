/**
 * Lessons, row 35: the store fails at any call, before or after it has done what was asked, or says that somebody else was
 * faster. Nobody is told of a success that is none, nobody gets a token that is not stored, and the next try works.
 */
import assert from 'node:assert/strict'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { type Browser, type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import { corp, device, type FlowServer, startLogin, startServer, stopClock, type Tokens, web } from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const scope = 'openid email groups offline_access'

type Mode = 'fails' | 'fails after it has stored' | 'says that somebody was faster'

/** Which call fails, counted from the last reset. */
interface Plan {
  calls: number
  failing: number
  mode: Mode
}

/** The keys are another matter, see `test/oidc/keys*.test.ts`. */
function failing(driver: StorageDriver, plan: Plan): StorageDriver {
  const isTurn = (kind: string | undefined): boolean => kind !== 'keys' && ++plan.calls === plan.failing
  const broken = (): Error => new Error('the disk is on fire')
  return {
    ...driver,
    async get(kind, id) {
      if (isTurn(kind)) throw broken()
      return driver.get(kind, id)
    },
    async *find(kind, by) {
      if (isTurn(kind)) throw broken()
      yield* driver.find(kind, by)
    },
    async commit(changes) {
      if (!isTurn(changes[0]?.kind)) return driver.commit(changes)
      if (plan.mode === 'says that somebody was faster') return { ok: false, conflict: 0 }
      if (plan.mode === 'fails after it has stored') await driver.commit(changes)
      throw broken()
    },
  }
}

/** One way through the server; ends early when an answer is not what it needs. */
interface Journey {
  name: string
  /** What is there before anything fails. */
  prepare(server: FlowServer): Promise<string>
  run(
    server: FlowServer,
    prepared: string,
    keep: (answer: BrowserAnswer) => BrowserAnswer,
  ): Promise<Tokens | 'done' | undefined>
}

const tokensIn = (answer: BrowserAnswer): Tokens | undefined =>
  answer.status === 200 ? (answer.json() as unknown as Tokens) : undefined

async function login(server: FlowServer, keep: (answer: BrowserAnswer) => BrowserAnswer): Promise<Tokens | undefined> {
  const browser: Browser = openBrowser()
  const started = startLogin(server, { scope })
  const page = keep(await browser.follow(started.url))
  if (!page.text.includes('name="approval"')) return undefined
  const { location } = keep(await browser.decide(page, true))
  const code = URL.parse(location ?? '')?.searchParams.get('code')
  if (!code) return undefined
  return tokensIn(keep(await server.redeem({ ...started, code, location: location! })))
}

const none = async (): Promise<string> => ''
const loggedIn = async (server: FlowServer): Promise<Tokens> => (await login(server, (answer) => answer))!

const journeys: Journey[] = [
  { name: 'login', prepare: none, run: (server, _, keep) => login(server, keep) },
  {
    name: 'refresh',
    prepare: async (server) => (await loggedIn(server)).refresh_token!,
    run: async (server, token, keep) => tokensIn(keep(await server.refresh(token))),
  },
  {
    name: 'device',
    prepare: none,
    async run(server, _, keep) {
      using clock = stopClock()
      const begun = keep(await server.post('/device/code', { scope }, device))
      if (begun.status !== 200) return undefined
      const { device_code, user_code } = begun.json()
      const browser = openBrowser()
      const page = keep(
        await browser.submit(await browser.request(server.url('/device')), { user_code: String(user_code) }),
      )
      if (page.text.includes('name="approval"')) keep(await browser.decide(page, true))
      clock.advance(10)
      return tokensIn(keep(await server.token({ grant_type: deviceGrant, device_code: String(device_code) }, device)))
    },
  },
  ...(['access_token', 'refresh_token'] as const).map(
    (kind): Journey => ({
      name: `revocation (${kind})`,
      prepare: async (server) => (await loggedIn(server))[kind]!,
      async run(server, token, keep) {
        const { status } = keep(await server.post('/token/revoke', { token }, web))
        const answer = keep(await server.post('/token/introspect', { token }, web))
        if (status === 200 && answer.status === 200) assert.deepEqual(answer.json(), { active: false })
        return status === 200 && answer.status === 200 ? 'done' : undefined
      },
    }),
  ),
  {
    name: 'userinfo',
    prepare: async (server) => (await loggedIn(server)).access_token,
    run: async (server, token, keep) => (keep(await server.userinfo(token)).status === 200 ? 'done' : undefined),
  },
]

for (const mode of ['fails', 'fails after it has stored', 'says that somebody was faster'] as const) {
  describe(`a store that ${mode}`, function () {
    this.timeout(30_000)
    const plan: Plan = { calls: 0, failing: 0, mode }
    let server: FlowServer
    before(async () => {
      // Too large for a cookie, so that the store is asked for a login in progress as well.
      upstream('faults').person = { ...jane(), groups: Array.from({ length: 300 }, (_, at) => `group-${at}-of-many`) }
      server = await startServer(
        {
          connectors: [corp('faults')],
          oauth2: { skipApprovalScreen: false },
          // So that a client whose answer was lost gets it by asking again.
          expiry: { refreshTokens: { reuseInterval: '30s' } },
        },
        { wrap: (driver) => failing(driver, plan) },
      )
    })
    after(() => server[Symbol.asyncDispose]())

    const arm = (at: number): void => {
      plan.calls = 0
      plan.failing = at
    }

    for (const { name, prepare, run } of journeys) {
      it(`${name}: at each of its calls`, async () => {
        const prepared = await prepare(server)
        arm(0)
        assert.ok(await run(server, prepared, (answer) => answer), 'works without a fault')
        const { calls } = plan
        assert.ok(calls > 0)
        for (let at = 1; at <= calls; at++) await once(at, { name, prepare, run })
        assert.ok(await run(server, await prepare(server), (answer) => answer), 'works afterwards')
      })
    }

    async function once(at: number, { name, prepare, run }: Journey): Promise<void> {
      arm(0)
      const prepared = await prepare(server)
      arm(at)
      const answers: BrowserAnswer[] = []
      const outcome = await run(server, prepared, (answer) => {
        answers.push(answer)
        return answer
      })
      arm(0)
      const last = answers.at(-1)!
      const what = `${name}, call ${at}: ${last.status} ${last.text.slice(0, 300)}`
      for (const { text, status } of answers) {
        assert.ok(status < 600 && !/disk is on fire|node_modules|\.ts:\d/.test(text), what)
      }
      if (!outcome) {
        const refused = answers.filter(({ status, location = '' }) => status >= 400 || location.includes('error='))
        assert.ok(refused.length > 0, what)
        // Told to programs in their language.
        for (const { headers, text, json } of refused) {
          if (!headers.get('content-type')?.startsWith('application/json')) continue
          assert.match(String(json().error), /^(server_error|invalid_grant|authorization_pending)$/, `${what} ${text}`)
        }
      }
      if (outcome && outcome !== 'done') await assertStored(outcome, what)
      assert.ok(await run(server, prepared, (answer) => answer), `the second try: ${what}`)
    }

    /** What was handed out is good. */
    async function assertStored(tokens: Tokens, what: string): Promise<void> {
      assert.equal((await server.userinfo(tokens.access_token)).status, 200, what)
      const client =
        tokens.refresh_token && (await server.introspect(tokens.refresh_token)).client_id === device.id ? device : web
      assert.equal((await server.refresh(tokens.refresh_token!, client)).status, 200, what)
    }
  })
}
