import assert from 'node:assert/strict'
import type { Identity, PasswordConnector } from '../../connectors/contract.ts'
import { mockCallback } from '../../connectors/mock-callback.ts'
import { mockPassword } from '../../connectors/mock-password.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { context } from './context.ts'
import { browser, callbackUrl, depart } from './oidc-login.ts'

const person = {
  userId: '0-385-28089-0',
  username: 'Kilgore Trout',
  email: 'kilgore@kilgore.trout',
  emailVerified: true,
}
const scopes = { groups: true, offlineAccess: true }
const withoutData = ({ connectorData: _, ...identity }: Identity) => identity

describe('mockCallback connector', () => {
  const open = async () => browser(await mockCallback.open({}, context()))

  it('passes over whatever is configured, as Dex does', () => {
    assert.deepEqual(compileSchema(mockCallback.schema)({ username: 'x', more: [1] }), [])
  })

  it('comes straight back with the state', async () => {
    const { url } = await depart(await open(), { state: 'abc' })
    assert.equal(url.href, `${callbackUrl.href}?state=abc`)
  })

  it('vouches for the same person at login, refresh and token exchange', async () => {
    const connector = await open()
    const params = new URLSearchParams({ state: 'abc' })
    const identity = await connector.finish({ callbackUrl, params, headers: new Map(), scopes, state: 'abc' })
    assert.deepEqual(withoutData(identity), { ...person, groups: ['authors'] })
    assert.deepEqual(await connector.refresh?.({ userId: 'somebody' }, scopes), identity)
    assert.deepEqual(await connector.exchange?.({ type: 'any', value: 'any' }), identity)
  })

  it('is not changed by what a caller does with the person', async () => {
    const connector = await open()
    const identity = await connector.exchange?.({ type: 'any', value: 'any' })
    identity?.groups?.push('admins')
    assert.deepEqual((await connector.exchange?.({ type: 'any', value: 'any' }))?.groups, ['authors'])
  })
})

describe('mockPassword connector', () => {
  const open = async () =>
    (await mockPassword.open({ username: 'foo', password: 'bär' }, context())) as PasswordConnector

  it('needs name and password', () => {
    const validate = compileSchema(mockPassword.schema)
    assert.deepEqual(validate({ username: 'foo', password: 'bar' }), [])
    assert.deepEqual(
      validate({ password: '' }).map(({ path }) => path),
      ['/username', '/password'],
    )
  })

  it('lets in the one with the other, and tells no groups', async () => {
    const connector = await open()
    const identity = await connector.login('foo', 'bär', scopes)
    assert.ok(identity)
    assert.deepEqual(withoutData(identity), person)
    assert.deepEqual(await connector.refresh?.(identity, scopes), identity)
  })

  for (const [username, password] of [
    ['foo', 'ba'],
    ['foo', ''],
    ['Foo', 'bär'],
    ['', 'bär'],
  ] as const) {
    it(`keeps out "${username}" with "${password}"`, async () => {
      assert.equal(await (await open()).login(username, password, scopes), undefined)
    })
  }
})
