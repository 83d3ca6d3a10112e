import assert from 'node:assert/strict'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const HASH = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'
const clients = (list: string) => `${BASE}staticClients:\n${list}\n`
const connectors = (list: string) => `${BASE}connectors:\n${list}\n`
const people = (list: string) => `${BASE}enablePasswordDB: true\nstaticPasswords:\n${list}\n`
const users = async (list: string, env = {}) => (await settingsOf(people(list), { env })).login.connectors[0]?.config

describe('staticClients', () => {
  it('take id and secret from the environment', async () => {
    const { oidc } = await settingsOf(clients('- {idEnv: ID, secretEnv: SECRET, name: A}'), {
      env: { ID: 'i', SECRET: 's' },
    })
    assert.deepEqual([oidc.clients[0]?.id, oidc.clients[0]?.secret], ['i', 's'])
  })
  it('name the variable that is not set, or empty, and the nearest one that is', async () => {
    const { faults } = await load(clients('- {idEnv: CLIENT_IDD, secretEnv: EMPTY, name: A}'), {
      env: { CLIENT_ID: 'i', EMPTY: '' },
    })
    assert.match(at(faults, 'staticClients[0].idEnv').message, /CLIENT_IDD, which is not set/)
    assert.equal(at(faults, 'staticClients[0].idEnv').nearest, 'CLIENT_ID')
    assert.match(at(faults, 'staticClients[0].secretEnv').message, /EMPTY, which is empty/)
  })
  it('have one of id and idEnv, one of secret and secretEnv', async () => {
    const { faults } = await load(
      clients('- {id: a, idEnv: A, secret: s, secretEnv: S, name: A}\n- {name: B, public: true}\n- {id: c, name: C}'),
      { env: { A: 'a', S: 's' } },
    )
    assert.deepEqual(places(faults), [
      '5 staticClients[0].idEnv',
      '5 staticClients[0].secretEnv',
      '6 staticClients[1].id',
      '7 staticClients[2].secret',
    ])
  })
  it('need a name', async () =>
    assert.deepEqual(places((await load(clients('- {id: a, public: true}'))).faults), ['5 staticClients[0].name']))
  it('are not expanded: only config blocks are', async () => {
    assert.equal((await settingsOf(clients('- {id: a, secret: $X, name: A}'))).oidc.clients[0]?.secret, '$X')
  })
  it('with the same id: the last one counts, with a warning', async () => {
    const { settings, warnings } = await load(
      clients('- {id: a, secret: s, name: First}\n- {id: a, secret: s, name: Last}'),
    )
    assert.deepEqual(
      settings?.oidc.clients.map(({ name }) => name),
      ['Last'],
    )
    assert.match(at(warnings, 'staticClients[1].id').message, /also the id of staticClients\[0\];/)
  })
  it('may be public with a secret, and have redirect URIs of any form', async () => {
    const uris = [
      '/device/callback',
      '/',
      '//host/x',
      'urn:ietf:wg:oauth:2.0:oob',
      'app.example:/cb',
      'http://[::1]:8000/',
      'https://a.example/cb?x=1',
    ]
    const { settings, warnings } = await load(
      clients(`- {id: a, public: true, secret: s, name: A, redirectURIs: ${JSON.stringify(uris)}}`),
    )
    assert.deepEqual(settings?.oidc.clients[0]?.redirectURIs, uris)
    assert.equal(settings?.oidc.clients[0]?.secret, 's')
    assert.deepEqual(warnings, [])
  })
  it('KA-6: warn of https on localhost, and name the better form', async () => {
    const { warnings } = await load(
      clients('- {id: a, public: true, name: A, redirectURIs: ["https://localhost/auth/callback"]}'),
    )
    assert.match(at(warnings, 'staticClients[0].redirectURIs[0]').message, /write http:\/\/localhost\/auth\/callback/)
  })
  it('warn of a public client that may leave PKCE away', async () => {
    const { warnings, settings } = await load(
      clients('- {id: app, public: true, name: A, pkce: optional}\n- {id: web, secret: s, name: W, pkce: required}'),
    )
    assert.match(at(warnings, 'staticClients[0].pkce').message, /without PKCE/)
    assert.deepEqual(
      settings?.oidc.clients.map(({ pkce }) => pkce),
      ['optional', 'required'],
    )
  })
  it('warn of peers and connectors that are not in the file', async () => {
    const { warnings } = await load(
      clients('- {id: app, public: true, name: A, trustedPeers: [apps], allowedConnectors: [x]}'),
    )
    assert.equal(at(warnings, 'staticClients[0].trustedPeers[0]').nearest, 'app')
    assert.equal(at(warnings, 'staticClients[0].allowedConnectors[0]').nearest, undefined)
  })
})

