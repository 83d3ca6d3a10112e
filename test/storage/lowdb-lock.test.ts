import assert from 'node:assert/strict'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { takeLock, thisProcess } from '../../src/storage/drivers/lowdb/lock.ts'
import { create } from './contract.ts'
import { idsOf, lowdbFiles } from './lowdb-files.ts'

describe('lowdb lock', () => {
  const files = lowdbFiles()

  it('refuses a second opening and names the process, and is free after closing', async () => {
    const store = await files.open()
    await assert.rejects(files.open(), new RegExp(`state/store is in use by process ${process.pid} on`))
    await store.commit([create('person', 'p')])
    await store.close()
    const again = await files.open()
    assert.deepEqual(await idsOf(again, 'person'), ['p'])
    await again.close()
  })

  const path = () => join(files.root, 'lock')
  const noPause = () => Promise.resolve()

  it('is taken over from a process that is gone, also when its pid was given again', async () => {
    const self = await thisProcess()
    for (const gone of [
      { ...self, started: 'long ago' },
      { ...self, pid: 2 ** 22 + 1 },
      { ...self, boot: 'before' },
    ]) {
      await writeFile(path(), JSON.stringify(gone))
      const lock = await takeLock(path(), 'store', { pause: noPause })
      assert.equal(JSON.parse(await readFile(path(), 'utf8')).started, self.started)
      await lock.release()
    }
    assert.deepEqual(await readdir(files.root), [])
  })

  it('is taken by one of several that find it stale at once', async () => {
    const self = await thisProcess()
    await writeFile(path(), JSON.stringify({ ...self, started: 'long ago' }))
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => takeLock(path(), 'store', { pause: noPause })),
    )
    const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    assert.equal(taken.length, 1)
    await taken[0]!.release()
  })

  it('of another container is respected as long as it shows signs of life, and taken over when not', async () => {
    const other = { ...(await thisProcess()), pid: 1, namespace: 'pid:[1]', host: `not-${hostname()}` }
    await writeFile(path(), JSON.stringify(other))
    let second = Math.floor(Date.now() / 1000)
    const alive = async () => {
      second += 1
      await utimes(path(), second, second)
    }
    await assert.rejects(takeLock(path(), 'store', { pause: alive }), /in use by process 1 on not-/)
    const lock = await takeLock(path(), 'store', { pause: noPause })
    await lock.release()
  })

  it('that is not whole is taken over when nobody finishes it', async () => {
    await writeFile(path(), '{"pid":')
    await (await takeLock(path(), 'store', { pause: noPause })).release()
  })
})
