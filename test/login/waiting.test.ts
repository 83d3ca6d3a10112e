import assert from 'node:assert/strict'
import { PageFailure } from '../../src/login/failures.ts'
import { openWaiting } from '../../src/login/waiting.ts'
import type { Change } from '../../src/storage/contract.ts'

function open(limit: number) {
  let time = 1_000_000
  const commits: Change[] = []
  const driver = {
    commit: async (changes: readonly Change[]) => {
      commits.push(...changes)
      return { ok: true } as const
    },
  }
  const pass = (seconds: number): void => {
    time += seconds
  }
  const waiting = openWaiting({ driver, now: () => new Date(time * 1000), limit })
  return { waiting, commits, pass }
}

describe('what waits for strangers', () => {
  it('is kept in the volatile kind, and ends', async () => {
    const { waiting, commits } = open(1000)
    await waiting.keep('a', { form: 'x' }, 120)
    const [change] = commits
    assert.ok(change?.do === 'create')
    assert.deepEqual([change.kind, change.id, change.record.expiresAt], ['login', 'a', 1_000_120])
  })

  it('is refused with a page once it is too much, and stores nothing then', async () => {
    const { waiting, commits } = open(1000)
    await waiting.keep('a', { form: 'x'.repeat(900) }, 120)
    await assert.rejects(waiting.keep('b', { form: 'x'.repeat(900) }, 120), (error) => {
      assert.ok(error instanceof PageFailure)
      assert.deepEqual([error.status, error.retryAfter], [503, 60])
      return true
    })
    assert.equal(commits.length, 1)
  })

  it('makes room when it has ended', async () => {
    const { waiting, pass } = open(1000)
    await waiting.keep('a', { form: 'x'.repeat(900) }, 120)
    pass(120)
    await waiting.keep('b', { form: 'x'.repeat(900) }, 120)
  })
})
