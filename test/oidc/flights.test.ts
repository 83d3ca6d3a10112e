import assert from 'node:assert/strict'
import { openFlights } from '../../src/oidc/flights.ts'

const soon = () => new Promise((resolve) => setImmediate(resolve))

describe('flights', () => {
  it('come one after the other, and the work of one is done before the next', async () => {
    const flights = openFlights()
    const order: string[] = []
    const fly = async (name: string) => {
      const flight = await flights.take('key')
      order.push(`${name} begins`)
      flight.before(async () => {
        await soon()
        order.push(`${name} has stored`)
      })
      flight.end()
    }
    await Promise.all(['first', 'second'].map(fly))
    await soon()
    await soon()
    assert.deepEqual(order, ['first begins', 'first has stored', 'second begins', 'second has stored'])
  })

  it('go on after work that failed', async () => {
    const flights = openFlights()
    const first = await flights.take('key')
    first.before(() => Promise.reject(new Error('x')))
    first.end()
    ;(await flights.take('key')).end()
  })

  it('share a failure with who waited when it happened, and with nobody later', async () => {
    const flights = openFlights()
    const out = new Error('away')
    const first = await flights.take('key')
    const waiting = [flights.take('key'), flights.take('key')]
    first.fail(out)
    const late = flights.take('key')
    const other = await flights.take('other')
    assert.equal(other.failed, undefined)
    first.end()
    for (const each of waiting) {
      const flight = await each
      assert.equal(flight.failed, out)
      flight.end()
    }
    const last = await late
    assert.equal(last.failed, undefined)
    last.end()
    assert.equal((await flights.take('key')).failed, undefined)
  })
})
