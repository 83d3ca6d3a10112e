import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { startSweeping } from '../../src/storage/janitor.ts'
import { silent } from './contract.ts'

describe('janitor', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  it('sweeps at every turn with the time of that turn, also after a failure, until it is closed', async () => {
    const swept: number[] = []
    const errors: string[] = []
    let second = 0
    const now = () => {
      second += 1
      return new Date(second)
    }
    const driver = {
      async sweep(now: Date) {
        swept.push(now.getTime())
        if (swept.length === 1) throw new Error('out of reach')
        return 1
      },
    } as unknown as StorageDriver
    const log = { ...silent, error: (message: string) => errors.push(message) }
    const janitor = startSweeping(driver, { everySeconds: 60, log, now })
    mock.timers.tick(59_999)
    assert.deepEqual(swept, [])
    mock.timers.tick(1)
    await turn()
    mock.timers.tick(60_000)
    await turn()
    assert.deepEqual(swept, [1, 2])
    assert.deepEqual(errors, ['expired records could not be removed'])
    await janitor.close()
    mock.timers.tick(600_000)
    assert.deepEqual(swept, [1, 2])
  })

  it('starts no sweep while one is running, and waits for it when it is closed', async () => {
    let finish = (_removed: number) => {}
    let started = 0
    const driver = {
      sweep() {
        started += 1
        return new Promise<number>((resolve) => {
          finish = resolve
        })
      },
    } as unknown as StorageDriver
    const janitor = startSweeping(driver, { everySeconds: 1, log: silent })
    mock.timers.tick(1000)
    mock.timers.tick(5000)
    assert.equal(started, 1)
    let closed = false
    const closing = janitor.close().then(() => {
      closed = true
    })
    await turn()
    assert.equal(closed, false)
    finish(0)
    await closing
    mock.timers.tick(5000)
    assert.equal(started, 1)
  })
})
