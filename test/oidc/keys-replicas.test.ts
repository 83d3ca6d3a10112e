import assert from 'node:assert/strict'
import { jwksMaxAge, type SigningKeys } from '../../src/oidc/keys.ts'
import { encode, kids, openWorld, partOf, standard, start, type World } from './keys-fixture.ts'

const { rotationPeriod } = standard
const rotations = (world: World) => world.audited.filter(({ type }) => type === 'keys_rotated').length

describe('signing keys: several servers on one store', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  const agree = (servers: SigningKeys[]) => {
    for (const keys of servers) assert.deepEqual(keys.jwks(), servers[0]!.jwks())
  }
  const open = (count: number) => Promise.all(Array.from({ length: count }, () => world.open()))

  it('sign with one key when they make the first at once', async () => {
    const servers = await open(8)
    const tokens = await Promise.all(servers.map((keys) => keys.sign({})))
    assert.equal(new Set(tokens.map((token) => (partOf(token, 0) as { kid: string }).kid)).size, 1)
    for (const keys of servers) for (const token of tokens) assert.ok(await keys.verify(token))
    await world.settle()
    await world.pass(30)
    agree(servers)
    assert.equal(kids(servers[0]!).length, 2)
    assert.equal(rotations(world), 1)
  })

  it('rotate once when they are asked to at once', async () => {
    const servers = await open(8)
    await world.pass(30)
    const [first, second] = kids(servers[0]!)
    await Promise.all(servers.map((keys) => keys.rotate('at once')))
    for (const keys of servers) assert.deepEqual(kids(keys).slice(0, 2), [second, first])
    agree(servers)
    assert.equal(rotations(world), 2)
  })

  it('rotate once when the time has come', async () => {
    const servers = await open(4)
    await world.pass(rotationPeriod + 30)
    agree(servers)
    assert.equal(kids(servers[0]!).length, 3)
    assert.equal(rotations(world), 2)
  })

  it('notice within half a minute what another one rotated, and tell of it', async () => {
    const one = await world.settled()
    const other = await world.settled()
    let changes = 0
    other.onChange(() => {
      changes += 1
    })
    await one.rotate('test')
    assert.notDeepEqual(other.jwks(), one.jwks())
    await world.pass(30)
    agree([one, other])
    assert.equal(changes, 1)
    await world.pass(300)
    assert.equal(changes, 1)
  })

  it('verify for each other with keys that they have not noticed yet', async () => {
    const one = await world.settled()
    const other = await world.settled()
    // By the second rotation the other has never heard of the key that signs.
    await one.rotate('first')
    await one.rotate('second')
    const token = await one.sign({ sub: 'a' })
    assert.ok(!kids(other).includes((partOf(token, 0) as { kid: string }).kid))
    assert.deepEqual(await other.verify(token), { sub: 'a' })
    agree([one, other])
    // What the other had been signing with meanwhile is known as well.
    assert.ok(await one.verify(await other.sign({})))
  })

  it('look into the store for unknown keys once in five seconds, whoever asks', async () => {
    const keys = await world.settled()
    let reads = 0
    const { get } = world.driver
    world.driver.get = (...arguments_) => {
      reads += 1
      return get(...arguments_)
    }
    const stranger = (kid: string) => `${encode({ alg: 'ES256', kid })}.${encode({})}.AAAA`
    const ask = () =>
      Promise.all(Array.from({ length: 50 }, (_, at) => keys.verify(stranger(`${world.seconds}-${at}`))))
    assert.ok((await ask()).every((answer) => answer === undefined))
    assert.equal(reads, 1)
    await world.pass(4)
    reads = 0
    await ask()
    assert.equal(reads, 0)
    await world.pass(1)
    await ask()
    assert.equal(reads, 1)
  })

  it('do not go back to what a slow look has read before a rotation', async () => {
    const keys = await world.settled()
    const [first, second] = kids(keys)
    const { get, commit } = world.driver
    const slow = Promise.withResolvers<void>()
    world.driver.get = async (...arguments_) => {
      world.driver.get = get
      const record = await get(...arguments_)
      await slow.promise
      return record
    }
    let committed = false
    world.driver.commit = (changes) => {
      committed = true
      return commit(changes)
    }
    const looking = keys.verify(`${encode({ alg: 'ES256', kid: 'unknown' })}.e30.AAAA`)
    const rotating = keys.rotate('test')
    // Were the rotation not to wait for the look, it would be over by then.
    for (let turn = 0; turn < 1000 && !committed; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    slow.resolve()
    await Promise.all([looking, rotating])
    assert.deepEqual(kids(keys).slice(0, 2), [second, first])
  })

  it('agree after each has made a key of its own algorithm', async () => {
    const one = await world.settled({ algorithm: 'ES256' })
    const other = await world.settled({ algorithm: 'EdDSA' })
    let changes = 0
    one.onChange(() => {
      changes += 1
    })
    await world.pass(3600)
    agree([one, other])
    // One replaces the other's next key, and both leave it at that.
    assert.ok(changes <= 2, `${changes} changes`)
    await world.pass(rotationPeriod)
    agree([one, other])
    assert.equal(rotations(world), 2)
  })

  it('never show a client a token whose key it cannot know, whichever server it asks', async () => {
    const period = 1000
    const servers = await Promise.all([0, 1, 2].map(() => world.open({ rotationPeriod: period, tokenLifetime: 1500 })))
    await world.pass(60)
    const step = 10
    const phases = Array.from({ length: jwksMaxAge / step }, (_, at) => start + 60 + at * step)
    const clients = servers.flatMap((server) => phases.map((fetched) => ({ server, fetched, known: kids(server) })))
    const issued: { at: number; token: string }[] = []
    while (rotations(world) < 12) {
      for (const client of clients)
        if (world.seconds - client.fetched > jwksMaxAge)
          Object.assign(client, { fetched: world.seconds, known: kids(client.server) })
      for (const server of servers) {
        const token = await server.sign({})
        issued.push({ at: world.seconds, token })
        const { kid } = partOf(token, 0) as { kid: string }
        for (const { known, fetched } of clients)
          assert.ok(known.includes(kid), `set of ${fetched} at ${world.seconds}`)
      }
      // Just before a token expires every server still verifies it.
      while (issued[0] && issued[0].at <= world.seconds - 1500 + step) {
        const { token } = issued.shift()!
        for (const server of servers) assert.ok(await server.verify(token))
      }
      await world.pass(step)
    }
    agree(servers)
  })
})