describe('staticPasswords', () => {
  it('become the users of the connector "local"', async () => {
    const { login } = await settingsOf(
      people(`- {email: A@example.com, hash: ${HASH}, username: a, userID: "1", groups: [x]}`),
    )
    assert.deepEqual(login.connectors, [
      {
        id: 'local',
        name: 'Email',
        type: 'local',
        config: {
          users: [
            { email: 'A@example.com', hash: HASH, username: 'a', emailVerified: true, userID: '1', groups: ['x'] },
          ],
        },
        grantTypes: [],
      },
    ])
  })
  it('take the hash as base64 too, and from the environment; the one in the file wins', async () => {
    const encoded = Buffer.from(HASH).toString('base64')
    const hashes = async (entry: string, env = {}) =>
      ((await users(entry, env)) as { users: { hash: string }[] }).users[0]?.hash
    assert.equal(await hashes(`- {email: a, userID: a, hash: ${encoded}}`), HASH)
    assert.equal(await hashes('- {email: a, userID: a, hashFromEnv: H}', { H: HASH }), HASH)
    assert.equal(await hashes(`- {email: a, userID: a, hash: ${HASH}, hashFromEnv: UNSET}`), HASH)
  })
  it('refuse what is no bcrypt hash, and a variable that is not set', async () => {
    const { faults } = await load(
      people(
        '- {email: a, userID: a, hash: $2a$10$examplehash...}\n- {email: b, userID: b, hashFromEnv: H}\n- {email: c, userID: c}\n- {email: d, userID: d, hash: password}',
      ),
    )
    assert.deepEqual(places(faults), [
      '6 staticPasswords[0].hash',
      '7 staticPasswords[1].hashFromEnv',
      '8 staticPasswords[2].hash',
      '9 staticPasswords[3].hash',
    ])
    assert.match(faults[1]!.message, /variable H, which is not set/)
  })
  it('warn of a cost with which no login succeeds', async () => {
    for (const cost of ['04', '17']) {
      const { settings, warnings } = await load(
        people(`- {email: a, userID: a, hash: ${HASH.replace('$10$', `$${cost}$`)}}`),
      )
      assert.ok(settings)
      assert.match(at(warnings, 'staticPasswords[0].hash').message, new RegExp(`cost ${Number(cost)};`))
    }
  })
  it('warn of missing names and of the same person twice; the last one counts', async () => {
    const { settings, warnings } = await load(
      people(
        `- {hash: ${HASH}}\n- {email: a@b, userID: "1", hash: ${HASH}}\n- {email: A@B, userID: "2", hash: ${HASH}}`,
      ),
    )
    const { users: found } = settings!.login.connectors[0]!.config as { users: { userID: string }[] }
    assert.deepEqual(
      found.map(({ userID }) => userID),
      ['', '2'],
    )
    assert.deepEqual(places(warnings), [
      '6 staticPasswords[0].email',
      '6 staticPasswords[0].userID',
      '8 staticPasswords[2].email',
    ])
  })
  it('need enablePasswordDB', async () => {
    const { faults } = await load(people(`- {email: a, userID: a, hash: ${HASH}}`).replace('true', 'false'))
    assert.deepEqual(places(faults), ['5 staticPasswords'])
  })
  it('may be empty', async () => assert.deepEqual(await users(''), { users: [] }))
})

