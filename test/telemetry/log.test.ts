import assert from 'node:assert/strict'
import { type LogContext, openLog } from '../../src/telemetry/log.ts'
import { levelName, quoteText } from '../../src/telemetry/log-format.ts'
import type { LogOptions } from '../../src/telemetry/options.ts'

const open = (options: Partial<LogOptions> = {}, context: LogContext = {}) => {
  const written: string[] = []
  const log = openLog(
    { level: 0, format: 'text', excludeFields: [], ...options },
    { write: (text) => void written.push(text) },
    { now: () => new Date('2026-01-01T00:00:00Z'), ...context },
  )
  const lines = (): string[] => {
    log.flush()
    return written.join('').split('\n').slice(0, -1)
  }
  return { log, lines, written }
}

const person = {
  connector_id: 'mock',
  user_id: '0-385-28089-0',
  username: 'Kilgore Trout',
  preferred_username: '',
  email: 'kilgore@kilgore.trout',
  groups: ['authors', 'site admins'],
}

describe('log', () => {
  it('writes the login line in text as Dex does', () => {
    const { log, lines } = open()
    log.info('login successful', person)
    assert.deepEqual(lines(), [
      'time=2026-01-01T00:00:00.000Z level=INFO msg="login successful" connector_id=mock user_id=0-385-28089-0 ' +
        'username="Kilgore Trout" preferred_username="" email=kilgore@kilgore.trout groups="[authors site admins]"',
    ])
  })

  it('writes the login line in JSON with the attributes at the top', () => {
    const { log, lines } = open({ format: 'json' })
    log.info('login successful', person)
    assert.deepEqual(JSON.parse(lines()[0] ?? ''), {
      time: '2026-01-01T00:00:00.000Z',
      level: 'INFO',
      msg: 'login successful',
      ...person,
    })
  })

  it('quotes what would break a line or forge an attribute', () => {
    const cases: [string, string][] = [
      ['plain', 'plain'],
      ['a\\b', 'a\\b'],
      ['https://h/p?a', 'https://h/p?a'],
      ['', '""'],
      ['a b', '"a b"'],
      ['a=b', '"a=b"'],
      ['say "hi"', '"say \\"hi\\""'],
      ['x\nlevel=ERROR', '"x\\nlevel=ERROR"'],
      ['back\\slash here', '"back\\\\slash here"'],
      ['\u001b[31m', '"\\x1b[31m"'],
      ['\u0000', '"\\x00"'],
      ['Zürich', 'Zürich'],
      ['日本', '日本'],
      ['a\u00a0b', '"a\\u00a0b"'],
      ['a\u2028b', '"a\\u2028b"'],
      ['a\u202eb', '"a\\u202eb"'],
      ['😀', '😀'],
      ['\ud800', '"\ufffd"'],
    ]
    for (const [text, expected] of cases) assert.equal(quoteText(text), expected)
  })

  it('writes values of every kind without throwing', () => {
    const circular: { self?: unknown } = {}
    circular.self = circular
    const { log, lines } = open()
    log.info('kinds', {
      number: 1.5,
      flag: true,
      nothing: null,
      absent: undefined,
      list: [1, { a: 'b' }],
      empty: [],
      group: { type: 'oidc', id: 'a b' },
      err: new Error('outer', { cause: new Error('inner') }),
      url: new URL('https://h.example/p'),
      when: new Date(0),
      big: 10n,
      round: [circular],
    })
    assert.equal(
      lines()[0]?.replace(/ round=.*/, ''),
      'time=2026-01-01T00:00:00.000Z level=INFO msg=kinds number=1.5 flag=true nothing=<nil> ' +
        'list="[1,{\\"a\\":\\"b\\"}]" empty=[] group.type=oidc group.id="a b" err="outer: inner" ' +
        'url=https://h.example/p when=1970-01-01T00:00:00.000Z big=10',
    )
    assert.match(lines()[0] ?? '', / round="\\"!ERROR:/)
    const json = open({ format: 'json' })
    json.log.info('kinds', { err: new Error('outer'), round: circular, big: 10n, msg: 'forged' })
    const record: unknown = JSON.parse(json.lines()[0] ?? '')
    assert.ok(typeof record === 'object' && record !== null && 'msg' in record && 'msg_' in record)
    assert.equal(record.msg, 'kinds')
    assert.equal(record.msg_, 'forged')
  })

  it('names levels with offsets as slog and keeps back what is below the configured one', () => {
    const names = [-5, -4, -1, 0, 2, 4, 7, 8, 12].map(levelName)
    assert.deepEqual(names, ['DEBUG-1', 'DEBUG', 'DEBUG+3', 'INFO', 'INFO+2', 'WARN', 'WARN+3', 'ERROR', 'ERROR+4'])
    const { log, lines } = open({ level: 2 })
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level)
    assert.deepEqual(
      lines().map((line) => line.split('msg=')[1]),
      ['warn', 'error'],
    )
  })

  it('leaves out excluded attributes, wherever they come from, and only at the top', () => {
    const { log, lines } = open(
      { excludeFields: ['email', 'groups', 'request_id', 'msg'] },
      { attributes: () => ({ request_id: '1', client_remote_addr: '192.0.2.1' }) },
    )
    log.child({ email: 'a@b.c', id: 1 }).info('said', { groups: ['g'], inner: { email: 'kept' } })
    assert.deepEqual(lines(), [
      'time=2026-01-01T00:00:00.000Z level=INFO msg=said id=1 inner.email=kept client_remote_addr=192.0.2.1',
    ])
  })

  it('asks for the request at each record', () => {
    let id: string | undefined
    const { log, lines } = open({}, { attributes: () => (id === undefined ? undefined : { request_id: id }) })
    log.info('outside')
    id = 'r-1'
    log.child({ a: 1 }).info('inside')
    assert.match(lines()[0] ?? '', /msg=outside$/)
    assert.match(lines()[1] ?? '', /msg=inside a=1 request_id=r-1$/)
  })

  it('withholds attributes that carry secrets by their names, in both formats and below the top', () => {
    for (const format of ['text', 'json'] as const) {
      const { log, lines } = open({ level: -4, format })
      const names = [
        'password',
        'client_secret',
        'access_token',
        'refresh_token',
        'id_token',
        'Authorization',
        'cookie',
      ]
      for (const name of names) {
        log.debug('top', { [name]: 'canary' })
        log.debug('group', { inner: { [name]: 'canary' } })
        log.debug('list', { list: [{ [name]: { deeper: 'canary' } }] })
      }
      assert.equal(lines().length, names.length * 3)
      for (const line of lines()) {
        assert.ok(!line.includes('canary'), line)
        assert.ok(line.includes('[withheld]'), line)
      }
    }
  })

  it('holds records back for one write and writes an error at once', () => {
    const { log, written } = open()
    log.info('one')
    log.info('two')
    assert.equal(written.join(''), '')
    log.error('three')
    assert.equal(written.length, 1)
    assert.equal(written[0]?.split('\n').length, 4)
    log.info('x'.repeat(10_000))
    assert.equal(written.length, 2)
  })
})
