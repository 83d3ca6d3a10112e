/** How applications say who they are, with openid-client 6 against the program as operators start it. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'openid-client'
import { Agent, fetch as undiciFetch } from 'undici'
import { certificate, type Pair, selfSigned } from '../server/certificate.ts'
import { freePort, type RunningProvider, startProvider } from './lib/program.ts'
import { walk } from './lib/walk.ts'

const CALLBACK = 'http://127.0.0.1:8086/callback'

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

describe('applications that hold a key or a certificate', function () {
  this.timeout(60_000)
  const files = new AsyncDisposableStack()
  let provider: RunningProvider
  let keys: KeyPair
  let others: KeyPair
  let server: Pair
  const authority = certificate({ subject: [['CN', 'Authority']], authority: true })
  const stranger = certificate({ subject: [['CN', 'Authority']], authority: true })
  const subject = [
    ['C', 'DE'],
    ['O', 'Example, Inc.'],
    ['CN', 'app'],
  ] as ['C' | 'O' | 'CN', string][]
  const by = ({ key }: Pair) => ({ key, subject: [['CN', 'Authority']] as ['CN', string][] })
  const good = certificate({ subject, by: by(authority), alternatives: [[2, 'app.example.com']] })
  const own = selfSigned('self-signed app')

  before(async () => {
    keys = await generateKeyPair('ES256')
    others = await generateKeyPair('ES256')
    server = selfSigned('server')
    const folder = await mkdtemp(join(tmpdir(), 'countersign-certificates-'))
    files.defer(() => rm(folder, { recursive: true, force: true }))
    const put = async (name: string, text: string) => {
      await writeFile(join(folder, name), text)
      return join(folder, name)
    }
    const port = await freePort()
    const entry = (id: string, more: object) => ({ id, name: id, redirectURIs: [CALLBACK], ...more })
    const x5c = [new X509Certificate(own.cert).raw.toString('base64')]
    provider = await startProvider({
      web: {
        https: `127.0.0.1:${port}`,
        tlsCert: await put('cert.pem', server.cert),
        tlsKey: await put('key.pem', server.key),
        clientCertificates: { ca: await put('ca.pem', authority.cert), address: `https://127.0.0.1:${port}/dex` },
      },
      staticClients: [
        entry('signer', {
          tokenEndpointAuthMethod: 'private_key_jwt',
          jwks: { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'one' }] },
        }),
        entry('shared', {
          tokenEndpointAuthMethod: 'client_secret_jwt',
          secret: 'a secret that has more than thirty-two letters',
        }),
        entry('by-name', {
          tokenEndpointAuthMethod: 'tls_client_auth',
          tlsClientAuthSubjectDN: 'CN=app, O=Example\\, Inc., C=DE',
          tlsClientCertificateBoundAccessTokens: true,
        }),
        entry('by-host', { tokenEndpointAuthMethod: 'tls_client_auth', tlsClientAuthSanDNS: 'app.example.com' }),
        entry('self-signed', {
          tokenEndpointAuthMethod: 'self_signed_tls_client_auth',
          jwks: { keys: [{ ...new X509Certificate(own.cert).publicKey.export({ format: 'jwk' }), x5c }] },
        }),
      ],
    })
  })
  after(async () => {
    await provider?.[Symbol.asyncDispose]()
    await files.disposeAsync()
  })

  /** Talks over TLS with that certificate where the server offers it, in the clear otherwise. */
  const clientOf = async (id: string, authentication: oauth.ClientAuth, pair?: Pair) => {
    const agent = new Agent({ connect: { ca: server.cert, ...pair } })
    files.defer(() => agent.destroy())
    const config = await oauth.discovery(
      new URL(provider.issuer),
      id,
      { use_mtls_endpoint_aliases: pair !== undefined },
      authentication,
      { execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks] },
    )
    config[oauth.customFetch] = (url, options) =>
      undiciFetch(url, { ...options, dispatcher: agent } as never) as unknown as Promise<Response>
    return config
  }

  const logIn = async (config: oauth.Configuration) => {
    const verifier = oauth.randomPKCECodeVerifier()
    const state = oauth.randomState()
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: 'openid groups offline_access',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      connector_id: 'mock',
    })
    return oauth.authorizationCodeGrant(config, await walk(url.href, CALLBACK), {
      pkceCodeVerifier: verifier,
      expectedState: state,
    })
  }

  const worksEverywhere = async (config: oauth.Configuration) => {
    const tokens = await logIn(config)
    assert.deepEqual(tokens.claims()?.groups, ['authors'])
    const renewed = await oauth.refreshTokenGrant(config, tokens.refresh_token!)
    assert.equal((await oauth.tokenIntrospection(config, renewed.access_token)).active, true)
    await oauth.tokenRevocation(config, renewed.refresh_token!)
    assert.equal((await oauth.tokenIntrospection(config, renewed.refresh_token!)).active, false)
    return tokens
  }

  const refused = (work: Promise<unknown>) =>
    assert.rejects(work, (error: { error?: string; status?: number }) => {
      assert.equal(error.error, 'invalid_client')
      assert.equal(error.status, 401)
      return true
    })

  it('signs an assertion with its key (private_key_jwt)', async () => {
    await worksEverywhere(await clientOf('signer', oauth.PrivateKeyJwt({ key: keys.privateKey, kid: 'one' })))
    await refused(logIn(await clientOf('signer', oauth.PrivateKeyJwt({ key: others.privateKey, kid: 'one' }))))
    await refused(logIn(await clientOf('signer', oauth.ClientSecretPost('whatever'))))
    await refused(logIn(await clientOf('signer', oauth.None())))
  })

  it('signs an assertion with its secret (client_secret_jwt)', async () => {
    await worksEverywhere(
      await clientOf('shared', oauth.ClientSecretJwt('a secret that has more than thirty-two letters')),
    )
    await refused(
      logIn(await clientOf('shared', oauth.ClientSecretJwt('another secret that has just as many letters'))),
    )
  })

  it('shows a certificate of an authority of ours (tls_client_auth)', async () => {
    await worksEverywhere(await clientOf('by-name', oauth.TlsClientAuth(), good))
    await worksEverywhere(await clientOf('by-host', oauth.TlsClientAuth(), good))
    const otherAuthority = certificate({ subject, by: by(stranger), alternatives: [[2, 'app.example.com']] })
    const otherSubject = certificate({
      subject: [['CN', 'app']],
      by: by(authority),
      alternatives: [[2, 'b.example.com']],
    })
    const ended = certificate({ subject, by: by(authority), alternatives: [[2, 'app.example.com']], days: -0.1 })
    for (const pair of [otherAuthority, otherSubject, ended, own]) {
      await refused(logIn(await clientOf('by-name', oauth.TlsClientAuth(), pair)))
      await refused(logIn(await clientOf('by-host', oauth.TlsClientAuth(), pair)))
    }
    await refused(logIn(await clientOf('by-name', oauth.TlsClientAuth())))
  })

  it('shows the certificate that it registered (self_signed_tls_client_auth)', async () => {
    await worksEverywhere(await clientOf('self-signed', oauth.TlsClientAuth(), own))
    await refused(logIn(await clientOf('self-signed', oauth.TlsClientAuth(), selfSigned('self-signed app'))))
  })

  it('has access tokens that nobody else can use (RFC 8705, 3)', async () => {
    const config = await clientOf('by-name', oauth.TlsClientAuth(), good)
    const tokens = await logIn(config)
    const { sub } = tokens.claims()!
    assert.equal((await oauth.fetchUserInfo(config, tokens.access_token, sub)).sub, sub)
    const told = await oauth.tokenIntrospection(config, tokens.access_token)
    assert.equal(typeof (told.cnf as Record<string, unknown>)['x5t#S256'], 'string')
    for (const thief of [own, undefined]) {
      const other = await clientOf('by-host', oauth.TlsClientAuth(), thief)
      await assert.rejects(oauth.fetchUserInfo(other, tokens.access_token, sub), { status: 401 })
    }
  })

  it('finds all of it in discovery', async () => {
    const members = (await clientOf('signer', oauth.None())).serverMetadata()
    const methods = ['client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']
    for (const endpoint of ['token', 'introspection', 'revocation']) {
      const told = members[`${endpoint}_endpoint_auth_methods_supported`]
      assert.deepEqual(told, ['client_secret_basic', 'client_secret_post', ...methods])
    }
    assert.equal(members.tls_client_certificate_bound_access_tokens, true)
  })
})
