import assert from 'node:assert/strict'
import { openFactorRecords } from '../../../src/login/factors/records.ts'
import { openStorage } from '../../../src/storage/index.ts'
import { newSealingKey, sealerOf } from '../../../src/storage/seal.ts'

const jane = { connectorId: 'corp', userId: 'jane' }
const codes = (secret: string) => ({ type: 'TOTP' as const, secret, lastStep: 1, since: 1 })
const silent = { log: { error() {}, warn() {}, info() {}, debug() {}, child: () => silent.log } } as never as {
  log: never
}

async function open() {
  const now = () => new Date(1_000_000)
  const driver = await openStorage({ type: 'memory', config: {} }, { ...silent, now })
  const sealer = sealerOf([newSealingKey()])
  return { driver, sealer, now, records: openFactorRecords({ driver, sealer, now }) }
}

describe('records of second factors', () => {
  it('are one for each person and connector', async () => {
    const { records } = await open()
    const none = await records.read(jane)
    assert.deepEqual([none.held, none.version], [{}, undefined])
    assert.ok(await records.write(jane, none, { app: codes('A') }))
    for (const other of [
      { ...jane, userId: 'john' },
      { ...jane, connectorId: 'other' },
      { connectorId: 'corp"', userId: ',"jane' },
    ]) {
      assert.deepEqual((await records.read(other)).held, {})
    }
    assert.deepEqual((await records.read(jane)).held, { app: codes('A') })
  })

  it('are written by one of many who read the same', async () => {
    const { records } = await open()
    for (const start of [await records.read(jane), undefined]) {
      const before = start ?? (await records.read(jane))
      const wrote = await Promise.all(
        Array.from({ length: 50 }, (_, each) => records.write(jane, before, { app: codes(String(each)) })),
      )
      assert.equal(wrote.filter(Boolean).length, 1)
    }
  })

  it('are nothing to another key, which is no reason to start anew', async () => {
    const { records, driver, now } = await open()
    await records.write(jane, await records.read(jane), { app: codes('A') })
    const other = openFactorRecords({ driver, now, sealer: sealerOf([newSealingKey()]) })
    await assert.rejects(other.read(jane), /sealed with another key/)
    assert.equal((await other.reset(jane)).length, 1)
    assert.deepEqual((await records.read(jane)).held, {})
  })

  it('cannot be put in the place of those of somebody else', async () => {
    const { records, driver } = await open()
    const john = { ...jane, userId: 'john' }
    await records.write(jane, await records.read(jane), { app: codes('A') })
    await records.write(john, await records.read(john), { app: codes('B') })
    const rows: [string, { body: unknown; version: string }][] = []
    for await (const row of driver.find('factors', {})) rows.push(row as never)
    const [[id, { version }], [, other]] = rows as [(typeof rows)[0], (typeof rows)[0]]
    await driver.commit([
      { do: 'replace', kind: 'factors', id, version, record: { index: {}, body: other.body as never } },
    ])
    const read = await Promise.allSettled([records.read(jane), records.read(john)])
    assert.equal(read.filter(({ status }) => status === 'rejected').length, 1)
  })

  it('give one secret to a login that asks in many tabs at once', async () => {
    const { records } = await open()
    const keep = (each: number) => records.keep('state', 'secret', `secret ${each}`, 60, { once: true })
    const kept = await Promise.all(Array.from({ length: 50 }, (_, each) => keep(each)))
    assert.equal(new Set(kept).size, 1)
    assert.equal((await records.waiting('state', 'secret'))?.value, kept[0])
  })

  it('give what waits for a login once, and only the last of a name', async () => {
    const { records } = await open()
    await records.keep('state', 'challenge', 'first', 60)
    await records.keep('state', 'challenge', 'second', 60)
    assert.equal(await records.keep('state', 'challenge', 'third', 60, { once: true }), 'second')
    assert.equal(await records.take('other', 'challenge'), undefined)
    assert.equal(await records.take('state', 'secret'), undefined)
    const taken = await Promise.all(Array.from({ length: 50 }, () => records.take('state', 'challenge')))
    assert.deepEqual(
      taken.filter((each) => each !== undefined),
      ['second'],
    )
  })
})
