import assert from 'node:assert/strict'
import { type DeviceGrant, type DeviceRequest, decideDevice, findDevice } from '../../src/oidc/device.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { openStorage } from '../../src/storage/index.ts'
import { openUnit } from '../../src/storage/unit.ts'
import { silent, start, testClock } from '../storage/contract.ts'

const login = { connectorId: 'corp', identity: { userId: '42' }, authTime: start }

describe('a device that waits', () => {
  let clock: ReturnType<typeof testClock>
  let driver: StorageDriver
  const request: DeviceRequest = { clientId: 'tv', scopes: ['openid', 'groups'], exp: start + 300, interval: 5 }

  beforeEach(async () => {
    clock = testClock()
    driver = await openStorage({ type: 'memory', config: {} }, { log: silent, now: () => clock.now() })
    const record = { expiresAt: start + 600, index: { userCode: 'BCDFGHJK' }, body: request as never }
    await driver.commit([{ do: 'create', kind: 'device-request', id: 'd', record }])
  })

  const find = (userCode: string) => findDevice(openUnit(driver), userCode, clock.now())
  const decide = async (decision: typeof login | undefined) => {
    const unit = openUnit(driver)
    const waiting = await decideDevice(unit, 'd', decision && { login: decision }, clock.now())
    return waiting && (await unit.commit()).ok
  }

  for (const typed of ['BCDF-GHJK', 'bcdfghjk', ' b c d f – g h j k ', 'BCDF-GHJK\u0000']) {
    it(`is found by ${JSON.stringify(typed)}`, async () => {
      assert.deepEqual(await find(typed), { id: 'd', clientId: 'tv', scopes: ['openid', 'groups'] })
    })
  }
  for (const typed of ['', 'BCDF-GHJ', 'BCDF-GHJKK', 'ZZZZ-ZZZZ', '12345678']) {
    it(`is not found by ${JSON.stringify(typed)}`, async () => assert.equal(await find(typed), undefined))
  }

  it('is found until it runs out, though its record lives on', async () => {
    clock.seconds = start + 299
    assert.ok(await find('BCDFGHJK'))
    clock.seconds = start + 300
    assert.equal(await find('BCDFGHJK'), undefined)
    assert.equal(await decide(login), false)
  })

  it('is decided once, and then not found any more', async () => {
    assert.equal(await decide(login), true)
    assert.equal(await decide(undefined), false)
    assert.equal(await find('BCDFGHJK'), undefined)
    const grant = (await driver.get('device-grant', 'd'))!
    const { source, engine, clientId, error } = grant.body as unknown as DeviceGrant
    assert.deepEqual(source, { kind: 'device', login, origin: { device: true }, scopes: ['openid', 'groups'] })
    assert.equal(clientId, 'tv')
    assert.equal(error, undefined)
    assert.equal(engine.accountId, 'CgI0MhIEY29ycA')
    assert.equal(grant.index.grant, engine.grantId)
    assert.equal(grant.expiresAt, start + 300)
  })

  it('is told of a refusal, with nobody in the record', async () => {
    assert.equal(await decide(undefined), true)
    const { source, error, engine } = (await driver.get('device-grant', 'd'))!.body as unknown as DeviceGrant
    assert.deepEqual([source, error, engine], [undefined, 'access_denied', {}])
  })

  it('is decided by one of two who decide at once', async () => {
    const units = [openUnit(driver), openUnit(driver)]
    const waiting = await Promise.all(units.map((unit) => decideDevice(unit, 'd', { login }, clock.now())))
    assert.deepEqual(waiting, [true, true])
    const commits = await Promise.all(units.map((unit) => unit.commit()))
    assert.deepEqual(commits.map(({ ok }) => ok).sort(), [false, true])
  })
})
