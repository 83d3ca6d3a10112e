import assert from 'node:assert/strict'
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import type { SigningKeys } from '../../src/oidc/keys.ts'
import { encode, kids, openWorld, partOf, type World } from './keys-fixture.ts'

const claims = { iss: 'https://id.example.org', sub: 'Ä😀', groups: ['admin'], nothing: null }

describe('signing keys: tokens', () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  for (const algorithm of ['RS256', 'ES256', 'EdDSA'] as const)
    it(`signs with ${algorithm} what jose verifies with the published keys`, async () => {
      const keys = await world.open({ algorithm })
      const token = await keys.sign(claims)
      const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys.jwks()))
      assert.deepEqual(payload, claims)
      assert.equal(protectedHeader.alg, algorithm)
      assert.equal(keys.algorithm, algorithm)
      assert.deepEqual(await keys.verify(token), claims)
    })

  it('is open before the first key is made, and tokens wait for it', async () => {
    const keys = await world.open({ algorithm: 'RS256' })
    assert.deepEqual(keys.jwks(), { keys: [] })
    assert.equal(keys.algorithm, 'RS256')
    const tokens = await Promise.all([keys.sign({ jti: '1' }), keys.sign({ jti: '2' })])
    await keys.ready()
    for (const token of tokens) assert.ok(await keys.verify(token))
  })

  it('has nothing but the algorithm and the key id in the header, and the type when it is asked for', async () => {
    const keys = await world.settled()
    const kid = kids(keys)[0]
    assert.deepEqual(partOf(await keys.sign(claims), 0), { alg: 'ES256', kid })
    assert.deepEqual(partOf(await keys.sign(claims, { typ: 'at+jwt' }), 0), { alg: 'ES256', kid, typ: 'at+jwt' })
    assert.deepEqual(partOf(await keys.sign(claims), 0), { alg: 'ES256', kid })
  })

  it('leaves out claims that are undefined', async () => {
    const keys = await world.settled()
    assert.deepEqual(partOf(await keys.sign({ sub: 'a', email: undefined }), 1), { sub: 'a' })
  })

  it('publishes public members only, in the order that Dex has', async () => {
    const members = {
      RS256: ['use', 'kty', 'kid', 'alg', 'n', 'e'],
      ES256: ['use', 'kty', 'kid', 'crv', 'alg', 'x', 'y'],
      EdDSA: ['use', 'kty', 'kid', 'crv', 'alg', 'x'],
    }
    for (const algorithm of ['RS256', 'ES256', 'EdDSA'] as const) {
      const other = await openWorld()
      const keys = await other.settled({ algorithm })
      for (const key of keys.jwks().keys) {
        assert.deepEqual(Object.keys(key), members[algorithm])
        assert.deepEqual([key.use, key.alg], ['sig', algorithm])
        assert.match(key.kid!, /^[0-9a-f]{40}$/)
      }
      await other.close()
    }
  })

  it('gives out a key set that a caller may change', async () => {
    const keys = await world.settled()
    const published = keys.jwks()
    published.keys[0]!.kid = 'changed'
    published.keys.pop()
    assert.equal(keys.jwks().keys.length, 2)
    assert.notEqual(kids(keys)[0], 'changed')
  })

  it('halves the hash that belongs to the algorithm', async () => {
    const keys = await world.open()
    assert.equal(keys.halfHash('test-access-token'), 'WXSA1LYsphIZPxnnP-TMOg')
    await world.settle()
    assert.equal(keys.halfHash('test-access-token'), 'WXSA1LYsphIZPxnnP-TMOg')
  })

  it('halves SHA-512 for EdDSA', async () => {
    const keys = await world.settled({ algorithm: 'EdDSA' })
    const half = Buffer.from(keys.halfHash('test-access-token'), 'base64url')
    assert.equal(half.length, 32)
    assert.equal(half.toString('hex').slice(0, 16), '7a326238142b4e2b')
  })
})

