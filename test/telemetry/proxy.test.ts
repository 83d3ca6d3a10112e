import assert from 'node:assert/strict'
import { proxyFor } from '../../src/telemetry/proxy.ts'

describe('proxy of the environment', () => {
  const env = { HTTP_PROXY: 'plain:3128', HTTPS_PROXY: 'http://secure:3128' }
  const ask = (noProxy: string, address: string) => proxyFor({ ...env, NO_PROXY: noProxy })(new URL(address))

  it('chooses by scheme, in either case of the variables, and none when none is set', () => {
    assert.equal(ask('', 'http://a.example/'), 'http://plain:3128')
    assert.equal(ask('', 'https://a.example/'), 'http://secure:3128')
    assert.equal(proxyFor({ https_proxy: 'http://p:1' })(new URL('https://a.example/')), 'http://p:1')
    assert.equal(proxyFor({ HTTP_PROXY: 'http://p:1' })(new URL('https://a.example/')), undefined)
    assert.equal(proxyFor({})(new URL('https://a.example/')), undefined)
  })

  it('leaves out loopback and what NO_PROXY names', () => {
    const rows: [string, string, boolean][] = [
      ['', 'https://localhost:1/', true],
      ['', 'https://127.0.0.9/', true],
      ['', 'https://[::1]/', true],
      ['*', 'https://a.example/', true],
      ['example.com', 'https://example.com/', true],
      ['example.com', 'https://idp.example.com/', true],
      ['example.com', 'https://notexample.com/', false],
      ['.example.com', 'https://idp.example.com/', true],
      ['.example.com', 'https://example.com/', false],
      ['*.example.com', 'https://idp.example.com/', true],
      ['.svc, .cluster.local', 'https://kubernetes.default.svc/', true],
      ['EXAMPLE.com', 'https://example.com/', true],
      ['example.com:8443', 'https://example.com:8443/', true],
      ['example.com:8443', 'https://example.com/', false],
      ['example.com:443', 'https://example.com/', true],
      ['10.0.0.0/8', 'https://10.1.2.3/', true],
      ['10.0.0.0/8', 'https://11.1.2.3/', false],
      ['fd00::/8', 'https://[fd00::1]/', true],
      ['192.0.2.1', 'https://192.0.2.1/', true],
      ['192.0.2.1', 'https://192.0.2.11/', false],
      ['2001:db8::1', 'https://[2001:db8::1]/', true],
    ]
    for (const [noProxy, address, direct] of rows) {
      assert.equal(ask(noProxy, address) === undefined, direct, `${noProxy} ${address}`)
    }
  })

  it('names the variable that holds no address', () => {
    assert.throws(() => proxyFor({ HTTPS_PROXY: 'http://' }), /environment variable HTTPS_PROXY holds no address/)
  })
})
