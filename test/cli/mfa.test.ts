import assert from 'node:assert/strict'
import { join } from 'node:path'
import { resetFactors } from '../../src/cli/mfa.ts'
import { codeOf, secretOn } from '../flows/authenticator.ts'
import { openBrowser } from '../flows/browser.ts'
import { arrive, corp, type FlowServer, startLogin, startServer, stopClock } from '../flows/server.ts'
import { jane, upstream } from '../flows/upstream.ts'

const mfa = {
  authenticators: [
    { id: 'app', type: 'TOTP' },
    { id: 'other', type: 'TOTP' },
  ],
  defaultMFAChain: ['app', 'other'],
}

async function run(folder: string, options: { connector?: string; user?: string; authenticator?: string } = {}) {
  const [out, err]: string[][] = [[], []]
  const code = await resetFactors(join(folder, 'config.json'), {
    connector: 'corp',
    user: 'id-of-jane',
    env: {},
    stdout: { write: (text: string) => out!.push(text) },
    stderr: { write: (text: string) => err!.push(text) },
    ...options,
  })
  return { code, out: out!.join(''), err: err!.join('') }
}

describe('countersign mfa reset', () => {
  const config = { connectors: [corp('reset')], mfa }
  async function login(server: FlowServer, secrets: (string | undefined)[]): Promise<string[]> {
    const browser = openBrowser()
    const started = startLogin(server)
    let page = await browser.follow(started.url)
    const used: string[] = []
    for (const secret of secrets) {
      assert.equal(secretOn(page) === undefined, secret !== undefined, 'set up, or asked for')
      used.push(secret ?? secretOn(page)!)
      page = await browser.submit(page, { totp: codeOf(used.at(-1)!) })
    }
    arrive(started, page)
    return used
  }

  it('takes one factor or all, and nothing from anybody else', async () => {
    using clock = stopClock()
    upstream('reset').person = jane()
    const first = await startServer(config, { store: 'lowdb' })
    const [, other] = await login(first, [undefined, undefined])
    await first.close()

    const foreign = await run(first.folder, { user: 'id-of-john' })
    assert.deepEqual([foreign.code, foreign.out], [2, ''])
    assert.match(foreign.err, /id-of-john at corp has no such second factor/)
    assert.equal((await run(first.folder, { authenticator: 'third' })).code, 2)
    const one = await run(first.folder, { authenticator: 'app' })
    assert.equal(one.code, 0)
    assert.match(one.out, /has lost: app\./)
    assert.match(one.err, /audit.*factors_reset/)

    clock.advance(60)
    const second = await startServer(config, { store: 'lowdb', instead: first })
    // What is left is asked for before the rest is set up.
    await login(second, [other, undefined])
    const locked = await run(second.folder)
    assert.equal(locked.code, 2)
    assert.match(locked.err, /^error: /m)
    await second.close()

    const all = await run(second.folder)
    assert.match(all.out, /has lost: (app, other|other, app)\./)
    clock.advance(60)
    await using third = await startServer(config, { store: 'lowdb', instead: second })
    await login(third, [undefined, undefined])
  })
})
