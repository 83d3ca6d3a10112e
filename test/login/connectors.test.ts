import assert from 'node:assert/strict'
import { openConnectors } from '../../src/login/connectors.ts'
import type { ConnectorOptions } from '../../src/login/options.ts'
import { context } from '../connectors/context.ts'
import { silent } from '../storage/contract.ts'

const mock = (id: string, more: Partial<ConnectorOptions> = {}): ConnectorOptions => ({
  id,
  name: id,
  type: 'mockCallback',
  config: {},
  grantTypes: [],
  ...more,
})
const broken = (id: string) => mock(id, { type: './nowhere.ts' })

const open = (options: ConnectorOptions[], continueOnFailure = true) =>
  openConnectors(options, {
    folder: import.meta.dirname,
    contextFor: () => context(),
    log: silent,
    continueOnFailure,
  })
const misconfigured = (error: unknown) => (error as { code?: string }).code === 'misconfigured'

describe('the connectors of a configuration', () => {
  it('are listed by name, whatever its case, and found by id', async () => {
    const connectors = await open([
      mock('1', { name: 'beta' }),
      mock('2', { name: 'Alpha' }),
      mock('3', { name: 'Gamma' }),
    ])
    assert.deepEqual(
      connectors.all.map(({ id }) => id),
      ['2', '1', '3'],
    )
    assert.equal(connectors.get('1')?.name, 'beta')
    assert.equal(connectors.get('4'), undefined)
  })

  it('open once, however many ask', async () => {
    const connectors = await open([mock('a')])
    const a = connectors.get('a')!
    const opened = await Promise.all([a.open(), a.open()])
    assert.equal(opened[0], opened[1])
    assert.equal(a.opened, opened[0])
  })

  it('start although one is broken, which is tried again at each login', async () => {
    const connectors = await open([mock('a'), broken('b')])
    const b = connectors.get('b')!
    assert.equal(b.opened, undefined)
    for (let i = 0; i < 2; i++) await assert.rejects(b.open(), misconfigured)
    assert.ok(connectors.get('a')?.opened)
  })

  it('do not start when all are broken, or one where the operator says so', async () => {
    await assert.rejects(open([broken('a'), broken('b')]), misconfigured)
    await assert.rejects(open([mock('a'), broken('b')], false), misconfigured)
    assert.deepEqual((await open([])).all, [])
  })
})
