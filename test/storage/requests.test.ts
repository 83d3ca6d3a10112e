import assert from 'node:assert/strict'
import { access, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json } from '../../src/lib/json.ts'
import { answerRequests, askHolder, requestPath } from '../../src/storage/requests.ts'
import { silent } from './contract.ts'

describe('requests of a command to the server that holds the store', () => {
  let folder: string
  let path: string
  let closers: (() => Promise<void>)[]
  let calls: string[]
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'requests-'))
    path = join(folder, 'store.request')
    closers = []
    calls = []
  })
  afterEach(async () => {
    for (const close of closers) await close()
    await rm(folder, { recursive: true })
  })

  const serve = (handlers: Record<string, () => Promise<Json>> = {}) => {
    const log = { ...silent, warn: (message: string) => void calls.push(message) }
    const greet = async () => {
      calls.push('greet')
      return { greeting: 'ä' }
    }
    const requests = answerRequests(path, { handlers: { greet, ...handlers }, log, lookMs: 5 })
    closers.push(requests.close)
    return requests
  }
  const turns = () => new Promise((resolve) => setTimeout(resolve, 60))

  it('are answered once, and leave nothing behind', async () => {
    serve()
    assert.deepEqual(await askHolder(path, 'greet'), { greeting: 'ä' })
    await turns()
    assert.deepEqual(calls, ['greet'])
    assert.deepEqual(await readdir(folder), [])
    assert.deepEqual(await askHolder(path, 'greet'), { greeting: 'ä' })
    assert.equal(calls.length, 2)
  })

  it('are refused with the reason', async () => {
    serve({ fail: async () => assert.fail('it is Tuesday') })
    await assert.rejects(askHolder(path, 'fail'), /it is Tuesday/)
    await assert.rejects(askHolder(path, 'dance'), /another version and does not know this command/)
    await assert.rejects(askHolder(path, 'constructor'), /does not know this command/)
    assert.deepEqual(await readdir(folder), [])
  })

  it('are given up and taken back when nobody answers', async () => {
    await assert.rejects(
      askHolder(path, 'greet', 100),
      /did not answer within 0\.1 s: it hangs, or is of an older version/,
    )
    serve()
    await turns()
    assert.deepEqual(calls, [])
    assert.deepEqual(await readdir(folder), [])
  })

  it('do not get the answer of another one, or take each other’s place', async () => {
    const waiting = assert.rejects(askHolder(path, 'greet', 200), /did not answer/)
    await turns()
    await assert.rejects(askHolder(path, 'greet'), /another command waits for the server already/)
    await access(path)
    await waiting
  })

  it('step over what a command that was killed has left', async () => {
    const old = new Date(Date.now() - 61_000)
    await writeFile(path, JSON.stringify({ id: 'killed', ask: 'greet' }))
    await utimes(path, old, old)
    const asking = askHolder(path, 'greet')
    await turns()
    serve()
    assert.deepEqual(await asking, { greeting: 'ä' })

    await writeFile(path, JSON.stringify({ id: 'killed', ask: 'greet', answer: 1 }))
    await utimes(path, old, old)
    assert.deepEqual(await askHolder(path, 'greet'), { greeting: 'ä' })
    assert.equal(calls.length, 2)
  })

  it('are passed over when they are no plain file, or no request', async () => {
    serve()
    const elsewhere = join(folder, 'elsewhere')
    await writeFile(elsewhere, JSON.stringify({ id: 'x', ask: 'greet' }))
    await symlink(elsewhere, path)
    await turns()
    assert.ok(!calls.includes('greet'))
    assert.ok(calls.includes('a request beside the store is of somebody else'))
    await rm(path)
    for (const text of ['', '{', 'null', '{"id": 1}', '[]']) {
      await writeFile(path, text)
      await turns()
    }
    assert.ok(!calls.includes('greet'))
  })

  it('end with the server', async () => {
    await serve().close()
    await assert.rejects(askHolder(path, 'greet', 100), /did not answer/)
    assert.deepEqual(calls, [])
  })

  it('lie beside an embedded store, and nowhere for others', () => {
    assert.equal(requestPath({ type: 'lowdb', config: { file: '/var/x.json' } }), '/var/x.json.request')
    assert.equal(requestPath({ type: 'memory', config: {} }), undefined)
  })
})
