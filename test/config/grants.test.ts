import assert from 'node:assert/strict'
import { BASE, load, places, settingsOf } from './fixture.ts'

const device = 'urn:ietf:params:oauth:grant-type:device_code'
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const always = ['authorization_code', 'refresh_token', device, exchange]
const credentials = 'DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT'
const local = 'enablePasswordDB: true\nstaticPasswords: []\n'

const grantsOf = async (oauth2: string, more: { env?: Record<string, string>; also?: string } = {}) => {
  const { settings, faults, warnings } = await load(`${BASE}${more.also ?? ''}oauth2: ${oauth2}\n`, {
    env: more.env ?? {},
  })
  assert.deepEqual(faults, [])
  const { grantTypes, responseTypes, passwordConnector } = settings!.oidc
  return { grantTypes, responseTypes, passwordConnector, warnings }
}

describe('what clients may ask for', () => {
  it('is a code without more', async () => {
    const { grantTypes, responseTypes, passwordConnector, warnings } = await grantsOf('{responseTypes: []}')
    assert.deepEqual([grantTypes, responseTypes, passwordConnector], [always, ['code'], undefined])
    assert.deepEqual(warnings, [])
  })

  const lists: [oauth2: string, more: string[]][] = [
    ['{responseTypes: [code, id_token]}', []],
    ['{responseTypes: [code, token]}', ['implicit']],
    ['{responseTypes: [code, "id_token token"]}', ['implicit']],
    ['{passwordConnector: local}', ['password']],
    ['{passwordConnector: ""}', []],
    ['{passwordConnector: local, responseTypes: [token, code]}', ['implicit', 'password']],
  ]
  for (const [oauth2, more] of lists) {
    it(`with ${oauth2}: ${more.join(', ') || 'nothing'} besides`, async () => {
      const { grantTypes, warnings } = await grantsOf(oauth2, { also: local })
      assert.deepEqual(grantTypes, [...always, ...more])
      assert.deepEqual(warnings, [])
    })
  }

  it('has the client credentials grant where it is listed, or by the switch where nothing is listed', async () => {
    const on = { env: { [credentials]: 'true' } }
    assert.deepEqual((await grantsOf('{grantTypes: [client_credentials]}')).grantTypes, ['client_credentials'])
    assert.deepEqual((await grantsOf('{}', on)).grantTypes, [...always, 'client_credentials'])
    assert.deepEqual((await grantsOf('{}', { env: { [credentials]: 'false' } })).grantTypes, always)
    const narrowed = await grantsOf('{grantTypes: [authorization_code]}', on)
    assert.deepEqual(narrowed.grantTypes, ['authorization_code'])
    assert.deepEqual(places(narrowed.warnings), [`0 ${credentials}`])
  })

  it('is narrowed by `grantTypes`, with a warning where one key takes back what another gives', async () => {
    const { grantTypes, warnings } = await grantsOf(
      '{grantTypes: [authorization_code], passwordConnector: local, responseTypes: [code, "code token"]}',
      { also: local },
    )
    assert.deepEqual(grantTypes, ['authorization_code'])
    assert.deepEqual(places(warnings), ['6 oauth2.passwordConnector', '6 oauth2.responseTypes'].sort())
    const all = await grantsOf('{grantTypes: [implicit, password], passwordConnector: local, responseTypes: [token]}', {
      also: local,
    })
    assert.deepEqual(all.grantTypes, ['implicit', 'password'])
  })

  it('warns of a response type that is never answered, and of a connector that is not there', async () => {
    assert.deepEqual(places((await grantsOf('{responseTypes: [token]}')).warnings), ['4 oauth2.responseTypes'])
    const { warnings } = await grantsOf('{passwordConnector: locla}', { also: local })
    assert.deepEqual(places(warnings), ['6 oauth2.passwordConnector'])
    assert.equal(warnings[0]!.nearest, 'local')
  })

  it('has the groups of clients that stand for themselves', async () => {
    const client = (more: string) =>
      `${BASE}staticClients: [{id: robot, name: Robot, ${more}, clientCredentialsClaims: {groups: [ci, robots]}}]\n`
    const [robot] = (await settingsOf(client('secret: s'))).oidc.clients
    assert.deepEqual(robot!.ownGroups, ['ci', 'robots'])
    const { warnings } = await load(client('public: true'))
    assert.deepEqual(places(warnings), ['4 staticClients[0].clientCredentialsClaims'])
  })
})
