/** Lessons, rows 6, 15, 48: the cookie of a login says what it must, is worth nothing when changed, and stays small. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import { arrive, corp, startLogin, startServer, tokensOf } from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'
import { cookieHeader, isDeadEnd, queryOf } from './attack.ts'

/** Attributes of one `Set-Cookie` line. */
const attributesOf = (line: string): string[] =>
  line
    .split(';')
    .slice(1)
    .map((part) => part.trim().replace(/^Max-Age=[1-9]\d*$/, 'Max-Age=N'))
    .sort()

describe('cookies of logins', function () {
  this.timeout(30_000)
  for (const [path, cookiePath] of [
    ['/dex', '/dex'],
    ['', '/'],
    ['/a/b', '/a/b'],
  ] as const) {
    for (const scheme of ['http', 'https'] as const) {
      it(`are HttpOnly, Lax and for ${cookiePath} only at ${scheme}://HOST${path}, Secure only with https`, async () => {
        const issuer = `${scheme}://login.example.com${path}`
        await using server = await startServer({ issuer, oauth2: { skipApprovalScreen: false } }, { path })
        const browser = openBrowser()
        const departure = await browser.request(startLogin(server).url)
        const state = queryOf(departure.location).get('state')!
        const asked = await browser.request(server.url(`/callback?state=${state}`))
        const done = await browser.request(server.url('/approval'), { form: { state, approval: 'approve' } })
        const expected = ['HttpOnly', 'Max-Age=N', `Path=${cookiePath}`, 'SameSite=Lax']
        for (const answer of [departure, asked, done]) {
          const [line = '', ...more] = answer.headers.getSetCookie()
          assert.deepEqual(more, [])
          const age = answer === done ? expected.with(1, 'Max-Age=0') : expected
          assert.deepEqual(attributesOf(line), scheme === 'https' ? [...age, 'Secure'].sort() : age)
        }
      })
    }
  }

  it('row 15: a value that was cut, changed, swapped or made up is no login, and no failure of ours', async () => {
    await using server = await startServer({ connectors: [corp('cookies')] })
    const [browser, other] = [openBrowser(), openBrowser()]
    const started = startLogin(server)
    const callback = (await browser.request(started.url)).location!
    await other.request(startLogin(server).url)
    const [[name, value]] = [...browser.cookies(callback)] as [[string, string]]
    const [[otherName, otherValue]] = [...other.cookies(callback)] as [[string, string]]
    const at = (place: number) => `${value.slice(0, place)}${value[place] === 'A' ? 'B' : 'A'}${value.slice(place + 1)}`
    const [time, key, sealed] = value.split('.') as [string, string, string]
    const changed = [
      ...[0, 1, 8, 16, 17, 40, Math.floor(value.length / 2), value.length - 1].map((end) => value.slice(0, end)),
      ...[value.indexOf('.') + 1, 20, 30, 60, Math.floor(value.length / 2), value.length - 3].map(at),
      otherValue,
      `${time}.${key}.${otherValue.split('.')[2]}`,
      `${time}.${sealed}`,
      `${time}.AAAAAAAA.${sealed}`,
      `${time}.${key}.${Buffer.from('{"state":"x"}').toString('base64url')}`,
      `${time}.${key}.`,
      `${value}x`,
      value.slice(1, -1).toUpperCase(),
      '.',
      '..',
      '"',
      '%00',
      'x'.repeat(20_000),
      `; ${name}=${value}`,
    ]
    for (const each of changed)
      isDeadEnd(await browser.request(callback, { headers: { cookie: `${name}=${each}` } }), each)
    for (const cookie of [`${otherName}=${value}`, `x${name}=${value}`, '=', ';;;', `${name}`, value]) {
      isDeadEnd(await browser.request(callback, { headers: { cookie } }), cookie)
    }
    arrive(started, await browser.request(callback))
  })

  it('of logins that were never finished go, the oldest first, so that no proxy refuses the browser', async () => {
    await using server = await startServer({ connectors: [corp('cookies')] })
    const browser = openBrowser()
    const latest: { started: ReturnType<typeof startLogin>; callback: string }[] = []
    for (const length of [10, 2000, 30_000, 500, 10]) {
      for (let each = 0; each < 12; each++) {
        const started = startLogin(server, { params: { state: 's'.repeat(length) } })
        const answer = await browser.request(started.url)
        const state = 's'.repeat(length)
        latest.push({ started: { ...started, state }, callback: answer.location! })
        for (const line of answer.headers.getSetCookie()) assert.ok(line.length < 4096, `${line.length}`)
        assert.ok(cookieHeader(browser, server.issuer).length < 8000)
      }
    }
    for (const { started, callback } of latest.slice(-3)) arrive(started, await browser.request(callback))
  })

  it('hold a name for a record when a person has too many groups for a cookie', async () => {
    await using server = await startServer({ connectors: [corp('crowd')], oauth2: { skipApprovalScreen: false } })
    const groups = Array.from({ length: 400 }, (_, at) => `cn=group-${at},ou=${'department'.repeat(8)},dc=example`)
    upstream('crowd').person = { ...jane(), groups }
    const browser = openBrowser()
    const started = startLogin(server)
    const asked = await browser.follow(started.url)
    assert.ok(cookieHeader(browser, server.issuer).length < 1000)
    const arrived = arrive(started, await browser.decide(asked, true))
    const tokens = tokensOf(await server.redeem(arrived))
    const claims = await (await server.userinfo(tokens.access_token)).json()
    assert.deepEqual(claims.groups, groups)
  })

  it('that strangers filled the store with keep neither others out nor those who have logged in', async () => {
    await using server = await startServer({ connectors: [corp('crowd')], oauth2: { skipApprovalScreen: false } })
    const groups = Array.from({ length: 400 }, (_, at) => `cn=group-${at},ou=${'department'.repeat(8)},dc=example`)
    const flood = (length: number) =>
      openBrowser().request(startLogin(server, { params: { state: 's'.repeat(length) } }).url)
    let last = await flood(50_000)
    for (let each = 0; last.status === 303 && each < 1000; each++) last = await flood(50_000)
    assert.equal(last.status, 503)
    assert.equal(last.headers.get('retry-after'), '60')
    const { live } = await server.driver.count('login')
    assert.ok(live < 800, `${live} records`)
    for (const person of [jane(), { ...jane(), groups }]) {
      upstream('crowd').person = person
      const browser = openBrowser()
      const started = startLogin(server)
      arrive(started, await browser.decide(await browser.follow(started.url), true))
    }
  })
})
