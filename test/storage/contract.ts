/** What holds for every storage driver. A driver is done when this suite passes on it. */
import assert from 'node:assert/strict'
import type { Logger } from '../../src/lib/logger.ts'
import type { Change, NewRecord, StorageContext, StorageDriver } from '../../src/storage/contract.ts'

export interface ContractSubject {
  /** Opens an empty store. */
  open(context: StorageContext): Promise<StorageDriver>
  /** Opens the same store again after `close`; absent for a store that keeps nothing. */
  reopen?(context: StorageContext): Promise<StorageDriver>
}

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** Seconds since 1970 at which every test starts. */
export const start = 1_800_000_000

/** A clock that only a test moves. */
export function testClock(): { seconds: number; now(): Date } {
  return {
    seconds: start,
    now() {
      return new Date(this.seconds * 1000)
    },
  }
}

export function create(kind: string, id: string, record: Partial<NewRecord> = {}): Change {
  return { do: 'create', kind, id, record: { index: {}, body: { id }, ...record } }
}

/** Declares the tests of one driver. */
export function storageContract(name: string, subject: () => ContractSubject): void {
  describe(`storage contract: ${name}`, () => {
    let driver: StorageDriver
    let clock: ReturnType<typeof testClock>
    let context: StorageContext

    beforeEach(async () => {
      clock = testClock()
      context = { log: silent, now: () => clock.now() }
      driver = await subject().open(context)
    })
    afterEach(() => driver.close())

    const found = async (kind: string, by: Record<string, string>) => {
      const ids: string[] = []
      for await (const [id] of driver.find(kind, by)) ids.push(id)
      return ids.sort()
    }
    const versionOf = async (kind: string, id: string) => (await driver.get(kind, id))!.version

    it('gives back what was stored, and nothing for a missing id', async () => {
      const record = { expiresAt: start + 60, index: { grant: 'g1' }, body: { text: 'ä€😀', list: [1, null, true] } }
      assert.deepEqual(await driver.commit([{ do: 'create', kind: 'code', id: 'a', record }]), { ok: true })
      const { version, ...rest } = (await driver.get('code', 'a'))!
      assert.equal(typeof version, 'string')
      assert.deepEqual(rest, record)
      assert.equal(await driver.get('code', 'b'), undefined)
      assert.equal(await driver.get('refresh-family', 'a'), undefined)
    })

    it('is not changed by a caller who changes what was written or read', async () => {
      const body = { groups: ['viewer'] }
      await driver.commit([create('person', 'p', { body })])
      body.groups.push('admin')
      const read = (await driver.get('person', 'p'))!
      ;(read.body as typeof body).groups.push('admin')
      assert.deepEqual((await driver.get('person', 'p'))!.body, { groups: ['viewer'] })
    })

    it('refuses to create an id that is taken', async () => {
      await driver.commit([create('code', 'a', { body: 1 })])
      assert.deepEqual(await driver.commit([create('code', 'a', { body: 2 })]), { ok: false, conflict: 0 })
      assert.equal((await driver.get('code', 'a'))!.body, 1)
    })

    it('refuses to replace a missing record, or one that changed since it was read', async () => {
      const record = { index: {}, body: 'new' }
      const replace = (version: string): Change => ({ do: 'replace', kind: 'person', id: 'p', version, record })
      assert.deepEqual(await driver.commit([replace('1')]), { ok: false, conflict: 0 })
      await driver.commit([create('person', 'p')])
      const first = await versionOf('person', 'p')
      assert.deepEqual(await driver.commit([replace(first)]), { ok: true })
      assert.notEqual(await versionOf('person', 'p'), first)
      assert.deepEqual(await driver.commit([replace(first)]), { ok: false, conflict: 0 })
    })

    it('deletes with the version that was read only, and without a version whatever is there', async () => {
      await driver.commit([create('code', 'a'), create('code', 'b')])
      const version = await versionOf('code', 'a')
      await driver.commit([{ do: 'replace', kind: 'code', id: 'a', version, record: { index: {}, body: 2 } }])
      const stale: Change = { do: 'delete', kind: 'code', id: 'a', version }
      assert.deepEqual(await driver.commit([stale]), { ok: false, conflict: 0 })
      const fresh: Change = { ...stale, version: await versionOf('code', 'a') }
      assert.deepEqual(await driver.commit([fresh]), { ok: true })
      assert.deepEqual(await driver.commit([fresh]), { ok: false, conflict: 0 })
      assert.deepEqual(await driver.commit([{ do: 'delete', kind: 'code', id: 'b' }]), { ok: true })
      assert.deepEqual(await driver.commit([{ do: 'delete', kind: 'code', id: 'b' }]), { ok: true })
      assert.deepEqual(await found('code', {}), [])
    })

    it('does not give a version again when an id is made anew', async () => {
      await driver.commit([create('code', 'a')])
      const version = await versionOf('code', 'a')
      await driver.commit([{ do: 'delete', kind: 'code', id: 'a' }])
      await driver.commit([create('code', 'a')])
      assert.notEqual(await versionOf('code', 'a'), version)
    })

    it('changes nothing when one of three changes fails, and says which', async () => {
      await driver.commit([create('code', 'a', { index: { grant: 'g' } })])
      const version = await versionOf('code', 'a')
      const changes: Change[] = [
        create('refresh-family', 'f', { index: { grant: 'g' } }),
        { do: 'delete', kind: 'code', id: 'a', version },
        { do: 'replace', kind: 'person', id: 'nobody', version: '1', record: { index: {}, body: 0 } },
      ]
      assert.deepEqual(await driver.commit(changes), { ok: false, conflict: 2 })
      assert.equal(await versionOf('code', 'a'), version)
      assert.equal(await driver.get('refresh-family', 'f'), undefined)
      assert.deepEqual(await found('code', { grant: 'g' }), ['a'])
      assert.deepEqual(await found('refresh-family', { grant: 'g' }), [])
    })

    it('changes nothing when a durable and a volatile change are committed together and one fails', async () => {
      await driver.commit([create('device-request', 'd', { index: { userCode: 'BCDF' } })])
      const changes = [create('device-grant', 'd'), create('device-request', 'd')]
      assert.deepEqual(await driver.commit(changes), { ok: false, conflict: 1 })
      assert.equal(await driver.get('device-grant', 'd'), undefined)
    })

    for (const kind of ['code', 'replay'])
      it(`lets one of fifty writers at once win, for a record to be created (${kind})`, async () => {
        const results = await Promise.all(
          Array.from({ length: 50 }, (_, writer) => driver.commit([create(kind, 'once', { body: writer })])),
        )
        assert.equal(results.filter((result) => result.ok).length, 1)
        const winner = results.findIndex((result) => result.ok)
        assert.equal((await driver.get(kind, 'once'))!.body, winner)
      })

    for (const kind of ['code', 'login'])
      it(`lets one of fifty readers at once consume a record, and keeps what the winner wrote (${kind})`, async () => {
        await driver.commit([create(kind, 'once')])
        const results = await Promise.all(
          Array.from({ length: 50 }, async (_, reader) => {
            const { version } = (await driver.get(kind, 'once'))!
            return driver.commit([
              { do: 'delete', kind, id: 'once', version },
              create('refresh-family', `family ${reader}`),
            ])
          }),
        )
        assert.equal(results.filter((result) => result.ok).length, 1)
        assert.deepEqual(await found('refresh-family', {}), [`family ${results.findIndex((result) => result.ok)}`])
      })

    it('keeps every one of fifty writes at once that do not touch each other', async () => {
      const ids = Array.from({ length: 50 }, (_, writer) => `p${writer}`).sort()
      const results = await Promise.all(ids.map((id) => driver.commit([create('person', id)])))
      assert.ok(results.every((result) => result.ok))
      assert.deepEqual(await found('person', {}), ids)
    })

    it('finds a record until the second it expires, and not from then on', async () => {
      await driver.commit([create('code', 'a', { expiresAt: start + 60, index: { grant: 'g' } })])
      clock.seconds = start + 59
      assert.ok(await driver.get('code', 'a'))
      assert.deepEqual(await found('code', { grant: 'g' }), ['a'])
      clock.seconds = start + 60
      assert.equal(await driver.get('code', 'a'), undefined)
      assert.deepEqual(await found('code', { grant: 'g' }), [])
      assert.deepEqual(await found('code', {}), [])
    })

    it('treats an expired record as missing: its id is free, and no version of it holds', async () => {
      await driver.commit([create('code', 'a', { expiresAt: start + 1 })])
      const version = await versionOf('code', 'a')
      clock.seconds = start + 1
      const gone: Change = { do: 'delete', kind: 'code', id: 'a', version }
      assert.deepEqual(await driver.commit([gone]), { ok: false, conflict: 0 })
      assert.deepEqual(await driver.commit([create('code', 'a', { body: 'second' })]), { ok: true })
      assert.equal((await driver.get('code', 'a'))!.body, 'second')
      assert.deepEqual(await driver.sweep(clock.now()), 0)
    })

    it('counts what is live and what has expired, and sweeps the expired only', async () => {
      const changes: Change[] = []
      for (let second = 0; second < 2500; second += 1)
        changes.push(create('code', `c${second}`, { expiresAt: start + 1 + second, index: { grant: `g${second}` } }))
      await driver.commit([...changes, create('code', 'for ever')])
      clock.seconds = start + 2000
      assert.deepEqual(await driver.count('code'), { live: 501, expired: 2000 })
      assert.equal(await driver.sweep(clock.now()), 2000)
      assert.deepEqual(await driver.count('code'), { live: 501, expired: 0 })
      assert.equal(await driver.sweep(clock.now()), 0)
      assert.deepEqual(await found('code', { grant: 'g1999' }), [])
      assert.deepEqual(await found('code', { grant: 'g2000' }), ['c2000'])
      clock.seconds = start + 100_000
      assert.equal(await driver.sweep(clock.now()), 500)
      assert.deepEqual(await found('code', {}), ['for ever'])
    })

    it('does not sweep a record whose life was prolonged', async () => {
      await driver.commit([create('refresh-family', 'f', { expiresAt: start + 10 })])
      const version = await versionOf('refresh-family', 'f')
      const record = { expiresAt: start + 5000, index: {}, body: 2 }
      await driver.commit([{ do: 'replace', kind: 'refresh-family', id: 'f', version, record }])
      clock.seconds = start + 4999
      assert.equal(await driver.sweep(clock.now()), 0)
      assert.equal((await driver.get('refresh-family', 'f'))!.body, 2)
    })

    it('finds by one index, by several at once, and all of a kind', async () => {
      await driver.commit([
        create('refresh-family', '1', { index: { grant: 'g1', person: 'ann', client: 'spa' } }),
        create('refresh-family', '2', { index: { grant: 'g2', person: 'ann', client: 'cli' } }),
        create('refresh-family', '3', { index: { grant: 'g3', person: 'bob', client: 'spa' } }),
      ])
      assert.deepEqual(await found('refresh-family', { person: 'ann' }), ['1', '2'])
      assert.deepEqual(await found('refresh-family', { person: 'ann', client: 'spa' }), ['1'])
      assert.deepEqual(await found('refresh-family', { person: 'bob', client: 'cli' }), [])
      assert.deepEqual(await found('refresh-family', { person: 'eve' }), [])
      assert.deepEqual(await found('refresh-family', {}), ['1', '2', '3'])
    })

    it('moves a record in its indexes when it is replaced, and takes it out when it is deleted', async () => {
      await driver.commit([create('refresh-family', 'f', { index: { grant: 'g1', person: 'ann' } })])
      const record = { index: { grant: 'g1', person: 'bob' }, body: 2 }
      const version = await versionOf('refresh-family', 'f')
      await driver.commit([{ do: 'replace', kind: 'refresh-family', id: 'f', version, record }])
      assert.deepEqual(await found('refresh-family', { person: 'ann' }), [])
      assert.deepEqual(await found('refresh-family', { person: 'bob' }), ['f'])
      assert.deepEqual(await found('refresh-family', { grant: 'g1' }), ['f'])
      await driver.commit([{ do: 'delete', kind: 'refresh-family', id: 'f' }])
      assert.deepEqual(await found('refresh-family', { grant: 'g1' }), [])
    })

    it('finds the first value of an index among live records, by prefix', async () => {
      const first = (prefix: string) => driver.first('refresh-family', 'checked', prefix)
      assert.equal(await first(''), undefined)
      const record = (checked: string, expiresAt?: number) => ({
        index: { checked, grant: 'g', person: 'p', client: 'c' },
        ...(expiresAt !== undefined && { expiresAt }),
      })
      await driver.commit([
        create('refresh-family', '1', record('okta\n300')),
        create('refresh-family', '2', record('okta\n200')),
        create('refresh-family', '3', record('okta\n100', start + 10)),
        create('refresh-family', '4', record('okta-too\n050')),
        create('refresh-family', '5', record('okta\n200')),
        create('refresh-family', '6', { index: { grant: 'g' } }),
      ])
      assert.equal(await first('okta\n'), 'okta\n100')
      assert.equal(await first('okta-too\n'), 'okta-too\n050')
      assert.equal(await first('ldap\n'), undefined)
      clock.seconds = start + 10
      assert.equal(await first('okta\n'), 'okta\n200', 'what has expired is not live, swept or not')
      await driver.sweep(clock.now())
      await driver.commit([{ do: 'delete', kind: 'refresh-family', id: '2' }])
      assert.equal(await first('okta\n'), 'okta\n200')
      const version = await versionOf('refresh-family', '5')
      const moved = { ...record('okta\n400'), body: {} }
      await driver.commit([{ do: 'replace', kind: 'refresh-family', id: '5', version, record: moved }])
      assert.equal(await first('okta\n'), 'okta\n300')
      await assert.rejects(driver.first('refresh-family', 'color', ''), /no index "color"/)
    })

    it('rejects kinds and indexes that are not declared', async () => {
      await assert.rejects(driver.commit([create('cookies', 'a')]), /no kind "cookies"/)
      await assert.rejects(driver.commit([create('code', 'a', { index: { color: 'red' } })]), /no index "color"/)
      await assert.rejects(found('code', { color: 'red' }), /no index "color"/)
      assert.deepEqual(await found('code', {}), [])
    })

    it('is ready', () => driver.ready())

    it('keeps what is durable over a restart, and nothing of the volatile kinds', async () => {
      const { reopen } = subject()
      if (!reopen) return
      const record = { expiresAt: start + 60, index: { grant: 'g', person: 'ann' }, body: { n: 1 } }
      await driver.commit([
        { do: 'create', kind: 'refresh-family', id: 'f', record },
        create('code', 'expired', { expiresAt: start + 1 }),
        create('code', 'deleted'),
        create('login', 'l'),
        create('replay', 'r'),
        create('device-request', 'd'),
      ])
      await driver.commit([{ do: 'delete', kind: 'code', id: 'deleted' }])
      const before = await driver.get('refresh-family', 'f')
      await driver.close()
      clock.seconds = start + 1
      driver = await reopen(context)
      assert.deepEqual(await driver.get('refresh-family', 'f'), before)
      assert.deepEqual(await found('refresh-family', { person: 'ann' }), ['f'])
      assert.deepEqual(await found('code', {}), [])
      for (const kind of ['login', 'replay', 'device-request'])
        assert.deepEqual(await driver.count(kind), { live: 0, expired: 0 })
      await driver.commit([create('code', 'deleted')])
      assert.notEqual(await versionOf('code', 'deleted'), before!.version)
    })
  })
}
