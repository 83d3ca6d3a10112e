/**
 * Lessons, rows 4, 15, 19, 26, 30: what an operator takes away is gone for logins in progress, for codes, for devices and for
 * refresh tokens, from the restart on.
 */
import assert from 'node:assert/strict'
import { type Browser, type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import {
  answerAt,
  authorize,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  passwordHash,
  peer,
  startLogin,
  startServer,
  web,
} from '../flows/server.ts'
import { assertNoCode } from './attack.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const scope = 'openid email offline_access'
const corpEntry = corp('settings')
const spare = { type: 'mockCallback', id: 'spare', name: 'Spare' }
const clients = (changes: Record<string, unknown> = {}, peerChanges: Record<string, unknown> = {}) => [
  { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri], ...changes },
  { id: device.id, name: 'Device', public: true, redirectURIs: ['/device/callback'], ...changes, secret: undefined },
  {
    id: peer.id,
    secret: peer.secret,
    name: 'Peer',
    redirectURIs: [peer.redirectUri],
    trustedPeers: [web.id],
    ...peerChanges,
  },
]
const oauth2 = { skipApprovalScreen: true, responseTypes: ['code', 'id_token', 'token'] }
const onlyFor = (grantTypes: string[]) => ({ connectors: [{ ...corpEntry, grantTypes }, spare] })

/** What was under way when the server was restarted with other settings. */
interface UnderWay {
  refresh(): Promise<BrowserAnswer>
  code(): Promise<BrowserAnswer>
  /** The code of a hybrid flow, which came with an ID token. */
  hybrid(): Promise<BrowserAnswer>
  device(): Promise<BrowserAnswer>
  exchange(): Promise<BrowserAnswer>
  /** The person comes back from the upstream. */
  callback(): Promise<BrowserAnswer>
  /** The person comes back from the upstream, and the client wants tokens at once. */
  tokens(): Promise<BrowserAnswer>
  /** The person presses the button. */
  approval(): Promise<BrowserAnswer>
}

type Step = keyof UnderWay
type Expected = Partial<Record<Step, string>>

/** Begins one of each, restarts, and gives the ways to go on. */
async function restart(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  work: (underWay: UnderWay, server: FlowServer) => Promise<void>,
): Promise<void> {
  const base = { connectors: [corpEntry, spare], staticClients: clients(), oauth2 }
  const first = await startServer({ ...base, ...before }, { store: 'lowdb' })
  const request = { connector: 'corp', scope: `${scope} audience:server:client_id:peer` }
  const { tokens } = await logIn(first, request)
  const arrived = await authorize(first, request)
  const person = openBrowser()
  const begun = (await first.post('/device/code', { scope }, device)).json()
  const choice = await person.submit(await person.request(first.url('/device')), { user_code: String(begun.user_code) })
  const link = choice.page().links.find(({ href }) => href.includes('/corp'))
  if (link) await person.follow(new URL(link.href, choice.url).href)
  const waiting: Browser = openBrowser()
  const departure = await waiting.request(startLogin(first, request).url)
  const frontChannel = (responseType: string) =>
    startLogin(first, { ...request, params: { response_type: responseType } })
  const impatient: Browser = openBrowser()
  const leaving = await impatient.request(frontChannel('id_token token').url)
  const mixed = frontChannel('code id_token')
  const mixedCode = answerAt(await openBrowser().follow(mixed.url)).code!
  const asked = openBrowser()
  const page = await asked.follow(startLogin(first, { ...request, params: { prompt: 'consent' } }).url)
  await first.close()

  await using server = await startServer({ ...base, ...after }, { store: 'lowdb', instead: first })
  const exchange = { subject_token: 'x', subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }
  const underWay: UnderWay = {
    refresh: () => server.refresh(tokens.refresh_token!),
    code: () => server.redeem(arrived),
    hybrid: () => server.redeem({ ...mixed, code: mixedCode, location: '' }),
    device: () => server.token({ grant_type: deviceGrant, device_code: String(begun.device_code) }, device),
    exchange: () =>
      server.token({ grant_type: exchangeGrant, connector_id: 'corp', scope: 'openid', ...exchange }, web),
    callback: () => waiting.follow(departure.location!),
    tokens: () => impatient.follow(leaving.location!),
    approval: () => asked.decide(page, true),
  }
  await work(underWay, server)
  assert.ok(!server.logged().includes('"level":"ERROR"'), server.logged())
}

const steps: Record<Step, 'program' | 'person'> = {
  refresh: 'program',
  code: 'program',
  hybrid: 'program',
  device: 'program',
  exchange: 'program',
  callback: 'person',
  tokens: 'person',
  approval: 'person',
}

function told(step: Step, answer: BrowserAnswer): string {
  if (steps[step] === 'program') return answer.status === 200 ? 'works' : errorOf(answer)
  if (answer.location?.startsWith(`${web.redirectUri}?code=`)) return 'works'
  if (step === 'tokens' && answer.location?.includes('access_token=')) return 'works'
  assertNoCode(answer)
  const error = answer.location && answerAt(answer).error
  return error ? `client is told ${error}` : `page ${answer.status}`
}

