import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { needsCommand } from '../clients/lib/program.ts'
import { discover, post } from './lib/client.ts'
import { judge, KARGO, type Kargo, openCli, openUi, SERVICE, startKargo, uiCallback } from './lib/kargo.ts'
import { queryOf } from './lib/person.ts'
import { quietPort, temporaryFolder } from './lib/program.ts'

const mock = `connectors:
- type: mockCallback
  id: mock
  name: Mock`

const jane = `staticPasswords:
- email: jane@example.com
  hash: $2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W
  username: jane
  userID: id-of-jane`

describe("Kargo's chart with us in the place of Dex", function () {
  this.timeout(30_000)
  let kargo: Kargo

  before(async () => {
    kargo = await startKargo({ connectors: mock })
  })
  after(() => kargo?.[Symbol.asyncDispose]())

  const loggedIn = async () => {
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const began = await ui.begin()
    const arrived = await kargo.person().arrive(began.url, uiCallback)
    return { ui, arrived, tokens: await ui.finish(arrived, began) }
  }

  it('KA-1: starts as `dex serve /etc/dex/config.yaml` and passes the probes', async () => {
    assert.equal((await fetch(`${kargo.telemetry}/healthz/live`)).status, 200)
    assert.equal((await fetch(`${kargo.telemetry}/healthz/ready`)).status, 200)
    // level INFO, format TEXT
    assert.match(
      kargo.server.output(),
      /^time=\S+ level=INFO msg="config issuer" issuer=https:\/\/kargo\.example\.com\/dex$/m,
    )
  })

  it('KA-1: logs the UI in, whose API server takes the ID token for a bearer', async () => {
    const { tokens, arrived } = await loggedIn()
    assert.equal(arrived.searchParams.get('iss'), kargo.issuer)
    assert.equal(tokens.token_type, 'bearer')
    const { claims } = await judge(kargo, tokens.id_token)
    assert.equal(claims.aud, KARGO)
    assert.equal(claims.email, 'kilgore@kilgore.trout')
    assert.equal(claims.email_verified, true)
    assert.equal(claims.name, 'Kilgore Trout')
    assert.deepEqual(claims.groups, ['authors'])
    assert.equal('nonce' in claims, false)
  })

  it('KA-1: logs the CLI in by an empty Basic secret, with a verifier of 128 characters (X-3, X-4)', async () => {
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const arrived = await kargo.person().arrive(began.url, cli.callback)
    const { status, body } = await cli.finish(arrived, began)
    assert.equal(status, 200)
    assert.ok(body.refresh_token)
    const { claims } = await judge(kargo, body.id_token)
    assert.equal(claims.aud, `${KARGO}-cli`)
  })

  it('KA-1: logs in what the CLI is made of, go-oidc and golang.org/x/oauth2', async function () {
    this.timeout(120_000)
    const path = [process.env.PATH, '/usr/local/go/bin'].join(delimiter)
    needsCommand(this, 'go', ['version'], 'install Go 1.25 or later from https://go.dev', path)
    const folder = temporaryFolder()
    const program = join(folder, 'client')
    const sources = join(import.meta.dirname, '..', 'clients', 'go')
    execFileSync('go', ['build', '-o', program, '.'], { cwd: sources, env: { ...process.env, PATH: path } })
    const authority = join(folder, 'internet.pem')
    writeFileSync(authority, kargo.net.certificate)

    const callback = 'http://localhost:18004/auth/callback'
    const env = { HTTPS_PROXY: kargo.net.proxy, SSL_CERT_FILE: authority }
    const child = spawn(program, [kargo.issuer, `${KARGO}-cli`, callback], { env })
    const failed = text(child.stderr)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { value: url } = await lines.next()
    if (url === undefined) throw new Error(await failed)
    const arrived = await kargo.person().arrive(String(url), callback)
    child.stdin.end(`${arrived.search.slice(1)}\n`)
    const { value: result } = await lines.next()
    if (result === undefined) throw new Error(await failed)
    const seen = JSON.parse(String(result)) as { claims: { email: string }; refreshed: { groups: string[] } }
    assert.equal(seen.claims.email, 'kilgore@kilgore.trout')
    assert.deepEqual(seen.refreshed.groups, ['authors'])
  })

  it('KA-4: refreshes for UI and CLI, with a new ID token and a rotated refresh token each time (X-6)', async () => {
    const { ui, tokens } = await loggedIn()
    const renewed = await ui.renew(tokens.refresh_token!)
    assert.notEqual(renewed.refresh_token, tokens.refresh_token)
    const { claims } = await judge(kargo, renewed.id_token)
    assert.equal(claims.sub, tokens.claims()?.sub)
    assert.ok((await ui.renew(renewed.refresh_token!)).id_token)

    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const first = await cli.finish(await kargo.person().arrive(began.url, cli.callback), began)
    const second = await cli.refresh(first.body.refresh_token!)
    assert.notEqual(second.body.refresh_token, first.body.refresh_token)
    assert.equal((await judge(kargo, second.body.id_token)).claims.aud, `${KARGO}-cli`)
    assert.ok((await cli.refresh(second.body.refresh_token!)).body.id_token)
  })

  it('KA-5: tells the public addresses to who asks inside the cluster under another Host', async () => {
    const inside = await discover(`https://${SERVICE}/dex`, kargo.net.fetch)
    assert.deepEqual(inside, await discover(kargo.issuer, kargo.net.fetch))
    assert.equal(inside.issuer, kargo.issuer)
    for (const [name, value] of Object.entries(inside)) {
      if (/_(endpoint|uri)$/.test(name)) assert.ok(String(value).startsWith(`${kargo.issuer}/`), `${name}: ${value}`)
    }
  })

  it('KA-6: lets the CLI listen on any port of this machine and nowhere else', async () => {
    for (const port of [1024, 65_535]) {
      const cli = await openCli(kargo.issuer, kargo.net.fetch, { port })
      assert.match((await kargo.person().arrive(cli.begin().url, cli.callback)).href, /[?&]code=/)
    }
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    for (const elsewhere of [
      'http://localhost.example.com:8085/auth/callback',
      'https://localhost:8085/auth/callback',
    ]) {
      const url = new URL(cli.begin().url)
      url.searchParams.set('redirect_uri', elsewhere)
      const page = await kargo.person().open(url)
      assert.equal(page.status, 400)
      assert.match(page.text, /Unregistered redirect_uri/)
    }
  })

  it('KA-7: logs a UI of Kargo 1.6 and older in, which sends no state and wants none back (X-7)', async () => {
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const began = await ui.begin({ state: false })
    const arrived = await kargo.person().arrive(began.url, uiCallback)
    assert.deepEqual(Object.keys(queryOf(arrived)).sort(), ['code', 'iss'])
    assert.ok((await ui.finish(arrived, began)).id_token)
  })

  it('demands PKCE of both clients (X-9)', async () => {
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const url = new URL(cli.begin().url)
    for (const name of ['code_challenge', 'code_challenge_method']) url.searchParams.delete(name)
    const arrived = await kargo.person().arrive(url, cli.callback)
    assert.equal(arrived.searchParams.get('error'), 'invalid_request')
    assert.equal(arrived.searchParams.get('state'), url.searchParams.get('state'))
  })
})

