import assert from 'node:assert/strict'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { jwksMaxAge } from '../../src/oidc/keys.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { newSealingKey, sealerOf } from '../../src/storage/seal.ts'
import { encode, kids, openWorld, standard, start, type World } from './keys-fixture.ts'

const { rotationPeriod, tokenLifetime } = standard
/** Seconds for which a key stays published after it has signed for the last time. */
const kept = tokenLifetime + 300

describe('signing keys: life', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  const stored = async () =>
    (await world.driver.get('keys', 'signing'))!.body as { keys: { kid: string; state: string; sealed: string }[] }

  it('makes a key that signs and then the next one, and tells of each', async () => {
    const keys = await world.open()
    const changes: string[][] = []
    keys.onChange(() => changes.push(kids(keys)))
    await world.settle()
    const [signing, next] = kids(keys)
    assert.deepEqual(changes, [[signing], [signing, next]])
    const { keys: list } = await stored()
    assert.deepEqual(
      list.map(({ state }) => state),
      ['signing', 'next'],
    )
  })

  it('lets the published next key take over, and retires the old one until its tokens have expired', async () => {
    const keys = await world.settled()
    const [first, second] = kids(keys)
    const token = await keys.sign({ jti: 'of the first' })
    await world.pass(rotationPeriod - 1)
    assert.deepEqual(kids(keys), [first, second])
    await world.pass(1)
    const third = kids(keys)[2]
    assert.deepEqual(kids(keys), [second, first, third])
    assert.equal(new Set(kids(keys)).size, 3)
    assert.match(
      await keys.sign({}),
      new RegExp(`^${Buffer.from(`{"alg":"ES256","kid":"${second}"}`).toString('base64url')}`),
    )

    await world.pass(kept - 1)
    assert.ok(kids(keys).includes(first!))
    assert.ok(await keys.verify(token))
    await world.pass(1)
    assert.equal(await keys.verify(token), undefined)
    await world.pass(30)
    assert.ok(!kids(keys).includes(first!))
    assert.ok((await stored()).keys.every(({ kid }) => kid !== first))
  })

  it('does not verify with a key that is over, even before it is dropped', async () => {
    const keys = await world.settled({ rotationPeriod: 10 * kept })
    const token = await keys.sign({})
    await keys.rotate('test')
    let reachable = true
    const { get } = world.driver
    world.driver.get = (...arguments_) => (reachable ? get(...arguments_) : Promise.reject(new Error('out of reach')))
    await world.pass(kept - 1)
    assert.ok(await keys.verify(token))
    reachable = false
    await world.pass(60)
    assert.equal(keys.jwks().keys.length, 3)
    assert.equal(await keys.verify(token), undefined)
  })

  it('publishes retired keys with the youngest first', async () => {
    const keys = await world.settled()
    const signed: string[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      signed.unshift(kids(keys)[0]!)
      await world.pass(rotationPeriod)
    }
    assert.deepEqual(kids(keys).slice(1, -1), signed)
  })

  it('rotates at once when it is asked to', async () => {
    const keys = await world.settled()
    const [first, second] = kids(keys)
    await keys.rotate('compromised')
    assert.deepEqual(kids(keys).slice(0, 2), [second, first])
    await world.pass(rotationPeriod - 1)
    assert.equal(kids(keys)[0], second)
    await world.pass(1)
    assert.notEqual(kids(keys)[0], second)
  })

  it('rotates when it is asked to before there is a next key, or any', async () => {
    const keys = await world.open()
    await keys.rotate('impatient')
    assert.equal(kids(keys).length, 3)
    assert.deepEqual(
      world.audited.map((event) => event.type === 'keys_rotated' && event.reason),
      ['missing signing key', 'impatient'],
    )
  })

  it('writes each rotation to the log, in Dex’s words, and to the audit', async () => {
    const keys = await world.settled()
    await world.pass(rotationPeriod)
    const rotations = [
      { reason: 'missing signing key', next_rotation: new Date((start + rotationPeriod) * 1000) },
      { reason: 'expired', next_rotation: new Date((start + 2 * rotationPeriod) * 1000) },
    ]
    const lines = world.logs.filter(({ message }) => message === 'keys rotated')
    assert.deepEqual(
      lines.map(({ level, attributes }) => ({ level, attributes })),
      rotations.map((attributes) => ({ level: 'info', attributes })),
    )
    const [now, before] = kids(keys)
    assert.deepEqual(
      world.audited,
      rotations.map(({ reason, next_rotation }, at) => ({
        type: 'keys_rotated',
        key_id: [before, now][at],
        reason,
        next_rotation: next_rotation.toISOString(),
      })),
    )
  })

  it('never verifies less for a client that keeps the key set for its whole life, through twenty rotations', async () => {
    const period = 2000
    const keys = await world.settled({ rotationPeriod: period })
    const step = 20
    // A client for each moment at which the set may have been fetched.
    const clients = Array.from({ length: jwksMaxAge / step }, (_, at) => ({
      fetched: start + at * step,
      set: keys.jwks(),
    }))
    const reigns = new Set<string>()
    while (reigns.size <= 20) {
      for (const client of clients)
        if (world.seconds - client.fetched > jwksMaxAge)
          Object.assign(client, { fetched: world.seconds, set: keys.jwks() })
      const token = await keys.sign({ jti: String(world.seconds) })
      const [signing] = kids(keys)
      for (const { fetched, set } of clients) {
        assert.ok(
          set.keys.some(({ kid }) => kid === signing),
          `set of ${fetched} at ${world.seconds}`,
        )
        if (world.seconds - fetched === jwksMaxAge) await jwtVerify(token, createLocalJWKSet(set))
      }
      reigns.add(signing!)
      await world.pass(step)
    }
    assert.ok(world.seconds >= start + 20 * period)
  })

  it('does not rotate on schedule before clients have seen the next key', async () => {
    const first = await world.settled({ rotationPeriod: 1000 })
    await world.pass(900)
    const signing = kids(first)[0]
    await first.close()
    const second = await world.settled({ rotationPeriod: 1000, algorithm: 'EdDSA' })
    const published = world.seconds
    await world.pass(jwksMaxAge)
    assert.equal(kids(second)[0], signing)
    await world.pass(90)
    assert.notEqual(kids(second)[0], signing)
    assert.ok(world.seconds - published < 1000)
  })

  it('warns of a period shorter than the life of a key set, and keeps to it all the same', async () => {
    const keys = await world.settled({ rotationPeriod: 5 })
    const first = kids(keys)[0]
    await world.pass(4)
    assert.equal(kids(keys)[0], first)
    await world.pass(1)
    assert.notEqual(kids(keys)[0], first)
    await world.pass(60)
    assert.equal(world.audited.length, 14)
    const warned = world.logged.filter((line) => line.startsWith('warn'))
    assert.deepEqual(warned, ['warn: signing keys rotate faster than clients read them again'])
  })

  it('does not warn of a period that is long enough', async () => {
    await world.settled({ rotationPeriod: jwksMaxAge })
    assert.deepEqual(world.logged, ['info: keys rotated'])
  })

  it('goes over to another algorithm at the next rotation, and publishes the key for it at once', async () => {
    const before = await world.settled({ algorithm: 'RS256' })
    const token = await before.sign({ jti: 'RS256' })
    const half = before.halfHash('x')
    await before.close()

    const keys = await world.open({ algorithm: 'EdDSA' })
    assert.equal(keys.algorithm, 'RS256')
    assert.equal(keys.halfHash('x'), half)
    await world.settle()
    const algorithms = () => keys.jwks().keys.map(({ alg }) => alg)
    assert.deepEqual(algorithms(), ['RS256', 'RS256', 'EdDSA'])
    await world.pass(rotationPeriod + 60)
    assert.deepEqual(algorithms(), ['EdDSA', 'RS256', 'EdDSA'])
    assert.equal(keys.algorithm, 'EdDSA')
    assert.notEqual(keys.halfHash('x'), half)
    assert.ok(await keys.verify(token))
    const { protectedHeader } = await jwtVerify(await keys.sign({}), createLocalJWKSet(keys.jwks()))
    assert.equal(protectedHeader.alg, 'EdDSA')
  })
})

