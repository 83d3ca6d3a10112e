/** Lessons, row 23: guesses at a password are counted for the person, however the name is written, and end by themselves. */
import assert from 'node:assert/strict'
import { type Browser, type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import { cli, device, type FlowServer, passwordHash, startLogin, startServer, stopClock } from '../flows/server.ts'

const person = { email: 'jänè@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }
/** As directories and databases, or people, write the same. */
const spellings = [
  'jänè@example.com',
  'JÄNÈ@EXAMPLE.COM',
  'Jänè@Example.com',
  'jänè@example.com'.normalize('NFD'),
  'JÄNÈ@example.com'.normalize('NFD'),
  ' jänè@example.com ',
  'jänè@example.com\u200b',
  'jänè@example.com\0',
  'ｊänè@example.com',
  'jane@example.com',
]

describe('limits of passwords over HTTP', () => {
  let server: FlowServer
  let browser: Browser
  let page: BrowserAnswer
  const proxied = { clientRemoteIP: { header: 'X-Forwarded-For', trustedProxies: ['127.0.0.1/32', '10.0.0.0/8'] } }

  beforeEach(async () => {
    server = await startServer({
      // Without a hash to compute; and the people of the file.
      connectors: [
        { type: 'mockPassword', id: 'fast', name: 'Fast', config: { username: person.email, password: 'password' } },
      ],
      enablePasswordDB: true,
      staticPasswords: [person, { ...person, email: 'john@example.com', userID: 'id-of-john' }],
      web: { http: '127.0.0.1:0', ...proxied },
    })
    await open('fast')
  })
  afterEach(() => server[Symbol.asyncDispose]())

  async function open(connector: string): Promise<void> {
    browser = openBrowser()
    page = await browser.follow(startLogin(server, { connector }).url)
  }
  const attempt = (login: string, password: string, headers: Record<string, string> = {}) =>
    browser.request(page.url, { form: { login, password }, headers })

  it('count every spelling of a name together, and say when it goes on', async () => {
    using clock = stopClock()
    const statuses: number[] = []
    for (const name of [...spellings, ...spellings]) statuses.push((await attempt(name, 'wrong')).status)
    assert.deepEqual(statuses, [...Array(10).fill(401), ...Array(10).fill(429)])
    for (const name of spellings) {
      const answer = await attempt(name, 'password')
      assert.equal(answer.status, 429, name)
      const wait = Number(answer.headers.get('retry-after'))
      assert.ok(Number.isInteger(wait) && wait > 0 && wait <= 600, `${wait}`)
      assert.match(answer.page().text, /Too many tries\. Wait \d+ (seconds|minutes)/)
    }
    // Nobody else suffers.
    assert.equal((await attempt('john@example.com', 'wrong')).status, 401)
    clock.advance(Number((await attempt(person.email, 'password')).headers.get('retry-after')))
    assert.match((await attempt(person.email, 'password')).location ?? '', /[?&]code=/)
  })

  it('let no flood of attempts at the same moment through', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => attempt(person.email, 'wrong')))
    assert.equal(answers.filter(({ status }) => status === 401).length, 10)
    assert.equal(answers.filter(({ status }) => status === 429).length, 30)
  })

  it('count guesses at the password grant together with those at the form, and by the same spellings', async () => {
    using _clock = stopClock()
    await using granting = await startServer({
      connectors: [
        { type: 'mockPassword', id: 'fast', name: 'Fast', config: { username: person.email, password: 'password' } },
      ],
      oauth2: { skipApprovalScreen: true, passwordConnector: 'fast' },
      web: { http: '127.0.0.1:0', ...proxied },
    })
    const grant = (username: string, password: string, headers: Record<string, string> = {}) =>
      granting.request(granting.url('/token'), {
        form: { grant_type: 'password', scope: 'openid', client_id: cli.id, username, password },
        headers,
      })
    for (const name of spellings) assert.equal((await grant(name, 'wrong')).status, 400, name)
    for (const name of spellings) assert.equal((await grant(name, 'password')).status, 429, name)
    const other = openBrowser()
    const form = await other.follow(startLogin(granting).url)
    assert.equal((await other.submit(form, { login: person.email, password: 'password' })).status, 429)
    const from = { 'x-forwarded-for': '203.0.113.30' }
    for (let each = 0; each < 100; each++) assert.equal((await grant(`nobody-${each}`, 'x', from)).status, 400)
    assert.equal((await grant('somebody', 'x', from)).status, 429)
    assert.equal((await grant('somebody', 'x')).status, 400)
  })

  it('do not begin anew with a new login, another browser or another client', async () => {
    for (let tries = 0; tries < 10; tries++) {
      const other = openBrowser()
      const form = await other.follow(startLogin(server, { connector: 'fast' }).url)
      assert.equal((await other.submit(form, { login: person.email, password: 'wrong' })).status, 401)
    }
    assert.equal((await attempt(person.email, 'password')).status, 429)
  })

  it('count an address that a trusted proxy names, over all names; one that stands for many people never', async () => {
    using _clock = stopClock()
    const from = (address: string) => ({ 'x-forwarded-for': address })
    for (let each = 0; each < 100; each++) {
      assert.equal((await attempt(`nobody-${each}@example.com`, 'x', from('203.0.113.9, 10.0.0.1'))).status, 401)
    }
    assert.equal((await attempt('john@example.com', 'password', from('203.0.113.9'))).status, 429)
    // What the caller wrote further left is not believed.
    assert.equal((await attempt('x@example.com', 'x', from('198.51.100.1, 203.0.113.9'))).status, 429)
    assert.equal((await attempt('john@example.com', 'wrong', from('203.0.113.10'))).status, 401)
    // The proxy itself stands for everybody who comes without a name of their own.
    for (let each = 0; each < 110; each++) {
      assert.equal((await attempt(`somebody-${each}@example.com`, 'x')).status, 401)
    }
  })

  it('count user codes, and the devices that are started', async () => {
    using clock = stopClock()
    const headers = { 'x-forwarded-for': '203.0.113.20' }
    const guess = () =>
      browser.request(server.url('/device/auth/verify_code'), { form: { user_code: 'BBBB-BBBB' }, headers })
    const guesses: number[] = []
    for (let each = 0; each < 12; each++) guesses.push((await guess()).status)
    assert.deepEqual(guesses, [...Array(10).fill(400), 429, 429])
    assert.ok(Number((await guess()).headers.get('retry-after')) > 0)
    clock.advance(61)
    assert.equal((await guess()).status, 400)

    const start = () =>
      browser.request(server.url('/device/code'), { form: { client_id: device.id, scope: 'openid' }, headers })
    let started = 0
    let answer = await start()
    for (; answer.status === 200 && started < 100; started++) answer = await start()
    assert.equal(answer.status, 429)
    assert.equal(started, 60)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
  })

  it('an unknown name takes as long as a known one, and looks the same', async () => {
    await open('local')
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    const texts = new Set<string>()
    for (let each = 0; each < 9; each++) {
      for (const [kind, name] of [
        ['known', person.email],
        ['unknown', `nobody-${each}@example.com`],
      ] as const) {
        const since = performance.now()
        const { status, text } = await attempt(name, `wrong-${each}`)
        times[kind].push(performance.now() - since)
        assert.equal(status, 401)
        texts.add(text.replaceAll(name, 'NAME'))
      }
    }
    const median = (all: number[]) => all.toSorted((a, b) => a - b)[4]!
    const ratio = median(times.unknown) / median(times.known)
    // Without a hash to compare with it would be a twentieth.
    assert.ok(ratio > 0.4 && ratio < 2.5, JSON.stringify(times))
    assert.equal(texts.size, 1)
  })

  it('a password is compared as a whole: nothing after its end, nothing instead of it', async () => {
    await open('local')
    for (const password of [
      '',
      'passwor',
      'password ',
      ' password',
      'password\0',
      'password\0x',
      'PASSWORD',
      'ｐassword',
    ]) {
      assert.equal((await attempt('john@example.com', password)).status, 401, JSON.stringify(password))
    }
  })
})
