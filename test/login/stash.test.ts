import assert from 'node:assert/strict'
import { randomState } from '../../src/login/random.ts'
import { openStashes } from '../../src/login/stash.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { newSealingKey, sealerOf } from '../../src/storage/seal.ts'
import { silent, start, testClock } from '../storage/contract.ts'
import { openJar, stashOf } from './fixture.ts'

describe('a login in progress', () => {
  let clock: ReturnType<typeof testClock>
  let driver: StorageDriver
  const key = newSealingKey()
  beforeEach(async () => {
    clock = testClock()
    driver = await openStorage({ type: 'memory', config: {} }, { log: silent, now: () => clock.now() })
  })

  const stashes = ({ mount = '/dex', secure = true, keys = [key] } = {}) => {
    return openStashes({ sealer: sealerOf(keys), driver, mount, secure, now: () => clock.now() })
  }
  const fresh = (more = {}) => stashOf({ state: randomState(), expiresAt: start + 600, ...more })
  const saved = async (more = {}, header?: string) => {
    const stash = fresh(more)
    const jar = openJar(header)
    await stashes().save(stash, jar)
    return { stash, jar, header: jar.answer() }
  }

  it('comes back with the browser that began it, as it was', async () => {
    const { stash, header } = await saved({ memo: { nonce: 'n' }, locales: ['de'] })
    assert.deepEqual(await stashes().load(stash.state, openJar(header)), stash)
    assert.equal((await driver.count('login')).live, 0, 'nothing is stored')
  })

  it('is bound to this path, to https where the issuer is, and not read by scripts', async () => {
    const { jar } = await saved()
    assert.match(jar.lines[0]!, /^login_[\w-]{16}=[\w.-]+; Path=\/dex; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/)
    const plain = openJar()
    await stashes({ mount: '', secure: false }).save(fresh(), plain)
    assert.match(plain.lines[0]!, /; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/)
  })

  it('says nothing in clear', async () => {
    const { jar } = await saved({ clientId: 'clear-text', memo: 'clear-text' })
    const [, sealed = ''] = /=\w+\.([^;]*)/.exec(jar.lines[0]!) ?? []
    assert.doesNotMatch(Buffer.from(sealed, 'base64url').toString('latin1'), /clear-text/)
  })

  it('is unknown in another browser, for another state, when changed, under another key, and when it has run out', async () => {
    const { stash, header } = await saved()
    const load = (state: string, cookies: string, keys = [key]) => stashes({ keys }).load(state, openJar(cookies))
    assert.equal(await load(stash.state, ''), undefined)
    assert.equal(await load(`${stash.state.slice(0, 42)}_`, header), undefined, 'the same cookie, another state')
    for (const place of [0.3, 0.6, 0.9]) {
      const at = Math.floor(header.length * place)
      const changed = `${header.slice(0, at)}${header[at] === 'A' ? 'B' : 'A'}${header.slice(at + 1)}`
      assert.equal(await load(stash.state, changed), undefined)
    }
    assert.equal(await load(stash.state, header, [newSealingKey()]), undefined)
    assert.ok(await load(stash.state, header, [newSealingKey(), key]))
    clock.seconds = start + 600
    assert.equal(await load(stash.state, header), undefined)
  })

  it('of one tab is not taken for that of another', async () => {
    const first = await saved()
    const second = await saved({}, first.header)
    assert.equal((await stashes().load(first.stash.state, openJar(second.header)))?.state, first.stash.state)
    const cookies = second.header.split('; ')
    const swapped = cookies.map((cookie, at) => `${cookie.split('=')[0]}=${cookies[1 - at]!.split('=')[1]}`).join('; ')
    assert.equal(await stashes().load(first.stash.state, openJar(swapped)), undefined)
  })

  it('that does not fit into a cookie lies in the store, for the browser with the handle', async () => {
    const { stash, header, jar } = await saved({ memo: 'x'.repeat(10_000) })
    assert.ok(jar.lines[0]!.length < 1000)
    assert.equal((await driver.count('login')).live, 1)
    assert.deepEqual(await stashes().load(stash.state, openJar(header)), stash)
    clock.seconds = start + 601
    assert.equal(await stashes().load(stash.state, openJar(header)), undefined)
  })

  it('takes the place of the oldest ones when the browser would carry too much', async () => {
    let header: string | undefined
    const states: string[] = []
    for (let i = 0; i < 10; i++) {
      const one = await saved({ memo: 'x'.repeat(1000) }, header)
      header = one.header
      states.push(one.stash.state)
      clock.seconds += 1
    }
    assert.ok(header!.length < 8000)
    const known = await Promise.all(states.map((state) => stashes().load(state, openJar(header))))
    const kept = known.map((stash) => stash !== undefined)
    assert.equal(kept.at(-1), true)
    assert.equal(kept.indexOf(true), kept.lastIndexOf(false) + 1, `the newest are kept: ${kept}`)
    assert.ok(kept.indexOf(true) > 0)
  })

  it('leaves other cookies of the site alone', async () => {
    const { jar } = await saved({}, `session=${'x'.repeat(7000)}; loginish=1`)
    assert.equal(jar.lines.length, 1)
  })

  it('is over when it was dropped', async () => {
    const { stash, header } = await saved()
    const jar = openJar(header)
    stashes().drop(stash.state, jar)
    assert.equal(jar.answer(), '')
  })
})
