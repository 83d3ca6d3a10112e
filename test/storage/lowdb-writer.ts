/** A process that writes to an embedded store without end and says what was acknowledged, until somebody kills it. */
import { writeSync } from 'node:fs'
import { openLowdb } from '../../src/storage/drivers/lowdb.ts'
import { create, silent } from './contract.ts'

const [file = '', round = ''] = process.argv.slice(2)
// Folds often, so that some kills come in the middle of one.
const store = await openLowdb({ file }, { log: silent, now: () => new Date() }, { foldAt: 20_000 })
let count = 0

async function write(): Promise<never> {
  for (;;) {
    count += 1
    const id = `${round}-${count}`
    await store.commit([create('code', id, { body: 'x'.repeat(200), index: { grant: id } })])
    writeSync(1, `created ${id}\n`)
    if (count % 3 === 0) continue
    const { version } = (await store.get('code', id))!
    await store.commit([
      { do: 'delete', kind: 'code', id, version },
      create('refresh-family', id, { body: 'y'.repeat(200), index: { grant: id } }),
    ])
    writeSync(1, `consumed ${id}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, write))
