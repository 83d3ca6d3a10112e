import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifySync } from '@node-rs/bcrypt'
import { check, loadFile } from '../../src/cli/check.ts'
import { connectorTypes, storageTypes } from '../config/fixture.ts'

const registries = { connectorTypes, storageTypes }
const example = join(import.meta.dirname, '..', '..', 'config.example.yaml')

describe('countersign check', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'check-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const run = async (text: string, strict = false) => {
    const file = join(folder, 'dex.yaml')
    await writeFile(file, text)
    let printed = ''
    const stdout = { write: (part: string) => (printed += part) }
    const code = await check(file, { strict, env: {}, stdout, registries })
    return { code, printed: printed.replaceAll(`${folder}/`, '') }
  }

  it('prints faults and warnings in the order of the file, and exits with 2 when serve would not start', async () => {
    const { code, printed } = await run('issuer: http://dex.example.com\nstorage: {type: memry}\nwbe: {}\n')
    assert.equal(code, 2)
    assert.equal(
      printed,
      [
        'error: dex.yaml:1:1: web.http: needs an address to listen on: http or https, such as 0.0.0.0:5556',
        'warning: dex.yaml:1:1: issuer: is plain http: codes and tokens travel unprotected, and many clients refuse it; use https',
        'error: dex.yaml:2:11: storage.type: names no store; there is memory, lowdb (did you mean "memory"?)',
        'warning: dex.yaml:3:1: wbe: is no known key and has no effect (did you mean "web"?)',
        'dex.yaml: 2 faults, 2 warnings; serve would not start.',
        '',
      ].join('\n'),
    )
  })

  const doubtful = 'issuer: https://dex.example.com\nstorage: {type: memory}\nweb: {http: ":1"}\nx: 1\n'
  it('exits with 0 when there are only warnings', async () => {
    const { code, printed } = await run(doubtful)
    assert.equal(code, 0)
    assert.match(printed, /dex\.yaml: no faults, 1 warning; serve would start\.\n$/)
  })
  it('takes warnings for faults when it is strict', async () => {
    const { code, printed } = await run(doubtful, true)
    assert.equal(code, 2)
    assert.match(printed, /^error: dex\.yaml:4:1: x: /)
  })
  it('says where state is kept when the file does not', async () => {
    assert.match((await run(doubtful.replace(/storage.*\n/, ''))).printed, /state is kept in .*countersign\.db\.json/)
  })

  it('finds nothing in the example, whose people have the password that it names', async () => {
    const { settings, faults, warnings } = await loadFile(example, { env: {} })
    assert.deepEqual([faults, warnings], [[], []])
    const { users } = settings!.login.connectors.find(({ id }) => id === 'local')!.config as {
      users: { hash: string }[]
    }
    assert.equal(users.length, 2)
    for (const { hash } of users) assert.ok(verifySync('password', hash))
  })
})
