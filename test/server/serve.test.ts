import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import {
  answering,
  authorizationUrl,
  freePort,
  launch,
  logIn,
  openPlace,
  type Place,
  refresh,
  run,
  type Served,
  send,
} from './program.ts'

describe('program', function () {
  this.timeout(30_000)
  let place: Place
  beforeEach(async () => {
    place = await openPlace()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const write = async (text: string, name = 'config.yaml'): Promise<string> => {
    const file = join(place.folder, name)
    await writeFile(file, text)
    return file
  }

  describe('serve', () => {
    it('prints every fault of the file, with line and place, and exits with 2', async () => {
      const file = await write(
        'issuer: http://127.0.0.1:1/dex\nstorage: {type: memry}\nweb: {}\nconnectors: [{type: gitub, id: a, name: A}]\nwbe: 1\n',
      )
      const { code, stdout, stderr } = await run(['serve', file])
      assert.equal(code, 2)
      assert.equal(stdout, '')
      for (const part of [
        'error: FILE:2:11: storage.type: names no store',
        'error: FILE:3:1: web.http: needs an address',
        'error: FILE:4:15: connectors[0].type: "gitub" is no connector type',
        'warning: FILE:5:1: wbe: is no known key and has no effect (did you mean "web"?)',
        'FILE: 3 faults; the server does not start.',
      ])
        assert.ok(stderr.replaceAll(file, 'FILE').includes(part), `${part}\n${stderr}`)
      assert.ok(!/^\s+at /m.test(stderr), stderr)
    })

    it('is told of an empty, a broken and a missing file', async () => {
      const files = [await write('', 'empty.yaml'), await write('a: [', 'broken.yaml'), join(place.folder, 'none.yaml')]
      const [empty, broken, missing] = await Promise.all(files.map((file) => run(['serve', file])))
      assert.deepEqual([empty!.code, broken!.code, missing!.code], [2, 2, 2])
      assert.match(empty!.stderr, /^error: .*issuer/m)
      assert.match(broken!.stderr, /^error: .*broken\.yaml:\d+:\d+: is no valid YAML/m)
      assert.match(missing!.stderr, /^error: .*none\.yaml.*there is no such file/m)
    })

    it('logs warnings and starts; --strict and the switch of Dex make faults of them', async () => {
      const unknown = { wbe: 1 }
      await using server = await place.serve(unknown)
      await server.printed(/level=WARN msg="\S+config\.json:1:\d+: wbe: is no known key and has no effect/)
      const strict = await run(['serve', place.file, '--strict'])
      assert.equal(strict.code, 2)
      assert.match(strict.stderr, /^error: .* wbe: is no known key/m)
      const env = { DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'true' }
      const switched = await run(['serve', place.file], { env })
      assert.equal(switched.code, 2)
      assert.match(switched.stderr, /^error: .* wbe: is no known key/m)
    })

    it('lets flags win over the file, which may be YAML', async () => {
      const [port, telemetryPort] = [await freePort(), await freePort()]
      const [web, telemetry] = [`127.0.0.1:${port}`, `127.0.0.1:${telemetryPort}`]
      const file = await write(
        [
          `issuer: ${place.issuer}`,
          'storage:',
          '  type: memory',
          'web:',
          `  http: ${new URL(place.issuer).host}`,
          'connectors:',
          '- type: mockCallback',
          '  id: mock',
          '  name: Mock',
        ].join('\n'),
      )
      await using server = launch(['serve', file, '--web-http-addr', web, '--telemetry-addr', telemetry])
      await answering(`http://${web}/dex/.well-known/openid-configuration`, server)
      assert.equal((await send(`http://${telemetry}/healthz`)).status, 200)
      await assert.rejects(send(`${place.issuer}/keys`), /ECONNREFUSED/)
      const { body } = await send(`http://${web}/dex/.well-known/openid-configuration`)
      assert.equal(JSON.parse(body).issuer, place.issuer)
    })

    it('says who is in the way when a port is taken, and leaves nothing open', async () => {
      for (const [option, address] of [
        ['web.http', new URL(place.issuer).host],
        ['telemetry.http', new URL(place.telemetry).host],
      ] as const) {
        const other = createServer().listen(Number(address.split(':')[1]), '127.0.0.1')
        await once(other, 'listening')
        try {
          await place.configure({ storage: place.lowdb })
          const { code, stderr } = await run(['serve', place.file])
          assert.equal(code, 2)
          const sentence = `error: ${option}: cannot listen on ${address}: another program already listens there`
          assert.ok(stderr.split('\n').includes(sentence), stderr)
        } finally {
          other.close()
        }
      }
      // Nothing is left behind that would keep the next one from starting.
      await using server = await place.serve()
      await logIn(server.issuer)
    })

    it('ends with 2 when no connector opens, or one of them where that is wanted', async () => {
      const broken = await write('export default { schema: {}, open() { throw new Error("no way in") } }', 'broken.mjs')
      const connector = (id: string) => ({ type: broken, id, name: id })
      const mock = { type: 'mockCallback', id: 'mock', name: 'Mock' }
      await place.configure({ connectors: [connector('a'), mock] })
      const [one, none] = await Promise.all([
        run(['serve', place.file], { env: { DEX_CONTINUE_ON_CONNECTOR_FAILURE: 'false' } }),
        place.configure({ connectors: [connector('a'), connector('b')] }).then(() => run(['serve', place.file])),
      ])
      assert.deepEqual([one.code, none.code], [2, 2])
      assert.match(one.stderr, /^error: connector "a" cannot be opened: no way in$/m)
      assert.match(none.stderr, /^error: no connector can be opened: connector "a" cannot be opened: no way in$/m)
    })
  })

  describe('commands', () => {
    it('check exits with 0 when serve would start, else with 2', async () => {
      const good = await run(['check', place.file])
      assert.deepEqual([good.code, good.stderr], [0, ''])
      assert.match(good.stdout, /no faults, .*; serve would start\.\n$/)
      const doubtful = await write('issuer: https://id.example.com\nstorage: {type: memory}\nweb: {http: ":1"}\nx: 1\n')
      const [lax, strict, bad] = await Promise.all([
        run(['check', doubtful]),
        run(['check', '--strict', doubtful]),
        run(['check', join(place.folder, 'none.yaml')]),
      ])
      assert.deepEqual([lax.code, strict.code, bad.code], [0, 2, 2])
      assert.match(strict.stdout, /^error: .* x: is no known key/m)
      assert.match(bad.stdout, /there is no such file/)
    })

    it('schema prints a JSON Schema, version the version', async () => {
      const [schema, version, flag] = await Promise.all([run(['schema']), run(['version']), run(['--version'])])
      assert.equal(schema.code, 0)
      const { $schema, properties } = JSON.parse(schema.stdout)
      assert.equal($schema, 'https://json-schema.org/draft/2020-12/schema')
      assert.ok('issuer' in properties && 'connectors' in properties)
      assert.match(
        version.stdout,
        /^Countersign Version: \d+\.\d+\.\d+\nNode Version: v\d+\S+\nNode OS\/ARCH: \w+ \w+\n$/,
      )
      assert.equal(`Countersign Version: ${flag.stdout.trim()}`, version.stdout.split('\n')[0])
    })

    it('exit with 2 when they are not understood, and help with 0', async () => {
      const lines = [['sreve', 'x'], ['serve'], ['check'], ['serve', 'a', '--no-such-flag'], ['serve', 'a', 'b'], []]
      const results = await Promise.all(lines.map((args) => run(args)))
      assert.deepEqual(
        results.map(({ code }) => code),
        lines.map(() => 2),
      )
      assert.match(results[0]!.stderr, /unknown command 'sreve'.*\n.*Did you mean serve/i)
      assert.match(results[1]!.stderr, /missing required argument 'file'/)
      assert.match(results[5]!.stderr, /Usage: countersign/)
      const help = await Promise.all([['--help'], ['serve', '--help'], ['login', '--help']].map((args) => run(args)))
      for (const { code, stdout } of help) {
        assert.equal(code, 0)
        assert.match(stdout, /^Usage: countersign/)
      }
    })
  })
})

describe('program that serves', function () {
  this.timeout(30_000)
  let place: Place
  let server: Served
  before(async () => {
    place = await openPlace()
    const broken = join(place.folder, 'broken.mjs')
    await writeFile(broken, 'export default { schema: {}, open() { throw new Error("no way in") } }')
    server = await place.serve({
      connectors: [
        { type: broken, id: 'broken', name: 'Broken' },
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
      ],
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await place?.[Symbol.asyncDispose]()
  })

  it('lets people in although one connector cannot be opened', async () => {
    await server.printed(/level=ERROR msg="connector cannot be opened.* connector_id=broken .*no way in/)
    const { id_token } = await logIn(server.issuer)
    assert.equal(id_token.split('.').length, 3)
    const { headers } = await send(authorizationUrl(server.issuer, { connector: 'broken' }))
    const back = new URL(headers.location ?? '').searchParams
    assert.equal(back.get('error'), 'server_error')
    assert.doesNotMatch(String(back), /no.way.in/)
  })

  it('reports readiness, check by check', async () => {
    for (const path of ['/healthz', '/healthz/ready']) {
      const { status, body } = await send(`${server.telemetry}${path}?type=short`)
      assert.equal(status, 200)
      assert.deepEqual(JSON.parse(body), { storage: 'PASS', keys: 'PASS', connectors: 'PASS' })
    }
    assert.equal((await send(`${server.telemetry}/healthz/live`)).body, 'ok')
  })

  it('counts under the names of Dex, by route, and under its own', async () => {
    const tokens = await logIn(server.issuer)
    await refresh(server.issuer, tokens.refresh_token!)
    await send(`${server.issuer}/keys`)
    await send(`${server.issuer}/no/such/path`)
    const { body } = await send(`${server.telemetry}/metrics`)
    const has = (line: string) =>
      assert.match(body, new RegExp(`^${line.replace(/[{}()/|]/g, '\\$&')} [0.]*[1-9]`, 'm'), line)
    has(`dex_build_info{version="[^"]+",go_version="${process.version}",platform="[^"]+"}`)
    for (const [code, method, handler] of [
      [303, 'get', '/auth/{connector}'],
      [200, 'post', '/token'],
      [200, 'get', '/keys'],
      [200, 'get', '/.well-known/openid-configuration'],
      [404, 'get', 'other'],
    ])
      has(`http_requests_total{code="${code}",method="${method}",handler="${handler}"}`)
    has('http_requests_total{code="303",method="get",handler="/callback[^"]*"}')
    has('request_duration_seconds_count{code="200",method="post",handler="/token"}')
    has('response_size_bytes_sum{code="200",method="post",handler="/token"}')
    has('response_size_bytes_sum{code="200",method="get",handler="/keys"}')
    has('countersign_logins_total{connector="mock",outcome="success"}')
    has('countersign_tokens_issued_total{grant_type="authorization_code"}')
    has('countersign_refreshes_total{connector="mock",outcome="success"}')
    has('countersign_records{kind="refresh-family",state="live"}')
    has('process_resident_memory_bytes')
    has('process_cpu_seconds_total')
    // Labels come from the table of routes: no path, code or token of a caller is among them.
    assert.doesNotMatch(body, /no\/such|code=[A-Za-z]|state=[A-Za-z0-9_-]{20}/)
  })

  it('takes no profile unless that was configured', async () => {
    for (const path of ['/debug/pprof/', '/debug/pprof/profile', '/debug/pprof/heap']) {
      const { status, body } = await send(`${server.telemetry}${path}`)
      assert.equal(status, 404)
      assert.match(body, /telemetry\.enableProfiling/)
    }
    assert.equal((await send(`${server.issuer}/debug/pprof/profile`)).status, 404)
  })

  it('says at its start what it serves, and no secret', async () => {
    await server.printed(/type=started/)
    for (const line of [
      'msg="config issuer" issuer=http',
      'msg="config storage" storage_type=memory',
      'msg="config connector" connector_id=mock',
      'msg="listening on" server=http address=127.0.0.1',
      'msg="listening on" server=telemetry address=127.0.0.1',
      'msg=audit type=started',
    ])
      assert.ok(server.stderr().includes(line), `${line} in\n${server.stderr()}`)
    assert.doesNotMatch(server.stderr(), /secret-of-the-client/)
    assert.equal(server.stdout(), '')
  })
})
