import assert from 'node:assert/strict'
import { configuration } from '../../src/config/keys/index.ts'
import { unbuilt } from '../../src/config/unbuilt.ts'
import { BASE, load, places } from './fixture.ts'

describe('keys of parts that are not built yet', () => {
  const refused: [key: string, path: string][] = [
    ['connectors: [{type: ldap, id: a, name: A, config: {host: x}}]', 'connectors[0].type'],
    ['connectors: [{type: samlExperimental, id: a, name: A}]', 'connectors[0].type'],
  ]

  for (const [key, path] of refused) {
    it(`refuses ${key} with a sentence`, async () => {
      const { faults } = await load(`${BASE}${key}\n`)
      assert.deepEqual(places(faults), [`4 ${path}`])
      assert.match(faults[0]!.message, /not built yet/)
    })
  }

  it('takes values that ask for nothing', async () => {
    const { faults } = await load(`${BASE}mfa: {}
staticClients:
- {id: a, public: true, name: A, mfaChain: [], ssoSharedWith: [], refreshTokenLifetime: standalone, backchannelLogoutURI: ""}
`)
    assert.deepEqual(faults, [])
  })

  it('stand in the vocabulary', () => {
    for (const { path } of unbuilt) {
      let view: object | undefined = configuration
      for (const step of path.replaceAll('[]', '.[]').split('.')) {
        const { properties, items } = view as { properties?: Record<string, object>; items?: object }
        view = step === '[]' ? items : properties?.[step]
        assert.ok(view, path)
      }
    }
  })
})
