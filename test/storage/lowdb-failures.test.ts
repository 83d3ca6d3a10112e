import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Disk, disk } from '../../src/storage/drivers/lowdb/disk.ts'
import { create } from './contract.ts'
import { idsOf, lowdbFiles } from './lowdb-files.ts'

describe('lowdb under failures', () => {
  const files = lowdbFiles()

  describe('on a disk that refuses', () => {
    /** The disk of this machine, on which the next writes can be made to fail half way. */
    const failing = () => {
      const state = { full: false, broken: false }
      const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
      const faulty: Disk = {
        ...disk,
        async openAppend(path) {
          const inner = await disk.openAppend(path)
          return {
            ...inner,
            async write(content, position) {
              if (!state.full) return inner.write(content, position)
              await inner.write(content.subarray(0, content.length / 2), position)
              throw noSpace()
            },
            async truncate(length) {
              if (state.broken) throw noSpace()
              return inner.truncate(length)
            },
          }
        },
        async replace(path, chunks) {
          if (state.full) throw noSpace()
          return disk.replace(path, chunks)
        },
      }
      return { state, faulty }
    }

    for (const broken of [false, true])
      it(`rejects the commit, shows nothing of it, and works again later${broken ? ' (even the repair failed at first)' : ''}`, async () => {
        const { state, faulty } = failing()
        const store = await files.open({ disk: faulty })
        await store.commit([create('person', 'before')])
        await store.ready()
        Object.assign(state, { full: true, broken })
        await assert.rejects(store.commit([create('person', 'p'), create('login', 'l')]), /the disk refused a write/)
        await assert.rejects(store.ready(), /the disk refused a write/)
        assert.equal(await store.get('person', 'p'), undefined)
        assert.equal(await store.get('login', 'l'), undefined)
        assert.deepEqual(await store.commit([create('login', 'volatile')]), { ok: true })
        Object.assign(state, { full: false, broken: false })
        await store.ready()
        assert.deepEqual(await store.commit([create('person', 'p')]), { ok: true })
        await store.close()
        const again = await files.open()
        assert.deepEqual(await idsOf(again, 'person'), ['before', 'p'])
        await again.close()
        assert.deepEqual(files.warnings, [])
      })

    it('goes on in the journal when a snapshot cannot be written, and writes one later', async () => {
      const state = { broken: false }
      const refusing: Disk = {
        ...disk,
        async replace(path, chunks) {
          if (path === files.file && state.broken) throw new Error('ENOSPC: no space left on device, write')
          return disk.replace(path, chunks)
        },
      }
      const store = await files.open({ disk: refusing, foldAt: 1000 })
      state.broken = true
      for (let round = 0; round < 50; round += 1) await store.commit([create('person', `a${round}`)])
      assert.match(files.warnings.join(), /snapshot of the store could not be written/)
      state.broken = false
      for (let round = 0; round < 50; round += 1) await store.commit([create('person', `b${round}`)])
      await store.close()
      assert.ok((await files.bytes('store')).includes('a49'))
      const again = await files.open()
      assert.equal((await idsOf(again, 'person')).length, 100)
      await again.close()
    })
  })

  it('holds every acknowledged write after a kill -9 at any moment, and refuses a second process until then', async function () {
    this.timeout(60_000)
    const acknowledged = new Map<string, string>()
    for (let round = 0; round < 8; round += 1) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('lowdb-writer.ts', import.meta.url)), files.file, String(round)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      const closed = new Promise((resolve) => child.once('close', resolve))
      let lines = 0
      for await (const line of createInterface(child.stdout)) {
        const [what = '', id = ''] = line.split(' ')
        acknowledged.set(id, what)
        lines += 1
        if (lines === 1) await assert.rejects(files.open(), new RegExp(`in use by process ${child.pid} on`))
        if (lines === 100 + 170 * round) child.kill('SIGKILL')
      }
      await closed
      assert.ok(lines >= 100 + 170 * round, 'the writer ran until it was killed')
      const store = await files.open()
      for (const [id, what] of acknowledged) {
        const [code, family] = [await store.get('code', id), await store.get('refresh-family', id)]
        if (what === 'consumed') assert.ok(!code && family, `${id} was consumed`)
        else assert.ok(!!code !== !!family, `${id} is there once`)
      }
      await store.close()
    }
  })
})
