import assert from 'node:assert/strict'
import { openStorage, storageTypes } from '../../src/storage/index.ts'
import { silent, storageContract, testClock } from './contract.ts'

storageContract('memory', () => ({ open: (context) => openStorage({ type: 'memory', config: {} }, context) }))

describe('storage types', () => {
  it('names the known types when another one is configured', async () => {
    const context = { log: silent, now: () => testClock().now() }
    for (const type of ['oracle', 'toString'])
      await assert.rejects(openStorage({ type, config: {} }, context), /is not known; there are: lowdb, memory/)
  })

  it('has a schema for each', () => {
    for (const type of Object.values(storageTypes)) assert.equal((type.schema as { type?: string }).type, 'object')
  })
})
