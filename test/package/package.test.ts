import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  client,
  eventually,
  logIn,
  openPlace,
  type Place,
  refresh,
  run as runProgram,
  type Served,
  send,
  token,
  tokensOf,
} from '../server/program.ts'
import { type Installed, installPackage } from './installed.ts'

describe('package', function () {
  this.timeout(60_000)
  let installed: Installed
  let place: Place
  let server: Served
  let started: number

  before(async () => {
    started = performance.now()
    installed = await installPackage()
    place = await openPlace()
    await writeFile(join(place.folder, 'guest.mjs'), guest)
    server = await serve({
      storage: place.lowdb,
      connectors: [
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
        { type: './guest.mjs', id: 'guest', name: 'Guest', config: { name: 'Ada' } },
      ],
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await place?.[Symbol.asyncDispose]()
    await installed?.[Symbol.asyncDispose]()
    console.log(`  built, packed, installed and tried in ${Math.round((performance.now() - started) / 100) / 10} s`)
  })

  const serve = (more?: Record<string, unknown>) => place.serve(more, { command: [process.execPath, installed.bin] })

  /** A connector of an operator, who has nothing but the package. */
  const guest = `import { defineConnector, failure, Type } from 'countersign/connector'
    export default defineConnector({
      schema: Type.Object({ name: Type.String() }),
      open: ({ name }) => ({
        style: 'browser',
        async start({ callbackUrl, state }) {
          const url = new URL(callbackUrl)
          url.searchParams.set('state', state)
          return { via: 'redirect', url }
        },
        finish: async () => ({ userId: 'guest', username: name }),
        async refresh() {
          throw failure('identity_gone', 'no guest stays')
        },
      }),
    })`

  it('has the bundle and no sources in it', () => {
    const { files } = installed
    for (const file of [
      'bin/countersign.js',
      'bin/connector.js',
      'dist/countersign.js',
      'dist/connector.js',
      'LICENSE',
    ])
      assert.ok(files.includes(file), file)
    assert.ok(files.includes('dist/types/bin/connector.d.ts') && files.includes('dist/views/layout.eta'))
    assert.deepEqual(
      files.filter((file) => /^(src|test|node_modules)\/|(?<!\.d)\.ts$|compile-cache/.test(file)),
      [],
    )
  })

  it('brings a command that says its version and checks a file', async () => {
    const { version } = JSON.parse(
      await readFile(join(installed.folder, 'node_modules/countersign/package.json'), 'utf8'),
    )
    const { code, stdout } = installed.run('npx', ['countersign', 'version'])
    assert.deepEqual([code, stdout.split('\n')[0]], [0, `Countersign Version: ${version}`])
    assert.match(installed.run(process.execPath, [installed.bin, 'login', '--help']).stdout, /--client-secret-env/)
    const example = 'node_modules/countersign/config.example.yaml'
    const { stdout: checked } = installed.run(process.execPath, [installed.bin, 'check', example])
    assert.match(checked, /no faults, no warnings; serve would start/)
  })

  it('finds the same faults in a file as the sources do', async () => {
    const file = join(place.folder, 'bad.yaml')
    await writeFile(file, faulty)
    const { code, stdout } = installed.run(process.execPath, [installed.bin, 'check', file])
    const { stdout: expected } = await runProgram(['check', file])
    assert.equal(code, 2)
    assert.ok(stdout.split('\n').length > 10, stdout)
    assert.equal(stdout, expected)
  })

  it('logs in, refreshes, introspects and revokes, also after a restart', async () => {
    const tokens = await logIn(server.issuer)
    // A bundler that renames classes breaks this one.
    const renewed = tokensOf(await refresh(server.issuer, tokens.refresh_token!))
    assert.notEqual(renewed.refresh_token, tokens.refresh_token)
    const person = await send(`${server.issuer}/userinfo`, {
      headers: { Authorization: `Bearer ${renewed.access_token}` },
    })
    assert.equal(JSON.parse(person.body).email, 'kilgore@kilgore.trout')

    assert.equal(await server.stop('SIGTERM'), 0)
    server = await serve()
    const again = tokensOf(await refresh(server.issuer, renewed.refresh_token!))
    const ask = (path: string, value: string) =>
      send(`${server.issuer}${path}`, {
        method: 'POST',
        body: new URLSearchParams({ token: value, client_id: client.id, client_secret: client.secret }).toString(),
      })
    assert.equal(JSON.parse((await ask('/token/introspect', again.refresh_token!)).body).active, true)
    assert.equal((await ask('/token/revoke', again.refresh_token!)).status, 200)
    assert.equal((await refresh(server.issuer, again.refresh_token!)).status, 400)
  })

  it('starts a device login', async () => {
    const { status, body } = await send(`${server.issuer}/device/code`, {
      method: 'POST',
      body: 'client_id=device&scope=openid',
    })
    assert.equal(status, 200)
    const { device_code, user_code } = JSON.parse(body)
    const page = await send(`${server.issuer}/device?user_code=${user_code}`)
    assert.deepEqual([page.status, page.body.includes(user_code)], [200, true])
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code, client_id: 'device' }
    const polled = await send(`${server.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams(form).toString(),
    })
    assert.equal(JSON.parse(polled.body).error, 'authorization_pending')
  })

  it("runs an operator's connector, whose failures it understands", async () => {
    const { id_token, refresh_token } = await logIn(server.issuer, { connector: 'guest' })
    assert.equal(JSON.parse(Buffer.from(id_token.split('.')[1]!, 'base64url').toString()).name, 'Ada')
    const refused = await token(server.issuer, { grant_type: 'refresh_token', refresh_token: refresh_token! })
    assert.deepEqual([refused.status, JSON.parse(refused.body).error], [400, 'invalid_grant'])
  })

  it('shows its metrics', async () => {
    const { body } = await send(`${server.telemetry}/metrics`)
    assert.match(body, /^http_requests_total\{code="200",method="post",handler="\/token"\} [1-9]/m)
    assert.match(body, /^dex_build_info\{version="\d/m)
  })

  it('keeps what was compiled for its next start, even when it is killed', async () => {
    const dist = join(installed.folder, 'node_modules', 'countersign', 'dist')
    const cached = () => readdir(join(dist, 'countersign-compile-cache')).catch(() => [])
    await eventually('a compile cache', async () => ((await cached()).length > 0 ? true : undefined))
    await server.stop('SIGKILL')
    server = await serve()
    await pause(3500)
    const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8').catch(() => '')
    const megabytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
    console.log(`  first answer after ${Math.round(server.startedIn)} ms, ${Math.round(megabytes)} MB idle`)
    assert.ok(megabytes < 100, `${megabytes} MB`)
  })
})

const faulty = `
issuer: 5
storage: { type: lowdb, config: { fil: x } }
wbe: {}
web: { http: [] }
signer: { type: local, config: { keysRotationPeriod: 5, algorithm: RS257 } }
connectors:
  - { type: oidc, id: a, name: A, config: { issuer: 1, scopes: x, insecureEnableGroup: true } }
  - { type: github, config: { orgs: [{ name: 3 }], loadAllGroups: maybe } }
  - { type: mockPassword, id: c, name: C, config: {} }
expiry: { idTokens: 5 }
staticClients: [{ id: a, redirectURIs: x }]
`
