import assert from 'node:assert/strict'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { jwksMaxAge, type LocalAlgorithm, type SigningKeys } from '../../src/oidc/keys.ts'
import { kids, openWorld, standard, start, type World } from './keys-fixture.ts'

const { rotationPeriod, tokenLifetime } = standard
const all: LocalAlgorithm[] = ['ES256', 'RS256', 'EdDSA']
/** The default is ES256. */
const three = { clientAlgorithms: ['RS256', 'EdDSA', 'ES256'] } satisfies { clientAlgorithms: LocalAlgorithm[] }

const algOf = (token: string) => decodeProtectedHeader(token).alg
const kidOf = (token: string) => decodeProtectedHeader(token).kid!

describe('signing keys: several algorithms', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  const published = (keys: SigningKeys) => keys.jwks().keys.map(({ alg }) => alg)
  const states = (keys: SigningKeys) => keys.list().map(({ algorithm, state }) => `${algorithm} ${state}`)

  it('has a chain for each, the default first, all of them from the first start on', async () => {
    const keys = await world.open(three)
    assert.deepEqual(keys.algorithms, all)
    await world.settle()
    assert.deepEqual(published(keys), [...all, ...all])
    assert.deepEqual(states(keys), [
      'ES256 signing',
      'RS256 signing',
      'EdDSA signing',
      'ES256 next',
      'RS256 next',
      'EdDSA next',
    ])
    assert.deepEqual(keys.algorithms, all)
    assert.equal(keys.algorithm, 'ES256')
    assert.equal(world.audited.length, 3)
  })

  it('signs with the one that is asked for, by default with the default, and verifies them all', async () => {
    const keys = await world.settled(three)
    assert.equal(algOf(await keys.sign({})), 'ES256')
    for (const algorithm of all) {
      const token = await keys.sign({ sub: 'a' }, { typ: 'at+jwt', algorithm })
      assert.deepEqual(decodeProtectedHeader(token), { alg: algorithm, kid: kidOf(token), typ: 'at+jwt' })
      assert.deepEqual((await jwtVerify(token, createLocalJWKSet(keys.jwks()))).payload, { sub: 'a' })
      assert.deepEqual(await keys.verify(token), { sub: 'a' })
    }
  })

  it('halves the hash of the algorithm that signs', async () => {
    const keys = await world.open(three)
    const lengths = () => all.map((algorithm) => Buffer.from(keys.halfHash('x', algorithm), 'base64url').length)
    assert.deepEqual(lengths(), [16, 16, 32])
    await world.settle()
    assert.deepEqual(lengths(), [16, 16, 32])
    assert.equal(keys.halfHash('x'), keys.halfHash('x', 'ES256'))
    // Without a key of it the default signs, and its hash counts.
    const plain = await (await openWorld()).settled()
    assert.equal(Buffer.from(plain.halfHash('x', 'EdDSA'), 'base64url').length, 16)
  })

  it('rotates each chain within itself', async () => {
    const keys = await world.settled(three)
    const before = kids(keys)
    await world.pass(rotationPeriod + 1)
    assert.deepEqual(published(keys).slice(0, 3), all)
    assert.deepEqual(kids(keys).slice(0, 3), before.slice(3))
    assert.deepEqual(new Set(kids(keys).slice(3, 6)), new Set(before.slice(0, 3)))
    assert.equal(published(keys).length, 9)
  })

  it('rotates all of them when it is asked to', async () => {
    const keys = await world.settled(three)
    const before = kids(keys)
    await keys.rotate('test')
    assert.deepEqual(kids(keys).slice(0, 3), before.slice(3))
    assert.equal(published(keys).length, 9)
    assert.deepEqual(published(keys).slice(0, 3), all)
  })

  it('publishes the first key of an algorithm that is named later before it signs; the default signs meanwhile', async () => {
    const plain = await world.settled()
    const [default_] = kids(plain)
    await plain.close()
    await world.pass(100)
    const keys = await world.settled({ clientAlgorithms: ['EdDSA'] })
    assert.deepEqual(states(keys), ['ES256 signing', 'ES256 next', 'EdDSA next'])
    assert.deepEqual(keys.algorithms, ['ES256'])
    assert.equal(algOf(await keys.sign({}, { algorithm: 'EdDSA' })), 'ES256')
    await world.pass(jwksMaxAge)
    assert.equal(algOf(await keys.sign({}, { algorithm: 'EdDSA' })), 'ES256')
    await world.pass(60)
    assert.equal(algOf(await keys.sign({}, { algorithm: 'EdDSA' })), 'EdDSA')
    assert.deepEqual(states(keys), ['ES256 signing', 'EdDSA signing', 'ES256 next', 'EdDSA next'])
    assert.deepEqual(keys.algorithms, ['ES256', 'EdDSA'])
    assert.equal(kids(keys)[0], default_)
  })

  it('retires the key of an algorithm that nobody asks for any more at its rotation, and verifies its tokens still', async () => {
    const before = await world.settled(three)
    const token = await before.sign({ sub: 'a' }, { algorithm: 'EdDSA' })
    await before.close()
    const keys = await world.settled()
    assert.deepEqual(keys.algorithms, all)
    await world.pass(rotationPeriod)
    assert.deepEqual(keys.algorithms, ['ES256'])
    assert.deepEqual(await keys.verify(token), { sub: 'a' })
    await world.pass(tokenLifetime + 299)
    assert.ok(published(keys).includes('EdDSA'))
    await world.pass(60)
    assert.deepEqual(new Set(published(keys)), new Set(['ES256']))
  })

  it('goes over to another default at the next rotation, and keeps the former for the clients that ask for it', async () => {
    const before = await world.settled({ clientAlgorithms: ['RS256'] })
    await before.close()
    const keys = await world.settled({ algorithm: 'RS256', clientAlgorithms: ['ES256', 'EdDSA'] })
    assert.deepEqual(keys.algorithms, ['ES256', 'RS256'])
    await world.pass(rotationPeriod - 1)
    assert.equal(keys.algorithm, 'ES256')
    await world.pass(1)
    assert.equal(keys.algorithms[0], 'RS256')
    assert.deepEqual(new Set(keys.algorithms), new Set(['RS256', 'ES256', 'EdDSA']))
    assert.equal(algOf(await keys.sign({})), 'RS256')
    assert.equal(algOf(await keys.sign({}, { algorithm: 'ES256' })), 'ES256')
    assert.deepEqual(published(keys).slice(0, 3), keys.algorithms)
  })

  it('goes over at once when it is told to rotate', async () => {
    await (await world.settled()).close()
    const keys = await world.settled({ algorithm: 'EdDSA' })
    await keys.rotate('now')
    assert.deepEqual(keys.algorithms, ['EdDSA'])
    assert.deepEqual(states(keys), ['EdDSA signing', 'ES256 retired', 'EdDSA next'])
  })

  it('never shows a client a key that its set does not have, through twenty rotations, one of them forced', async function () {
    this.timeout(30_000)
    const period = 2000
    const keys = await world.settled({ ...three, clientAlgorithms: ['EdDSA'], rotationPeriod: period })
    const step = 40
    const clients = Array.from({ length: jwksMaxAge / step }, (_, at) => ({
      fetched: start + at * step,
      set: keys.jwks(),
    }))
    const reigns = new Set<string>()
    let forced = false
    while (reigns.size <= 21) {
      for (const client of clients)
        if (world.seconds - client.fetched > jwksMaxAge)
          Object.assign(client, { fetched: world.seconds, set: keys.jwks() })
      for (const algorithm of ['ES256', 'EdDSA'] as const) {
        const token = await keys.sign({ jti: String(world.seconds) }, { algorithm })
        assert.equal(algOf(token), algorithm)
        for (const { fetched, set } of clients) {
          assert.ok(
            set.keys.some(({ kid }) => kid === kidOf(token)),
            `set of ${fetched} at ${world.seconds}`,
          )
          if (world.seconds - fetched === jwksMaxAge) await jwtVerify(token, createLocalJWKSet(set))
        }
      }
      reigns.add(kids(keys)[0]!)
      if (reigns.size === 10 && !forced && world.seconds % period === 1200) {
        await keys.rotate('forced')
        forced = true
      }
      await world.pass(step)
    }
    assert.ok(forced)
    assert.ok(world.seconds >= start + 19 * period)
  })
})

