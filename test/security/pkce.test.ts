/** Lessons, rows 5, 25, 47, 58: codes need their verifier, cannot be guessed, and no address carries a secret. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import {
  answerAt,
  authorize,
  type Client,
  challengeOf,
  cli,
  device,
  errorOf,
  type FlowServer,
  startLogin,
  startServer,
  tokensOf,
  web,
} from '../flows/server.ts'
import { followHere } from './attack.ts'

describe('PKCE and codes', () => {
  let server: FlowServer
  before(async () => {
    server = await startServer()
  })
  after(() => server[Symbol.asyncDispose]())

  const verifier = 'the-verifier-of-this-test-has-43-letters-or-more'
  const challenge = challengeOf(verifier)
  const withoutChallenge = { code_challenge: '', code_challenge_method: '' }

  /** What the client is told at once, or a code. */
  async function asked(client: Client, params: Record<string, string>): Promise<Record<string, string>> {
    const redirectUri = client === cli ? 'http://127.0.0.1:9/cli/callback' : client.redirectUri
    return answerAt(await followHere(openBrowser(), server, startLogin(server, { client, redirectUri, params }).url))
  }
  const redeem = (client: Client, code: string, more: Record<string, string>) => {
    const redirect_uri = client === cli ? 'http://127.0.0.1:9/cli/callback' : client.redirectUri
    return server.token({ grant_type: 'authorization_code', code, redirect_uri, ...more }, client)
  }

  it('row 25: challenge and verifier, with and without, of a confidential client', async () => {
    const s256 = { code_challenge: challenge, code_challenge_method: 'S256' }
    const cases: [Record<string, string>, Record<string, string>, string][] = [
      [s256, { code_verifier: verifier }, '200 undefined'],
      [s256, {}, '400 invalid_grant'],
      [s256, { code_verifier: '' }, '400 invalid_grant'],
      [s256, { code_verifier: `${verifier}x` }, '400 invalid_grant'],
      [s256, { code_verifier: challenge }, '400 invalid_grant'],
      [s256, { code_verifier: verifier.toUpperCase() }, '400 invalid_grant'],
      [withoutChallenge, {}, '200 undefined'],
      [withoutChallenge, { code_verifier: verifier }, '400 invalid_grant'],
    ]
    for (const [params, more, expected] of cases) {
      const { code = '' } = await asked(web, params)
      assert.equal(errorOf(await redeem(web, code, more)), expected, JSON.stringify([params, more]))
    }
  })

  it('row 25: a public client gets nowhere without a challenge, or with a weak one', async () => {
    const weak: Record<string, string>[] = [
      withoutChallenge,
      { code_challenge: '' },
      { code_challenge_method: '' },
      { code_challenge: verifier, code_challenge_method: 'plain' },
      { code_challenge: challenge, code_challenge_method: 's256' },
      { code_challenge: challenge, code_challenge_method: 'S512' },
      { code_challenge: 'short', code_challenge_method: 'S256' },
      { code_challenge: `${challenge}\0`, code_challenge_method: 'S256' },
      { code_challenge: 'x'.repeat(129), code_challenge_method: 'S256' },
    ]
    for (const params of weak) {
      const answer = await asked(cli, params)
      assert.equal(answer.error, 'invalid_request', JSON.stringify(params))
      assert.equal(answer.code, undefined)
    }
    for (const more of [{}, { code_verifier: '' }, { code_verifier: challenge }] as Record<string, string>[]) {
      const { code = '' } = await asked(cli, { code_challenge: challenge })
      assert.match(errorOf(await redeem(cli, code, more)), /^400 invalid_(grant|request)$/)
    }
  })

  it('row 25: a wrong verifier does not use the code up for its client, nor does it open it for guessing', async () => {
    const { code = '' } = await asked(cli, { code_challenge: challenge })
    for (let tries = 0; tries < 3; tries++) {
      assert.equal(errorOf(await redeem(cli, code, { code_verifier: 'w'.repeat(43) })), '400 invalid_grant')
    }
    const answer = await redeem(cli, code, { code_verifier: verifier })
    assert.ok(answer.status === 200 || errorOf(answer) === '400 invalid_grant')
  })

  it('row 47: discovery offers S256 and signed tokens only', async () => {
    const document = (await server.request(server.url('/.well-known/openid-configuration'))).json()
    assert.deepEqual(document.code_challenge_methods_supported, ['S256'])
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['RS256'])
    assert.deepEqual(document.response_types_supported, ['code'])
    assert.equal(document.request_parameter_supported, false)
    assert.equal(document.request_uri_parameter_supported, false)
  })

  it('row 58: codes, tokens and states have 128 random bits and more, in 30 letters and more', async () => {
    const values: Record<string, string[]> = { code: [], refresh: [], device: [], state: [] }
    for (let each = 0; each < 100; each++) {
      const arrived = await authorize(server, { scope: 'openid offline_access' })
      values.code!.push(arrived.code)
      if (each % 4 === 0) values.refresh!.push(tokensOf(await server.redeem(arrived)).refresh_token!)
      const departure = await openBrowser().request(startLogin(server).url)
      values.state!.push(new URL(departure.location!).searchParams.get('state')!)
      values.device!.push(String((await server.post('/device/code', { scope: 'openid' }, device)).json().device_code))
    }
    for (const [kind, all] of Object.entries(values)) {
      assert.equal(new Set(all).size, all.length, kind)
      const length = Math.min(...all.map((value) => value.length))
      assert.ok(length >= 30, `${kind}: ${length} letters`)
      // At each place as many letters as chance would have it, none of them favoured.
      let bits = 0
      for (let at = 0; at < length; at++) {
        const seen = new Map<string, number>()
        for (const value of all) seen.set(value[at]!, (seen.get(value[at]!) ?? 0) + 1)
        const shares = [...seen.values()].map((count) => count / all.length)
        bits += -shares.reduce((sum, share) => sum + share * Math.log2(share), 0)
      }
      assert.ok(bits >= 128, `${kind}: ${bits} bits`)
    }
  })

  it('user codes have 20^8 values, all of them used', async () => {
    const letters = new Set<string>()
    for (let each = 0; each < 60; each++) {
      const { user_code } = (await server.post('/device/code', { scope: 'openid' }, device)).json()
      assert.match(String(user_code), /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      for (const letter of String(user_code).replace('-', '')) letters.add(letter)
    }
    assert.equal(letters.size, 20)
  })
})

