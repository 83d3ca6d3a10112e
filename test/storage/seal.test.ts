import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newSealingKey, sealerOf, sealUnder } from '../../src/storage/seal.ts'
import { makeSealingKey, sealerFor } from '../../src/storage/sealing-key.ts'

describe('sealing', () => {
  const value = { token: 'upstream secret', list: [1, null, 'ä€😀'] }

  it('opens what it sealed, and shows nothing of it', () => {
    const sealer = sealerOf([newSealingKey()])
    const text = sealer.seal(value, 'connector data')
    assert.deepEqual(sealer.open(text, 'connector data'), value)
    assert.match(text, /^[\w-]{8}\.[\w-]+$/)
    const bytes = Buffer.from(text.slice(9), 'base64url')
    assert.ok(!bytes.includes('upstream'))
  })

  it('never makes the same text twice', () => {
    const sealer = sealerOf([newSealingKey()])
    const texts = new Set(Array.from({ length: 100 }, () => sealer.seal(value, 'p')))
    assert.equal(texts.size, 100)
  })

  it('does not open for another purpose, with another key, or when a single character was changed', () => {
    const sealer = sealerOf([newSealingKey()])
    const text = sealer.seal(value, 'login')
    assert.equal(sealer.open(text, 'session'), undefined)
    assert.equal(sealerOf([newSealingKey()]).open(text, 'login'), undefined)
    // The last character may carry bits that base64url does not use.
    for (let at = 0; at < text.length - 1; at += 1) {
      const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
      assert.equal(sealer.open(changed, 'login'), undefined, `character ${at}`)
    }
    for (const other of ['', '.', 'x', text.slice(0, 9), text.slice(0, 30), `${text.slice(0, 9)}AAAA`])
      assert.equal(sealer.open(other, 'login'), undefined)
  })

  it('opens with an older key after a rotation, and seals with the new one', () => {
    const [older, newer] = [newSealingKey(), newSealingKey()]
    const before = sealerOf([older]).seal(value, 'p')
    const rotated = sealerOf([newer, older])
    assert.deepEqual(rotated.open(before, 'p'), value)
    const after = rotated.seal(value, 'p')
    assert.equal(sealerOf([older]).open(after, 'p'), undefined)
    assert.deepEqual(sealerOf([newer]).open(after, 'p'), value)
  })

  it('refuses to work without a key, or with a short one', () => {
    assert.throws(() => sealerOf([]), /needs a key/)
    assert.throws(() => sealerOf([Buffer.alloc(16)]), /32 bytes, not 16/)
  })

  it('opens what was sealed under a presented token with the same token only', () => {
    const text = sealUnder('refresh token one').seal(value, 'answer')
    assert.deepEqual(sealUnder('refresh token one').open(text, 'answer'), value)
    assert.equal(sealUnder('refresh token two').open(text, 'answer'), undefined)
    assert.ok(!text.includes('refresh'))
  })
})

describe('sealing key of a store', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-seal-'))
    file = join(folder, 'deep', 'store')
  })
  afterEach(() => rm(folder, { recursive: true }))
  const options = () => ({ type: 'lowdb', config: { file } })

  it('lies beside the file of the embedded store, with mode 0600, and stays', async () => {
    const text = (await sealerFor(options())).seal('x', 'p')
    assert.equal((await stat(`${file}.key`)).mode & 0o777, 0o600)
    assert.equal((await stat(join(folder, 'deep'))).mode & 0o777, 0o700)
    assert.equal((await sealerFor(options())).open(text, 'p'), 'x')
  })

  it('is the same for all who make it at once', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => makeSealingKey(`${file}.key`)))
    assert.equal(new Set(keys.map(([key]) => Buffer.from(key!).toString('hex'))).size, 1)
  })

  it('opens with every line of the file and seals with the first', async () => {
    const before = (await sealerFor(options())).seal('x', 'p')
    const lines = await readFile(`${file}.key`, 'utf8')
    await writeFile(`${file}.key`, `${newSealingKey().toString('base64url')}\n${lines}`)
    const rotated = await sealerFor(options())
    assert.equal(rotated.open(before, 'p'), 'x')
    assert.notEqual(rotated.seal('x', 'p').slice(0, 8), before.slice(0, 8))
  })

  it('is not made anew for a store that exists, and a damaged one is named', async () => {
    await sealerFor(options())
    await writeFile(file, 'records')
    await rm(`${file}.key`)
    await assert.rejects(sealerFor(options()), /key file .*store\.key is missing/)
    await writeFile(`${file}.key`, 'short\n')
    await assert.rejects(sealerFor(options()), /key file .*store\.key is damaged/)
    assert.equal(await readFile(`${file}.key`, 'utf8'), 'short\n')
  })

  it('lives as long as the process for a store in memory', async () => {
    const memory = { type: 'memory', config: {} }
    const sealer = await sealerFor(memory)
    assert.equal(sealer.open(sealer.seal('x', 'p'), 'p'), 'x')
    assert.equal((await sealerFor(memory)).open(sealer.seal('x', 'p'), 'p'), undefined)
  })
})
