import assert from 'node:assert/strict'
import { cors } from '../../src/server/cors.ts'

const page = 'https://spa.example'

describe('CORS', () => {
  const one = cors({ origins: [page], headers: ['Authorization'] })
  const any = cors({ origins: ['*'], headers: ['Authorization'] })
  const none = cors({ origins: [], headers: ['Authorization'] })
  const options = { method: 'OPTIONS', origin: page }

  it('lets a configured origin read answers, and tells caches so', () => {
    assert.deepEqual(one({ method: 'GET', origin: page }), {
      headers: { Vary: 'Origin', 'Access-Control-Allow-Origin': page },
    })
  })

  it('adds nothing for other origins, `null` and no origin', () => {
    for (const origin of [
      'https://evil.example',
      'null',
      'https://spa.example.evil.example',
      'HTTPS://SPA.EXAMPLE',
      undefined,
    ]) {
      assert.deepEqual(one({ method: 'GET', origin }), { headers: { Vary: 'Origin' } })
    }
  })

  it('answers a preflight with the extra headers that were asked for', () => {
    const asked = { ...options, requestMethod: 'POST', requestHeaders: 'authorization, accept' }
    assert.deepEqual(one(asked).preflight, {
      status: 200,
      headers: {
        Vary: 'Origin',
        'Access-Control-Allow-Origin': page,
        'Access-Control-Allow-Headers': 'authorization',
      },
    })
    assert.deepEqual(one({ ...options, requestMethod: 'GET' }).preflight, {
      status: 200,
      headers: { Vary: 'Origin', 'Access-Control-Allow-Origin': page },
    })
  })

  it('refuses a preflight that asks for too much, without an allowed origin', () => {
    const rows = [
      { requestMethod: 'POST', requestHeaders: 'content-type', status: 403 },
      { requestMethod: 'PUT', status: 405 },
      { requestMethod: 'post', status: 405 },
      { requestMethod: undefined, status: 400 },
    ]
    for (const { status, ...asked } of rows) {
      assert.deepEqual(one({ ...options, ...asked }).preflight, { status, headers: { Vary: 'Origin' } })
    }
    const other = one({ ...options, origin: 'https://evil.example', requestMethod: 'POST' })
    assert.deepEqual(other.preflight, { status: 200, headers: { Vary: 'Origin' } })
  })

  it('allows further headers that are configured, whatever their case', () => {
    const decide = cors({ origins: [page], headers: ['Content-Type', 'X-Trace'] })
    const asked = { ...options, requestMethod: 'POST', requestHeaders: 'content-type,x-trace' }
    assert.equal(decide(asked).preflight?.headers['Access-Control-Allow-Headers'], 'content-type,x-trace')
    assert.equal(decide({ ...asked, requestHeaders: 'authorization' }).preflight?.status, 403)
  })

  it('answers `*` where any origin is allowed, and never allows credentials', () => {
    assert.deepEqual(any({ method: 'GET', origin: 'https://who.example' }), {
      headers: { 'Access-Control-Allow-Origin': '*' },
    })
    const asked = { ...options, requestMethod: 'POST', requestHeaders: 'authorization' }
    assert.deepEqual(any(asked).preflight?.headers, {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': 'authorization',
    })
  })

  it('lets origins that are listed by name send credentials where that is configured, and nobody else', () => {
    const decide = cors({ origins: [page], headers: ['Authorization'], credentials: true })
    const allowed = { Vary: 'Origin', 'Access-Control-Allow-Origin': page, 'Access-Control-Allow-Credentials': 'true' }
    assert.deepEqual(decide({ method: 'POST', origin: page }), { headers: allowed })
    assert.deepEqual(decide({ ...options, requestMethod: 'POST' }).preflight?.headers, allowed)
    for (const origin of ['https://evil.example', 'null', undefined]) {
      assert.deepEqual(decide({ method: 'POST', origin }), { headers: { Vary: 'Origin' } })
    }
    const everybody = cors({ origins: ['*', page], headers: [], credentials: true })
    assert.deepEqual(everybody({ method: 'POST', origin: page }), { headers: { 'Access-Control-Allow-Origin': '*' } })
    assert.equal(
      everybody({ ...options, requestMethod: 'POST' }).preflight?.headers['Access-Control-Allow-Credentials'],
      undefined,
    )
  })

  it('does nothing at all without configured origins', () => {
    for (const method of ['GET', 'OPTIONS']) {
      assert.deepEqual(none({ method, origin: page, requestMethod: 'POST' }), { headers: {} })
    }
  })
})
