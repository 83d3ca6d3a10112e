/**
 * An upstream that rotates its refresh token and ends everything when a former one comes again (RFC 9700, 4.14.2): whatever
 * our store, our clients and our own defects do, it never sees one twice, unless a process dies at the one moment that
 * cannot be helped.
 */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { type FailureCode, failure, type Identity, type Json } from '../../connectors/contract.ts'
import type { Family } from '../../src/oidc/family.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { corp, errorOf, type FlowServer, logIn, startServer, tokensOf, web } from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'

const scope = 'openid groups offline_access'

/** Chains of refresh tokens, one a login. */
function strictUpstream(name: string) {
  const people = upstream(name)
  const strict = {
    people,
    /** Former tokens that came again. */
    replays: 0,
    /** Takes a former token as a client's repetition, as some do. */
    lenient: false,
    atOnce: 0,
    mostAtOnce: 0,
    asked: 0,
    /** Fails after it has rotated, with or without telling the new token. */
    mishap: undefined as undefined | { code: FailureCode; tells: boolean },
    during: async (): Promise<void> => {},
  }
  const live = new Map<string, string>()
  let count = 0
  let chains = 0
  const issue = (chain: string): { token: string; chain: string } => {
    count += 1
    live.set(chain, `token ${count}`)
    return { token: `token ${count}`, chain }
  }
  people.finish = () => {
    chains += 1
    return { ...jane(), connectorData: issue(`chain ${chains}`) }
  }
  people.refresh = async ({ connectorData }: Identity) => {
    strict.asked += 1
    const { token, chain } = connectorData as { token: string; chain: string }
    strict.atOnce += 1
    strict.mostAtOnce = Math.max(strict.mostAtOnce, strict.atOnce)
    try {
      if (!live.has(chain)) throw failure('identity_gone', 'ended')
      if (live.get(chain) !== token && !strict.lenient) {
        strict.replays += 1
        live.delete(chain)
        throw failure('identity_gone', 'a former token came again')
      }
      const next: Json = issue(chain)
      await strict.during()
      const { mishap } = strict
      strict.mishap = undefined
      if (mishap) throw failure(mishap.code, 'failed afterwards', mishap.tells ? { connectorData: next } : {})
      return { ...jane(), connectorData: next }
    } finally {
      strict.atOnce -= 1
    }
  }
  return strict
}

type Mode = 'fails' | 'fails after it has stored' | 'says that somebody was faster' | 'is away until it is mended'

/** A store of which one call of a refresh goes wrong, or all from that one on. */
function openPlan() {
  const plan = { calls: 0, failing: 0, mode: 'fails' as Mode }
  const isTurn = (): boolean => {
    plan.calls += 1
    if (plan.failing === 0) return false
    return plan.mode === 'is away until it is mended' ? plan.calls >= plan.failing : plan.calls === plan.failing
  }
  const broken = () => new Error('the disk is on fire')
  const wrap = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    async get(kind, id) {
      if (kind !== 'keys' && isTurn()) throw broken()
      return driver.get(kind, id)
    },
    async commit(changes) {
      if (changes[0]?.kind === 'keys' || !isTurn()) return driver.commit(changes)
      if (plan.mode === 'says that somebody was faster') return { ok: false, conflict: 0 }
      if (plan.mode === 'fails after it has stored') await driver.commit(changes)
      throw broken()
    },
  })
  const arm = (failing: number, mode: Mode = 'fails'): void => void Object.assign(plan, { calls: 0, failing, mode })
  return { plan, wrap, arm }
}

/** Lets the refresh tokens share one token of the upstream, as those of one browser session do. */
async function share(server: FlowServer, tokens: string[]): Promise<void> {
  const { driver } = server
  const dataId = `shared by ${tokens[0]}`
  const ids = tokens.map((token) => token.slice(0, 22))
  const records = await Promise.all(ids.map((id) => driver.get('refresh-family', id)))
  const familyOf = (at: number) => records[at]!.body as unknown as Family
  const data = familyOf(0).source.login.sealedData!
  await driver.commit([{ do: 'create', kind: 'login-data', id: dataId, record: { index: {}, body: { data } } }])
  for (const [at, id] of ids.entries()) {
    const { version, ...record } = records[at]!
    const family = familyOf(at)
    const { sealedData: _, ...login } = family.source.login
    const body = { ...family, source: { ...family.source, login: { ...login, dataId } } } as unknown as Json
    await driver.commit([{ do: 'replace', kind: 'refresh-family', id, version, record: { ...record, body } }])
  }
}

