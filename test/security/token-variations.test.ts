/** Lessons, row 32: what is almost a token is none, at any endpoint, and the real one does not suffer from the tries. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import {
  authorize,
  device,
  errorOf,
  type FlowServer,
  logIn,
  startServer,
  stopClock,
  tokensOf,
  web,
} from '../flows/server.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** Cut, extended, changed, written otherwise. */
function variations(token: string): string[] {
  const places = [...Array(24).keys()].map((at) => Math.floor((at * (token.length - 1)) / 23))
  const otherCase = (letter: string) => (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase())
  const replaced = (at: number, letter: string) => token.slice(0, at) + letter + token.slice(at + 1)
  const last = token.slice(-1)
  return [
    ...[1, 2, 8, 16, 22, 43, 64].map((length) => token.slice(0, length)),
    ...places.map((at) => token.slice(0, at)),
    ...places.map((at) => token.slice(at + 1)),
    ...places.map((at) => replaced(at, otherCase(token[at]!))),
    ...places.map((at) => replaced(at, token[at] === 'A' ? 'B' : 'A')),
    // The last letter of base64url has bits that mean nothing.
    ...[...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map(
      (letter) => token.slice(0, -1) + letter,
    ),
    token.toUpperCase(),
    token.toLowerCase(),
    token.replaceAll('-', '+').replaceAll('_', '/'),
    Buffer.from(token).toString('base64url'),
    Buffer.from(token, 'base64url').toString('hex'),
    ...['=', '==', '.', 'A', '\0', '\n', ' ', '%00', '&', ',', `,${token}`, ` ${token}`, last].map(
      (end) => token + end,
    ),
    ...[' ', '\0', '\ufeff', '+', last].map((start) => start + token),
    token + token,
    [...token].reverse().join(''),
    '',
    '*',
    '%',
    '__proto__',
  ].filter((each, at, all) => each !== token && all.indexOf(each) === at)
}

/** Of a bearer header, whose white space at the ends means nothing. */
const bearable = (token: string): boolean => /^[\x21-\x7e]+$/.test(token)

describe('variations of tokens', function () {
  this.timeout(30_000)
  let server: FlowServer
  before(async () => {
    server = await startServer({ frontend: {} })
  })
  after(() => server[Symbol.asyncDispose]())

  const refuses = async (fields: Record<string, string>, what: string) => {
    const answer = await server.token(fields, web)
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    assert.match(String(answer.json().error), /^invalid_(grant|request)$/, what)
  }

  it('of a code', async () => {
    const arrived = await authorize(server)
    const grant = {
      grant_type: 'authorization_code',
      redirect_uri: arrived.redirectUri,
      code_verifier: arrived.verifier,
    }
    for (const code of variations(arrived.code)) await refuses({ ...grant, code }, code)
    assert.equal((await server.redeem(arrived)).status, 200)
  })

  it('of a refresh token: the family lives on, spent ones included', async () => {
    using clock = stopClock()
    const { tokens } = await logIn(server, { scope: 'openid offline_access' })
    const spent = tokens.refresh_token!
    const current = tokensOf(await server.refresh(spent)).refresh_token!
    clock.advance(60)
    for (const token of [...variations(current), ...variations(spent).filter((each) => each !== current)]) {
      await refuses({ grant_type: 'refresh_token', refresh_token: token }, token)
      if (token === '') continue
      assert.equal((await server.introspect(token)).active, false, token)
      assert.equal((await server.post('/token/revoke', { token }, web)).status, 200, token)
    }
    assert.equal((await server.refresh(current)).status, 200)
  })

  it('of a device code and a user code', async () => {
    using clock = stopClock()
    const begun = (await server.post('/device/code', { scope: 'openid' }, device)).json()
    const [deviceCode, userCode] = [String(begun.device_code), String(begun.user_code)]
    for (const device_code of variations(deviceCode)) {
      const answer = await server.token({ grant_type: deviceGrant, device_code }, device)
      assert.match(String(answer.json().error), /^invalid_(grant|request)$/, device_code)
    }
    const letters = userCode.replace('-', '')
    // As typed: case, dashes and blanks do not count, letters do.
    const typed = [letters.slice(0, 7), letters.slice(1), `${letters}B`, `B${letters}`, letters + letters, '', '*', '%']
    typed.push(
      letters.replace(/.$/, (last) => (last === 'B' ? 'C' : 'B')),
      [...letters]
        .reverse()
        .join('')
        .replace(/^(.)\1*$/, ''),
    )
    const browser = openBrowser()
    const page = await browser.request(server.url('/device'))
    for (const user_code of typed.filter((each) => each !== letters)) {
      clock.advance(10)
      assert.equal((await browser.submit(page, { user_code })).status, 400, user_code)
    }
    await browser.submit(page, { user_code: ` ${userCode.toLowerCase()} ` })
    clock.advance(20)
    assert.equal((await server.token({ grant_type: deviceGrant, device_code: deviceCode }, device)).status, 200)
  })

  it('of an access token and an ID token', async () => {
    const { tokens } = await logIn(server)
    for (const real of [tokens.access_token, tokens.id_token]) {
      const [header = '', payload = '', signature = ''] = real.split('.')
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      const forged = [
        `${none}.${payload}.`,
        `${none}.${payload}.${signature}`,
        `${header}.${payload}`,
        `${header}.${payload}.`,
        `.${payload}.${signature}`,
        `${header}..${signature}`,
        `${real}.${signature}`,
        `${header}.${payload}.${signature}.`,
      ]
      // They differ in nothing but their claims, so of the second a part will do.
      const some = variations(real).filter((_, at) => real === tokens.access_token || at % 5 === 0)
      for (const token of [...some, ...forged]) {
        if (bearable(token)) {
          const answer = await server.userinfo(token)
          assert.equal(answer.status, 401, token)
          assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/)
        }
        if (token === '') continue
        assert.equal((await server.introspect(token)).active, false, token)
        assert.equal((await server.post('/token/revoke', { token }, web)).status, 200, token)
      }
      assert.equal((await server.userinfo(real)).status, 200)
    }
    const another = await logIn(server)
    const [header, payload] = another.tokens.id_token.split('.')
    const mixed = `${header}.${payload}.${tokens.id_token.split('.')[2]}`
    assert.equal((await server.userinfo(mixed)).status, 401)
  })

  it('of a client secret, and of a client that nobody knows, are refused in the same words', async () => {
    const unknown = await server.token({ grant_type: 'refresh_token', refresh_token: 'x' }, { ...web, id: 'nobody' })
    for (const secret of variations(web.secret!)) {
      for (const by of ['post', 'basic'] as const) {
        const answer = await server.token({ grant_type: 'refresh_token', refresh_token: 'x' }, { ...web, secret, by })
        assert.equal(errorOf(answer), '401 invalid_client', secret)
        assert.equal(answer.text, unknown.text)
      }
    }
  })
})
