import assert from 'node:assert/strict'
import { hashSync } from '@node-rs/bcrypt'
import type { PasswordConnector } from '../../connectors/contract.ts'
import { local } from '../../connectors/local.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { context } from './context.ts'
import { failsWith } from './oidc-login.ts'

const scopes = { groups: true, offlineAccess: false }
const hash = hashSync('password', 10)
const jane = {
  email: 'Jane@Example.com',
  hash,
  username: 'jane',
  userID: '08a8684b',
  emailVerified: true,
  groups: ['admins'],
}
const open = async (...users: object[]) => (await local.open({ users }, context())) as PasswordConnector

describe('local connector', () => {
  it('checks its section', () => {
    const validate = compileSchema(local.schema)
    const all = { ...jane, name: 'Jane Doe', preferredUsername: 'jd' }
    assert.deepEqual(validate({ users: [all, { email: 'a@b.c', hash }] }), [])
    assert.equal(validate({ users: [{ email: 'a@b.c' }] })[0]?.path, '/users/0/hash')
  })

  it('asks for the e-mail address', async () => {
    assert.equal((await open(jane)).prompt, 'Email Address')
  })

  it('tells what stands in the entry', async () => {
    const connector = await open({ ...jane, name: 'Jane Doe', preferredUsername: 'jd', emailVerified: false })
    assert.deepEqual(await connector.login('jane@example.com', 'password', scopes), {
      userId: '08a8684b',
      username: 'Jane Doe',
      preferredUsername: 'jd',
      email: 'Jane@Example.com',
      emailVerified: false,
      groups: ['admins'],
    })
  })

  it('shows the user name where there is no name, and takes an address for verified where nothing is said', async () => {
    const connector = await open({ email: 'a@b.c', hash, username: 'a', name: '' })
    const identity = await connector.login('a@b.c', 'password', scopes)
    assert.deepEqual(identity, { userId: '', username: 'a', email: 'a@b.c', emailVerified: true, groups: [] })
  })

  for (const typed of ['jane@example.com', 'JANE@EXAMPLE.COM', 'Jane@Example.com']) {
    it(`knows ${typed} in any case`, async () => {
      assert.ok(await (await open(jane)).login(typed, 'password', scopes))
    })
  }

  it('knows an address however its accents are typed', async () => {
    const connector = await open({ ...jane, email: 'jos\u00e9@example.com' })
    assert.ok(await connector.login('JOSE\u0301@example.com', 'password', scopes))
  })

  for (const [email, password] of [
    ['jane@example.com', 'Password'],
    ['jane@example.com', ''],
    ['joe@example.com', 'password'],
    ['', 'password'],
    ['__proto__', 'password'],
  ] as const) {
    it(`keeps out "${email}" with "${password}"`, async () => {
      assert.equal(await (await open(jane, { ...jane, email: '' })).login(email, password, scopes), undefined)
    })
  }

  for (const version of ['$2$', '$2a$', '$2y$', '$2x$']) {
    it(`reads hashes of the version ${version}, as Dex does`, async () => {
      const connector = await open({ ...jane, hash: hash.replace(/^\$2.\$/, () => version) })
      assert.ok(await connector.login('jane@example.com', 'password', scopes))
    })
  }

  it('takes as long for an unknown address as for a known one', async () => {
    const connector = await open(jane)
    const fastest = { known: Number.POSITIVE_INFINITY, unknown: Number.POSITIVE_INFINITY }
    // In turns, so that what else the machine does strikes both.
    for (let i = 0; i < 6; i++) {
      for (const [who, email] of [['known', 'jane@example.com'] as const, ['unknown', 'joe@example.com'] as const]) {
        const since = performance.now()
        await connector.login(email, 'wrong', scopes)
        fastest[who] = Math.min(fastest[who], performance.now() - since)
      }
    }
    // A hash of cost 10 takes tens of milliseconds, no hash at all takes none.
    const ratio = fastest.unknown / fastest.known
    assert.ok(ratio > 0.4 && ratio < 2.5, `${fastest.known} ms and ${fastest.unknown} ms`)
  })

  it('keeps out by a hash that is none, without failing', async () => {
    const broken = [hash.slice(0, -1), `${hash.slice(0, 28)}!${hash.slice(29)}`, `$2b$10$${'z'.repeat(53)}`]
    for (const each of broken) {
      assert.equal(await (await open({ ...jane, hash: each })).login('jane@example.com', 'password', scopes), undefined)
    }
  })

  for (const cost of [4, 9, 17]) {
    it(`fails where the hash has the cost ${cost}`, async () => {
      const connector = await open({ ...jane, hash: hash.replace('$10$', () => `$${String(cost).padStart(2, '0')}$`) })
      await failsWith('misconfigured', connector.login('jane@example.com', 'password', scopes), /must be from 10 to 16/)
      assert.equal(await connector.login('joe@example.com', 'password', scopes), undefined)
    })
  }

  it('lets in by a hash of cost 12', async () => {
    const costly = hashSync('password', 12)
    assert.match(costly, /^\$2b\$12\$/)
    assert.ok(await (await open({ ...jane, hash: costly })).login('jane@example.com', 'password', scopes))
  })

  it('takes the last of two entries with one address', async () => {
    const connector = await open(jane, { ...jane, email: 'jane@example.com', userID: 'second' })
    assert.equal((await connector.login('jane@example.com', 'password', scopes))?.userId, 'second')
  })

  describe('refresh', () => {
    const identity = { userId: '08a8684b', username: 'old', email: 'Jane@Example.com', groups: [] }

    it('tells names, verification and groups anew, the address as it was', async () => {
      const connector = await open({ ...jane, email: 'jane@example.com', name: 'Jane Roe', emailVerified: false })
      assert.deepEqual(await connector.refresh?.(identity, scopes), {
        userId: '08a8684b',
        username: 'Jane Roe',
        email: 'Jane@Example.com',
        emailVerified: false,
        groups: ['admins'],
      })
    })

    for (const [name, users] of [
      ['whose entry is gone', []],
      ['whose address is somebody else now', [{ ...jane, userID: 'other' }]],
    ] as const) {
      it(`refuses somebody ${name}`, async () => {
        const connector = await open(...users)
        await failsWith(
          'identity_gone',
          Promise.resolve().then(() => connector.refresh?.(identity, scopes)),
        )
      })
    }
  })
})