describe('signing keys: what is no token of ours', () => {
  let world: World
  let keys: SigningKeys
  let token: string
  let [header, payload, signature] = ['', '', '']
  /** Our own private key: what is refused with a good signature is refused for its header. */
  let privateKey: KeyObject
  before(async () => {
    world = await openWorld()
    keys = await world.settled({ algorithm: 'RS256' })
    token = await keys.sign(claims)
    ;[header, payload, signature] = token.split('.') as [string, string, string]
    const body = (await world.driver.get('keys', 'signing'))!.body as { keys: { kid: string; sealed: string }[] }
    const { kid, sealed } = body.keys[0]!
    privateKey = createPrivateKey({ key: world.sealer.open(sealed, `signing key ${kid}`) as never, format: 'jwk' })
  })
  after(() => world.close())

  const refused = async (tokens: Record<string, string>) => {
    for (const [name, text] of Object.entries(tokens)) assert.equal(await keys.verify(text), undefined, name)
    assert.deepEqual(await keys.verify(token), claims)
  }
  const signed = (head: unknown, body = payload) => {
    const text = `${encode(head)}.${body}`
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
  }
  const kid = () => kids(keys)[0]!

  it('the private key of this test signs what is accepted', async () => {
    assert.deepEqual(await keys.verify(signed({ alg: 'RS256', kid: kid() })), claims)
    assert.deepEqual(await keys.verify(signed({ alg: 'RS256', kid: kid(), typ: 'JWT' })), claims)
  })

  it('refuses another algorithm than the key has', async () => {
    const hmac = (secret: string | Buffer, alg = 'HS256') => {
      const text = `${encode({ alg, kid: kid() })}.${payload}`
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    }
    const publicKey = createPublicKey(privateKey)
    const pem = publicKey.export({ format: 'pem', type: 'spki' })
    const none = encode({ alg: 'none', kid: kid() })
    await refused({
      'none without signature': `${none}.${payload}.`,
      'none with a signature': `${none}.${payload}.${signature}`,
      'none, signed': signed({ alg: 'none', kid: kid() }),
      'HS256 under the public key as PEM': hmac(pem),
      'HS256 under the public key as PEM without line end': hmac(String(pem).trim()),
      'HS256 under the public key as DER': hmac(publicKey.export({ format: 'der', type: 'spki' })),
      'HS256 under the public key, called RS256': hmac(pem, 'RS256'),
      'RS512 over SHA-256': signed({ alg: 'RS512', kid: kid() }),
      PS256: signed({ alg: 'PS256', kid: kid() }),
      'other case': signed({ alg: 'rs256', kid: kid() }),
      'no algorithm': signed({ kid: kid() }),
      'a list': signed({ alg: ['RS256'], kid: kid() }),
    })
  })

  it('refuses a key that is not published, and keys that the header brings along', async () => {
    const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
    await refused({
      'the next key’s id': signed({ alg: 'RS256', kid: kids(keys)[1] }),
      'an unknown id': signed({ alg: 'RS256', kid: 'other' }),
      'no id': signed({ alg: 'RS256' }),
      'no id, but the key': signed({ alg: 'RS256', jwk }),
      'an unknown id and the key': signed({ alg: 'RS256', kid: 'other', jwk }),
      'a number as id': signed({ alg: 'RS256', kid: 0 }),
      'a list as id': signed({ alg: 'RS256', kid: [kid()] }),
      'a name of every object': signed({ alg: 'RS256', kid: '__proto__' }),
    })
  })

  it('refuses critical extensions, whichever', async () => {
    await refused({
      unknown: signed({ alg: 'RS256', kid: kid(), crit: ['x'], x: 1 }),
      b64: signed({ alg: 'RS256', kid: kid(), crit: ['b64'], b64: true }),
      empty: signed({ alg: 'RS256', kid: kid(), crit: [] }),
      null: signed({ alg: 'RS256', kid: kid(), crit: null }),
    })
  })

  it('refuses a payload that is no object', async () => {
    const texts = ['null', '[]', '"text"', '1', '{', '', '{"a":1} {}']
    await refused(
      Object.fromEntries(
        texts.map((text) => [text, signed({ alg: 'RS256', kid: kid() }, Buffer.from(text).toString('base64url'))]),
      ),
    )
  })

  it('refuses a header that is no object', async () => {
    await refused({ null: signed(null), list: signed([]), text: signed('RS256'), 'no JSON': `e30x.${payload}.AAAA` })
  })

  it('refuses the right token with anything more, less or changed', async () => {
    const swap = (text: string) =>
      text.replace(/[a-z]/i, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()))
    const last = signature.at(-1)!
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    /** The same bytes, written with bits that mean nothing. */
    const twin = alphabet[alphabet.indexOf(last) ^ 1]!
    await refused({
      empty: '',
      'two parts': `${header}.${payload}`,
      'no signature': `${header}.${payload}.`,
      'no payload': `${header}..${signature}`,
      'no header': `.${payload}.${signature}`,
      'four parts': `${token}.${signature}`,
      'five parts': `${token}.${payload}.${signature}`,
      'dot behind': `${token}.`,
      truncated: token.slice(0, -1),
      'truncated by four': token.slice(0, -4),
      extended: `${token}A`,
      'extended by four': `${token}AAAA`,
      'last bits changed': token.slice(0, -1) + twin,
      padded: `${token}==`,
      'space before': ` ${token}`,
      'space behind': `${token} `,
      'line end behind': `${token}\n`,
      'line end within': `${header}.${payload}\n.${signature}`,
      'zero behind': `${token}\0`,
      'case of the header': `${swap(header)}.${payload}.${signature}`,
      'case of the payload': `${header}.${swap(payload)}.${signature}`,
      'case of the signature': `${header}.${payload}.${swap(signature)}`,
      'upper case': token.toUpperCase(),
      'base64 alphabet': `${header}.${payload}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+/`,
      'parts exchanged': `${payload}.${header}.${signature}`,
      'a payload of ours under another header': `${encode({ alg: 'RS256', kid: kid(), typ: 'x' })}.${payload}.${signature}`,
    })
  })

  it('refuses a token in which any one character is changed', async () => {
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
      assert.equal(await keys.verify(changed), undefined, `character ${at}`)
    }
  })

  it('refuses what another server has signed', async () => {
    const other = await openWorld()
    await refused({ other: await (await other.settled()).sign(claims) })
    await other.close()
  })

  for (const algorithm of ['ES256', 'EdDSA'] as const)
    it(`refuses shortened, prolonged and empty signatures of ${algorithm} as well`, async () => {
      const other = await openWorld()
      const those = await other.settled({ algorithm })
      const [head, body, mark] = (await those.sign(claims)).split('.') as [string, string, string]
      const bytes = Buffer.from(mark, 'base64url')
      const zero = Buffer.alloc(bytes.length)
      const wrong = [bytes.subarray(1), bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.alloc(1)]), zero]
      for (const each of wrong)
        assert.equal(await those.verify(`${head}.${body}.${each.toString('base64url')}`), undefined)
      assert.deepEqual(await those.verify(`${head}.${body}.${mark}`), claims)
      await other.close()
    })
})