describe('signing keys: several algorithms on several servers', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  const agree = (servers: SigningKeys[]) => {
    for (const keys of servers) assert.deepEqual(keys.jwks(), servers[0]!.jwks())
  }
  const signing = (keys: SigningKeys) => keys.list().filter(({ state }) => state === 'signing')

  it('makes one key of each when they start at once, and rotates each once when they are asked at once', async () => {
    const servers = await Promise.all(Array.from({ length: 6 }, () => world.open(three)))
    await world.pass(30)
    agree(servers)
    assert.equal(kids(servers[0]!).length, 6)
    const before = kids(servers[0]!).slice(0, 3)
    await Promise.all(servers.map((keys) => keys.rotate('at once')))
    agree(servers)
    assert.equal(kids(servers[0]!).length, 9)
    assert.equal(signing(servers[0]!).length, 3)
    assert.ok(signing(servers[0]!).every(({ kid }) => !before.includes(kid)))
    assert.equal(world.audited.length, 6)
  })

  it('leaves alone what a server with a newer file has added, until the rotation', async () => {
    const older = await world.settled()
    const newer = await world.settled({ clientAlgorithms: ['EdDSA'] })
    let changes = 0
    older.onChange(() => {
      changes += 1
    })
    await world.pass(3600)
    agree([older, newer])
    assert.deepEqual(newer.algorithms, ['ES256', 'EdDSA'])
    // Published, then signing with a next one beside it.
    assert.ok(changes <= 3, `${changes} changes`)
    // What the one does not ask for it still verifies.
    assert.ok(await older.verify(await newer.sign({ sub: 'a' }, { algorithm: 'EdDSA' })))
  })

  it('does not end in a quarrel when two servers want different defaults', async () => {
    const one = await world.settled({ algorithm: 'ES256' })
    const other = await world.settled({ algorithm: 'EdDSA' })
    await world.pass(rotationPeriod + 60)
    agree([one, other])
    const rotations = world.audited.length
    await world.pass(rotationPeriod - 120)
    assert.equal(world.audited.length, rotations)
    assert.ok(kids(one).length <= 5)
  })
})
