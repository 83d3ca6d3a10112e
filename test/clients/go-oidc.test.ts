import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { needsCommand, type RunningProvider, startProvider } from './lib/program.ts'
import { walk } from './lib/walk.ts'

const CALLBACK = 'http://127.0.0.1:8085/auth/callback'

interface Seen {
  claims: { groups: string[]; sub: string; email: string }
  userinfo: { groups: string[]; email: string }
  refreshed: { sub: string; groups: string[] }
  rotated: boolean
  deviceAuthURL: string
}

describe('go-oidc 3', function () {
  this.timeout(180_000)
  const folder = mkdtempSync(join(tmpdir(), 'countersign-go-'))
  const client = join(folder, 'client')
  let provider: RunningProvider

  before(async function () {
    const path = [process.env.PATH, '/usr/local/go/bin'].join(delimiter)
    needsCommand(this, 'go', ['version'], 'install Go 1.25 or later from https://go.dev', path)
    execFileSync('go', ['build', '-o', client, '.'], {
      cwd: join(import.meta.dirname, 'go'),
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    provider = await startProvider({
      staticClients: [{ id: 'go-cli', name: 'Go', public: true, redirectURIs: [CALLBACK] }],
    })
  })
  after(async () => {
    await provider?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  it('logs in as a public client with an empty Basic secret, verifies nonce and at_hash, asks userinfo, refreshes', async () => {
    const child = spawn(client, [provider.issuer, 'go-cli', CALLBACK])
    const failed = text(child.stderr)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const { value: start } = await lines.next()
    if (start === undefined) throw new Error(await failed)
    const arrived = await walk(String(start), CALLBACK)
    child.stdin.end(`${arrived.search.slice(1)}\n`)
    const { value: result } = await lines.next()
    if (result === undefined) throw new Error(await failed)
    const seen = JSON.parse(String(result)) as Seen
    assert.deepEqual(seen.claims.groups, ['authors'])
    assert.equal(seen.claims.email, 'kilgore@kilgore.trout')
    assert.equal(seen.userinfo.email, 'kilgore@kilgore.trout')
    assert.equal(seen.refreshed.sub, seen.claims.sub)
    assert.deepEqual(seen.refreshed.groups, ['authors'])
    assert.ok(seen.rotated)
    assert.equal(seen.deviceAuthURL, `${provider.issuer}/device/code`)
  })
})
