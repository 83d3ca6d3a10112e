import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { parseName, subjectMatches, thumbprintOf } from '../../src/oidc/certificates.ts'
import { type CertificateRequest, certificate } from '../server/certificate.ts'

const make = (request: CertificateRequest) => new X509Certificate(certificate(request).cert)

describe('the subject of a certificate', () => {
  const plain = make({
    subject: [
      ['C', 'DE'],
      ['O', 'Example, Inc. + "Söhne" \\ <Co>'],
      ['CN', 'app'],
    ],
  })
  const dn = (text: string, of = plain) => subjectMatches(of, 'tls_client_auth_subject_dn', text)

  it('is compared by its parts, however they are written (RFC 4514)', () => {
    const names = [
      'CN=app,O=Example\\, Inc. \\+ \\"Söhne\\" \\\\ \\<Co\\>,C=DE',
      'cn = app, o = Example\\2C Inc. \\2B \\22S\\C3\\B6hne\\22 \\5C \\3CCo\\3E, c = DE',
    ]
    for (const name of names) assert.equal(dn(name), true, name)
  })

  it('is another with a part more, less, or in another place', () => {
    const o = 'O=Example\\, Inc. \\+ \\"Söhne\\" \\\\ \\<Co\\>'
    const others = [
      `C=DE,${o},CN=app`,
      `CN=app,${o}`,
      `CN=app,${o},C=DE,C=DE`,
      `CN=App,${o},C=DE`,
      'CN=app',
      '',
      ',',
      'app',
    ]
    for (const name of others) assert.equal(dn(name), false, name)
  })

  it('cannot be made by a value that looks like parts', () => {
    const sly = make({ subject: [['CN', 'app,O=Example,C=DE']] })
    assert.equal(dn('CN=app,O=Example,C=DE', sly), false)
    assert.equal(dn('CN=app\\,O=Example\\,C=DE', sly), true)
    const lines = make({ subject: [['CN', 'x\nCN=admin']] })
    assert.equal(dn('CN=admin,CN=x', lines), false)
    const plus = make({ subject: [['CN', 'a + O=b']] })
    assert.equal(dn('CN=a+O=b', plus), false)
    assert.equal(make({ subject: [] }).subject, undefined)
    assert.equal(dn('CN=app', make({ subject: [] })), false)
  })

  it('is no name at all where a part has no type or no value', () => {
    for (const text of ['app', 'CN=', '=app', 'CN=a,,C=DE', 'CN=a,']) assert.equal(parseName(text), undefined, text)
    assert.deepEqual(parseName('CN=a+O=b,C=DE'), [['CN=a', 'O=b'], ['C=DE']])
  })
})

describe('the alternative names of a certificate', () => {
  const all = make({
    subject: [['CN', 'cn.example.com']],
    alternatives: [
      [2, 'app.example.com'],
      [2, '*.wild.example.com'],
      [1, 'app@example.com'],
      [6, 'spiffe://example.com/app'],
      [6, 'https://example.com/a, URI:https://evil.example/'],
      [7, [192, 0, 2, 1]],
    ],
  })
  const verdicts: [name: 'dns' | 'uri' | 'ip' | 'email', value: string, matches: boolean][] = [
    ['dns', 'app.example.com', true],
    ['dns', 'cn.example.com', false],
    ['dns', 'a.wild.example.com', false],
    ['dns', '.example.com', false],
    ['dns', 'example.com', false],
    ['email', 'app@example.com', true],
    ['email', 'other@example.com', false],
    ['ip', '192.0.2.1', true],
    ['ip', '192.0.2.2', false],
    ['uri', 'spiffe://example.com/app', true],
    ['uri', 'https://example.com/a, URI:https://evil.example/', true],
    ['uri', 'https://evil.example/', false],
    ['uri', 'spiffe://example.com/ap', false],
    ['uri', 'app.example.com', false],
  ]
  for (const [name, value, matches] of verdicts) {
    it(`${matches ? 'have' : 'do not have'} the ${name} ${value}`, () => {
      assert.equal(subjectMatches(all, `tls_client_auth_san_${name}`, value), matches)
    })
  }

  it('make no thumbprint: that is of the whole (RFC 8705, 3.1)', () => {
    assert.match(thumbprintOf(all), /^[\w-]{43}$/)
    assert.notEqual(thumbprintOf(all), thumbprintOf(make({ subject: [['CN', 'cn.example.com']] })))
  })
})
