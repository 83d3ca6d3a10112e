import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type RequestListener, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { type Listening, listen, parseAddress } from '../../src/server/listen.ts'
import { keepLog } from '../telemetry/records.ts'

describe('listening', () => {
  let open: Listening | undefined
  const start = async (handler: RequestListener): Promise<number> => {
    open = await listen({ http: '127.0.0.1:0', handler, log: keepLog() })
    return open.addresses[0]!.port
  }
  afterEach(async () => {
    await open?.close(0)
    open = undefined
  })

  it('reads addresses as Go writes them', () => {
    assert.deepEqual(parseAddress('web.http', '127.0.0.1:5556'), { host: '127.0.0.1', port: 5556 })
    assert.deepEqual(parseAddress('web.http', ':5556'), { port: 5556 })
    assert.deepEqual(parseAddress('web.http', '[::1]:80'), { host: '::1', port: 80 })
    assert.deepEqual(parseAddress('web.http', '[::]:80'), { host: '::', port: 80 })
    assert.deepEqual(parseAddress('web.http', 'localhost:0'), { host: 'localhost', port: 0 })
    for (const address of ['', '5556', 'localhost', '::1:80', 'a:99999', 'a:http', '[::1]', 'http://a:1']) {
      assert.throws(() => parseAddress('web.http', address), /^Error: web\.http: ".*" is no address such as/)
    }
  })

  it('says where it listens', async () => {
    const log = keepLog()
    open = await listen({ http: '127.0.0.1:0', handler: () => {}, log })
    assert.deepEqual(log.records, [
      { level: 'info', message: 'listening on', attributes: { server: 'http', address: '127.0.0.1:0' } },
    ])
  })

  it('says what is wrong with an address, and leaves nothing open', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`
    const options = { handler: () => {}, log: keepLog() }
    await assert.rejects(
      listen({ ...options, http: address }),
      new RegExp(`^Error: web\\.http: cannot listen on ${address}: another program already listens there$`),
    )
    await assert.rejects(listen({ ...options, http: '192.0.2.1:0' }), /this machine has no such address/)
    await assert.rejects(
      listen({
        ...options,
        http: '127.0.0.1:0',
        https: '127.0.0.1:0',
        tls: { cert: '/nowhere/tls.crt', key: '/nowhere/tls.key', minVersion: 'TLSv1.2' },
      }),
      /web\.tlsCert: cannot read \/nowhere\/tls\.crt: no such file/,
    )
    taken.close()
  })

  it('lets a request in flight finish and takes no other while it closes', async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<ServerResponse>()
    const port = await start((_, response) => resolve(response))
    const sent = request({ port, host: '127.0.0.1', agent: new Agent({ keepAlive: true }) }).end()
    const response = await arrived
    const closed = open!.close()
    const refused = connect(port, '127.0.0.1')
    const [error] = await once(refused, 'error')
    assert.equal(error.code, 'ECONNREFUSED')
    response.end('finished')
    const [answer] = await once(sent, 'response')
    assert.equal(Buffer.concat(await answer.toArray()).toString(), 'finished')
    await closed
  })

  it('closes within a second although connections are kept open, used or silent', async () => {
    const port = await start((_, response) => response.end('ok'))
    const agent = new Agent({ keepAlive: true })
    const [answer] = await once(request({ port, host: '127.0.0.1', agent }).end(), 'response')
    await answer.toArray()
    const silent = connect(port, '127.0.0.1')
    await once(silent, 'connect')
    const since = performance.now()
    await open!.close()
    assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`)
    agent.destroy()
  })

  it('cuts off what does not finish within the limit', async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<void>()
    const port = await start(() => resolve())
    const sent = request({ port, host: '127.0.0.1', agent: false }).end()
    const cut = once(sent, 'error')
    await arrived
    await open!.close(50)
    const [error] = await cut
    assert.equal(error.code, 'ECONNRESET')
  })

  it('takes the large headers of Kerberos and refuses larger ones', async () => {
    const port = await start((_, response) => response.end())
    const send = async (size: number): Promise<number> => {
      const headers = { authorization: `Negotiate ${'x'.repeat(size)}` }
      const [answer] = await once(request({ port, host: '127.0.0.1', agent: false, headers }).end(), 'response')
      answer.resume()
      return answer.statusCode
    }
    assert.equal(await send(48 * 1024), 200)
    assert.equal(await send(80 * 1024), 431)
  })
})
