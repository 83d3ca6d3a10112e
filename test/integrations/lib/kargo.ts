/**
 * Kargo around us: its chart's configuration file in a mounted secret, its API server as reverse proxy and as the judge of
 * ID tokens, its UI and its command line, each with the requests that they really send.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import * as oauth from 'openid-client'
import { type Pair, selfSigned } from '../../server/certificate.ts'
import {
  authorizationUrl,
  basic,
  discover,
  type Metadata,
  post,
  s256,
  type Tokens,
  verified,
  verifierOf,
} from './client.ts'
import { forwardTo, type Internet, startInternet } from './internet.ts'
import { newPerson, type Person } from './person.ts'
import { countersign, quietPort, type Serving, serve, temporaryFolder } from './program.ts'

export const KARGO = 'kargo.example.com'
/** Our Service in the cluster. */
export const SERVICE = 'kargo-dex-server.kargo.svc'

export interface Kargo extends AsyncDisposable {
  issuer: string
  /** The internet that browsers, command lines and our server are on. */
  net: Internet
  readonly server: Serving
  /** Address of `telemetry.http`. */
  telemetry: string
  /** Port of `web.https`. */
  port: number
  /** The folder that the chart mounts, and the one that our server runs in. */
  folder: string
  workingFolder: string
  /** Ends our server and starts it anew. */
  restart(): Promise<void>
  /** cert-manager renews the pair, and the kubelet swaps it in. */
  renew(): Promise<void>
  /** Name in the certificate that is served before and after the renewal. */
  certificates: [before: string, after: string]
  person(): Person
}

export interface KargoOptions {
  /** `api.oidc.dex.connectors` of the chart's values, as YAML. */
  connectors: string
  /** In front of `/dex`. */
  basePath?: string
  /** Instead of the memory store, as YAML. */
  storage?: string
  /** Further names on the internet. */
  hosts?: string[]
  env?: Record<string, string>
  args?: string[]
}

const chart = join(import.meta.dirname, '..', '..', 'dex', 'examples', 'kargo-chart.yaml')

/** The chart's file with nothing but connectors and the place of the mount filled in. */
function rendered(folder: string, { connectors, basePath = '', storage }: KargoOptions): string {
  const text = readFileSync(chart, 'utf8')
    .replace('connectors: []', connectors)
    .replace('storage:\n  type: memory', storage ?? '$&')
    .replaceAll('/etc/dex/', `${folder}/`)
    .replace(`https://${KARGO}/dex`, `https://${KARGO}${basePath}/dex`)
  assert.match(text, /^connectors:/m)
  return text
}

/** A projected volume: files are links into a folder that is swapped as a whole. */
function mount(folder: string, version: string, files: Record<string, string>): void {
  mkdirSync(join(folder, version))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, version, name), text, { mode: 0o444 })
  symlinkSync(version, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}

