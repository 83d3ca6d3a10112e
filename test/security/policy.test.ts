/**
 * Lessons, rows 4, 19, 26, 30, 36: every restriction against every grant type and every reader of tokens, made from the table
 * of src/oidc/policy.ts. Each cell is tried twice on a server that was restarted: with the restriction, where the table's
 * answer is expected, and without, where everything works.
 */
import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { findUnbuilt } from '../../src/config/unbuilt.ts'
import { deviceGrant } from '../../src/oidc/device.ts'
import {
  type Cell,
  type GrantType,
  grantTypes,
  isGrantType,
  policyTable,
  type Reader,
  type Restriction,
  restrictions,
} from '../../src/oidc/policy.ts'
import { openBrowser } from '../flows/browser.ts'
import { answerAt, errorOf, type FlowServer, peer, startLogin, startServer, web } from '../flows/server.ts'
import { jane, upstream, upstreamModule } from '../flows/upstream.ts'
import { exchangeOf, type UnderWay, underWay, usesOf } from './policy-uses.ts'

type Use = GrantType | Reader
const people = upstream('policy')
const device = 'device'
const all = ['code', 'id_token', 'token']
const built = (oauth2: Record<string, unknown>): boolean => findUnbuilt({ oauth2 }).length === 0
const hasPassword = built({ passwordConnector: 'pass' })
const hasCredentials = built({ grantTypes: ['client_credentials'] })
const hasImplicit = built({ responseTypes: ['id_token'] })

/** Parts that this build does not have are not asked for, and so their rows wait. */
const served = (use: Use): boolean => {
  if (use === 'password') return hasPassword
  if (use === 'client_credentials') return hasCredentials
  return use !== 'implicit' || hasImplicit
}

interface Settings {
  client?: Record<string, unknown>
  clients?: 'gone'
  connector?: Record<string, unknown>
  connectors?: 'gone'
}

function configOf({ client, clients, connector, connectors }: Settings): Record<string, unknown> {
  const from = (id: string, more: object) => ({
    type: upstreamModule,
    id,
    name: id,
    config: { name: 'policy', ...more },
  })
  const corp = [from('corp', {}), from('pass', { byPassword: true })].map((each) => ({ ...each, ...connector }))
  const spare = { type: 'mockCallback', id: 'spare', name: 'Spare' }
  const own = [
    { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri], ...client },
    { id: device, name: 'Device', public: true, redirectURIs: ['/device/callback'], ...client },
  ]
  const other = { id: peer.id, secret: peer.secret, name: 'Peer', redirectURIs: [peer.redirectUri] }
  return {
    connectors: connectors === 'gone' ? [spare] : [...corp, spare],
    sessions: {},
    // A key that is made fast.
    signer: { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'ES256' } },
    staticClients: clients === 'gone' ? [other] : [...own, other],
    oauth2: {
      skipApprovalScreen: true,
      grantTypes: grantTypes.filter((name) => name !== 'client_credentials' || hasCredentials),
      ...(hasImplicit && { responseTypes: all }),
      ...(hasPassword && { passwordConnector: 'pass' }),
    },
  }
}

interface Switch {
  on(use: Use): Settings
  off: Settings
  /** What happens beside the settings, on the server that has come back. */
  event?(server: FlowServer): void | Promise<void>
  /** Happens without the restriction too. */
  always?(server: FlowServer): Promise<void>
}