describe("Kargo's chart in other shapes", function () {
  this.timeout(30_000)

  it('KA-10: runs without writing to disk, refused every write by the system below it', async () => {
    // Node's permission model stands for a read-only root file system without any volume.
    const options = '--permission --allow-fs-read=* --allow-addons'
    await using kargo = await startKargo({ connectors: mock, env: { NODE_OPTIONS: options } })
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const began = await ui.begin()
    const tokens = await ui.finish(await kargo.person().arrive(began.url, uiCallback), began)
    assert.ok((await ui.renew(tokens.refresh_token!)).id_token)
    assert.deepEqual(readdirSync(kargo.workingFolder), [])
    assert.doesNotMatch(kargo.server.output(), /ERR_ACCESS_DENIED|level=(WARN|ERROR)/)
  })

  it('KA-12: keeps logins, keys and even a login in progress over a restart, with a store that lasts', async () => {
    const file = join(temporaryFolder(), 'state', 'kargo.json')
    const storage = `storage:\n  type: lowdb\n  config:\n    file: ${file}`
    await using kargo = await startKargo({ connectors: `${mock}\nenablePasswordDB: true\n${jane}`, storage })
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const person = kargo.person()
    const through = async (began: { url: URL }, connector: string) => {
      began.url.searchParams.set('connector_id', connector)
      return person.open(began.url, uiCallback)
    }
    const finished = await ui.begin()
    const tokens = await ui.finish((await through(finished, 'mock')).url, finished)
    const began = await ui.begin()
    const form = await through(began, 'local')
    await kargo.restart()
    assert.equal((await judge(kargo, tokens.id_token)).claims.sub, tokens.claims()?.sub)
    assert.ok((await ui.renew(tokens.refresh_token!)).id_token)
    const fields = { login: 'jane@example.com', password: 'password' }
    const { url } = await person.submit(form, fields, { end: uiCallback })
    assert.ok((await ui.finish(url, began)).id_token)
  })

  it('KA-13: starts without connectors, alive but not ready, and says why', async () => {
    const plain = `127.0.0.1:${await quietPort()}`
    await using kargo = await startKargo({ connectors: 'connectors: []', args: ['--web-http-addr', plain] })
    assert.equal((await fetch(`http://${plain}/dex/keys`)).status, 200)
    assert.equal((await fetch(`${kargo.telemetry}/healthz/live`)).status, 200)
    const ready = await fetch(`${kargo.telemetry}/healthz/ready`)
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /no connectors are configured/)
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const page = await kargo.person().open(cli.begin().url)
    assert.equal(page.status, 400)
    assert.match(page.text, /No connectors available/)
  })

  it('KA-14: serves everything under a base path, and nothing beside it', async () => {
    await using kargo = await startKargo({ connectors: mock, basePath: '/kargo' })
    assert.equal(kargo.issuer, `https://${KARGO}/kargo/dex`)
    const metadata = await discover(kargo.issuer, kargo.net.fetch)
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const person = kargo.person()
    const { status, body } = await cli.finish(await person.arrive(began.url, cli.callback), began)
    assert.equal(status, 200)
    const claims = (await judge(kargo, body.id_token)).claims
    const headers = { authorization: `Bearer ${body.access_token}` }
    const userinfo = await kargo.net.fetch(metadata.userinfo_endpoint, { headers })
    assert.equal(((await userinfo.json()) as { sub: string }).sub, claims.sub)
    const device = await post(metadata.device_authorization_endpoint, { client_id: `${KARGO}-cli` }, kargo.net)
    assert.match(JSON.stringify(device.body), /https:\/\/kargo\.example\.com\/kargo\/dex\/device/)
    const home = await person.open(kargo.issuer)
    assert.equal(home.status, 200)
    for (const [, asset] of home.html.matchAll(/(?:href|src)="(\/[^"?]*\.(?:css|svg|js))/g)) {
      assert.equal((await person.open(`https://${KARGO}${asset}`)).status, 200, asset)
    }
    for (const beside of ['/dex/keys', '/kargo/keys', '/keys']) {
      assert.equal((await person.open(`https://${SERVICE}${beside}`)).status, 404)
    }
  })
})
