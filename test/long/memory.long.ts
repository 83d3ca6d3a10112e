import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually, logIn, openPlace, type Place, type Served, send } from '../server/program.ts'

const lanes = 16
const later = join(import.meta.dirname, 'later.ts')
const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`

interface Left {
  rss: number
  heapUsed: number
}

/** Memory when all that can go has gone: the codes have expired, the janitor was there, garbage is collected. */
async function settled(server: Served): Promise<Left> {
  const count = () => [...server.stderr().matchAll(/^left (\{.*\})$/gm)].map(([, json]) => json!)
  const before = count().length
  server.child.kill('SIGUSR2')
  return eventually('memory', async () => {
    const said = count()
    return said.length > before ? (JSON.parse(said.at(-1)!) as Left) : undefined
  })
}

async function logInOften(server: Served, times: number, scope: string): Promise<void> {
  let left = times
  const lane = async () => {
    while (left > 0) {
      left -= 1
      await logIn(server.issuer, { scope })
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

async function liveRecords({ telemetry }: Served): Promise<Record<string, number>> {
  const { body } = await send(`${telemetry}/metrics`)
  const found = body.matchAll(/^countersign_records\{kind="([^"]+)",state="live"\} (\d+)$/gm)
  return Object.fromEntries([...found].map(([, kind, count]) => [kind, Number(count)]))
}

describe('memory', () => {
  let place: Place
  beforeEach(async () => {
    place = await openPlace()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const serve = (storage: object) =>
    place.serve(
      { storage, logger: { level: 'error' }, expiry: { idTokens: '1h' } },
      { preload: [later], flags: ['--expose-gc'] },
    )

  it('does not grow with logins that leave nothing behind: 20,000 take what 5,000 took', async () => {
    await using server = await serve({ type: 'memory' })
    const fresh = await settled(server)
    await logInOften(server, 5_000, 'openid profile email groups')
    const early = await settled(server)
    await logInOften(server, 15_000, 'openid profile email groups')
    const late = await settled(server)
    const records = await liveRecords(server)
    console.log(
      `  resident: ${megabytes(fresh.rss)} idle, ${megabytes(early.rss)} after 5,000 logins, ` +
        `${megabytes(late.rss)} after 20,000; in the heap ${[fresh, early, late].map(({ heapUsed }) => megabytes(heapUsed)).join(', ')}`,
    )
    assert.deepEqual([records.code, records['refresh-family']], [0, 0])
    assert.ok(late.rss - early.rss <= 10 * 2 ** 20, megabytes(late.rss - early.rss))
    assert.ok(late.heapUsed - early.heapUsed <= 2 * 2 ** 20, megabytes(late.heapUsed - early.heapUsed))
  })

  for (const type of ['memory', 'lowdb']) {
    it(`with ${type} says what a login with a refresh token costs`, async () => {
      await using server = await serve(type === 'lowdb' ? place.lowdb : { type })
      const scope = 'openid profile email groups offline_access'
      await logInOften(server, 2_000, scope)
      const before = await settled(server)
      await logInOften(server, 8_000, scope)
      const after = await settled(server)
      const records = await liveRecords(server)
      assert.deepEqual([records.code, records['refresh-family']], [0, 10_000])
      const each = (key: keyof Left) => Math.round((after[key] - before[key]) / 8_000)
      console.log(
        `  ${type}: ${each('heapUsed')} bytes of heap (${each('rss')} resident) for each live refresh token; ` +
          `resident with 10,000: ${megabytes(after.rss)}`,
      )
      assert.ok(each('heapUsed') < 8_000)
      if (type !== 'lowdb') return
      const folder = join(place.folder, 'state')
      const sizes = await Promise.all(
        (await readdir(folder)).map(async (name) => [name, (await stat(join(folder, name))).size]),
      )
      console.log(`  files: ${sizes.map(([name, size]) => `${name} ${megabytes(Number(size))}`).join(', ')}`)
    })
  }
})
