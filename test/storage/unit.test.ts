import assert from 'node:assert/strict'
import type { Change, StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { openUnit, type Unit } from '../../src/storage/unit.ts'
import { silent, testClock } from './contract.ts'

describe('unit of work', () => {
  let driver: StorageDriver
  let asked: { reads: string[]; commits: (readonly Change[])[] }
  let unit: Unit

  beforeEach(async () => {
    const clock = testClock()
    const memory = await openStorage({ type: 'memory', config: {} }, { log: silent, now: () => clock.now() })
    asked = { reads: [], commits: [] }
    driver = {
      ...memory,
      get(kind, id) {
        asked.reads.push(`${kind} ${id}`)
        return memory.get(kind, id)
      },
      commit(changes) {
        asked.commits.push(changes)
        return memory.commit(changes)
      },
    }
    await memory.commit([{ do: 'create', kind: 'code', id: 'a', record: { index: { grant: 'g' }, body: 1 } }])
    unit = openUnit(driver)
  })

  const found = async (by: Record<string, string>) => {
    const ids: string[] = []
    for await (const [id] of unit.find('code', by)) ids.push(id)
    return ids.sort()
  }
  const record = (body: number, grant = 'g') => ({ index: { grant }, body })

  it('asks the store once for a record, also when two ask at once, and for a missing one', async () => {
    await Promise.all([unit.get('code', 'a'), unit.get('code', 'a')])
    await unit.get('code', 'a')
    await unit.get('code', 'none')
    await unit.get('code', 'none')
    assert.deepEqual(asked.reads, ['code a', 'code none'])
  })

  it('sees its own writes, while nobody else does before the commit', async () => {
    unit.create('code', 'b', record(2))
    await unit.get('code', 'a')
    unit.replace('code', 'a', record(3, 'other'))
    assert.equal(unit.staged, 2)
    assert.equal((await unit.get('code', 'b'))!.body, 2)
    assert.equal((await unit.get('code', 'a'))!.body, 3)
    assert.deepEqual(await found({ grant: 'g' }), ['b'])
    assert.deepEqual(await found({ grant: 'other' }), ['a'])
    unit.delete('code', 'a')
    assert.equal(await unit.get('code', 'a'), undefined)
    assert.deepEqual(await found({}), ['b'])
    assert.equal((await driver.get('code', 'a'))!.body, 1)
    assert.equal(await driver.get('code', 'b'), undefined)
  })

  it('commits all its changes in one, and does not ask the store when there are none', async () => {
    assert.deepEqual(await unit.commit(), { ok: true })
    assert.equal(asked.commits.length, 0)
    await unit.get('code', 'a')
    unit.delete('code', 'a')
    unit.create('code', 'b', record(2))
    assert.deepEqual(await unit.commit(), { ok: true })
    assert.equal(asked.commits.length, 1)
    assert.equal(unit.staged, 0)
    assert.deepEqual(await found({}), ['b'])
  })

  it('loses when somebody else was faster, and reads anew afterwards', async () => {
    await unit.get('code', 'a')
    const other = openUnit(driver)
    await other.get('code', 'a')
    other.replace('code', 'a', record(5))
    assert.deepEqual(await other.commit(), { ok: true })
    unit.replace('code', 'a', record(6))
    assert.deepEqual(await unit.commit(), { ok: false, conflict: 0 })
    assert.equal(unit.staged, 0)
    assert.equal((await unit.get('code', 'a'))!.body, 5)
    unit.replace('code', 'a', record(6))
    assert.deepEqual(await unit.commit(), { ok: true })
  })

  it('replaces what it found through an index, at the version it found', async () => {
    assert.deepEqual(await found({ grant: 'g' }), ['a'])
    unit.replace('code', 'a', record(2))
    assert.equal(asked.reads.length, 0)
    assert.deepEqual(await unit.commit(), { ok: true })
  })

  it('refuses to replace what it has not read', () => {
    assert.throws(() => unit.replace('code', 'a', record(2)), /without having been read/)
    unit.replace('code', 'a', record(2), '1')
    assert.equal(unit.staged, 1)
  })

  it('makes one change of several to the same record', async () => {
    unit.create('code', 'b', record(1))
    unit.replace('code', 'b', record(2))
    unit.create('code', 'c', record(1))
    unit.delete('code', 'c')
    const { version } = (await unit.get('code', 'a'))!
    unit.replace('code', 'a', record(2))
    unit.replace('code', 'a', record(3))
    await unit.commit()
    assert.deepEqual(asked.commits, [
      [
        { do: 'create', kind: 'code', id: 'b', record: record(2) },
        { do: 'replace', kind: 'code', id: 'a', version, record: record(3) },
      ],
    ])
  })

  it('keeps the condition when a record is consumed and made anew, or replaced and deleted', async () => {
    const { version } = (await unit.get('code', 'a'))!
    unit.delete('code', 'a', version)
    unit.create('code', 'a', record(2))
    await unit.commit()
    const second = (await unit.get('code', 'a'))!.version
    unit.replace('code', 'a', record(3))
    unit.delete('code', 'a')
    await unit.commit()
    assert.deepEqual(asked.commits, [
      [{ do: 'replace', kind: 'code', id: 'a', version, record: record(2) }],
      [{ do: 'delete', kind: 'code', id: 'a', version: second }],
    ])
  })

  it('refuses to write a record twice that can only be made once', async () => {
    unit.create('code', 'b', record(1))
    assert.throws(() => unit.create('code', 'b', record(2)), /written already/)
    unit.delete('code', 'a')
    assert.throws(() => unit.replace('code', 'a', record(2), '1'), /removed already/)
    assert.throws(() => unit.create('code', 'a', record(2)), /without having been read/)
  })
})
