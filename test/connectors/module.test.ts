import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectorType } from '../../connectors/contract.ts'
import type ticketOfficeType from '../../examples/connector/ticket-office.ts'
import { type Person, rosa, ticketOffice } from '../../examples/connector/upstream.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { connectorType, findConnectorType } from '../../src/login/load-connector.ts'
import { context } from './context.ts'
import { browser, depart, failsWith, logIn, type Upstream } from './oidc-login.ts'

const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'connector')

describe('connectors of an operator', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-module-'))
  })
  after(() => rm(folder, { recursive: true }))

  const put = async (path: string, text: string) => {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  const least = `{ schema: { type: 'object' }, open: () => ({ style: 'password', prompt: 'Name', login: async (name) => ({ userId: name }) }) }`

  describe('are found (PL-1)', () => {
    const works = async (type: ConnectorType) => {
      const connector = await type.open({}, context())
      assert.equal(connector.style, 'password')
    }

    for (const [type, path] of [
      ['./mine.ts', 'mine.ts'],
      ['./mine.js', 'mine.js'],
      ['./mine.mjs', 'mine.mjs'],
      ['./below/mine.ts', 'below/mine.ts'],
    ] as const) {
      it(`as ${type}, relative to the configuration`, async () => {
        await put('package.json', '{ "type": "module" }')
        await put(path, `export default ${least}`)
        await works(await connectorType(type, folder))
      })
    }

    it('one folder up, and by an absolute path', async () => {
      await put('up.mjs', `export default ${least}`)
      await works(await connectorType('../up.mjs', join(folder, 'etc')))
      await works(await connectorType(join(folder, 'up.mjs'), '/'))
    })

    const packages: [string, string, object][] = [
      ['a package', 'acme-connector', { main: 'it.js' }],
      ['a scoped package', '@acme/connector', { main: './it.js' }],
      ['a package with exports', 'acme-exports', { exports: './it.js' }],
      ['a package for import only', 'acme-import', { exports: { '.': { import: { default: './it.js' } } } }],
      ['a part of a package', 'acme-parts/one', { exports: { './one': './it.js' } }],
    ]
    for (const [name, type, description] of packages) {
      it(`as ${name}`, async () => {
        const at = `node_modules/${type.replace(/\/one$/, '')}`
        await put(
          `${at}/package.json`,
          JSON.stringify({ name: type, version: '1.0.0', type: 'module', ...description }),
        )
        await put(`${at}/it.js`, `export default ${least}`)
        await works(await connectorType(type, folder))
      })
    }
  })

  describe('are refused with a reason', () => {
    const faults: [string, string, RegExp][] = [
      ['a syntax error', 'export default {', /"\.\/f0\.mjs" cannot be loaded: .*(Unexpected|end of input)/],
      ['an error of its own', 'throw new Error("no floppy")', /"\.\/f1\.mjs" cannot be loaded: no floppy/],
      [
        'a missing import',
        "import 'not-installed-anywhere'",
        /"\.\/f2\.mjs" cannot be loaded: .*not-installed-anywhere/,
      ],
      [
        'no default export',
        `export const mine = ${least}`,
        /"\.\/f3\.mjs" has no default export with "schema" and "open"/,
      ],
      ['a default export that is none', 'export default { schema: {} }', /"\.\/f4\.mjs" has no default export/],
      [
        'a schema that is none',
        "export default { schema: { type: 'strng' }, open() {} }",
        /"\.\/f5\.mjs" has a schema that is no JSON Schema: .*type/,
      ],
    ]
    for (const [index, [name, text, message]] of faults.entries()) {
      it(`for ${name}`, async () => {
        await put(`f${index}.mjs`, text)
        await failsWith('misconfigured', connectorType(`./f${index}.mjs`, folder), message)
      })
    }

    it('for a file that is not there', async () => {
      await failsWith('misconfigured', connectorType('./nowhere.ts', folder), /there is no .*nowhere\.ts/)
    })

    for (const word of ['nothing-of-that-name', 'fs', 'node:fs', 'https://example.com/x.js', '', '*']) {
      it(`for "${word}", which names nothing`, async () => {
        assert.equal(await findConnectorType(word, folder), undefined)
        await failsWith('misconfigured', connectorType(word, folder), /unknown connector type .*there is github, local/)
      })
    }

    it('for a package that bears the name of a connector type of Dex', async () => {
      await put('node_modules/ldap/package.json', '{ "name": "ldap", "version": "1.0.0", "main": "it.cjs" }')
      await put('node_modules/ldap/it.cjs', 'throw new Error("was run")')
      await failsWith('misconfigured', connectorType('ldap', folder), /unknown connector type "ldap"/)
    })

    it('one by one: the others load (PL-3)', async () => {
      await put('good.mjs', `export default ${least}`)
      await put('bad.mjs', 'throw new Error("bad")')
      const outcomes = await Promise.allSettled(
        ['./bad.mjs', './good.mjs', 'github'].map((type) => connectorType(type, folder)),
      )
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['rejected', 'fulfilled', 'fulfilled'],
      )
    })
  })

  it('may tell nothing but a user id (PL-2)', async () => {
    await put('least.mjs', `export default ${least}`)
    const connector = await (await connectorType('./least.mjs', folder)).open({}, context())
    assert.ok(connector.style === 'password')
    const identity = await connector.login('somebody', '', { groups: false, offlineAccess: false })
    assert.deepEqual(identity, { userId: 'somebody' })
  })

  it('are written with our contract wherever they lie, and fail with the same class', async () => {
    await cp(join(example, 'ticket-office.ts'), join(folder, 'copied.ts'))
    const type = await connectorType('./copied.ts', folder)
    const connector = browser(await type.open({ url: 'http://127.0.0.1:9' }, context()))
    const arrival = { callbackUrl: new URL('http://x/callback'), headers: new Map(), state: 's' }
    const finished = connector.finish({
      ...arrival,
      params: new URLSearchParams(),
      scopes: { groups: false, offlineAccess: false },
    })
    await failsWith('login_refused', finished, /gave no ticket/)
  })

  describe('example in docs/writing-a-connector.md', () => {
    let office: Server
    let people: Map<string, Person>
    let url: string
    const up: Upstream = {
      async authorize(address) {
        const answer = await fetch(address, { redirect: 'manual' })
        return new URL(answer.headers.get('location') ?? '').searchParams
      },
    }
    beforeEach(async () => {
      people = new Map([[rosa.id, rosa]])
      office = ticketOffice(people)
      await new Promise<void>((resolve) => office.listen(0, '127.0.0.1', resolve))
      url = `http://127.0.0.1:${(office.address() as AddressInfo).port}`
    })
    afterEach(() => {
      office.closeAllConnections()
      office.close()
    })
    const open = async (config: object = {}) => {
      const type: typeof ticketOfficeType = await connectorType('./ticket-office.ts', example)
      return browser(await type.open({ url, ...config }, context()))
    }
    const scopes = { groups: true, offlineAccess: true }

    it('logs in', async () => {
      assert.deepEqual(await logIn(await open({ team: 'crew' }), up), {
        userId: 'u-17',
        username: 'Rosa Meer',
        email: 'rosa@example.com',
        emailVerified: true,
        groups: ['crew', 'lights'],
      })
    })

    it('tells somebody of whom the upstream knows only the id (PL-2)', async () => {
      people.set('u-17', { id: 'u-17' })
      assert.deepEqual(await logIn(await open(), up), { userId: 'u-17' })
    })

    it('takes a ticket once', async () => {
      const connector = await open()
      const params = await up.authorize((await depart(connector)).url)
      const bring = (mine: URLSearchParams) => mine.set('ticket', params.get('ticket') ?? '')
      await logIn(connector, up, { bring })
      await failsWith('login_refused', logIn(connector, up, { bring }))
    })

    it('keeps out other teams, and at the refresh who has left', async () => {
      await failsWith('not_in_required_groups', logIn(await open({ team: 'sound' }), up))
      const connector = await open()
      const identity = await logIn(connector, up)
      assert.deepEqual(await connector.refresh?.(identity, scopes), identity)
      people.clear()
      await failsWith(
        'identity_gone',
        Promise.resolve().then(() => connector.refresh?.(identity, scopes)),
      )
    })

    it('has its section checked: an unknown key is named with its path (PL-1)', async () => {
      const { schema, advise } = await connectorType('./ticket-office.ts', example)
      const [problem] = compileSchema(schema)({ url, teams: 'crew' })
      assert.deepEqual(problem, { path: '/teams', message: 'is no known key', nearest: 'team' })
      assert.equal(advise?.({ url })[0]?.path, '/url')
    })

    it('stands in the document as it is run', async () => {
      const said = await readFile(join(root, 'docs', 'writing-a-connector.md'), 'utf8')
      const code = await readFile(join(example, 'ticket-office.ts'), 'utf8')
      const blocks = [...said.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block ?? '')
      assert.ok(blocks.length >= 5)
      const lines = (text: string) => text.split('\n').map((line) => line.trim())
      const known = new Set(lines(code))
      const strange = blocks.flatMap(lines).filter((line) => !line.startsWith('//') && !known.has(line))
      assert.deepEqual(strange, [])
    })
  })
})
