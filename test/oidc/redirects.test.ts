import assert from 'node:assert/strict'
import { answerAddress, formTarget, outOfBand, redirectAllowed } from '../../src/oidc/redirects.ts'

describe('redirect URIs', () => {
  const confidential = { public: false, redirectURIs: ['https://app.example/cb?x=1', 'com.example.app:/cb'] }
  const free = { public: true, redirectURIs: [] }
  const bound = { public: true, redirectURIs: ['http://localhost/auth/callback', 'http://127.0.0.1:8085/cb'] }
  const secured = { public: true, redirectURIs: ['https://localhost/auth/callback'], httpsLoopback: true }
  const careless = { public: false, redirectURIs: ['javascript:alert(1)', 'data:text/html,x', 'https://a\\b'] }

  const cases: [client: typeof bound & { httpsLoopback?: boolean }, uri: string, allowed: boolean][] = [
    [confidential, 'https://app.example/cb?x=1', true],
    [confidential, 'com.example.app:/cb', true],
    [confidential, 'https://app.example/cb', false],
    [confidential, 'https://app.example/cb?x=1&y=2', false],
    [confidential, 'https://app.example/cb?x=1#f', false],
    [confidential, 'https://APP.example/cb?x=1', false],
    [confidential, 'https://app.example:443/cb?x=1', false],
    [confidential, 'http://localhost:8000/cb', false],
    [confidential, outOfBand, false],
    [confidential, '', false],
    [free, 'http://localhost:8000/any/path?q=1', true],
    [free, 'http://localhost/cb', true],
    [free, 'http://127.0.0.1:1/cb', true],
    [free, 'http://127.9.9.9:1/cb', true],
    [free, 'http://[::1]:1/cb', true],
    [free, outOfBand, true],
    [free, 'https://localhost:8000/cb', false],
    [free, 'http://LOCALHOST:8000/cb', false],
    [free, 'http://127.1:8000/cb', false],
    [free, 'http://0.0.0.0:8000/cb', false],
    [free, 'http://localhost.evil.example/cb', false],
    [free, 'http://localhost@evil.example/cb', false],
    [free, 'http://127.0.0.1.evil.example/cb', false],
    [free, 'http://evil.example#localhost', false],
    [free, 'http://localhost\\@evil.example/', false],
    [free, 'http://localhost:8000\t/cb', false],
    [free, 'com.example.app:/cb', false],
    [free, '//localhost/cb', false],
    [bound, 'http://localhost:39123/auth/callback', true],
    [bound, 'http://127.0.0.1:1/cb', true],
    [bound, 'http://127.0.0.1:1/auth/callback', false],
    [bound, 'http://localhost:39123/other', false],
    [bound, 'http://127.0.0.1:39123/auth/callback', false],
    [bound, 'https://localhost:39123/auth/callback', false],
    [secured, 'http://localhost:39123/auth/callback', true],
    [secured, 'https://localhost/auth/callback', true],
    [secured, 'https://localhost:39123/auth/callback', false],
    [secured, 'http://127.0.0.1:39123/auth/callback', false],
    [secured, 'http://localhost:39123/other', false],
    [{ ...secured, httpsLoopback: false }, 'http://localhost:39123/auth/callback', false],
    [{ ...secured, public: false }, 'http://localhost:39123/auth/callback', false],
    [{ ...secured, redirectURIs: ['https://localhost.evil.example/cb'] }, 'http://localhost.evil.example/cb', false],
    [careless, 'javascript:alert(1)', false],
    [careless, 'data:text/html,x', false],
    [careless, 'https://a\\b', false],
  ]
  for (const [client, uri, allowed] of cases) {
    const whose = client === confidential ? 'confidential' : client.redirectURIs.length > 0 ? 'bound' : 'public'
    it(`${JSON.stringify(uri)} is ${allowed ? 'good' : 'refused'} for a ${whose} client`, () => {
      assert.equal(redirectAllowed(client, uri), allowed)
    })
  }
})

describe('the address of an answer', () => {
  const answer = { code: 'a+b/c', state: 'x y&z', missing: undefined }
  const encoded = 'code=a%2Bb%2Fc&state=x+y%26z'

  const cases: [uri: string, place: 'query' | 'fragment', address: string][] = [
    ['https://app.example/cb', 'query', `https://app.example/cb?${encoded}`],
    ['https://app.example/cb?a=1', 'query', `https://app.example/cb?a=1&${encoded}`],
    ['https://app.example/cb?', 'query', `https://app.example/cb?${encoded}`],
    ['https://app.example/cb#old', 'query', `https://app.example/cb?${encoded}`],
    ['https://app.example/cb?a=%20b', 'fragment', `https://app.example/cb?a=%20b#${encoded}`],
    ['https://APP.example', 'query', `https://APP.example?${encoded}`],
    ['com.example.app:/cb', 'query', `com.example.app:/cb?${encoded}`],
    ['http://localhost:1/ü', 'query', `http://localhost:1/%C3%BC?${encoded}`],
  ]
  for (const [uri, place, address] of cases) {
    it(`keeps ${uri} to the letter, with the answer in the ${place}`, () => {
      assert.equal(answerAddress(uri, answer, place), address)
    })
  }

  it('cannot be split into two headers', () => {
    assert.doesNotMatch(answerAddress('http://localhost/a?b\r\nSet-Cookie: x', {}), /[\r\n]/)
  })
})

describe('where the form of a page may lead', () => {
  const cases: [uri: string, target: string | undefined][] = [
    ['https://app.example:8443/cb?x=1', 'https://app.example:8443'],
    ['http://[::1]:8000/cb', 'http://[::1]:8000'],
    ['com.example.app:/cb', 'com.example.app:'],
    ['javascript:alert(1)', undefined],
    ['not an address', undefined],
  ]
  for (const [uri, target] of cases) {
    it(`is ${target ?? 'nowhere'} for ${uri}`, () => assert.equal(formTarget(uri), target))
  }
})
