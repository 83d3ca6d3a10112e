import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { failure } from '../../connectors/contract.ts'
import {
  claimsOf,
  cli,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'
import { jane, upstream } from './upstream.ts'

const scope = 'openid profile email groups offline_access'
const people = upstream('policy')

/** What the upstream does from now on. */
const ways = {
  good: () => ({ ...jane(), groups: ['now'] }),
  refused: () => {
    throw failure('identity_gone', 'deleted')
  },
  out: () => {
    throw failure('upstream_unavailable', 'away')
  },
  limited: () => {
    throw failure('rate_limited', 'too many', { retryAfter: 20 })
  },
  slow: async () => {
    await pause(300)
    return { ...jane(), groups: ['now'] }
  },
} as const

const fresh = 'groups now'
const known = 'groups staff'

/** Groups of the new ID token, or the error. */
async function outcome(server: FlowServer, token: string): Promise<string> {
  const answer = await server.refresh(token)
  return answer.status === 200 ? `groups ${claimsOf(tokensOf(answer).id_token).groups}` : errorOf(answer)
}

const policies: [
  refresh: Record<string, unknown>,
  /** By what the upstream does: the outcome soon after the login, and after twelve minutes. */
  outcomes: Record<keyof typeof ways, [soon: string, later: string]>,
][] = [
  [
    {},
    {
      good: [fresh, fresh],
      slow: [fresh, fresh],
      refused: ['400 invalid_grant', '400 invalid_grant'],
      out: ['503 temporarily_unavailable', '503 temporarily_unavailable'],
      limited: ['503 temporarily_unavailable', '503 temporarily_unavailable'],
    },
  ],
  [
    { onOutage: { staleFor: '10m' } },
    {
      good: [fresh, fresh],
      slow: [fresh, fresh],
      refused: ['400 invalid_grant', '400 invalid_grant'],
      out: [known, '503 temporarily_unavailable'],
      limited: [known, '503 temporarily_unavailable'],
    },
  ],
  [
    { upstream: { maxAge: '5m' } },
    {
      good: [known, fresh],
      slow: [known, fresh],
      refused: [known, '400 invalid_grant'],
      out: [known, '503 temporarily_unavailable'],
      limited: [known, '503 temporarily_unavailable'],
    },
  ],
  [
    { upstream: { maxAge: '5m' }, onOutage: { staleFor: '15m' } },
    {
      good: [known, fresh],
      slow: [known, fresh],
      refused: [known, '400 invalid_grant'],
      out: [known, known],
      limited: [known, known],
    },
  ],
  [
    { upstream: 'never' },
    {
      good: [known, known],
      slow: [known, known],
      refused: [known, known],
      out: [known, known],
      limited: [known, known],
    },
  ],
]

describe('refresh by a policy', () => {
  beforeEach(() => {
    people.person = jane()
    people.refresh = undefined
    people.refreshed.length = 0
  })

  for (const [refresh, outcomes] of policies) {
    for (const place of ['connector', 'client'] as const) {
      it(`${JSON.stringify(refresh)} of the ${place}`, async () => {
        using clock = stopClock()
        const client = { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] }
        await using server = await startServer({
          connectors: [corp('policy', {}, place === 'connector' ? { refresh } : { refresh: { upstream: 'never' } })],
          // Says all that the connector says otherwise.
          staticClients: [
            place === 'client' ? { ...client, refresh: { upstream: 'always', onOutage: 'deny', ...refresh } } : client,
          ],
        })
        for (const [way, [soon, later]] of Object.entries(outcomes) as [keyof typeof ways, [string, string]][]) {
          people.refresh = undefined
          const first = await logIn(server, { scope })
          const second = await logIn(server, { scope })
          people.refresh = ways[way]
          clock.advance(60)
          assert.equal(await outcome(server, first.tokens.refresh_token!), soon, `${way}, soon`)
          clock.advance(660)
          assert.equal(await outcome(server, second.tokens.refresh_token!), later, `${way}, later`)
          people.refresh = undefined
          const revoked = later === '400 invalid_grant'
          const { active } = await server.introspect(second.tokens.refresh_token!)
          // What was rotated is not the current token any more; what was refused for an outage still is.
          assert.equal(active, later.startsWith('503'), `${way}: a refusal ends the family, an outage leaves it`)
          if (revoked) assert.equal(errorOf(await server.refresh(second.tokens.refresh_token!)), '400 invalid_grant')
        }
      })
    }
  }

  it('`staleFor` counts from what the upstream last said, not from what was answered without it', async () => {
    using clock = stopClock()
    const refresh = { onOutage: { staleFor: '10m' } }
    await using server = await startServer({ connectors: [corp('policy', {}, { refresh })] })
    let { refresh_token: token } = (await logIn(server, { scope })).tokens
    clock.advance(120)
    token = tokensOf(await server.refresh(token!)).refresh_token
    people.refresh = ways.out
    for (let minutes = 4; minutes <= 8; minutes += 4) {
      clock.advance(240)
      token = tokensOf(await server.refresh(token!)).refresh_token
    }
    clock.advance(180)
    assert.equal(errorOf(await server.refresh(token!)), '503 temporarily_unavailable')
    people.refresh = undefined
    token = tokensOf(await server.refresh(token!)).refresh_token
    people.refresh = ways.out
    clock.advance(590)
    tokensOf(await server.refresh(token!))
  })

  it('an answer without the upstream is a warning in the log and a count with its age', async () => {
    using clock = stopClock()
    const refresh = { onOutage: { staleFor: '10m' } }
    await using server = await startServer({ connectors: [corp('policy', {}, { refresh })] })
    const { tokens } = await logIn(server, { scope })
    people.refresh = ways.out
    clock.advance(400)
    tokensOf(await server.refresh(tokens.refresh_token!))
    const line = server
      .logged()
      .split('\n')
      .find((each) => each.includes('what the upstream said before'))
    const { level, age_seconds, connector_id, client_id, user_id, reason } = JSON.parse(line!)
    assert.ok(age_seconds >= 400 && age_seconds <= 410, String(age_seconds))
    assert.deepEqual(
      [level, connector_id, client_id, user_id, reason],
      ['WARN', 'corp', 'web', 'id-of-jane', 'upstream_unavailable'],
    )
    const page = await server.metrics()
    assert.match(page, /countersign_refreshes_total\{connector="corp",outcome="stale"\} 1\n/)
    const bucket = (le: string) =>
      new RegExp(
        `countersign_refresh_check_age_seconds_bucket\\{le="${le}",connector="corp",answer="stale"\\} (\\d)`,
      ).exec(page)?.[1]
    assert.deepEqual([bucket('300'), bucket('900')], ['0', '1'])
  })

  it('a refusal is remembered although the upstream is away afterwards', async () => {
    const refresh = { onOutage: { staleFor: '24h' } }
    await using server = await startServer({ connectors: [corp('policy', {}, { refresh })] })
    const { tokens } = await logIn(server, { scope })
    people.refresh = () => {
      throw failure('not_in_required_groups', 'left')
    }
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
    people.refresh = ways.out
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
  })

  it('twenty at once and an upstream that takes a second: one question, one answer', async () => {
    await using server = await startServer({ connectors: [corp('policy')] })
    const { tokens } = await logIn(server, { scope })
    let asked = 0
    people.refresh = async () => {
      asked += 1
      const groups = [`answer ${asked}`]
      await pause(1000)
      return { ...jane(), groups }
    }
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.refresh(tokens.refresh_token!)))
    const all = answers.map(tokensOf)
    assert.equal(asked, 1)
    assert.equal(new Set(all.map((each) => each.refresh_token)).size, 1)
    assert.deepEqual(new Set(all.map((each) => String(claimsOf(each.id_token).groups))), new Set(['answer 1']))
  })

  for (const onOutage of ['deny', { staleFor: '10m' }] as const) {
    it(`twenty at once and an upstream that is out after a second, ${JSON.stringify(onOutage)}: one question`, async () => {
      await using server = await startServer({ connectors: [corp('policy', {}, { refresh: { onOutage } })] })
      const { tokens } = await logIn(server, { scope })
      let asked = 0
      people.refresh = async () => {
        asked += 1
        await pause(1000)
        return ways.out()
      }
      const since = performance.now()
      const answers = await Promise.all(Array.from({ length: 20 }, () => server.refresh(tokens.refresh_token!)))
      assert.equal(asked, 1)
      assert.ok(performance.now() - since < 5000, 'nobody waits for it once more')
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([onOutage === 'deny' ? 503 : 200]))
      people.refresh = undefined
      if (onOutage === 'deny') tokensOf(await server.refresh(tokens.refresh_token!))
    })
  }

  it('`never` gives a refresh token also where the connector cannot say later who somebody is', async () => {
    using clock = stopClock()
    const connectors = [corp('policy', { cannotRefresh: true }, { refresh: { upstream: 'never' } })]
    await using server = await startServer({ connectors })
    const { tokens } = await logIn(server, { scope })
    clock.advance(3600)
    assert.equal(await outcome(server, tokens.refresh_token!), known)
  })

  it('refuses where the connector cannot say it any more', async () => {
    const open = (cannotRefresh: boolean) => ({ connectors: [corp('policy', { cannotRefresh })] })
    const first = await startServer(open(false), { store: 'lowdb' })
    const { tokens } = await logIn(first, { scope })
    await first.close()
    await using second = await startServer(open(true), { store: 'lowdb', instead: first })
    assert.equal(errorOf(await second.refresh(tokens.refresh_token!)), '400 invalid_grant')
  })
})