describe('signing keys: at rest', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  it('are sealed, and of a retired key only the public half is left', async () => {
    const keys = await world.settled()
    await keys.rotate('test')
    const { body } = (await world.driver.get('keys', 'signing'))!
    const { keys: list } = body as { keys: { kid: string; state: string; sealed: string }[] }
    const text = JSON.stringify(body)
    const opened = list.map(({ kid, state, sealed }) => {
      const jwk = world.sealer.open(sealed, `signing key ${kid}`) as Record<string, string>
      assert.ok(jwk.x)
      return { state, d: jwk.d }
    })
    assert.deepEqual(
      opened.map(({ state, d }) => [state, d !== undefined]),
      [
        ['signing', true],
        ['retired', false],
        ['next', true],
      ],
    )
    assert.ok(!text.includes('"d"'))
    for (const { d } of opened) assert.ok(!d || !text.includes(d))
  })

  it('are the same after a restart', async () => {
    const before = await world.settled()
    const token = await before.sign({ sub: 'a' })
    const set = before.jwks()
    await before.close()
    const after = await world.open()
    assert.deepEqual(after.jwks(), set)
    assert.deepEqual(await after.verify(token), { sub: 'a' })
    assert.equal(world.audited.length, 1)
  })

  it('are still there after a restart while they rotate', async () => {
    const before = await world.settled()
    const token = await before.sign({ sub: 'a' })
    await before.rotate('test')
    const set = before.jwks()
    await before.close()
    const after = await world.open()
    assert.deepEqual(after.jwks(), set)
    assert.ok(await after.verify(token))
  })

  it('rotate at the start when nobody was there at the time', async () => {
    const before = await world.settled()
    const [first, second] = kids(before)
    await before.close()
    await world.pass(rotationPeriod)
    const after = await world.settled()
    assert.deepEqual(kids(after).slice(0, 2), [second, first])
  })

  it('stop a start that cannot open them, with a sentence, and stay as they are', async () => {
    await world.settled()
    const record = await world.driver.get('keys', 'signing')
    await assert.rejects(
      world.open({}, { sealer: sealerOf([newSealingKey()]) }),
      /^Error: storage: the signing key [0-9a-f]{40} cannot be opened: .* sealed with another key than this server's/,
    )
    assert.deepEqual(await world.driver.get('keys', 'signing'), record)
  })

  it('open with an older sealing key', async () => {
    const [older, newer] = [newSealingKey(), newSealingKey()]
    const before = await world.settled({}, { sealer: sealerOf([older]) })
    const token = await before.sign({})
    await before.close()
    const after = await world.settled({}, { sealer: sealerOf([newer, older]) })
    assert.ok(await after.verify(token))
    await after.rotate('test')
    assert.ok(await after.verify(token))
  })

  it('may be joined by retired keys of somebody else, before there is a key of ours', async () => {
    const old = await openWorld()
    const theirs = await old.settled({ algorithm: 'RS256' })
    const token = await theirs.sign({ sub: 'before' })
    const jwk = { ...theirs.jwks().keys[0] } as Record<string, string>
    await old.close()
    const sealed = world.sealer.seal(jwk, `signing key ${jwk.kid}`)
    const entry = { kid: jwk.kid!, algorithm: 'RS256', state: 'retired', since: start, until: start + 3600, sealed }
    const record = { index: {}, body: { keys: [entry] } }
    await world.driver.commit([{ do: 'create', kind: 'keys', id: 'signing', record }])

    const keys = await world.settled()
    assert.deepEqual(
      keys.jwks().keys.map(({ alg }) => alg),
      ['ES256', 'RS256', 'ES256'],
    )
    assert.deepEqual(await keys.verify(token), { sub: 'before' })
    await world.pass(3600)
    assert.equal(await keys.verify(token), undefined)
  })

  it('go on signing when the store was emptied, until there are new ones', async () => {
    const keys = await world.settled()
    const [first] = kids(keys)
    const { version } = (await world.driver.get('keys', 'signing'))!
    const record = { index: {}, body: { keys: [] } }
    await world.driver.commit([{ do: 'replace', kind: 'keys', id: 'signing', version, record }])
    await keys.verify(`${encode({ alg: 'ES256', kid: 'unknown' })}.e30.AAAA`)
    assert.ok(await keys.verify(await keys.sign({})))
    await world.pass(30)
    assert.ok(await keys.verify(await keys.sign({})))
    assert.equal(kids(keys).length, 2)
    assert.ok(!kids(keys).includes(first!))
  })

  it('cannot be exchanged for one another in the store', async () => {
    await world.settled()
    const { body, version } = (await world.driver.get('keys', 'signing'))!
    const { keys: list } = body as { keys: { sealed: string }[] }
    const [one, two] = list as [{ sealed: string }, { sealed: string }]
    const record = { index: {}, body: { keys: [{ ...one, sealed: two.sealed }, two] } }
    await world.driver.commit([{ do: 'replace', kind: 'keys', id: 'signing', version, record }])
    await assert.rejects(world.open(), /cannot be opened/)
  })
})

