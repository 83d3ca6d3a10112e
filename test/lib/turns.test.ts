import assert from 'node:assert/strict'
import { openTurns } from '../../src/lib/turns.ts'

describe('turns', () => {
  it('come in the order in which they were asked for', async () => {
    const turns = openTurns()
    const order: number[] = []
    const worker = async (number: number) => {
      const done = await turns.take('key')
      order.push(number)
      await new Promise((resolve) => setImmediate(resolve))
      order.push(number)
      done()
    }
    await Promise.all([1, 2, 3].map(worker))
    assert.deepEqual(order, [1, 1, 2, 2, 3, 3])
  })

  it('of one key do not wait for another', async () => {
    const turns = openTurns()
    await turns.take('a')
    const done = await turns.take('b')
    done()
    await turns.take('b')
  })

  it('are free again at once when nobody waits, and giving one back twice takes none from others', async () => {
    const turns = openTurns()
    const first = await turns.take('key')
    first()
    const second = await turns.take('key')
    first()
    let third = false
    const waiting = turns.take('key').then(() => {
      third = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(third, false)
    second()
    await waiting
  })
})
