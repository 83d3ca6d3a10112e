import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { selfSigned } from '../server/certificate.ts'
import { startGitHub } from '../upstreams/github.ts'
import { discover, type Metadata } from './lib/client.ts'
import { forwardTo, type Internet, portOf, startInternet } from './lib/internet.ts'
import { newPerson, type Person } from './lib/person.ts'
import { configurationFile, quietPort, type Serving, serve, temporaryFolder } from './lib/program.ts'
import { type Client, redeem, requestOf } from './lib/server.ts'

const folder = join(import.meta.dirname, '..', 'dex', 'examples')
const examples = readdirSync(folder).filter((name) => name.endsWith('.yaml'))

const exampleApp = {
  id: 'example-app',
  secret: 'ZXhhbXBsZS1hcHAtc2VjcmV0',
  redirectUri: 'http://127.0.0.1:5555/callback',
}

interface Running extends AsyncDisposable {
  serving: Serving
  issuer: string
  metadata: Metadata
  net: Internet
  person: Person
  /** Address of the telemetry listener, where the file has one. */
  telemetry: string | undefined
}

const environment = {
  DEX_CLIENT_ID: 'production-app',
  DEX_CLIENT_SECRET: 'production-secret',
  GITHUB_CLIENT_ID: 'Iv1.example',
  GITHUB_CLIENT_SECRET: 'github-client-secret',
  CLIENT_SECRET: 'okta-client-secret',
}

/** Serves an example with nothing changed but ports of this machine and the place of certificates. */
async function run(name: string): Promise<Running> {
  const ports = new Map<string, number>()
  for (const port of ['5556', '5557', '5558']) ports.set(port, await quietPort())
  const place = temporaryFolder()
  const text = readFileSync(join(folder, name), 'utf8')
    .replace(/\b(?:0\.0\.0\.0|127\.0\.0\.1):(555[678])\b/g, (_, port: string) => `127.0.0.1:${ports.get(port)}`)
    .replaceAll('/etc/dex/', `${place}/`)
  const issuer = /^issuer: (\S+)$/m.exec(text)?.[1] ?? ''
  const { hostname, host, protocol } = new URL(issuer)
  const pair = selfSigned(name, [hostname])
  for (const path of [place, join(place, 'tls')]) {
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, 'tls.crt'), pair.cert)
    writeFileSync(join(path, 'tls.key'), pair.key)
  }
  const net = await startInternet([hostname, 'github.com', 'api.github.com'], [pair.cert])
  const web = ports.get('5556')!
  // Where the file has plain HTTP below an https issuer, TLS ends in front of it.
  if (protocol === 'https:') net.put(host, /^ {2}https:/m.test(text) ? web : forwardTo({ port: web }))
  const authority = join(place, 'internet.pem')
  writeFileSync(authority, net.certificate)
  const serving = await serve(configurationFile(text, place), {
    env: { ...environment, HTTPS_PROXY: net.proxy, NODE_EXTRA_CA_CERTS: authority },
  })
  return {
    serving,
    issuer,
    metadata: await discover(issuer, net.fetch),
    net,
    person: newPerson(net.fetch),
    telemetry: /^telemetry:/m.test(text) ? `http://127.0.0.1:${ports.get('5558')}` : undefined,
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]()
      await net[Symbol.asyncDispose]()
    },
  }
}

/** A login with the approval page behind it, where the file does not skip that. */
async function logIn(running: Running, client: Client, connector: string, credentials?: Record<string, string>) {
  const { person, net } = running
  const request = requestOf(running, client, { connector_id: connector, scope: 'openid profile email groups' })
  let seen = await person.open(request.url, client.redirectUri)
  if (credentials) seen = await person.submit(seen, credentials, { end: client.redirectUri })
  if (seen.url.pathname.endsWith('/approval')) seen = await person.submit(seen, {}, { end: client.redirectUri })
  assert.ok(seen.url.href.startsWith(client.redirectUri), `${seen.status} ${seen.url}: ${seen.text}`)
  return (await redeem(running, client, request, seen.url, net.fetch)).claims
}

const admin = { login: 'admin@example.com', password: 'password' }

/** What is to be seen of each file beside that it serves. */
const journeys: Record<string, (running: Running) => Promise<void>> = {
  async 'default.yaml'({ person, metadata }) {
    const page = await person.open(`${metadata.authorization_endpoint}?client_id=nobody`)
    assert.equal(page.status, 400)
  },

  async 'default-everything.yaml'(running) {
    const claims = await logIn(running, exampleApp, 'local', { login: 'user@example.com', password: 'password' })
    assert.deepEqual(claims.groups, ['team-a', 'team-a/admins'])
    assert.equal(claims.name, 'User Full Name')
    assert.equal(claims.preferred_username, 'user-public')
    const production = {
      id: 'production-app',
      secret: 'production-secret',
      redirectUri: 'https://app.example.com/callback',
    }
    assert.ok(await logIn(running, production, 'local', { login: 'user@example.com', password: 'password' }))
  },

  async 'development.yaml'(running) {
    assert.deepEqual((await logIn(running, exampleApp, 'mock')).groups, ['authors'])
    assert.equal((await logIn(running, exampleApp, 'local', admin)).name, 'Admin User')
  },

  async 'conformance.yaml'(running) {
    const redirectUri = 'https://www.certification.openid.net/test/a/ALIAS/callback'
    for (const [id, secret] of [
      ['first_client', '89d6205220381728e85c4cf5'],
      ['second_client', '51c612288018fd384b05d6ad'],
    ] as const) {
      assert.equal((await logIn(running, { id, secret, redirectUri }, 'local', admin)).email, 'admin@example.com')
    }
  },

  async 'kargo-chart.yaml'({ telemetry }) {
    assert.equal((await fetch(`${telemetry}/healthz/ready`)).status, 503)
  },

  async 'kargo-okta.yaml'({ person, metadata }) {
    // The page shows no clients: with the chart's it logs in, see kargo-okta.test.ts.
    assert.equal((await person.open(`${metadata.authorization_endpoint}?client_id=kargo`)).status, 400)
  },

  async 'kubernetes-github.yaml'(running) {
    const github = await startGitHub({
      redirectUri: `${running.issuer}/callback`,
      organisations: { kubernetes: { membership: 'member', teams: [{ name: 'sig-auth', slug: 'sig-auth' }] } },
    })
    const port = portOf(`http://${github.host}`)
    running.net.put('github.com', forwardTo({ port }))
    running.net.put('api.github.com', forwardTo({ port, prefix: '/api/v3' }))
    // The older option `org` tells teams by their bare names.
    assert.deepEqual((await logIn(running, exampleApp, 'github')).groups, ['sig-auth'])
    await github.close()
  },
}

describe('Configurations made for Dex serve', function () {
  this.timeout(30_000)

  it('has a journey for each', () => assert.deepEqual(Object.keys(journeys).sort(), examples.toSorted()))

  for (const name of examples) {
    it(name, async () => {
      await using running = await run(name)
      const { metadata, issuer, telemetry, net } = running
      assert.equal(metadata.issuer, issuer)
      const keys = (await (await net.fetch(metadata.jwks_uri)).json()) as { keys: unknown[] }
      assert.ok(keys.keys.length > 0)
      assert.equal((await net.fetch(`${issuer}/healthz`)).status, 200)
      if (telemetry) assert.equal((await fetch(`${telemetry}/healthz/live`)).status, 200)
      await journeys[name]?.(running)
      assert.doesNotMatch(running.serving.output(), /level=ERROR/)
    })
  }
})