describe('signing keys: a store out of reach', () => {
  let world: World
  let reachable = true
  let reads = 0
  beforeEach(async () => {
    world = await openWorld()
    reachable = true
    reads = 0
    const { get, commit } = world.driver
    const guarded =
      <A extends unknown[], R>(call: (...arguments_: A) => Promise<R>) =>
      async (...arguments_: A): Promise<R> => {
        reads += 1
        if (!reachable) throw new Error('out of reach')
        return call(...arguments_)
      }
    Object.assign(world.driver, { get: guarded(get), commit: guarded(commit) } satisfies Partial<StorageDriver>)
  })
  afterEach(async () => {
    reachable = true
    await world.close()
  })

  it('stops a start', async () => {
    reachable = false
    await assert.rejects(world.open(), /out of reach/)
  })

  it('is logged and asked again until the first key is made', async () => {
    const keys = await world.open()
    reachable = false
    await world.settle()
    const token = keys.sign({ sub: 'patient' })
    await world.pass(10)
    assert.ok(world.logged.length > 1)
    assert.deepEqual(new Set(world.logged), new Set(['error: signing keys could not be kept up']))
    reachable = true
    await world.pass(5)
    assert.deepEqual(await keys.verify(await token), { sub: 'patient' })
  })

  it('keeps nobody from signing and verifying with the keys that are there', async () => {
    const keys = await world.settled()
    reachable = false
    await world.pass(rotationPeriod + 600)
    assert.ok(await keys.verify(await keys.sign({})))
    await assert.rejects(keys.rotate('test'), /out of reach/)
    const first = kids(keys)[0]
    reachable = true
    await world.pass(30)
    assert.equal(kids(keys)[1], first)
  })

  it('disappoints who waits for the first key when the server closes', async () => {
    const keys = await world.open()
    reachable = false
    await world.settle()
    const waiting = [keys.sign({}), keys.ready()].map((promise) =>
      assert.rejects(promise, /closed before there was one/),
    )
    await keys.close()
    await Promise.all(waiting)
  })

  it('does not trouble anybody after the close', async () => {
    const keys = await world.settled()
    await keys.close()
    reads = 0
    await world.close()
    assert.equal(reads, 0)
  })

  it('survives a listener that fails', async () => {
    const keys = await world.open()
    const heard: string[] = []
    keys.onChange(() => {
      throw new Error('deaf')
    })
    keys.onChange(() => heard.push('changed'))
    await world.settle()
    assert.equal(heard.length, 2)
    assert.ok(world.logged.includes('error: a change of the published keys was not taken up'))
    assert.ok(!world.logged.includes('error: signing keys could not be kept up'))
  })
})