describe('refresh tokens of one person with one client', () => {
  const clients = (maxPerUserAndClient?: number) => [
    {
      id: web.id,
      secret: web.secret,
      name: 'Web',
      redirectURIs: [web.redirectUri],
      ...(maxPerUserAndClient !== undefined && { refresh: { maxPerUserAndClient } }),
    },
    { id: cli.id, name: 'Command line', public: true },
    { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri], trustedPeers: [web.id] },
  ]
  const open = (most: { all?: number; web?: number }) =>
    startServer({
      connectors: [corp('policy')],
      staticClients: clients(most.web),
      ...(most.all !== undefined && { expiry: { refreshTokens: { maxPerUserAndClient: most.all } } }),
    })
  const good = async (server: FlowServer, token: string): Promise<boolean> =>
    (await server.introspect(token)).active === true

  beforeEach(() => {
    people.person = jane()
    people.refresh = undefined
  })

  it('are any number unless it is limited', async () => {
    await using server = await open({})
    const logins = await Promise.all(Array.from({ length: 12 }, () => logIn(server, { scope })))
    for (const { tokens } of logins) assert.equal(await good(server, tokens.refresh_token!), true)
  })

  it('are as many as the limit: the longest unused goes, in the commit of the login', async () => {
    using clock = stopClock()
    await using server = await open({ all: 3 })
    const tokens: string[] = []
    const add = async (request: object = {}) => {
      clock.advance(10)
      tokens.push((await logIn(server, { scope, ...request })).tokens.refresh_token!)
    }
    await add()
    await add()
    await add()
    clock.advance(10)
    tokens[0] = tokensOf(await server.refresh(tokens[0]!)).refresh_token!
    const commits = server.commits.length
    await add()
    assert.equal(server.commits.length - commits, 2, 'code and tokens')
    assert.deepEqual(await Promise.all(tokens.map((each) => good(server, each))), [true, false, true, true])
    assert.equal(server.audited().findLast(({ type }) => type === 'token_revoked')?.by, 'limit')
    people.person = { ...jane(), userId: 'id-of-john' }
    await add()
    people.person = jane()
    await add({ client: cli })
    assert.deepEqual(await Promise.all(tokens.slice(0, 4).map((each) => good(server, each))), [true, false, true, true])
  })

  it("a client's limit counts for it, and 0 lifts the limit of all", async () => {
    await using server = await open({ all: 1, web: 0 })
    const [first] = [await logIn(server, { scope }), await logIn(server, { scope })]
    assert.equal(await good(server, first.tokens.refresh_token!), true)
    const other = await logIn(server, { client: peer, scope })
    await logIn(server, { client: peer, scope })
    assert.equal(await good(server, other.tokens.refresh_token!), false)
  })

  it('do not pass the limit when many log in at once', async () => {
    await using server = await open({ web: 2 })
    const logins = await Promise.all(Array.from({ length: 10 }, () => logIn(server, { scope })))
    const left = await Promise.all(logins.map(({ tokens }) => good(server, tokens.refresh_token!)))
    assert.equal(left.filter(Boolean).length, 2)
  })
})