/** How a restriction is switched on, and what is as near to it as can be and does not restrict. */
const switches: Record<Restriction, Switch> = {
  client_gone: { on: () => ({ clients: 'gone' }), off: {} },
  client_disabled: { on: () => ({ client: { disabled: true } }), off: { client: { disabled: false } } },
  connector_gone: { on: () => ({ connectors: 'gone' }), off: {} },
  connector_not_allowed: {
    on: () => ({ client: { allowedConnectors: ['spare'] } }),
    off: { client: { allowedConnectors: ['corp', 'pass'] } },
  },
  grant_not_allowed: {
    on: (use) => ({ connector: { grantTypes: allowedBut(use) } }),
    off: { connector: { grantTypes: grantTypes.filter((name) => name !== 'client_credentials') } },
  },
  not_in_required_groups: {
    on: () => ({ client: { requiredGroups: ['admins', 'Staff'] } }),
    off: { client: { requiredGroups: ['admins', 'staff'] } },
  },
  identity_gone: {
    on: () => ({}),
    off: {},
    event() {
      const refuse = (code: 'login_refused' | 'identity_gone') => () => {
        throw failure(code, 'blocked')
      }
      Object.assign(people, {
        finish: refuse('login_refused'),
        login: () => undefined,
        exchange: refuse('login_refused'),
        refresh: refuse('identity_gone'),
      })
    },
  },
  // Sessions end either way; what a client has is bound to them or not.
  session_ended: {
    on: () => ({ client: { refreshTokenLifetime: 'session' } }),
    off: { client: { refreshTokenLifetime: 'standalone' } },
    always: endSessions,
  },
}

async function endSessions({ driver, services }: FlowServer): Promise<void> {
  const found: string[] = []
  for await (const [id] of driver.find('session', {})) found.push(id)
  assert.ok(found.length > 0)
  for (const id of found) await services.ender.end((await services.sessions!.get(id))!, 'operator')
}

/** All grant types of connectors but the one that a use needs. */
const allowedBut = (use: Use): string[] => {
  const needed = use === 'refresh_introspection' ? 'refresh_token' : use
  return grantTypes.filter((name) => name !== 'client_credentials' && name !== needed)
}

/** What became of each use, of the endpoint and of a login under way. */
interface Outcome {
  answer?: string
  login?: string
}

/** Begins with everything allowed, restarts with other settings, and goes on. */
async function outcomeOf(
  uses: readonly Use[],
  settings: Settings,
  { events = [], restarted = true }: { events?: Switch['event'][]; restarted?: boolean } = {},
): Promise<Map<Use, Outcome>> {
  const atWork = { finish: undefined, login: undefined, exchange: undefined, refresh: undefined, person: jane() }
  Object.assign(people, atWork)
  const first = await startServer(configOf(restarted ? {} : settings), { store: 'lowdb' })
  const begun = new Map<Use, UnderWay>()
  for (const use of uses) begun.set(use, await underWay(first, use))
  if (restarted) await first.close()
  await using server = restarted ? await startServer(configOf(settings), { store: 'lowdb', instead: first }) : first
  for (const event of events) await event?.(server)
  const outcomes = new Map<Use, Outcome>()
  for (const [use, { answer, login }] of begun) {
    outcomes.set(use, {
      ...(answer && { answer: await answer(server) }),
      ...(login && { login: await login(server) }),
    })
  }
  Object.assign(people, atWork)
  assert.ok(!server.logged().includes('"level":"ERROR"'), server.logged())
  return outcomes
}

const expectedOf = (cell: Cell, { answer, login }: Outcome): Outcome => {
  const refusal: Outcome = 'never' in cell ? {} : cell
  return {
    ...(answer !== undefined && { answer: refusal.answer ?? 'works' }),
    ...(login !== undefined && { login: refusal.login ?? 'works' }),
  }
}

const titleOf = (cell: Cell): string => {
  if ('never' in cell) return `does not apply: ${cell.never}`
  return [cell.answer, cell.login && `login: ${cell.login}`].filter(Boolean).join(', ')
}

const uses = usesOf.filter(served)

