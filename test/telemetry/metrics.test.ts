import assert from 'node:assert/strict'
import { openMetrics } from '../../src/telemetry/metrics.ts'

describe('metrics', () => {
  it("keeps Dex's names, labels and buckets", async () => {
    const metrics = openMetrics({ version: 'v1.2.3' })
    metrics.request({ code: 200, method: 'GET', handler: '/auth/{connector}', seconds: 0.3, bytes: 600 })
    const page = await metrics.render()
    const labels = 'code="200",method="get",handler="/auth/{connector}"'
    assert.ok(page.includes(`http_requests_total{${labels}} 1\n`))
    const buckets = (name: string) =>
      [...page.matchAll(new RegExp(`${name}_bucket\\{.*le="([^"]+)".*\\} (\\d+)`, 'g'))].map((found) =>
        found.slice(1).join(':'),
      )
    assert.deepEqual(buckets('request_duration_seconds'), ['0.25:0', '0.5:1', '1:1', '2.5:1', '5:1', '10:1', '+Inf:1'])
    assert.deepEqual(buckets('response_size_bytes'), ['200:0', '500:0', '900:1', '1500:1', '+Inf:1'])
    assert.match(page, /dex_build_info\{version="v1\.2\.3",go_version="v\d[^"]*",platform="[a-z0-9]+\/[a-z0-9]+"\} 1\n/)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds']) {
      assert.match(page, new RegExp(`^${name} [0-9.e+]+$`, 'm'))
    }
  })

  it('gives invented methods one label', async () => {
    const metrics = openMetrics({ version: '1' })
    for (const method of ['BREW', 'FROB'])
      metrics.request({ code: 405, method, handler: '/token', seconds: 0, bytes: 0 })
    assert.ok(
      (await metrics.render()).includes('http_requests_total{code="405",method="unknown",handler="/token"} 2\n'),
    )
  })

  it('counts upstream calls, logins, tokens and refreshes', async () => {
    const metrics = openMetrics({ version: '1' })
    metrics.upstreamCall({ connector: 'okta', call: 'POST okta.example', outcome: 'ok', seconds: 0.2 })
    metrics.login('okta', 'succeeded')
    metrics.tokensIssued('authorization_code')
    metrics.refresh('okta', 'identity_gone')
    metrics.connectorUp('okta', false)
    const page = await metrics.render()
    for (const line of [
      'countersign_upstream_calls_total{connector="okta",call="POST okta.example",outcome="ok"} 1',
      'countersign_upstream_call_duration_seconds_count{connector="okta",call="POST okta.example"} 1',
      'countersign_logins_total{connector="okta",outcome="succeeded"} 1',
      'countersign_tokens_issued_total{grant_type="authorization_code"} 1',
      'countersign_refreshes_total{connector="okta",outcome="identity_gone"} 1',
      'countersign_connector_up{connector="okta"} 0',
    ]) {
      assert.ok(page.includes(`${line}\n`), line)
    }
  })

  it('counts records when somebody scrapes, and stays whole when the store does not answer', async () => {
    const metrics = openMetrics({ version: '1' })
    let live = 3
    metrics.countRecords(async () => [{ kind: 'code', state: 'live', count: live }])
    assert.ok((await metrics.render()).includes('countersign_records{kind="code",state="live"} 3\n'))
    live = 4
    assert.ok((await metrics.render()).includes('countersign_records{kind="code",state="live"} 4\n'))
    metrics.countRecords(async () => {
      throw new Error('store is away')
    })
    const page = await metrics.render()
    assert.ok(!page.includes('countersign_records{'))
    assert.ok(page.includes('process_cpu_seconds_total'))
  })

  it('tells how old what the upstream said was, and how old the oldest is when somebody scrapes', async () => {
    const metrics = openMetrics({ version: '1' })
    metrics.checkAge('okta', 'success', 0)
    metrics.checkAge('okta', 'stale', 400)
    metrics.oldestChecks(async () => [{ connector: 'okta', seconds: 86_000 }])
    const page = await metrics.render()
    const age = 'countersign_refresh_check_age_seconds'
    for (const line of [
      `${age}_bucket{le="1",connector="okta",answer="success"} 1`,
      `${age}_bucket{le="300",connector="okta",answer="stale"} 0`,
      `${age}_bucket{le="900",connector="okta",answer="stale"} 1`,
      'countersign_refresh_oldest_check_age_seconds{connector="okta"} 86000',
    ]) {
      assert.ok(page.includes(`${line}\n`), line)
    }
    metrics.oldestChecks(async () => {
      throw new Error('store is away')
    })
    assert.doesNotMatch(await metrics.render(), /oldest_check_age_seconds\{/)
  })

  it('keeps instances apart', async () => {
    const [one, two] = [openMetrics({ version: '1' }), openMetrics({ version: '2' })]
    one.login('a', 'succeeded')
    assert.ok(!(await two.render()).includes('connector="a"'))
  })
})