describe('scopes at a refresh', () => {
  it('narrow claims, audiences and the ID token for one answer; what was granted stays', async () => {
    people.person = jane()
    people.refresh = undefined
    await using server = await startServer({ connectors: [corp('policy')] })
    const granted = `${scope} audience:server:client_id:peer`
    let { refresh_token: token } = (await logIn(server, { scope: granted })).tokens
    const narrowed = async (wanted: string) => {
      const tokens = tokensOf(await server.refresh(token!, web, { scope: wanted }))
      token = tokens.refresh_token
      return tokens
    }
    const email = claimsOf((await narrowed('openid email')).id_token)
    assert.deepEqual(
      [email.aud, email.azp, email.email, email.groups, email.name],
      ['web', undefined, jane().email, undefined, undefined],
    )
    const access = claimsOf((await narrowed('openid groups')).access_token)
    assert.deepEqual([access.aud, access.groups, access.email], ['web', ['staff'], undefined])
    const audience = await narrowed('openid audience:server:client_id:peer')
    assert.deepEqual(claimsOf(audience.id_token).aud, ['peer', 'web'])
    const bare = await narrowed('groups')
    assert.equal(bare.id_token, undefined)
    assert.deepEqual(people.refreshed.length > 0, true)
    const all = tokensOf(await server.refresh(token!))
    const claims = claimsOf(all.id_token)
    assert.deepEqual(
      [claims.aud, claims.azp, claims.groups, claims.email],
      [['peer', 'web'], 'web', ['staff'], jane().email],
    )
    for (const wider of ['openid federated:id', 'openid audience:server:client_id:cli']) {
      assert.equal(errorOf(await server.refresh(all.refresh_token!, web, { scope: wider })), '400 invalid_scope')
    }
    tokensOf(await server.refresh(all.refresh_token!))
  })

  it('that name a client which trusts this one no more are refused before the upstream is asked; the rest goes on', async () => {
    const clients = (trustedPeers: string[]) => [
      { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
      { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri], trustedPeers },
    ]
    const connectors = [corp('policy')]
    const first = await startServer({ connectors, staticClients: clients(['web']) }, { store: 'lowdb' })
    const { tokens } = await logIn(first, { scope: `${scope} audience:server:client_id:peer` })
    await first.close()
    await using second = await startServer(
      { connectors, staticClients: clients([]) },
      { store: 'lowdb', instead: first },
    )
    const asked = people.refreshed.length
    assert.equal(errorOf(await second.refresh(tokens.refresh_token!)), '400 invalid_scope')
    assert.equal(people.refreshed.length, asked)
    assert.equal((await second.introspect(tokens.refresh_token!)).active, true, 'nothing was used up')
    tokensOf(await second.refresh(tokens.refresh_token!, web, { scope: 'openid groups' }))
  })
})