/** What is not named works. */
const cases: { what: string; after: Record<string, unknown>; expected: Expected }[] = [
  { what: 'nothing', after: {}, expected: {} },
  {
    what: 'the clients',
    after: { staticClients: clients().slice(2) },
    expected: {
      refresh: '401 invalid_client',
      code: '401 invalid_client',
      hybrid: '401 invalid_client',
      device: '401 invalid_client',
      exchange: '401 invalid_client',
      callback: 'page 403',
      tokens: 'page 403',
      approval: 'page 403',
    },
  },
  {
    what: 'the secret of a client',
    after: { staticClients: clients({ secret: 'another' }) },
    expected: {
      refresh: '401 invalid_client',
      code: '401 invalid_client',
      hybrid: '401 invalid_client',
      exchange: '401 invalid_client',
    },
  },
  {
    what: 'the redirect URI of a client',
    after: { staticClients: clients({ redirectURIs: ['https://app.example.com/'] }) },
    expected: { callback: 'page 403', tokens: 'page 403', approval: 'page 403' },
  },
  {
    what: 'the connector from what a client may use',
    after: { staticClients: clients({ allowedConnectors: ['spare'] }) },
    expected: {
      refresh: '400 invalid_grant',
      code: '400 invalid_grant',
      hybrid: '400 invalid_grant',
      device: '400 invalid_grant',
      exchange: '400 invalid_grant',
      callback: 'page 403',
      tokens: 'page 403',
      approval: 'page 403',
    },
  },
  {
    what: 'the connector',
    after: { connectors: [spare] },
    expected: {
      refresh: '400 invalid_grant',
      code: '400 invalid_grant',
      hybrid: '400 invalid_grant',
      device: '400 invalid_grant',
      exchange: '400 invalid_request',
      callback: 'page 403',
      tokens: 'page 403',
      approval: 'page 403',
    },
  },
  {
    what: 'refreshing from the connector',
    after: onlyFor(['authorization_code', 'implicit', deviceGrant, exchangeGrant]),
    expected: { refresh: '400 invalid_grant' },
  },
  {
    what: 'logins from the connector',
    after: onlyFor(['refresh_token', 'implicit', deviceGrant, exchangeGrant]),
    expected: { code: '400 invalid_grant', callback: 'page 403', approval: 'page 403' },
  },
  {
    what: 'devices from the connector',
    after: onlyFor(['refresh_token', 'authorization_code', 'implicit', exchangeGrant]),
    expected: { device: '400 invalid_grant' },
  },
  {
    what: 'token exchange from the connector',
    after: onlyFor(['refresh_token', 'authorization_code', 'implicit', deviceGrant]),
    expected: { exchange: '400 invalid_request' },
  },
  {
    what: 'refreshing from the server',
    after: { oauth2: { ...oauth2, grantTypes: ['authorization_code', deviceGrant, exchangeGrant] } },
    expected: { refresh: '400 unsupported_grant_type' },
  },
  {
    what: 'logins without a second factor',
    after: { mfa: { authenticators: [{ id: 'app', type: 'TOTP' }], defaultMFAChain: ['app'] } },
    expected: {
      refresh: '400 invalid_grant',
      code: '400 invalid_grant',
      device: '400 invalid_grant',
      exchange: '400 access_denied',
      callback: 'page 200',
      approval: 'page 403',
      hybrid: '400 invalid_grant',
      tokens: 'page 200',
    },
  },
  {
    what: 'the trust of a peer',
    after: { staticClients: clients({}, { trustedPeers: [] }) },
    expected: {
      refresh: '400 invalid_scope',
      code: '400 invalid_scope',
      hybrid: '400 invalid_scope',
      tokens: 'client is told invalid_scope',
    },
  },
  {
    what: 'tokens of the authorization endpoint from the connector',
    after: onlyFor(['refresh_token', 'authorization_code', deviceGrant, exchangeGrant]),
    expected: { hybrid: '400 invalid_grant', tokens: 'page 403' },
  },
  {
    what: 'the response types that bring tokens',
    after: { oauth2: { skipApprovalScreen: true } },
    expected: { tokens: 'page 403' },
  },
]

describe('settings that were taken away', () => {
  for (const { what, after, expected } of cases) {
    it(`${what}: refused where it matters and nowhere else`, async () => {
      await restart({}, after, async (underWay) => {
        const found: Expected = {}
        const wanted: Expected = {}
        for (const step of Object.keys(steps) as Step[]) {
          found[step] = told(step, await underWay[step]())
          wanted[step] = expected[step] ?? 'works'
        }
        assert.deepEqual(found, wanted)
      })
    })
  }

  it('row 26: a person whose entry is gone gets no more tokens', async () => {
    const person = { email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }
    const first = await startServer(
      { connectors: [], enablePasswordDB: true, staticPasswords: [person] },
      { store: 'lowdb' },
    )
    const browser = openBrowser()
    const started = startLogin(first, { scope })
    const form = await browser.follow(started.url)
    const { code } = Object.fromEntries(
      new URL((await browser.submit(form, { login: person.email, password: 'password' })).location!).searchParams,
    )
    const tokens = (await first.redeem({ ...started, code: code!, location: '' })).json()
    await first.close()
    for (const staticPasswords of [[], [{ ...person, email: 'john@example.com' }], [{ ...person, userID: 'other' }]]) {
      const later = await startServer(
        { connectors: [], enablePasswordDB: true, staticPasswords },
        { store: 'lowdb', instead: first },
      )
      const answer = await later.refresh(String(tokens.refresh_token))
      assert.equal(errorOf(answer), '400 invalid_grant')
      await later.close()
    }
    await first[Symbol.asyncDispose]()
  })
})
