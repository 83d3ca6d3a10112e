import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openBrowser } from './browser.ts'
import { arrive, corp, device, durable, type FlowServer, logIn, startLogin, startServer, tokensOf } from './server.ts'
import { upstream } from './upstream.ts'

const scope = 'openid groups offline_access'

/** Bytes of all files of the store. */
async function bytesOf(folder: string): Promise<number> {
  const files = (await readdir(folder)).filter((name) => name.startsWith('store.json'))
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

for (const store of ['memory', 'lowdb'] as const) {
  describe(`what a journey costs, with the store ${store}`, () => {
    let server: FlowServer
    let reads = 0
    before(async () => {
      const local = { type: 'mockPassword', id: 'typed', name: 'Typed', config: { username: 'a', password: 'b' } }
      const form = { ...corp('counts', { returnsBy: 'form' }), id: 'form', name: 'Form' }
      const never = { ...corp('counts', {}, { refresh: { upstream: 'never' } }), id: 'never', name: 'Never' }
      const person = { ...corp('counts', { dataPer: 'person' }), id: 'person', name: 'Person' }
      const wrap = (driver: StorageDriver): StorageDriver => ({
        ...driver,
        get(kind, id) {
          if (kind !== 'keys') reads += 1
          return driver.get(kind, id)
        },
      })
      server = await startServer({ connectors: [corp('counts'), local, form, never, person] }, { store, wrap })
      // The next key is made after the start; its writing is nobody's journey.
      const { keys } = server.services
      while (keys.jwks().keys.length < 2) await new Promise<void>((resolve) => keys.onChange(resolve))
    })
    after(() => server[Symbol.asyncDispose]())

    const counted = async (work: () => Promise<unknown>) => {
      const from = server.commits.length
      await work()
      const commits = server.commits.slice(from)
      return { commits: commits.length, writes: durable(commits).length, ok: commits.every(({ ok }) => ok) }
    }

    it('a login: three requests to us, two commits, three durable writes', async () => {
      const browser = openBrowser()
      let redeemed = 0
      const cost = await counted(async () => {
        const started = startLogin(server, { scope, connector: 'corp' })
        const arrived = arrive(started, await browser.follow(started.url))
        redeemed = (await server.redeem(arrived)).status
      })
      assert.equal(redeemed, 200)
      assert.deepEqual(
        browser.asked.map((line) => line.replace(/\?.*/, '')),
        [`GET ${server.url('/auth')}`, `GET ${server.url('/callback')}`],
        'the token request is the third',
      )
      assert.deepEqual(cost, { commits: 2, writes: 3, ok: true })
    })

    it('a login without a refresh token: two commits, two durable writes', async () => {
      const cost = await counted(() => logIn(server, { scope: 'openid', connector: 'corp' }))
      assert.deepEqual(cost, { commits: 2, writes: 2, ok: true })
    })

    const asked = upstream('counts').refreshed
    const refreshed = async (connector: string, times = 1) => {
      const { tokens } = await logIn(server, { scope, connector })
      const [questions, read] = [asked.length, reads]
      const cost = await counted(async () => {
        for (let i = 0; i < times; i++) tokensOf(await server.refresh(tokens.refresh_token!))
      })
      return { ...cost, questions: asked.length - questions, reads: reads - read }
    }

    it('a refresh: one question to the upstream, one read, one commit, one durable write', async () => {
      const cost = { questions: 1, reads: 1, commits: 1, writes: 1, ok: true }
      assert.deepEqual(await refreshed('corp'), cost)
      assert.deepEqual(await refreshed('never'), { ...cost, questions: 0 })
    })

    it('a refresh that is repeated: one read more', async () => {
      assert.deepEqual(await refreshed('corp', 2), { questions: 1, reads: 2, commits: 1, writes: 1, ok: true })
    })

    it('a refresh where the upstream counts tokens for a person: one read more while they stay as they are', async () => {
      assert.deepEqual(await refreshed('person'), { questions: 1, reads: 2, commits: 1, writes: 1, ok: true })
    })

    it('userinfo and introspection: none', async () => {
      const { tokens } = await logIn(server, { scope, connector: 'corp' })
      const cost = await counted(async () => {
        await server.userinfo(tokens.access_token)
        await server.introspect(tokens.access_token)
        await server.introspect(tokens.refresh_token!)
      })
      assert.equal(cost.commits, 0)
    })

    it('a stranger: nothing durable, and no byte on the disk', async () => {
      const before = store === 'lowdb' ? await bytesOf(server.folder) : 0
      const browser = openBrowser()
      const cost = await counted(async () => {
        for (const path of [
          '/',
          '/auth',
          '/callback?state=x',
          '/device',
          '/approval?state=x',
          '/healthz',
          '/nowhere',
        ]) {
          await browser.request(server.url(path))
        }
        await browser.follow(startLogin(server).url)
        const form = await browser.follow(startLogin(server, { connector: 'typed' }).url)
        for (const password of ['x', 'y']) await browser.submit(form, { login: 'a', password })
        await browser.request(startLogin(server, { connector: 'corp' }).url)
        await browser.request(startLogin(server, { params: { prompt: 'none' } }).url)
        await browser.request(server.url('/callback'), { form: { state: 'x', code: 'y' } })
        const fields = { scope: 'openid', code: 'x', redirect_uri: 'http://127.0.0.1:9/', refresh_token: 'y' }
        for (const grant of [
          'authorization_code',
          'refresh_token',
          'urn:ietf:params:oauth:grant-type:device_code',
          'x',
        ]) {
          await server.token({ ...fields, grant_type: grant, device_code: 'z' }, device)
          await server.token({ ...fields, grant_type: grant, device_code: 'z' })
        }
        await server.post('/token/introspect', { token: 'x' }, device)
        await server.post('/token/revoke', { token: 'x' }, device)
        await server.userinfo('x')
        const { device_code: code, user_code: userCode } = (
          await server.post('/device/code', { scope: 'openid' }, device)
        ).json()
        for (let i = 0; i < 2; i++) {
          await server.token(
            { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(code) },
            device,
          )
        }
        await browser.submit(await browser.follow(server.url('/device')), { user_code: String(userCode) })
        await browser.submit(await browser.follow(server.url('/device')), { user_code: 'BBBB-BBBB' })
      })
      assert.equal(cost.writes, 0)
      if (store === 'lowdb') assert.equal(await bytesOf(server.folder), before)
    })
  })
}