describe('connectors', () => {
  it('have their settings expanded, matched and checked', async () => {
    const { login } = await settingsOf(
      connectors(
        '- type: oidc\n  id: okta\n  name: Okta\n  grantTypes: [authorization_code]\n  config: {Issuer: "https://$HOST", clientSecret: "${SECRET}", scopes: [openid, $SCOPE]}',
      ),
      { env: { HOST: 'acme.okta.com', SECRET: 's', SCOPE: 'groups' } },
    )
    assert.deepEqual(login.connectors, [
      {
        id: 'okta',
        name: 'Okta',
        type: 'oidc',
        config: {
          issuer: 'https://acme.okta.com',
          clientSecret: 's',
          scopes: ['openid', 'groups'],
          promptType: 'consent',
        },
        grantTypes: ['authorization_code'],
      },
    ])
  })
  it('name a variable that is not set, where it stands', async () => {
    const { faults } = await load(
      connectors(
        '- type: github\n  id: g\n  name: G\n  config:\n    clientSecret: $GITHUB_SECRT\n    orgs: [{name: $ORG}]',
      ),
      { env: { GITHUB_SECRET: 's' } },
    )
    assert.deepEqual(places(faults), ['9 connectors[0].config.clientSecret', '10 connectors[0].config.orgs[0].name'])
    assert.equal(faults[0]?.nearest, 'GITHUB_SECRET')
  })
  it('are taken literally with DEX_EXPAND_ENV=false', async () => {
    const text = connectors('- {type: github, id: g, name: G, config: {clientSecret: p$NOPE$$q$1z}}')
    const { login } = await settingsOf(text, { env: { DEX_EXPAND_ENV: 'false' } })
    assert.deepEqual(login.connectors[0]?.config, { clientSecret: 'p$NOPE$$q$1z' })
    assert.match((await load(text)).faults.at(-1)!.message, /DEX_EXPAND_ENV=false/)
  })
  it('with faults name all of them', async () => {
    const { faults } = await load(
      connectors(
        '- type: github\n  id: g\n  name: G\n  config:\n    teamNameField: slugs\n    orgs: [{name: acme, teams: [1]}, {}]\n- {type: oidc, id: o, name: O}',
      ),
    )
    assert.deepEqual(places(faults), [
      '9 connectors[0].config.teamNameField',
      '10 connectors[0].config.orgs[0].teams[0]',
      '10 connectors[0].config.orgs[1].name',
      '11 connectors[1].config.issuer',
    ])
  })
  it('of an unknown type are refused with the nearest one, values in their own case', async () => {
    assert.equal(
      at((await load(connectors('- {type: MockCallback, id: a, name: A}'))).faults, 'connectors[0].type').nearest,
      'mockCallback',
    )
    assert.equal(
      at((await load(connectors('- {type: gitlabb, id: a, name: A}'))).faults, 'connectors[0].type').nearest,
      'gitlab',
    )
  })
  it('of the type "local" are not written by hand', async () => {
    assert.match(
      at((await load(connectors('- {type: local, id: a, name: A}'))).faults, 'connectors[0].type').message,
      /enablePasswordDB/,
    )
  })
  it('of a module that cannot be loaded say why', async () => {
    const { faults } = await load(connectors('- {type: ./mine.ts, id: a, name: A}'), {
      connectorTypes: async () => Promise.reject(new Error('no such module')),
    })
    assert.match(at(faults, 'connectors[0].type').message, /cannot be loaded: no such module/)
  })
  it('with the same id: the last one counts, with a warning', async () => {
    const { settings, warnings } = await load(
      connectors('- {type: mockCallback, id: a, name: First}\n- {type: mockCallback, id: a, name: Last}'),
    )
    assert.deepEqual(
      settings?.login.connectors.map(({ name }) => name),
      ['Last'],
    )
    assert.match(at(warnings, 'connectors[1].id').message, /also the id of connectors\[0\];/)
  })
  it('warn of a redirectURI that is not the callback of the issuer', async () => {
    const redirect = (uri: string) =>
      connectors(`- {type: oidc, id: a, name: A, config: {issuer: https://i.example, redirectURI: "${uri}"}}`)
    assert.match(
      at((await load(redirect('https://dex.example.com/callback'))).warnings, 'connectors[0].config.redirectURI')
        .message,
      /must be https:\/\/dex\.example\.com\/dex\/callback/,
    )
    assert.deepEqual((await load(redirect('https://dex.example.com/dex/callback'))).warnings, [])
  })
  it('pass on the advice of their type', async () => {
    const { warnings } = await load(connectors('- {type: github, id: a, name: A, config: {org: acme}}'))
    assert.equal(at(warnings, 'connectors[0].config.org').message, 'is old: use orgs')
  })
  it('may have ids with dots, colons and digits; others are doubtful', async () => {
    const { warnings } = await load(
      connectors(
        '- {type: mockCallback, id: "1.a:b", name: A}\n- {type: mockCallback, id: "https://x", name: A}\n- {type: mockCallback, id: "ü x", name: A}',
      ),
    )
    assert.deepEqual(places(warnings), ['6 connectors[1].id', '7 connectors[2].id'])
  })
  it('refuse grant types that are none', async () => {
    assert.equal(
      at(
        (await load(connectors('- {type: mockCallback, id: a, name: A, grantTypes: [authorization-code]}'))).faults,
        'connectors[0].grantTypes[0]',
      ).nearest,
      'authorization_code',
    )
  })
  it('KA-13: may be none at all', async () =>
    assert.deepEqual((await settingsOf(`${BASE}connectors: []\n`)).login.connectors, []))
  it('give way to the local one with its id', async () => {
    const { settings, warnings } = await load(
      `${connectors('- {type: mockCallback, id: local, name: A}')}enablePasswordDB: true\n`,
    )
    assert.deepEqual(
      settings?.login.connectors.map(({ type }) => type),
      ['local'],
    )
    assert.deepEqual(places(warnings), ['6 enablePasswordDB'])
  })
})