const refresh = (server: FlowServer, token: string | undefined) => server.refresh(token!)
const successor = async (server: FlowServer, token: string): Promise<string> =>
  tokensOf(await refresh(server, token)).refresh_token!

describe('an upstream that takes no refresh token twice', function () {
  this.timeout(30_000)
  const connectors = [corp('strict')]
  let strict: ReturnType<typeof strictUpstream>
  beforeEach(() => {
    strict = strictUpstream('strict')
  })

  for (const sharing of [false, true]) {
    const whose = sharing ? 'a token that two of ours share' : 'a token of its own'
    for (const mode of [
      'fails',
      'fails after it has stored',
      'says that somebody was faster',
      'is away until it is mended',
    ] as const satisfies Mode[]) {
      it(`with ${whose}, and a store that ${mode}: the client repeats and goes on, also after a restart`, async () => {
        const { plan, wrap, arm } = openPlan()
        const first = await startServer({ connectors }, { store: 'lowdb', wrap })
        const login = async (): Promise<string[]> => {
          arm(0)
          const both = [await logIn(first, { scope }), await logIn(first, { scope })]
          const tokens = both.map((each) => each.tokens.refresh_token!)
          if (sharing) await share(first, tokens)
          return tokens
        }
        const [probe] = await login()
        arm(0)
        await successor(first, probe!)
        const { calls } = plan
        assert.equal(calls, sharing ? 3 : 2, 'the family, shared data, one commit')
        const left: string[] = []
        for (let at = 1; at <= calls; at++) {
          const [token, other] = await login()
          arm(at, mode)
          const answer = await refresh(first, token)
          assert.notEqual(answer.status, 200)
          if (sharing && mode !== 'is away until it is mended') await successor(first, other!)
          arm(0)
          if (sharing && mode === 'is away until it is mended') await successor(first, other!)
          const next = await successor(first, token!)
          assert.equal(strict.replays, 0, `call ${at}`)
          left.push(await successor(first, next))
        }
        await first.close()
        await using second = await startServer({ connectors }, { store: 'lowdb', instead: first })
        for (const token of left) await successor(second, token)
        assert.equal(strict.replays, 0)
      })
    }

    it(`with ${whose}: what failed on our side after its answer is stored all the same`, async () => {
      const first = await startServer({ connectors }, { store: 'lowdb' })
      const tokens = [await logIn(first, { scope }), await logIn(first, { scope })].map(
        (each) => each.tokens.refresh_token!,
      )
      if (sharing) await share(first, tokens)
      const { keys } = first.services
      const { sign } = keys
      keys.sign = async () => {
        throw new Error('the key is gone')
      }
      assert.equal(errorOf(await refresh(first, tokens[0])), '500 server_error')
      keys.sign = sign
      // The turn ends when it is stored.
      if (sharing) await successor(first, tokens[1]!)
      await first.close()
      await using second = await startServer({ connectors }, { store: 'lowdb', instead: first })
      await successor(second, tokens[0]!)
      assert.equal(strict.replays, 0)
    })

    for (const onOutage of ['deny', { staleFor: '10m' }] as const) {
      it(`with ${whose}, ${JSON.stringify(onOutage)}: what it gave before something failed is stored`, async () => {
        const own = { connectors: [corp('strict', {}, { refresh: { onOutage } })] }
        const first = await startServer(own, { store: 'lowdb' })
        const tokens = [await logIn(first, { scope }), await logIn(first, { scope })].map(
          (each) => each.tokens.refresh_token!,
        )
        if (sharing) await share(first, tokens)
        strict.mishap = { code: 'upstream_unavailable', tells: true }
        const answer = await refresh(first, tokens[0])
        assert.equal(answer.status, onOutage === 'deny' ? 503 : 200)
        const token = onOutage === 'deny' ? tokens[0]! : tokensOf(answer).refresh_token!
        await first.close()
        await using second = await startServer(own, { store: 'lowdb', instead: first })
        await successor(second, token)
        if (sharing) await successor(second, tokens[1]!)
        assert.equal(strict.replays, 0)
      })
    }
  }

  it('is asked by one at a time, whichever of our tokens share its token', async () => {
    await using server = await startServer({ connectors })
    const tokens: string[] = []
    for (let each = 0; each < 5; each++) tokens.push((await logIn(server, { scope })).tokens.refresh_token!)
    await share(server, tokens)
    strict.during = () => pause(20)
    const answers = await Promise.all(tokens.flatMap((token) => [1, 2, 3, 4].map(() => refresh(server, token))))
    answers.map(tokensOf)
    assert.deepEqual([strict.asked, strict.mostAtOnce, strict.replays], [5, 1, 0])
  })

  it('is asked at once for tokens that share nothing', async () => {
    await using server = await startServer({ connectors })
    const tokens = await Promise.all(
      Array.from({ length: 5 }, async () => (await logIn(server, { scope })).tokens.refresh_token),
    )
    strict.during = () => pause(200)
    await Promise.all(tokens.map((token) => refresh(server, token)))
    assert.equal(strict.mostAtOnce, 5)
  })

  it('when it refuses one of ours, the others that share its token end too, although it is away by then', async () => {
    const stale = { upstream: 'always', onOutage: { staleFor: '24h' } }
    await using server = await startServer({ connectors: [corp('strict', {}, { refresh: stale })] })
    const tokens = [await logIn(server, { scope }), await logIn(server, { scope })].map(
      (each) => each.tokens.refresh_token!,
    )
    await share(server, tokens)
    const { refresh: rotate } = strict.people
    strict.people.refresh = () => {
      throw failure('account_disabled', 'left the company')
    }
    assert.equal(errorOf(await refresh(server, tokens[0])), '400 invalid_grant')
    strict.people.refresh = () => {
      throw failure('upstream_unavailable', 'away')
    }
    assert.equal(errorOf(await refresh(server, tokens[1])), '400 invalid_grant')
    strict.people.refresh = rotate
    assert.equal(errorOf(await refresh(server, tokens[1])), '400 invalid_grant')
  })

  it('when one of two tokens is revoked while it is asked: the other one goes on', async () => {
    await using server = await startServer({ connectors })
    const tokens = [await logIn(server, { scope }), await logIn(server, { scope })].map(
      (each) => each.tokens.refresh_token!,
    )
    await share(server, tokens)
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    strict.during = () => {
      ask()
      return answered
    }
    const refreshing = refresh(server, tokens[0])
    await asked
    assert.equal((await server.post('/token/revoke', { token: tokens[0]! }, web)).status, 200)
    answer()
    assert.equal(errorOf(await refreshing), '400 invalid_grant')
    strict.during = async () => {}
    await successor(server, tokens[1]!)
    assert.equal(strict.replays, 0)
  })

  for (const lenient of [false, true]) {
    const end = lenient ? 'works where it takes a repetition' : 'ends the login, and the next one works'
    it(`when the process dies between its answer and the commit: ${end}`, async () => {
      const { wrap, arm } = openPlan()
      const first = await startServer({ connectors }, { store: 'lowdb', wrap })
      const { tokens } = await logIn(first, { scope })
      arm(2, 'is away until it is mended')
      assert.equal(errorOf(await refresh(first, tokens.refresh_token)), '500 server_error')
      await first.close()
      await using second = await startServer({ connectors }, { store: 'lowdb', instead: first })
      strict.lenient = lenient
      await afterwards(second, tokens.refresh_token!, lenient)
    })

    it(`when its answer is lost on the way: ${end}`, async () => {
      await using server = await startServer({ connectors })
      const { tokens } = await logIn(server, { scope })
      strict.mishap = { code: 'upstream_unavailable', tells: false }
      assert.equal(errorOf(await refresh(server, tokens.refresh_token)), '503 temporarily_unavailable')
      strict.lenient = lenient
      await afterwards(server, tokens.refresh_token!, lenient)
    })
  }

  /** What nobody could store: the upstream decides, and a refusal is one. */
  async function afterwards(server: FlowServer, token: string, lenient: boolean): Promise<void> {
    if (lenient) await successor(server, await successor(server, token))
    else {
      assert.equal(errorOf(await refresh(server, token)), '400 invalid_grant')
      assert.deepEqual(await server.introspect(token), { active: false })
      await successor(server, (await logIn(server, { scope })).tokens.refresh_token!)
    }
  }

  it('the client whose answer was lost is answered once more, and it is not asked again', async () => {
    await using server = await startServer({ connectors })
    const { tokens } = await logIn(server, { scope })
    const next = await successor(server, tokens.refresh_token!)
    assert.equal(await successor(server, tokens.refresh_token!), next)
    assert.equal(strict.asked, 1)
    await successor(server, next)
    assert.equal(strict.replays, 0)
  })
})