describe('every restriction against every grant type and every reader', () => {
  for (const restriction of restrictions) {
    const { on, off, event, always } = switches[restriction]
    describe(restriction, () => {
      let without: Map<Use, Outcome>
      const restricted = new Map<string, Promise<Map<Use, Outcome>>>()
      before(async () => {
        without = await outcomeOf(uses, off, { events: [always] })
        // A device that nobody has approved yet does not outlive its server.
        const { login } = (await outcomeOf([deviceGrant], off, { events: [always], restarted: false })).get(
          deviceGrant,
        )!
        without.set(deviceGrant, { ...without.get(deviceGrant), ...(login && { login }) })
      })
      /** Uses that are restricted by the same settings share a server. */
      const found = async (use: Use): Promise<Outcome> => {
        const settings = JSON.stringify(on(use))
        const alike = uses.filter((other) => JSON.stringify(on(other)) === settings)
        const running = restricted.get(settings) ?? outcomeOf(alike, on(use), { events: [always, event] })
        restricted.set(settings, running)
        return (await running).get(use)!
      }
      for (const use of uses) {
        const cell = policyTable[use][restriction]
        it(`${use}: ${titleOf(cell)}`, async () => {
          const free = without.get(use)!
          assert.deepEqual(free, expectedOf({ never: '' }, free), 'without the restriction')
          const outcome = await found(use)
          if (use === deviceGrant && outcome.login && !('login' in cell)) {
            const stayed = await outcomeOf([use], on(use), { events: [always, event], restarted: false })
            outcome.login = stayed.get(use)!.login!
          }
          assert.deepEqual(outcome, expectedOf(cell, outcome))
        })
      }
    })
  }
})

describe('the table', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer(configOf({}))
  })
  after(() => server[Symbol.asyncDispose]())

  it('has a row, and this test a way, for every grant type that is served', async () => {
    const { grant_types_supported: supported } = (
      await server.request(server.url('/.well-known/openid-configuration'))
    ).json() as { grant_types_supported: string[] }
    assert.ok(supported.length >= 4)
    for (const name of supported) {
      assert.ok(isGrantType(name), name)
      assert.ok((uses as string[]).includes(name), `${name} is served and not tried`)
    }
  })

  it('lets no grant type be registered that has no row', () => {
    const register = () => server.services.provider.registerGrantType('urn:example:other', async () => {}, [])
    assert.throws(register, /no row/)
  })

  it('is asked before every token: one that was not judged is not made', async () => {
    // A grant type that forgets the policy, under a name that has a row.
    const { provider } = server.services
    provider.registerGrantType<object>(
      'urn:ietf:params:oauth:grant-type:token-exchange',
      async (ctx) => {
        const state = ctx.state as { source?: unknown }
        const login = { connectorId: 'corp', identity: jane(), authTime: 0 }
        state.source = { kind: 'exchange', login, scopes: ['openid'] }
        const token = new provider.AccessToken({ client: ctx.oidc.client, accountId: '-', grantId: '-' } as never)
        ctx.body = { access_token: await token.save() }
      },
      ['connector_id', 'subject_token', 'subject_token_type', 'scope'],
    )
    const answer = await server.token(exchangeOf('corp'), web)
    assert.equal(errorOf(answer), '500 server_error')
    assert.match(server.logged(), /the policy was not asked/)
  })
})

describe('a login that begins', () => {
  const begun: [what: string, settings: Settings, expected: string][] = [
    ['without a restriction', {}, 'code'],
    ['for a client that is gone', { clients: 'gone' }, '400'],
    ['for a client that is disabled', { client: { disabled: true } }, '403'],
    ['by a connector that is gone', { connectors: 'gone' }, '400'],
    ['by a connector that the client may not use', { client: { allowedConnectors: ['spare'] } }, '400'],
    ['by a connector that is not for logins', { connector: { grantTypes: ['refresh_token'] } }, '400'],
    ['by somebody outside the groups', { client: { requiredGroups: ['admins'] } }, '403'],
  ]
  for (const [what, settings, expected] of begun) {
    it(`${what}: ${expected}`, async () => {
      await using server = await startServer(configOf(settings))
      const answer = await openBrowser().follow(startLogin(server, { connector: 'corp' }).url)
      const code = answer.location && answerAt(answer).code
      assert.equal(code ? 'code' : String(answer.status), expected)
    })
  }
})
