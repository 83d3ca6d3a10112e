import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openKey } from '../../src/oidc/keys/sealed-key.ts'
import { openStorage } from '../../src/storage/index.ts'
import { sealerFor } from '../../src/storage/sealing-key.ts'
import { type Browser, openBrowser } from '../flows/browser.ts'
import { silent } from '../storage/contract.ts'
import { startOidcUpstream, upstreamClient } from '../upstreams/oidc.ts'
import { crash, describeCrash } from './crash.ts'
import {
  authorizationUrl,
  authorize,
  client,
  eventually,
  logIn,
  openPlace,
  type Place,
  passwordHash,
  redeem,
  refresh,
  run,
  send,
  tokensOf,
} from './program.ts'

type Contents = Record<string, Buffer>

/** What shows a difference in few words. */
const digests = (files: Contents): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, hash('sha256', bytes)]))

describe('embedded store of the running program', function () {
  this.timeout(30_000)
  let place: Place
  beforeEach(async () => {
    place = await openPlace()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const folder = () => join(place.folder, 'state')
  const contents = async (): Promise<Contents> => {
    const names = (await readdir(folder())).sort()
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(folder(), name))] as const)),
    )
  }
  /** The signing key and the next one are made after the start; then the files rest. */
  const withKeys = (issuer: string) =>
    eventually('two keys', async () => {
      const { keys } = JSON.parse((await send(`${issuer}/keys`)).body) as { keys: unknown[] }
      return keys.length >= 2 || undefined
    })

  it('is readable by nobody else and holds no secret in clear while logins are live', async () => {
    await using upstream = await closing(startOidcUpstream())
    const config = { issuer: upstream.issuer, ...upstreamClient, redirectURI: `${place.issuer}/callback` }
    await using server = await place.serve({
      storage: place.lowdb,
      connectors: [
        { type: 'mockCallback', id: 'mock', name: 'Mock' },
        { type: 'oidc', id: 'up', name: 'Up', config: { ...config, scopes: ['openid', 'email', 'offline_access'] } },
      ],
    })
    const secrets: Record<string, string> = {
      'client secret': client.secret,
      'upstream client secret': upstreamClient.clientSecret,
    }
    const seen: Contents[] = []
    const { issuer } = server
    await withKeys(issuer)

    // A login in progress, a code that nobody has redeemed, and one that was.
    const departed = await send(authorizationUrl(issuer, { connector: 'up' }))
    secrets['login cookie'] = /=([^;]+)/.exec(departed.headers['set-cookie']![0]!)![1]!
    secrets['live code'] = await authorize(issuer)
    secrets['redeemed code'] = await authorize(issuer)
    const first = tokensOf(await redeem(issuer, secrets['redeemed code']))
    secrets['access token'] = first.access_token
    secrets['ID token'] = first.id_token
    secrets['spent refresh token'] = first.refresh_token!
    secrets['refresh token'] = tokensOf(await refresh(issuer, first.refresh_token!)).refresh_token!
    // A device that waits, and one that was approved.
    for (const which of ['waiting', 'approved']) {
      const form = 'client_id=device&scope=openid%20offline_access'
      const { device_code, user_code } = JSON.parse((await send(`${issuer}/device/code`, post(form))).body)
      secrets[`${which} device code`] = device_code
      secrets[`${which} user code`] = user_code
      secrets[`${which} user code without its dash`] = user_code.replace('-', '')
      if (which === 'approved') await approve(openBrowser(), issuer, user_code)
    }
    // Somebody whose upstream gave a refresh token: known to the test once it is used, so look before.
    const { refresh_token } = await logIn(issuer, { connector: 'up' })
    seen.push(await contents())
    tokensOf(await refresh(issuer, refresh_token!))
    const used = upstream.asked.find(({ form }) => form.get('grant_type') === 'refresh_token')
    secrets['upstream refresh token'] = used!.form.get('refresh_token')!
    seen.push(await contents())

    for (const name of await readdir(folder()))
      assert.equal((await stat(join(folder(), name))).mode & 0o777, 0o600, name)
    assert.equal((await stat(folder())).mode & 0o777, 0o700)

    assert.equal(await server.stop('SIGTERM'), 0)
    Object.assign(secrets, await privateKeys(place))
    seen.push(await contents())
    for (const files of seen) {
      assert.ok(Object.values(files).some((bytes) => bytes.includes('refresh-family')))
      for (const [what, secret] of Object.entries(secrets)) {
        for (const [name, bytes] of Object.entries(files)) {
          const found = disguises(secret).find((form) => bytes.includes(form))
          assert.equal(found, undefined, `${what} is in ${name}`)
        }
      }
    }
  })

  it('does not change for requests of strangers', async () => {
    await using server = await place.serve({
      storage: place.lowdb,
      enablePasswordDB: true,
      staticPasswords: [{ email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'jane' }],
    })
    const { issuer } = server
    await withKeys(issuer)
    const known = await logIn(issuer)
    const before = digests(await contents())
    const browser = openBrowser()
    for (let round = 0; round < 5; round++) {
      // Logins that nobody finishes, passwords that are wrong, devices that nobody approves, made-up codes and tokens.
      await send(authorizationUrl(issuer))
      const form = await browser.follow(authorizationUrl(issuer, { connector: 'local' }))
      await browser.submit(form, { login: 'jane@example.com', password: 'wrong' })
      const { device_code } = JSON.parse((await send(`${issuer}/device/code`, post('client_id=device'))).body)
      const polling = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code,
        client_id: 'device',
      })
      await send(`${issuer}/token`, post(polling.toString()))
      await send(`${issuer}/device/auth/verify_code`, post(`user_code=BCDF-GHJ${'KLMNP'[round]}`))
      await redeem(issuer, `no-code-${round}`)
      await refresh(issuer, 'x'.repeat(65))
      await send(`${issuer}/callback?state=${'x'.repeat(43)}&code=y`)
      await send(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${known.access_token}` } })
      await send(`${issuer}/token/introspect`, post(`token=${known.refresh_token}`))
      await send(`${issuer}/token/revoke`, post(`token=${known.refresh_token}&client_id=device`))
      for (const path of ['/', '/keys', '/.well-known/openid-configuration', '/auth', '/approval', '/nothing'])
        await send(`${issuer}${path}`)
    }
    assert.deepEqual(digests(await contents()), before)
    // Whoever is known may still go on.
    tokensOf(await refresh(issuer, known.refresh_token!))
    assert.notDeepEqual(digests(await contents()), before)
  })

  it('drops what has expired', async () => {
    const expiry = { refreshTokens: { absoluteLifetime: '2s' } }
    // The janitor comes every minute; here a minute is short.
    const hurry = join(place.folder, 'hurry.mjs')
    const replacement = '(work, ms, ...more) => real(work, ms === 60_000 ? 100 : ms, ...more)'
    await writeFile(hurry, `const real = globalThis.setTimeout\nglobalThis.setTimeout = ${replacement}\n`)
    await using server = await place.serve({ storage: place.lowdb, expiry }, { preload: [hurry] })
    const families = async () => {
      const { body } = await send(`${server.telemetry}/metrics`)
      return ['live', 'expired'].map((state) =>
        Number(
          new RegExp(`^countersign_records\\{kind="refresh-family",state="${state}"\\} (\\d+)`, 'm').exec(body)?.[1],
        ),
      )
    }
    const tokens = await Promise.all(Array.from({ length: 5 }, () => logIn(server.issuer)))
    assert.deepEqual(await families(), [5, 0])
    await eventually('no records left', async () => (await families()).join() === '0,0' || undefined)
    const refused = await refresh(server.issuer, tokens[0]!.refresh_token!)
    assert.deepEqual([refused.status, JSON.parse(refused.body).error], [400, 'invalid_grant'])
  })

  describe('that is damaged', () => {
    const newestJournal = async () =>
      (await readdir(folder()))
        .filter((name) => name.includes('journal'))
        .toSorted()
        .at(-1)!
    beforeEach(async () => {
      await using server = await place.serve({ storage: place.lowdb })
      await withKeys(server.issuer)
      await logIn(server.issuer)
      assert.equal(await server.stop('SIGTERM'), 0)
    })

    const refused = async (name: string) => {
      const before = digests(await contents())
      const { code, stderr } = await run(['serve', place.file])
      assert.equal(code, 2)
      assert.match(stderr, new RegExp(`^error: storage: the file \\S+/${name} is damaged \\(.*left untouched`, 'm'))
      assert.ok(!/^\s+at /m.test(stderr), stderr)
      assert.deepEqual(digests(await contents()), before)
    }

    it('is named and left as it is when the snapshot is not whole', async () => {
      await truncate(join(folder(), 'store'), 40)
      await refused('store')
    })

    it('is named and left as it is when a line of the journal was changed', async () => {
      const name = await newestJournal()
      const path = join(folder(), name)
      const bytes = await readFile(path)
      const at = bytes.indexOf('"keys"')
      bytes[at + 1] = 0x78
      await writeFile(path, bytes)
      await refused(name)
    })

    it('starts without the last line of the journal when that was being written', async () => {
      const path = join(folder(), await newestJournal())
      await truncate(path, (await stat(path)).size - 5)
      await using server = await place.serve()
      await server.printed(/last line of the journal was not complete and is dropped/)
      await logIn(server.issuer)
    })

    it('is not opened without its sealing key', async () => {
      const key = join(folder(), 'store.key')
      await truncate(key, 20)
      const { code, stderr } = await run(['serve', place.file])
      assert.equal(code, 2)
      assert.match(stderr, /^error: storage: the key file \S+store\.key is damaged/m)
    })
  })

  it('is used by one process at a time', async () => {
    await using server = await place.serve({ storage: place.lowdb })
    await withKeys(server.issuer)
    const before = digests(await contents())
    // On other addresses, so that nothing but the store is in the way.
    const second = join(place.folder, 'second.json')
    const { telemetry: _, ...config } = JSON.parse(await readFile(place.file, 'utf8'))
    await writeFile(second, JSON.stringify({ ...config, web: { http: '127.0.0.1:0' } }))
    const { code, stderr } = await run(['serve', second])
    assert.equal(code, 2)
    assert.match(
      stderr,
      new RegExp(
        `^error: storage: the file \\S+ is in use by process ${server.child.pid} on .*two processes cannot share`,
        'm',
      ),
    )
    assert.deepEqual(digests(await contents()), before)
    await logIn(server.issuer)
  })

  it('is in the current folder when the file names none, and says so', async () => {
    await using server = await place.serve({ storage: undefined })
    const file = join(place.folder, 'countersign.db.json')
    await server.printed(new RegExp(`No storage block: state is kept in ${file}`))
    await logIn(server.issuer)
    assert.ok((await stat(file)).isFile())
  })

  it('keeps every refresh token that it gave out, through two kills under load', async () => {
    const report = await crash({ kills: 2, clients: 16, answers: [50, 250] })
    console.log(`  ${describeCrash(2, report)}`)
  })
})

const post = (body: string) => ({ method: 'POST', body })

/** In which forms a text may lie in a file: itself, and what an encoding makes of it wherever it begins. */
function disguises(secret: string): Buffer[] {
  const bytes = Buffer.from(secret)
  const raw = /^[\w-]{40,}$/.test(secret) ? [Buffer.from(secret, 'base64url')] : []
  const encoded = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64url')
    return Buffer.from(text.slice(offset === 0 ? 0 : 4, -4))
  })
  return [bytes, Buffer.from(bytes.toString('hex')), ...raw, ...(secret.length >= 20 ? encoded : [])]
}

/** A person types the user code and is let in by the mock upstream. */
async function approve(browser: Browser, issuer: string, userCode: string): Promise<void> {
  const page = await browser.follow(`${issuer}/device?user_code=${userCode}`)
  const last = await browser.submit(page, { user_code: userCode })
  assert.equal(last.status, 200, last.text)
}

/** Of the keys in the store: the numbers that make them private. */
async function privateKeys(place: Place): Promise<Record<string, string>> {
  const storage = await openStorage(place.lowdb, { log: silent, now: () => new Date() })
  try {
    const sealer = await sealerFor(place.lowdb)
    const { keys } = (await storage.get('keys', 'signing'))!.body as { keys: Parameters<typeof openKey>[0][] }
    assert.ok(keys.length >= 2)
    return Object.fromEntries(
      keys.flatMap((entry, number) => {
        const { d, p } = openKey(entry, sealer).privateKey!.export({ format: 'jwk' })
        return [
          [`private exponent ${number}`, d!],
          [`prime ${number}`, p!],
        ]
      }),
    )
  } finally {
    await storage.close()
  }
}

async function closing<T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T & AsyncDisposable> {
  const opened = await opening
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() })
}
