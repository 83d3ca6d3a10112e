import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createPlainServer, type Server as NetServer } from 'node:net'
import { failure } from '../../connectors/contract.ts'
import type { UpstreamMeasure } from '../../src/telemetry/metrics.ts'
import { openUpstream, type Upstream, type UpstreamOptions } from '../../src/telemetry/upstream.ts'
import { selfSigned } from '../server/certificate.ts'

const portOf = (server: NetServer): number => (server.address() as AddressInfo).port
interface Echo {
  method: string
  body: string
  headers: Record<string, string>
}
const echoOf = async (response: Response): Promise<Echo> => (await response.json()) as Echo
const bodyOf = async (request: IncomingMessage): Promise<string> => Buffer.concat(await request.toArray()).toString()
const hasCode = (code: string, text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error)
  assert.equal(error.code, code)
  if (text !== undefined) assert.match(error.message, text)
  return true
}

describe('upstream calls', () => {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  const listen = async <S extends NetServer>(server: S): Promise<S> => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(async () => {
      if ('closeAllConnections' in server) (server as unknown as Server).closeAllConnections()
      server.close()
    })
    return server
  }
  const serve = async (handler: RequestListener): Promise<{ origin: string; server: Server }> => {
    const server = await listen(createServer(handler))
    return { origin: `http://127.0.0.1:${portOf(server)}`, server }
  }
  const open = (options: Partial<UpstreamOptions> = {}): Upstream & { measures: UpstreamMeasure[]; up: boolean[] } => {
    const measures: UpstreamMeasure[] = []
    const up: boolean[] = []
    const upstream = openUpstream({
      connector: 'okta',
      metrics: { upstreamCall: (measure) => measures.push(measure), connectorUp: (_, isUp) => up.push(isUp) },
      log: { debug: () => {} },
      failure,
      ...options,
    })
    closing.push(upstream.close)
    return { ...upstream, measures, up }
  }

  it('answers as fetch does and keeps its connections', async () => {
    const { origin, server } = await serve(async (request, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2'])
      response.setHeader('Content-Type', 'application/json')
      response.end(JSON.stringify({ headers: request.headers, method: request.method, body: await bodyOf(request) }))
    })
    let connections = 0
    server.on('connection', () => {
      connections += 1
    })
    const { http, measures, up } = open()
    const call = http()
    const form = new URLSearchParams({ grant_type: 'authorization_code', code: 'c' })
    const response = await call(new URL(`${origin}/token`), { method: 'POST', headers: { 'X-A': 'b' }, body: form })
    assert.ok(response instanceof Response)
    assert.equal(response.url, `${origin}/token`)
    assert.equal(response.headers.get('content-type'), 'application/json')
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2'])
    const said = await echoOf(response)
    assert.equal(said.method, 'POST')
    assert.equal(said.body, 'grant_type=authorization_code&code=c')
    assert.equal(said.headers['content-type'], 'application/x-www-form-urlencoded;charset=UTF-8')
    assert.equal(said.headers['x-a'], 'b')
    assert.equal(said.headers['user-agent'], 'countersign')

    assert.equal((await echoOf(await call(`${origin}/json`))).method, 'GET')
    const whole = new Request(`${origin}/request`, { method: 'PUT', body: 'text' })
    assert.equal((await echoOf(await call(whole))).body, 'text')
    for (let count = 0; count < 10; count += 1) await (await call(origin)).text()
    // A call right after another may find the connection still busy.
    assert.ok(connections <= 2, `${connections} connections`)
    const [first] = measures
    assert.deepEqual([first?.connector, first?.call, first?.outcome], ['okta', `POST ${new URL(origin).host}`, 'ok'])
    assert.ok(up.every((isUp) => isUp))
  })

  it('returns redirects, empty answers and errors as they came', async () => {
    const { origin } = await serve((request, response) => {
      const status = Number(request.url?.slice(1))
      response.writeHead(status, status === 302 ? { Location: 'http://169.254.169.254/' } : {}).end()
    })
    const { http, measures, up } = open()
    for (const status of [204, 302, 304, 401, 429, 503]) {
      const response = await http()(`${origin}/${status}`)
      assert.equal(response.status, status)
      assert.equal(await response.text(), '')
    }
    assert.deepEqual(
      measures.map(({ outcome }) => outcome),
      ['ok', 'ok', 'ok', 'client_error', 'rate_limited', 'server_error'],
    )
    assert.deepEqual(up, [true, true, true, true, true, false])
  })

  it('gives up a slow upstream when the time limit has passed, before the headers and in the body', async () => {
    const { origin } = await serve((request, response) => {
      if (request.url === '/body') response.write('{')
    })
    const { http, measures, up } = open({ timeoutMs: 50 })
    for (const path of ['/headers?code=secret', '/body']) {
      const limit = hasCode('upstream_unavailable', /^GET http:\/\/127\.0\.0\.1:\d+\/[a-z]+: no answer within 0\.05 s$/)
      await assert.rejects(http()(`${origin}${path}`), limit)
    }
    assert.deepEqual(
      measures.map(({ outcome }) => outcome),
      ['upstream_unavailable', 'upstream_unavailable'],
    )
    assert.deepEqual(up, [false, false])
  })

  it('calls an upstream that is away unavailable, with the cause', async () => {
    const server = await listen(createPlainServer())
    const port = portOf(server)
    server.close()
    await once(server, 'close')
    await assert.rejects(open().http()(`http://127.0.0.1:${port}/`), (error) => {
      assert.ok(hasCode('upstream_unavailable', /ECONNREFUSED/)(error))
      return error instanceof Error && error.cause instanceof Error
    })
  })

  it('refuses an answer that is too large, declared or not', async () => {
    const { origin } = await serve((request, response) => {
      if (request.url === '/declared') response.setHeader('Content-Length', 5000)
      response.write('x'.repeat(2500))
      response.end('x'.repeat(2500))
    })
    const { http } = open({ maxBytes: 4000 })
    for (const path of ['/declared', '/chunked']) {
      await assert.rejects(http()(`${origin}${path}`), hasCode('upstream_invalid_response', /larger than 4000 bytes/))
    }
  })

  it("ends with the caller's own reason when the caller gives up", async () => {
    const { origin } = await serve(() => {})
    const controller = new AbortController()
    const call = open().http()(origin, { signal: controller.signal })
    controller.abort(new Error('no longer wanted'))
    await assert.rejects(call, /no longer wanted/)
    await assert.rejects(open().http()(origin, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })

  it('asks again over a new connection when a kept one had been closed, but never posts twice', async () => {
    let requests = 0
    const { origin } = await serve((request, response) => {
      requests += 1
      // The second request of a connection finds it gone.
      if (requests % 2 === 0) request.socket.destroy()
      else response.end('ok')
    })
    const { http } = open()
    assert.equal(await (await http()(origin)).text(), 'ok')
    assert.equal(await (await http()(origin)).text(), 'ok')
    assert.equal(requests, 3)
    await assert.rejects(http()(origin, { method: 'POST', body: 'x' }), hasCode('upstream_unavailable'))
    assert.equal(requests, 4)
  })

  it('trusts the certificates it is given beside the system, and no others', async () => {
    const pair = selfSigned('upstream')
    const server = await listen(createSecureServer(pair, (_, response) => response.end('secure')))
    const address = `https://localhost:${portOf(server)}/`
    const { http } = open()
    await assert.rejects(http()(address), hasCode('upstream_unavailable', /self-signed/i))
    await assert.rejects(http({ ca: [selfSigned('another').cert] })(address), hasCode('upstream_unavailable'))
    assert.equal(await (await http({ ca: [pair.cert] })(address)).text(), 'secure')
    assert.equal(await (await http({ skipVerify: true })(address)).text(), 'secure')
    await assert.rejects(http()(address), hasCode('upstream_unavailable'))
  })

  it('shows its client certificate', async () => {
    const [pair, client] = [selfSigned('upstream'), selfSigned('client')]
    const server = await listen(
      createSecureServer(
        { ...pair, requestCert: true, rejectUnauthorized: false, ca: [client.cert] },
        (request, response) => response.end(String('authorized' in request.socket && request.socket.authorized)),
      ),
    )
    const address = `https://localhost:${portOf(server)}/`
    const { http } = open()
    assert.equal(await (await http({ ca: [pair.cert], ...client })(address)).text(), 'true')
    assert.equal(await (await http({ ca: [pair.cert] })(address)).text(), 'false')
  })

  it('goes through the proxies of the environment, but not to where NO_PROXY or loopback says', async () => {
    const asked: string[] = []
    const pair = selfSigned('upstream')
    const target = await listen(createSecureServer(pair, (_, response) => response.end('behind the proxy')))
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.end('from the proxy')
    })
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url}`)
      const onward = connect(portOf(target), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        onward.pipe(socket).pipe(onward)
      })
      for (const end of [onward, socket]) end.on('error', () => {})
    })
    await listen(proxy)
    const address = `http://127.0.0.1:${portOf(proxy)}`
    const { http } = open({ env: { HTTP_PROXY: address, https_proxy: address, NO_PROXY: 'direct.invalid' } })
    assert.equal(await (await http()('http://idp.invalid/keys')).text(), 'from the proxy')
    const secure = await http({ skipVerify: true })('https://idp.invalid/keys')
    assert.equal(await secure.text(), 'behind the proxy')
    assert.deepEqual(asked, ['GET http://idp.invalid/keys', 'CONNECT idp.invalid:443'])
    const small = open({ env: { HTTP_PROXY: address }, maxBytes: 5 })
    await assert.rejects(small.http()('http://idp.invalid/'), hasCode('upstream_invalid_response', /larger than 5/))
    asked.pop()
    await assert.rejects(http()('http://direct.invalid/'), hasCode('upstream_unavailable'))
    const here = await serve((_, response) => response.end('direct'))
    assert.equal(await (await http()(here.origin)).text(), 'direct')
    assert.equal(asked.length, 2)
  })

  it('measures what is no HTTP, by the code of a failure', async () => {
    const { measure, measures } = open()
    assert.equal(await measure('bind', async () => 1), 1)
    await assert.rejects(
      measure('search', async () => {
        throw failure('identity_gone', 'gone')
      }),
    )
    await assert.rejects(
      measure('search', async () => {
        throw new Error('defect')
      }),
    )
    assert.deepEqual(
      measures.map(({ call, outcome }) => `${call} ${outcome}`),
      ['bind ok', 'search identity_gone', 'search error'],
    )
  })
})
