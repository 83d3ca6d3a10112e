import assert from 'node:assert/strict'
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { frame } from '../../src/storage/drivers/lowdb/lines.ts'
import { openStorage } from '../../src/storage/index.ts'
import { sealerFor } from '../../src/storage/sealing-key.ts'
import { create, storageContract } from './contract.ts'
import { idsOf, lowdbFiles } from './lowdb-files.ts'

describe('lowdb', () => {
  const files = lowdbFiles()
  storageContract('lowdb', () => {
    const open = (context: Parameters<typeof openStorage>[1]) =>
      openStorage({ type: 'lowdb', config: { file: files.file } }, context)
    return { open, reopen: open }
  })
})

describe('lowdb files', () => {
  const files = lowdbFiles()

  it('are readable by nobody else, in a folder made for them, and begin with the name of the file', async () => {
    const store = await files.open({ foldAt: 500 })
    for (let round = 0; round < 20; round += 1) await store.commit([create('person', `p${round}`)])
    assert.equal((await stat(`${files.file}.lock`)).mode & 0o777, 0o600)
    await store.close()
    const left = await files.names()
    assert.ok(left.includes('store.key') && left.includes('store.previous'))
    for (const name of left) {
      assert.ok(name === 'store' || name.startsWith('store.'), name)
      assert.equal((await stat(join(files.folder, name))).mode & 0o777, 0o600, name)
    }
    assert.equal((await stat(files.folder)).mode & 0o777, 0o700)
    assert.ok(!(await files.names()).includes('store.lock'))
  })

  it('stand where a relative path leads from the working directory', async () => {
    const before = process.cwd()
    process.chdir(files.root)
    try {
      const store = await files.open({}, 'state/store')
      process.chdir(before)
      await store.commit([create('person', 'p')])
      await store.close()
    } finally {
      process.chdir(before)
    }
    assert.ok((await files.bytes('store.journal-1')).includes('person'))
  })

  it('do not change when volatile records are written', async () => {
    const store = await files.open()
    const before = await files.contents()
    await store.commit([create('login', 'l'), create('replay', 'r')])
    await store.commit([create('device-request', 'd', { index: { userCode: 'BCDF' } })])
    assert.deepEqual(await files.contents(), before)
    await store.commit([create('device-grant', 'g'), { do: 'delete', kind: 'device-request', id: 'd' }])
    assert.ok(!(await files.bytes('store.journal-1')).includes('device-request'))
    await store.close()
  })

  it('have a key beside them that opens what was sealed, whichever of the two is made first', async () => {
    await (await files.open()).close()
    const text = (await sealerFor({ type: 'lowdb', config: { file: files.file } })).seal('x', 'p')
    assert.equal((await sealerFor({ type: 'lowdb', config: { file: files.file } })).open(text, 'p'), 'x')
  })

  describe('folding', () => {
    it('replaces a grown journal by a snapshot, keeps the generation before, and loses nothing', async () => {
      const store = await files.open({ foldAt: 2000 })
      const expected: string[] = []
      for (let round = 0; round < 200; round += 1) {
        const id = `p${String(round).padStart(3, '0')}`
        await store.commit([create('person', id), create('code', `c${round}`, { expiresAt: 1 })])
        expected.push(id)
      }
      await store.close()
      const journals = (await files.names()).filter((name) => name.includes('journal'))
      assert.ok(!journals.includes('store.journal-1'), 'old journals are removed')
      assert.ok((await files.names()).includes('store.previous'))
      assert.ok(!(await files.bytes('store')).includes('"code"'), 'expired records are left out')
      const again = await files.open()
      assert.deepEqual(await idsOf(again, 'person'), expected)
      await again.close()

      // The generation before, put in place, still leads to the same records.
      await writeFile(files.file, await files.bytes('store.previous'))
      const back = await files.open()
      assert.deepEqual(await idsOf(back, 'person'), expected)
      await back.close()
      assert.deepEqual(files.warnings, [])
    })

    it('happens at a sweep when most of what the files hold is outdated', async () => {
      const store = await files.open()
      await store.commit(
        Array.from({ length: 1500 }, (_, one) => create('code', `c${one}`, { expiresAt: files.clock.seconds + 1 })),
      )
      await store.commit([create('person', 'p')])
      assert.ok((await files.bytes('store.journal-1')).includes('c1499'))
      await store.sweep(new Date((files.clock.seconds + 1) * 1000))
      await store.close()
      assert.ok((await files.bytes('store')).includes('person'))
      assert.ok(!(await files.bytes('store')).includes('c1499'))
    })
  })

  describe('that are damaged', () => {
    beforeEach(async () => {
      const store = await files.open({ foldAt: 1000 })
      for (let round = 0; round < 30; round += 1) await store.commit([create('person', `p${round}`)])
      await store.close()
      const again = await files.open({ foldAt: 1e9 })
      for (const id of ['x', 'y', 'z']) await again.commit([create('person', id)])
      await again.close()
    })
    const newest = async () => (await files.names()).filter((name) => name.includes('journal')).at(-1)!

    const refused = async (reason: RegExp) => {
      const before = await files.contents()
      await assert.rejects(files.open(), (error: Error) => {
        assert.match(error.message, reason)
        return true
      })
      assert.deepEqual(await files.contents(), before, 'nothing was changed')
    }

    it('lose a last line that was not complete, and say so', async () => {
      const journal = join(files.folder, await newest())
      const { size } = await stat(journal)
      await truncate(journal, size - 7)
      const store = await files.open()
      const left = await idsOf(store, 'person')
      assert.ok(left.includes('y') && !left.includes('z'))
      assert.match(files.warnings.join(), /last line of the journal was not complete/)
      await store.commit([create('person', 'after')])
      await store.close()
      const again = await files.open()
      assert.deepEqual(await idsOf(again, 'person'), [...left, 'after'].sort())
      await again.close()
      assert.equal(files.warnings.length, 1)
    })

    it('lose that line for good, also when a fold comes before the next write', async () => {
      const first = await files.open({ foldAt: 1e9 })
      const expiresAt = files.clock.seconds + 1
      await first.commit(Array.from({ length: 1500 }, (_, one) => create('code', `c${one}`, { expiresAt })))
      await first.commit([create('person', 'torn')])
      await first.close()
      const journal = join(files.folder, await newest())
      await truncate(journal, (await stat(journal)).size - 7)
      const store = await files.open({ foldAt: 1e9 })
      assert.equal(await store.sweep(new Date(expiresAt * 1000)), 1500)
      await store.close()
      assert.notEqual(join(files.folder, await newest()), journal)
      await writeFile(files.file, await files.bytes('store.previous'))
      const back = await files.open()
      const left = await idsOf(back, 'person')
      assert.ok(left.includes('z') && !left.includes('torn'))
      await back.close()
    })

    it('lose a last line with a hole, as a loss of power may leave it', async () => {
      const journal = join(files.folder, await newest())
      const content = await readFile(journal)
      content.fill(0, content.length - 20, content.length - 10)
      await writeFile(journal, content)
      const store = await files.open()
      assert.ok(!(await idsOf(store, 'person')).includes('z'))
      await store.close()
    })

    it('are named and left untouched when a line in the middle of the journal differs', async () => {
      const name = await newest()
      const content = await files.bytes(name)
      content[content.indexOf('"x"') + 1] = 0x71
      await writeFile(join(files.folder, name), content)
      await refused(new RegExp(`${name} is damaged \\(line \\d+ is not as it was written\\)`))
    })

    it('are named and left untouched when the last line is whole but differs', async () => {
      const name = await newest()
      const content = await files.bytes(name)
      content[content.lastIndexOf('"z"') + 1] = 0x71
      await writeFile(join(files.folder, name), content)
      await refused(/is damaged/)
    })

    it('are named and left untouched when the snapshot is garbage, empty or cut off', async () => {
      const content = await files.bytes('store')
      for (const bad of [
        Buffer.from('{"hello":1}\n'),
        Buffer.alloc(0),
        content.subarray(0, -40),
        content.subarray(0, 30),
      ]) {
        await writeFile(files.file, bad)
        await refused(/state\/store is damaged/)
      }
      const lines = content.toString().split('\n')
      await writeFile(files.file, [...lines.slice(0, -2), ''].join('\n'))
      await refused(/store is damaged \(it is cut off\)/)
    })

    it('are named when one is missing', async () => {
      const journal = join(files.folder, await newest())
      const content = await readFile(journal)
      await rm(journal)
      await refused(/journal-\d+ is missing/)
      await writeFile(journal, content)
      await rm(files.file)
      await refused(/state\/store is missing/)
    })

    it('are left to a newer version when that wrote them', async () => {
      const [, ...rest] = (await files.bytes('store')).toString().split('\n')
      const header = { format: 'countersign', formatVersion: 99, content: 'snapshot', generation: 5, lastVersion: 1 }
      await writeFile(files.file, frame(JSON.stringify(header)) + rest.join('\n'))
      await refused(/has format 99, this version reads format 1/)
      const journal = await newest()
      await rm(files.file)
      const old = { ...header, formatVersion: 1, generation: Number(journal.split('-')[1]) }
      const line = frame(JSON.stringify(['passkey', 'id', 1, 0, {}, 1]))
      await writeFile(files.file, frame(JSON.stringify(old)) + line + frame('{"records":1}'))
      await refused(/records of kind "passkey", which this version does not know/)
    })
  })
})