/** Starts the container's command, `dex serve /etc/dex/config.yaml`, with everything around it. */
export async function startKargo(options: KargoOptions): Promise<Kargo> {
  const { basePath = '', hosts = [], env = {}, args = [] } = options
  const certificates: [string, string] = ['cert-manager 1', 'cert-manager 2']
  const [first, second] = certificates.map((name) => selfSigned(name, [SERVICE])) as [Pair, Pair]
  const net = await startInternet([KARGO, ...hosts], [first.cert, second.cert])

  const folder = temporaryFolder()
  const workingFolder = temporaryFolder()
  const commands = temporaryFolder()
  symlinkSync(countersign, join(commands, 'dex'))
  const files = { 'config.yaml': rendered(folder, options) }
  mount(folder, '..2026_1', { ...files, 'tls.crt': first.cert, 'tls.key': first.key })
  for (const name of ['config.yaml', 'tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(folder, name))
  const authority = join(commands, 'internet.pem')
  writeFileSync(authority, net.certificate)

  const [port, telemetryPort] = await Promise.all([quietPort(), quietPort()])
  const issuer = `https://${KARGO}${basePath}/dex`
  const tls = { servername: SERVICE, ca: first.cert + second.cert }
  const proxied = forwardTo({ port, tls, forwardedFor: '203.0.113.7' })
  net.put(KARGO, (incoming, response) => {
    if (incoming.url?.startsWith(`${basePath}/dex`)) proxied(incoming, response)
    else response.writeHead(404).end('Kargo')
  })
  net.put(SERVICE, port)

  const serving = {
    command: 'dex',
    args: ['--web-https-addr', `127.0.0.1:${port}`, '--telemetry-addr', `127.0.0.1:${telemetryPort}`, ...args],
    cwd: workingFolder,
    env: {
      PATH: [commands, dirname(process.execPath), process.env.PATH].join(delimiter),
      HTTPS_PROXY: net.proxy,
      NODE_EXTRA_CA_CERTS: authority,
      GOMEMLIMIT: '1',
      GOMAXPROCS: '1',
      ...env,
    },
  }
  const start = () => serve(join(folder, 'config.yaml'), serving)
  let server = await start()
  return {
    issuer,
    net,
    get server() {
      return server
    },
    telemetry: `http://127.0.0.1:${telemetryPort}`,
    port,
    folder,
    workingFolder,
    certificates,
    async restart() {
      await server[Symbol.asyncDispose]()
      server = await start()
    },
    async renew() {
      mount(folder, '..2026_2', { ...files, 'tls.crt': second.cert, 'tls.key': second.key })
      await server.logged(/TLS certificate reloaded/)
    },
    person: () => newPerson(net.fetch),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await net[Symbol.asyncDispose]()
      assert.deepEqual(net.lost, [])
    },
  }
}

/** What Kargo asks for: `offline_access` only where discovery lists it, `groups` from `additionalScopes`. */
const scopesFor = (listed: readonly string[] | undefined): string =>
  ['openid', 'profile', 'email', 'groups', ...(listed?.includes('offline_access') ? ['offline_access'] : [])].join(' ')

export const uiCallback = `https://${KARGO}/login`

export interface Ui {
  configuration: oauth.Configuration
  /** Where the UI sends the browser. `state: false` is Kargo up to 1.6. */
  begin(options?: { state?: boolean }): Promise<{ url: URL; verifier: string; state: string | undefined }>
  /** The callback page: what it gets for the code. */
  finish(arrived: URL, began: { verifier: string; state: string | undefined }): Promise<UiTokens>
  /** `/token-renew`. */
  renew(refreshToken: string): Promise<UiTokens>
}

type UiTokens = oauth.TokenEndpointResponse & oauth.TokenEndpointResponseHelpers

/** Kargo's UI is written on oauth4webapi, which is the inside of openid-client. */
export async function openUi(issuer: string, fetchPage: typeof fetch, clientId: string = KARGO): Promise<Ui> {
  const configuration = await oauth.discovery(new URL(issuer), clientId, undefined, oauth.None(), {
    [oauth.customFetch]: fetchPage as oauth.CustomFetch,
    execute: [oauth.enableNonRepudiationChecks],
  })
  configuration[oauth.customFetch] = fetchPage as oauth.CustomFetch
  const metadata = configuration.serverMetadata()
  return {
    configuration,
    async begin({ state: withState = true } = {}) {
      assert.ok(metadata.code_challenge_methods_supported?.includes('S256'), 'the UI refuses an issuer without S256')
      const verifier = oauth.randomPKCECodeVerifier()
      const state = withState ? oauth.randomState() : undefined
      const url = oauth.buildAuthorizationUrl(configuration, {
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        redirect_uri: uiCallback,
        response_type: 'code',
        scope: scopesFor(metadata.scopes_supported),
        ...(state !== undefined && { state }),
      })
      return { url, verifier, state }
    },
    async finish(arrived, { verifier, state }) {
      const tokens = await oauth.authorizationCodeGrant(configuration, arrived, {
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
        ...(state !== undefined && { expectedState: state }),
      })
      return tokens
    },
    async renew(refreshToken) {
      const tokens = await oauth.refreshTokenGrant(configuration, refreshToken)
      assert.ok(tokens.id_token, 'the UI fails on a refresh answer without an ID token')
      return tokens
    },
  }
}

export interface Cli {
  metadata: Metadata
  /** Where it listens. */
  callback: string
  begin(): { url: string; state: string; verifier: string }
  /** What it makes of the answer in the browser. @throws Error with the OAuth error */
  finish(arrived: URL, began: { state: string; verifier: string }): Promise<Tokens>
  refresh(refreshToken: string): Promise<Tokens>
}

/** `kargo login --sso`: go-oidc and golang.org/x/oauth2. */
export async function openCli(
  issuer: string,
  fetchPage: typeof fetch,
  { clientId = `${KARGO}-cli`, port = 41_234 } = {},
): Promise<Cli> {
  const metadata = await discover(issuer, fetchPage)
  assert.equal(metadata.issuer, issuer)
  const callback = `http://localhost:${port}/auth/callback`
  /** The library tries Basic with an empty secret first, and only then the body. */
  const token = async (form: Record<string, string>): Promise<Tokens> => {
    const probe = await post(metadata.token_endpoint, form, { headers: basic(clientId, ''), fetch: fetchPage })
    if (probe.status === 200) return probe
    return post(metadata.token_endpoint, { ...form, client_id: clientId }, { fetch: fetchPage })
  }
  return {
    metadata,
    callback,
    begin() {
      const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
      const state = [...randomBytes(24)].map((byte) => letters[byte % letters.length]).join('')
      const verifier = verifierOf(128)
      const url = authorizationUrl(metadata, {
        client_id: clientId,
        code_challenge: s256(verifier),
        code_challenge_method: 'S256',
        redirect_uri: callback,
        response_type: 'code',
        scope: scopesFor(metadata.scopes_supported),
        state,
      })
      return { url, state, verifier }
    },
    async finish({ searchParams }, { state, verifier }) {
      if (searchParams.has('error'))
        throw new Error(`${searchParams.get('error')}: ${searchParams.get('error_description')}`)
      assert.equal(searchParams.get('state'), state)
      const code = searchParams.get('code') ?? ''
      return token({ grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier })
    },
    refresh: (refreshToken) => token({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  }
}

const roles = { 'kargo-admin': ['devops'], 'kargo-viewer': ['developers'] }

/**
 * What the API server makes of an ID token: keys by way of the in-cluster address, audience UI else CLI, and the roles whose
 * claims match to the letter.
 */
export async function judge(kargo: Kargo, idToken: string | undefined) {
  const inside = (address: string) => address.replace(`https://${KARGO}`, `https://${SERVICE}`)
  const metadata = await discover(inside(kargo.issuer), kargo.net.fetch)
  assert.equal(metadata.issuer, kargo.issuer)
  assert.ok(metadata.jwks_uri.startsWith(kargo.issuer))
  const keys = { issuer: kargo.issuer, jwks_uri: inside(metadata.jwks_uri) }
  const claims = await verified(idToken, keys, KARGO, kargo.net.fetch).catch(() =>
    verified(idToken, keys, `${KARGO}-cli`, kargo.net.fetch),
  )
  const groups = Array.isArray(claims.groups) ? claims.groups : []
  const granted = Object.entries(roles).filter(([, wanted]) => wanted.some((name) => groups.includes(name)))
  return { claims, roles: granted.map(([role]) => role) }
}
