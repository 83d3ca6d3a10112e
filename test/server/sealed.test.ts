import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { openConnectorData } from '../../src/login/connector-data.ts'
import { resealStore } from '../../src/server/sealed.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { newSealingKey, sealerOf, sealingKeyId } from '../../src/storage/seal.ts'
import { openUnit } from '../../src/storage/unit.ts'
import { create, silent } from '../storage/contract.ts'

describe('sealing the store anew', () => {
  const [older, newer] = [newSealingKey(), newSealingKey()]
  const both = sealerOf([newer, older])
  const former = [sealingKeyId(older)]
  let driver: StorageDriver
  beforeEach(async () => {
    driver = await openStorage({ type: 'memory', config: {} }, { log: silent, now: () => new Date() })
  })
  afterEach(() => driver.close())

  const refresh = async () => {
    throw failure('login_refused', 'nobody is asked here')
  }
  const connector = { style: 'browser', refresh } as never
  const perPerson = { style: 'browser', refresh, dataPer: 'person' } as never
  const owner = { connector, connectorId: 'corp', userId: 'jane', scopes: ['offline_access'] }
  const login = { connectorId: 'corp', identity: { userId: 'jane' }, authTime: 1 }

  it('reaches what belongs to a login, a session and a person, and a new key alone opens it', async () => {
    const data = openConnectorData({ driver, sealer: sealerOf([older]) })
    const kept = await data.keep(owner, { token: 'of the login' })
    const family = { source: { login: { ...login, ...kept } } }
    await driver.commit([create('refresh-family', 'f', { body: family as never, index: { client: 'web' } })])
    await driver.commit([create('code', 'c', { body: { source: { login: { ...login, ...kept } } } as never })])
    const unit = openUnit(driver)
    const shared = data.share(unit, { ...login, ...(await data.keep(owner, { token: 'shared' })) }, undefined)
    await unit.commit()
    await data.keep({ ...owner, connector: perPerson }, { token: 'of the person' })

    const { texts, left } = await resealStore(driver, both, former)
    assert.equal(texts, 4)
    assert.deepEqual([...left], [])
    const after = openConnectorData({ driver, sealer: sealerOf([newer]) })
    const stored = async (kind: string, id: string) => {
      const { body } = (await driver.get(kind, id))!
      return (body as unknown as typeof family).source.login
    }
    assert.deepEqual(await after.open(owner, await stored('refresh-family', 'f')), { token: 'of the login' })
    assert.deepEqual(await after.open(owner, await stored('code', 'c')), { token: 'of the login' })
    assert.deepEqual(await after.open(owner, shared), { token: 'shared' })
    assert.deepEqual(await after.open({ ...owner, connector: perPerson }, {}), { token: 'of the person' })
    assert.deepEqual((await driver.get('refresh-family', 'f'))!.index, { client: 'web' })
  })

  it('writes what is much in several commits, and leaves untouched what holds nothing sealed', async () => {
    const data = openConnectorData({ driver, sealer: sealerOf([older]) })
    const kept = await data.keep(owner, 'x')
    const body = { source: { login: { ...login, ...kept } } } as never
    for (let at = 0; at < 450; at += 1) await driver.commit([create('refresh-family', `f${at}`, { body })])
    await driver.commit([create('refresh-family', 'plain', { body: { source: { login } } as never })])
    const { version } = (await driver.get('refresh-family', 'plain'))!
    assert.equal((await resealStore(driver, both, former)).texts, 450)
    assert.equal((await driver.get('refresh-family', 'plain'))!.version, version)
  })

  it('says what it does not know how to open, so that nobody forgets the key of it', async () => {
    const text = sealerOf([older]).seal('secret', 'of a part that is not in the list')
    await driver.commit([create('session', 's', { body: { nested: [{ text }] } }), create('code', 'c')])
    const { texts, left } = await resealStore(driver, both, former)
    assert.equal(texts, 0)
    assert.deepEqual([...left], [['session', 1]])
  })
})
