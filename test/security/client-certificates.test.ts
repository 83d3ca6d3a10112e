/** Certificates that a proxy hands on in a header (RFC 8705): believed of the operator's proxies, and of nobody else. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { errorOf, type FlowServer, startServer } from '../flows/server.ts'
import { certificate, selfSigned } from '../server/certificate.ts'

const good = certificate({ subject: [['CN', 'app']], alternatives: [[2, 'app.example.com']] })
const ended = certificate({ subject: [['CN', 'app']], alternatives: [[2, 'app.example.com']], days: -0.1 })
const own = selfSigned('own')
const der = ({ cert }: { cert: string }) => new X509Certificate(cert).raw.toString('base64')

const config = (trustedProxies: string[]) => ({
  web: {
    http: '127.0.0.1:0',
    clientRemoteIP: { header: 'X-Real-IP', trustedProxies },
    clientCertificates: { header: 'X-Client-Cert', verifiedHeader: 'X-Client-Verify' },
  },
  staticClients: [
    { id: 'named', name: 'Named', tokenEndpointAuthMethod: 'tls_client_auth', tlsClientAuthSanDNS: 'app.example.com' },
    {
      id: 'own',
      name: 'Own',
      tokenEndpointAuthMethod: 'self_signed_tls_client_auth',
      jwks: { keys: [{ ...new X509Certificate(own.cert).publicKey.export({ format: 'jwk' }), x5c: [der(own)] }] },
    },
  ],
})

describe('certificates in a header', () => {
  let server: FlowServer
  let strict: FlowServer
  before(async () => {
    server = await startServer(config(['127.0.0.0/8']))
    strict = await startServer(config(['10.0.0.0/8']))
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await strict?.[Symbol.asyncDispose]()
  })

  const ask = (headers: Record<string, string>, id = 'named', at = server) =>
    at.request(at.url('/token/introspect'), { headers, form: { token: 'x', client_id: id } })
  const escaped = encodeURIComponent(good.cert)
  const verified = { 'x-client-verify': 'SUCCESS' }

  it('are read as proxies write them', async () => {
    const forms = {
      'nginx, AWS': escaped,
      'AWS, with some letters left': escaped.replaceAll('%2B', '+').replaceAll('%3D', '=').replaceAll('%2F', '/'),
      'HAProxy, Traefik': der(good),
      'RFC 9440': `:${der(good)}:`,
    }
    for (const [form, text] of Object.entries(forms)) {
      const answer = await ask({ 'x-client-cert': text, ...verified })
      assert.equal(answer.status, 200, `${form}: ${answer.text}`)
    }
    assert.equal((await ask({ 'x-client-cert': der(own) }, 'own')).status, 200)
  })

  it('are not believed of anybody else', async () => {
    for (const headers of [
      { 'x-client-cert': escaped, ...verified },
      { 'X-CLIENT-CERT': der(good), ...verified },
    ]) {
      assert.equal(errorOf(await ask(headers, 'named', strict)), '401 invalid_client')
    }
    assert.equal(errorOf(await ask({ 'x-client-cert': der(own) }, 'own', strict)), '401 invalid_client')
  })

  it('are no proof unless the proxy has checked them', async () => {
    for (const word of ['', 'FAILED', 'NONE', 'success', 'SUCCESS, SUCCESS', 'SUCCESS ,NONE']) {
      const answer = await ask({ 'x-client-cert': escaped, 'x-client-verify': word })
      assert.equal(errorOf(answer), '401 invalid_client', word)
    }
    assert.equal(errorOf(await ask({ 'x-client-cert': escaped })), '401 invalid_client')
    assert.equal(errorOf(await ask(verified)), '401 invalid_client')
  })

  it('are refused when they are of another, have ended, or are none', async () => {
    const wrong = [
      der(own),
      der(ended),
      `${der(good)},${der(good)}`,
      `${der(good)}, ${der(own)}`,
      der(good).slice(0, -8),
      '%',
      '%E0%A4%A',
      'x',
      ':',
      'A'.repeat(5_000),
    ]
    for (const text of wrong) {
      const answer = await ask({ 'x-client-cert': text, ...verified })
      assert.equal(errorOf(answer), '401 invalid_client', text.slice(0, 40))
    }
    for (const text of [der(good), der(selfSigned('own'))]) {
      assert.equal(errorOf(await ask({ 'x-client-cert': text }, 'own')), '401 invalid_client')
    }
  })
})
