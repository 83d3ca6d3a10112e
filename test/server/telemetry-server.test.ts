import assert from 'node:assert/strict'
import {
  openTelemetryServer,
  type TelemetryServer,
  type TelemetryServerOptions,
} from '../../src/server/telemetry-server.ts'
import { openMetrics } from '../../src/telemetry/metrics.ts'
import { keepLog } from '../telemetry/records.ts'

describe('telemetry listener', () => {
  let server: TelemetryServer
  let time = 0
  const open = async (options: Partial<TelemetryServerOptions> = {}): Promise<void> => {
    server = await openTelemetryServer({
      http: '127.0.0.1:0',
      enableProfiling: false,
      metrics: openMetrics({ version: '1' }),
      log: keepLog(),
      checks: { storage: async () => {} },
      now: () => new Date(time),
      ...options,
    })
  }
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${server.addresses[0]!.port}${path}`, init)
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }
  beforeEach(() => {
    time = 1_000_000
  })
  afterEach(() => server.close())

  it('is alive', async () => {
    await open()
    assert.deepEqual(await get('/healthz/live'), { status: 200, type: 'text/plain; charset=utf-8', body: 'ok' })
  })

  it("reports its checks in Dex's form", async () => {
    await open()
    for (const path of ['/healthz', '/healthz/ready']) {
      const { status, type, body } = await get(path)
      assert.deepEqual([status, type], [200, 'application/json'])
      const { storage } = JSON.parse(body)
      assert.deepEqual(Object.keys(storage), ['timestamp', 'duration', 'contiguousFailures', 'timeOfFirstFailure'])
      assert.equal(storage.timestamp, '1970-01-01T00:16:40.000Z')
      assert.deepEqual([storage.contiguousFailures, storage.timeOfFirstFailure], [0, null])
      assert.ok(body.startsWith('{\n\t"storage": {\n\t\t"timestamp"'))
    }
    assert.equal((await get('/healthz/ready?type=short')).body, '{\n\t"storage": "PASS"\n}\n')
  })

  it('is not ready while a check fails, and again when it works', async () => {
    let works = false
    let runs = 0
    const storage = async (): Promise<void> => {
      runs += 1
      if (!works) throw new Error('the store is away')
    }
    await open({ checks: { storage } })
    assert.equal((await get('/healthz/ready?type=short')).status, 503)
    await Promise.all([get('/healthz'), get('/healthz/ready')])
    assert.equal(runs, 1)
    time += 2_000
    const { status, body } = await get('/healthz/ready')
    assert.equal(status, 503)
    const { storage: result } = JSON.parse(body)
    assert.equal(result.message, 'the store is away')
    assert.equal(result.contiguousFailures, 2)
    assert.equal(result.timeOfFirstFailure, '1970-01-01T00:16:40.000Z')
    works = true
    time += 2_000
    assert.deepEqual(JSON.parse((await get('/healthz/ready?type=short')).body), { storage: 'PASS' })
  })

  it('gives up a check that hangs', async () => {
    await open({ checks: { storage: () => new Promise(() => {}) }, timeoutMs: 20 })
    const { status, body } = await get('/healthz/ready')
    assert.equal(status, 503)
    assert.equal(JSON.parse(body).storage.message, 'no answer within 0.02 s')
  })

  it('shows an upstream that is away without being less ready (PL-3)', async () => {
    const away = async (): Promise<void> => {
      throw new Error('upstream is away')
    }
    await open({ notices: { 'connector okta': away } })
    const { status, body } = await get('/healthz/ready?type=short')
    assert.equal(status, 200)
    assert.deepEqual(JSON.parse(body), { storage: 'PASS', 'connector okta': 'FAIL' })
  })

  it('is switched off before a stop and stays alive', async () => {
    await open()
    server.ready(false)
    assert.equal((await get('/healthz/ready')).status, 503)
    assert.equal((await get('/healthz/live')).status, 200)
    server.ready(true)
    assert.equal((await get('/healthz/ready')).status, 200)
  })

  it('shows the metrics', async () => {
    await open()
    const { status, type, body } = await get('/metrics')
    assert.equal(status, 200)
    assert.match(type ?? '', /^text\/plain; version=0\.0\.4/)
    assert.match(body, /^process_cpu_seconds_total /m)
  })

  it('knows no other paths and methods, and survives garbage', async () => {
    await open()
    for (const path of ['/', '/healthz/', '/metrics/x', '//', '/%00', '/healthz/ready%3f']) {
      assert.equal((await get(path)).status, 404, path)
    }
    assert.equal((await get('/metrics', { method: 'POST', body: 'x' })).status, 405)
    assert.deepEqual((await get('/healthz/live', { method: 'HEAD' })).body, '')
  })

  it('answers 500 and logs when the metrics fail', async () => {
    const log = keepLog()
    const render = async (): Promise<string> => {
      throw new Error('broken')
    }
    await open({ log, metrics: { render, contentType: 'text/plain' } })
    const { status, body } = await get('/metrics')
    assert.equal(status, 500)
    assert.ok(!body.includes('broken'))
    assert.equal((await log.heard('telemetry request failed')).level, 'error')
  })

  it('takes a profile only when that is enabled', async () => {
    await open()
    const refused = await get('/debug/pprof/profile')
    assert.equal(refused.status, 404)
    assert.match(refused.body, /telemetry\.enableProfiling/)
    await server.close()
    await open({ enableProfiling: true })
    const { status, body } = await get('/debug/pprof/profile?seconds=0.05')
    assert.equal(status, 200)
    assert.ok(Array.isArray(JSON.parse(body).nodes))
    assert.equal((await get('/debug/pprof/profile?seconds=x')).status, 400)
    assert.match((await get('/debug/pprof/heap')).body, /There is one profile here/)
  })
})