describe('addresses', () => {
  it('row 5: no redirect carries a secret, a password, a token or a verifier; codes go to their client only', async () => {
    const connectors = [
      { type: 'mockCallback', id: 'mock', name: 'Mock' },
      { type: 'mockPassword', id: 'pw', name: 'Password', config: { username: 'u', password: 'canary-password' } },
    ]
    await using server = await startServer({ connectors, oauth2: { skipApprovalScreen: false } })
    const seen: string[] = []
    const browser = openBrowser()
    const request: typeof browser.request = async (url, more) => {
      const answer = await browser.request(url, more)
      if (answer.location !== undefined) seen.push(`${new URL(url).origin} ${answer.location}`)
      return answer
    }
    const own: string[] = [web.secret!, 'canary-password', 'foobar']
    for (const connector of ['mock', 'pw']) {
      const started = startLogin(server, { connector, scope: 'openid offline_access' })
      own.push(started.verifier)
      let answer = await request(started.url)
      if (connector === 'pw') {
        const page = await request(new URL(answer.location!, server.origin).href)
        const action = new URL(page.page().forms[0]!.action, page.url).href
        answer = await request(action, { form: { login: 'u', password: 'canary-password' } })
      } else answer = await request(answer.location!)
      const page = await request(new URL(answer.location!, server.origin).href)
      const fields = page.page().forms[0]!.inputs.map(({ name, value }) => [name ?? '', value ?? ''])
      const done = await request(server.url('/approval'), { form: Object.fromEntries(fields) })
      const code = new URL(done.location!).searchParams.get('code')!
      const tokens = tokensOf(await server.redeem({ ...started, code, location: '' }))
      own.push(tokens.access_token, tokens.id_token, tokens.refresh_token!)
      for (const value of browser.cookies(server.issuer).values()) own.push(value)
    }
    const begun = (await server.post('/device/code', { scope: 'openid' }, device)).json()
    const form = { user_code: String(begun.user_code) }
    await request(server.url('/device/auth/verify_code'), { form })
    await request(server.url('/auth'), { form: { client_id: web.id, client_secret: web.secret! } })
    own.push(String(begun.device_code), String(begun.user_code))
    assert.ok(seen.length > 5)
    for (const line of seen) {
      // Whoever posts a secret to /auth has put it there themselves.
      if (line.includes('/auth?client_id=')) continue
      for (const secret of own) assert.ok(!line.includes(secret), `${secret} in ${line}`)
      if (/[?&]code=/.test(line)) assert.ok(line.includes(` ${web.redirectUri}?`), line)
    }
  })
})
