/** Lessons, rows 5, 27, 34: a token is good for its own client, as what it is, for its time, and for nothing else. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import {
  type Arrived,
  answerAt,
  authorize,
  type Client,
  challengeOf,
  cli,
  corp,
  device,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startLogin,
  startServer,
  stopClock,
  type Tokens,
  tokensOf,
  web,
} from '../flows/server.ts'
import { isDeadEnd } from './attack.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const scope = 'openid email offline_access'
const others: Client[] = [peer, cli, device]

describe('tokens of another kind, client or time', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer({ connectors: [corp('kinds')] })
  })
  after(() => server[Symbol.asyncDispose]())

  /** A device whose person has approved. */
  async function approvedDevice(client: Client, fields: Record<string, string> = {}): Promise<string> {
    const begun = (await server.post('/device/code', { scope, ...fields }, client)).json()
    const browser = openBrowser()
    await browser.submit(await browser.request(server.url('/device')), { user_code: String(begun.user_code) })
    return String(begun.device_code)
  }
  const pollDevice = (device_code: string, client: Client, more: Record<string, string> = {}) =>
    server.token({ grant_type: deviceGrant, device_code, ...more }, client)

  it('row 27: a code is redeemed by the client that it was made for, and lives on when others try', async () => {
    const arrived = await authorize(server)
    for (const client of others) {
      for (const redirectUri of [arrived.redirectUri, client.redirectUri]) {
        assert.equal(errorOf(await server.redeem({ ...arrived, client, redirectUri })), '400 invalid_grant')
      }
    }
    assert.equal(
      errorOf(await server.redeem({ ...arrived, client: { ...web, secret: 'wrong' } })),
      '401 invalid_client',
    )
    assert.equal((await server.redeem(arrived)).status, 200)
  })

  it('row 27: a code goes with the redirect URI that it was sent to', async () => {
    for (const redirect of [
      '',
      `${web.redirectUri}/`,
      `${web.redirectUri}?`,
      'https://evil.example/',
      cli.redirectUri,
    ]) {
      const arrived = await authorize(server)
      const answer = await server.redeem(arrived, { redirect_uri: redirect })
      assert.match(errorOf(answer), /^400 invalid_(grant|request)$/, redirect)
    }
  })

  it('row 27: whoever Basic names is the client, whatever the body says', async () => {
    const { tokens } = await logIn(server, { scope })
    const fields = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, client_id: web.id }
    assert.equal(errorOf(await server.token(fields, { ...peer, by: 'basic' })), '400 invalid_grant')
    const withSecret = { ...fields, client_secret: web.secret! }
    assert.equal(errorOf(await server.token(withSecret, { ...peer, by: 'basic' })), '400 invalid_grant')
    assert.equal(errorOf(await server.token(withSecret, { ...peer, secret: 'x', by: 'basic' })), '401 invalid_client')
    assert.equal((await server.refresh(tokens.refresh_token!)).status, 200)
  })

  it('row 27: neither refresh tokens nor device codes are of use to other clients, who revoke nothing either', async () => {
    using clock = stopClock()
    const { tokens } = await logIn(server, { scope })
    const spent = tokens.refresh_token!
    const current = tokensOf(await server.refresh(spent)).refresh_token!
    const deviceCode = await approvedDevice(device)
    clock.advance(60)
    for (const client of [peer, cli]) {
      for (const token of [spent, current]) {
        assert.equal(errorOf(await server.refresh(token, client)), '400 invalid_grant')
        await server.post('/token/revoke', { token }, client)
      }
      await server.post('/token/revoke', { token: tokens.access_token }, client)
      assert.equal(errorOf(await pollDevice(deviceCode, client)), '400 invalid_grant')
    }
    assert.equal((await server.introspect(current, cli)).active, false)
    assert.equal((await server.introspect(tokens.access_token, cli)).active, false)
    assert.equal((await server.userinfo(tokens.access_token)).status, 200)
    assert.equal((await server.refresh(current)).status, 200)
    assert.equal((await pollDevice(deviceCode, device)).status, 200)
  })

  it('row 25: a device code asks for its PKCE verifier, in all four cases', async () => {
    const verifier = 'v'.repeat(43)
    const challenge = { code_challenge: challengeOf(verifier), code_challenge_method: 'S256' }
    const cases: [Record<string, string>, Record<string, string>, string][] = [
      [{}, { code_verifier: verifier }, '400 invalid_grant'],
      [challenge, {}, '400 invalid_grant'],
      [challenge, { code_verifier: 'w'.repeat(43) }, '400 invalid_grant'],
      [challenge, { code_verifier: challenge.code_challenge }, '400 invalid_grant'],
    ]
    for (const [begin, poll, refused] of cases) {
      assert.equal(errorOf(await pollDevice(await approvedDevice(device, begin), device, poll)), refused)
    }
    for (const [begin, poll] of [[{}, {}] as const, [challenge, { code_verifier: verifier }] as const]) {
      assert.equal((await pollDevice(await approvedDevice(device, begin), device, poll)).status, 200)
    }
  })

  it('a token of one kind is not taken for another', async () => {
    const { tokens } = await logIn(server, { scope })
    const arrived: Arrived = await authorize(server)
    const begun = (await server.post('/device/code', { scope }, device)).json()
    const kinds = {
      access: tokens.access_token,
      id: tokens.id_token,
      refresh: tokens.refresh_token!,
      code: arrived.code,
      device: String(begun.device_code),
      user: String(begun.user_code),
      state: arrived.state,
    }
    for (const [kind, value] of Object.entries(kinds)) {
      if (kind !== 'code')
        assert.equal(errorOf(await server.redeem({ ...arrived, code: value })), '400 invalid_grant', kind)
      if (kind !== 'refresh') assert.equal(errorOf(await server.refresh(value)), '400 invalid_grant', kind)
      for (const client of [web, device]) {
        if (kind !== 'device') assert.equal(errorOf(await pollDevice(value, client)), '400 invalid_grant', kind)
      }
      // An ID token says the same as an access token, and as in Dex it is taken for one.
      if (kind !== 'access' && kind !== 'id') assert.equal((await server.userinfo(value)).status, 401, kind)
      if (kind !== 'access' && kind !== 'id' && kind !== 'refresh') {
        assert.equal((await server.introspect(value)).active, false, kind)
      }
    }
    assert.equal((await server.redeem(arrived)).status, 200)
    assert.equal((await server.refresh(tokens.refresh_token!)).status, 200)
  })

  it('row 34: nothing outlives its time at any endpoint', async () => {
    using clock = stopClock()
    const refreshTokens = { absoluteLifetime: '2h', validIfNotUsedFor: '30m' }
    const expiry = { idTokens: '5m', deviceRequests: '4m', authRequests: '3m', refreshTokens }
    await using brief = await startServer({ connectors: [corp('kinds')], expiry, oauth2: { skipApprovalScreen: true } })
    const { tokens } = await logIn(brief, { scope })
    const late = await authorize(brief)
    const begun = (await brief.post('/device/code', { scope }, device)).json()
    const browser = openBrowser()
    const departure = await browser.request(startLogin(brief).url)
    const codePage = await browser.request(brief.url('/device'))

    clock.advance(181)
    isDeadEnd(await browser.request(departure.location!), 'the login in progress')
    clock.advance(60)
    assert.equal((await browser.submit(codePage, { user_code: String(begun.user_code) })).status, 400)
    const expired = { grant_type: deviceGrant, device_code: String(begun.device_code) }
    assert.equal(errorOf(await brief.token(expired, device)), '400 expired_token')

    clock.advance(60)
    const refreshed: Tokens = tokensOf(await brief.refresh(tokens.refresh_token!))
    for (const token of [tokens.access_token, tokens.id_token]) {
      assert.equal((await brief.userinfo(token)).status, 401)
      assert.deepEqual(await brief.introspect(token), { active: false })
    }
    clock.advance(300)
    assert.equal((await brief.userinfo(refreshed.access_token)).status, 401)
    assert.equal(errorOf(await brief.redeem(late)), '400 invalid_grant')

    let latest = refreshed.refresh_token!
    for (let minutes = 10; minutes <= 90; minutes += 20) {
      clock.advance(20 * 60)
      latest = tokensOf(await brief.refresh(latest)).refresh_token!
    }
    // Used all the time, but its two hours are over.
    clock.advance(10 * 60)
    assert.equal(errorOf(await brief.refresh(latest)), '400 invalid_grant')
    assert.deepEqual(await brief.introspect(latest), { active: false })
  })

  it('row 34: tokens of the authorization endpoint, of a password and of a client itself end like all others', async () => {
    using clock = stopClock()
    await using brief = await startServer({
      connectors: [{ type: 'mockPassword', id: 'pw', name: 'PW', config: { username: 'u', password: 'p' } }],
      expiry: { idTokens: '5m' },
      oauth2: {
        skipApprovalScreen: true,
        passwordConnector: 'pw',
        responseTypes: ['id_token', 'token'],
        grantTypes: ['password', 'client_credentials'],
      },
    })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(brief, { params: { response_type: 'id_token token' } }).url)
    const given = answerAt(await browser.submit(page, { login: 'u', password: 'p' }))
    const password = { grant_type: 'password', username: 'u', password: 'p', scope: 'openid' }
    const byPassword = tokensOf(await brief.token(password, web))
    const ofClient = tokensOf(await brief.token({ grant_type: 'client_credentials', scope: 'openid' }, web))
    const all = [given, byPassword, ofClient].flatMap(({ access_token, id_token }) => [access_token!, id_token!])
    const states = async () =>
      Promise.all(
        all.map(async (token) => [(await brief.userinfo(token)).status, (await brief.introspect(token)).active]),
      )
    clock.advance(299)
    assert.deepEqual(await states(), Array(6).fill([200, true]))
    clock.advance(1)
    assert.deepEqual(await states(), Array(6).fill([401, false]))
    for (const token of all) assert.equal(errorOf(await brief.refresh(token)), '400 unsupported_grant_type')
  })

  it('row 34: a refresh token that nobody used for its time is refused, by introspection too', async () => {
    using clock = stopClock()
    const expiry = { refreshTokens: { validIfNotUsedFor: '30m' } }
    await using brief = await startServer({ connectors: [corp('kinds')], expiry })
    const { tokens } = await logIn(brief, { scope })
    clock.advance(29 * 60)
    assert.equal((await brief.introspect(tokens.refresh_token!)).active, true)
    clock.advance(61)
    assert.deepEqual(await brief.introspect(tokens.refresh_token!), { active: false })
    assert.equal(errorOf(await brief.refresh(tokens.refresh_token!)), '400 invalid_grant')
  })

  it('row 34: what was revoked is refused at every endpoint', async () => {
    const { tokens } = await logIn(server, { scope })
    for (const token of [tokens.access_token, tokens.id_token, tokens.refresh_token!]) {
      assert.equal((await server.post('/token/revoke', { token }, web)).status, 200)
      assert.deepEqual(await server.introspect(token), { active: false })
      assert.equal((await server.userinfo(token)).status, 401)
    }
    assert.equal(errorOf(await server.refresh(tokens.refresh_token!)), '400 invalid_grant')
  })
})
