import assert from 'node:assert/strict'
import { openConnectorData } from '../../src/login/connector-data.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { newSealingKey, sealerOf } from '../../src/storage/seal.ts'
import { silent } from '../storage/contract.ts'
import { browserConnector } from './fixture.ts'

const offline = { scopes: ['openid', 'offline_access'] }
const byLogin = { connector: browserConnector(), connectorId: 'corp', userId: 'jane' }
const byPerson = { ...byLogin, connector: browserConnector({ dataPer: 'person' }) }

describe('connector data', () => {
  let driver: StorageDriver
  const sealer = sealerOf([newSealingKey()])
  const open = () => openConnectorData({ driver, sealer })
  beforeEach(async () => {
    driver = await openStorage({ type: 'memory', config: {} }, { log: silent, now: () => new Date() })
  })

  it('of a login travels sealed with its record and is in no store of its own', async () => {
    const data = open()
    const { sealedData } = await data.keep({ ...byLogin, ...offline }, { token: 'clear' })
    assert.ok(sealedData && !sealedData.includes('clear'))
    assert.deepEqual(await data.open(byLogin, { sealedData: sealedData! }), { token: 'clear' })
    assert.equal(await data.open(byLogin, {}), undefined)
    assert.equal((await driver.count('person')).live, 0)
  })

  it('of one person or connector is not opened for another', async () => {
    const data = open()
    const { sealedData } = await data.keep({ ...byLogin, ...offline }, 'd')
    assert.equal(await data.open({ ...byLogin, userId: 'john' }, { sealedData: sealedData! }), undefined)
    assert.equal(await data.open({ ...byLogin, connectorId: 'other' }, { sealedData: sealedData! }), undefined)
  })

  it('of a person is kept once for all their logins, sealed, the last one', async () => {
    const data = open()
    assert.deepEqual(await data.keep({ ...byPerson, ...offline }, 'first'), {})
    await data.keep({ ...byPerson, ...offline }, 'second')
    assert.equal(await data.open(byPerson, {}), 'second')
    assert.equal(await data.open({ ...byPerson, userId: 'john' }, {}), undefined)
    const stored = []
    for await (const [id, record] of driver.find('person', {})) stored.push({ id, record })
    assert.equal(stored.length, 1)
    assert.doesNotMatch(JSON.stringify(stored), /second/)
  })

  it('is not kept when nobody can ask for it later', async () => {
    const data = open()
    const online = { scopes: ['openid'] }
    assert.deepEqual(await data.keep({ ...byLogin, ...online }, 'd'), {})
    assert.deepEqual(await data.keep({ ...byPerson, ...online }, 'd'), {})
    assert.equal((await driver.count('person')).live, 0)
  })

  it('of one person is written by fifty logins at once', async () => {
    const slow: StorageDriver = {
      ...driver,
      async commit(changes) {
        await new Promise((resolve) => setImmediate(resolve))
        return driver.commit(changes)
      },
    }
    const data = openConnectorData({ driver: slow, sealer })
    await Promise.all(Array.from({ length: 50 }, (_, each) => data.keep({ ...byPerson, ...offline }, each)))
    assert.equal(await data.open(byPerson, {}), 49)
  })

  it('is written although another replica writes it too', async () => {
    let raced = 0
    const contended: StorageDriver = {
      ...driver,
      async commit(changes) {
        if (raced++ < 3) {
          await openConnectorData({ driver, sealer }).keep({ ...byPerson, ...offline }, `other ${raced}`)
        }
        return driver.commit(changes)
      },
    }
    await openConnectorData({ driver: contended, sealer }).keep({ ...byPerson, ...offline }, 'mine')
    assert.equal(await open().open(byPerson, {}), 'mine')
  })
})
