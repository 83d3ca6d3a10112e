import assert from 'node:assert/strict'
import { clientAddress } from '../../src/server/client-address.ts'

describe('client address', () => {
  const read = clientAddress({ header: 'X-Forwarded-For', trustedProxies: ['10.0.0.0/8', 'fd00::/8', '192.0.2.7'] })
  const forwarded = (chain: string | string[], peer = '10.0.0.1') => read(peer, { 'x-forwarded-for': chain })

  it('walks the chain from the right to the first that is no trusted proxy', () => {
    const client = { address: '198.51.100.9', trusted: true, countable: true }
    assert.deepEqual(forwarded('198.51.100.9'), client)
    assert.deepEqual(forwarded('1.1.1.1, 198.51.100.9, 10.2.3.4'), client)
    assert.deepEqual(forwarded(['1.1.1.1', '198.51.100.9, 192.0.2.7']), client)
    assert.deepEqual(forwarded(' 198.51.100.9:4711 '), client)
    assert.deepEqual(forwarded('::ffff:198.51.100.9'), client)
    assert.deepEqual(forwarded('198.51.100.9', '::ffff:10.0.0.1'), client)
    assert.equal(forwarded('[2001:db8:0::1]:443', 'fd00::1').address, '2001:db8::1')
  })

  it('believes nobody else', () => {
    const peer = { address: '198.51.100.1', trusted: false, countable: true }
    assert.deepEqual(forwarded('127.0.0.1', '198.51.100.1'), peer)
  })

  it('falls back to the proxy, uncounted, when the chain names nobody or breaks', () => {
    const proxy = { address: '10.0.0.1', trusted: false, countable: false }
    for (const chain of ['', '10.9.9.9, 10.2.3.4', '198.51.100.9, unknown', '0x7f.1', '1.2.3', ['a', 'b']]) {
      assert.deepEqual(forwarded(chain), proxy, String(chain))
    }
    assert.deepEqual(read('10.0.0.1', {}), proxy)
  })

  it('counts only public addresses without the option, so that an ingress locks nobody out', () => {
    const plain = clientAddress()
    const header = { 'x-forwarded-for': '198.51.100.9' }
    assert.deepEqual(plain('8.8.8.8', header), { address: '8.8.8.8', trusted: false, countable: true })
    assert.deepEqual(plain('2600::1', header), { address: '2600::1', trusted: false, countable: true })
    for (const peer of [
      '10.0.0.1',
      '172.16.3.4',
      '192.168.0.1',
      '127.0.0.1',
      '100.64.0.1',
      '169.254.1.1',
      '::1',
      'fd00::1',
      'fe80::1%eth0',
    ]) {
      assert.equal(plain(peer, header).countable, false, peer)
    }
    assert.deepEqual(plain(undefined, {}), { address: '', trusted: false, countable: false })
  })

  it('ignores a header without trusted proxies', () => {
    const ignoring = clientAddress({ header: 'X-Forwarded-For', trustedProxies: [] })
    assert.deepEqual(ignoring('10.0.0.1', { 'x-forwarded-for': '198.51.100.9' }), {
      address: '10.0.0.1',
      trusted: false,
      countable: false,
    })
  })

  it('names a trusted network that is none', () => {
    for (const network of ['x', '10.0.0.0/33', '10.0.0/8x']) {
      const open = () => clientAddress({ header: 'X-Real-IP', trustedProxies: [network] })
      assert.throws(open, (error) => error instanceof Error && error.message.includes(`"${network}" is no network`))
    }
  })
})
