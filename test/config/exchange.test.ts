import assert from 'node:assert/strict'
import { at, BASE, load, places, settingsOf } from './fixture.ts'

const issuers = (list: string) => `tokenIssuers:\n${list}\n`
const client = (rules: string) => `staticClients:\n- id: ci\n  name: CI\n  public: true\n  tokenExchange:\n${rules}\n`
const github = issuers('- {id: github, issuer: "https://token.actions.githubusercontent.com"}')
const rule = (more: string) => client(`  - {issuer: github, ${more}}`)
const identity = 'identity: {userID: "{{sub}}"}'

describe('tokenIssuers', () => {
  it('have defaults that let little in', async () => {
    const { oidc } = await settingsOf(`${BASE}${github}`)
    assert.deepEqual(oidc.tokenIssuers, [
      {
        id: 'github',
        issuer: 'https://token.actions.githubusercontent.com',
        audience: ['https://dex.example.com/dex'],
        algorithms: ['RS256', 'ES256'],
        rootCAs: [],
        maxLifetime: 86_400,
        singleUse: false,
      },
    ])
  })

  const faults: [what: string, list: string, path: string, message: RegExp][] = [
    ['the id of a connector', '- {id: c, issuer: "https://a.example"}', 'id', /id of a connector/],
    ['the id of the local connector', '- {id: local, issuer: "https://a.example"}', 'id', /taken/],
    ['the word for this server', '- {id: self, issuer: "https://a.example"}', 'id', /taken/],
    ['an id that is no name', '- {id: "a b", issuer: "https://a.example"}', 'id', /letters, digits/],
    ['an issuer that is no address', '- {id: a, issuer: github}', 'issuer', /absolute address/],
    ['this server as issuer', '- {id: a, issuer: "https://dex.example.com/dex"}', 'issuer', /"self"/],
    ['keys that are nowhere', '- {id: a, issuer: "https://a.example", jwksURI: /keys}', 'jwksURI', /absolute address/],
    ['no signature', '- {id: a, issuer: "https://a.example", algorithms: [none]}', 'algorithms[0]', /must be "RS256"/],
    ['a shared secret', '- {id: a, issuer: "https://a.example", algorithms: [HS256]}', 'algorithms[0]', /not "HS256"/],
    ['a life of nothing', '- {id: a, issuer: "https://a.example", maxLifetime: 0s}', 'maxLifetime', /more than 0/],
    ['a life without unit', '- {id: a, issuer: "https://a.example", maxLifetime: "5"}', 'maxLifetime', /no unit/],
    [
      'no certificate',
      '- {id: a, issuer: "https://a.example", rootCAs: [/nowhere]}',
      'rootCAs[0]',
      /neither a readable/,
    ],
  ]
  for (const [what, list, path, message] of faults) {
    it(`cannot have ${what}`, async () => {
      const found = await load(`${BASE}connectors:\n- {type: mockCallback, id: c, name: C}\n${issuers(list)}`)
      assert.match(at(found.faults, `tokenIssuers[0].${path}`).message, message)
    })
  }

  it('are told apart by id and by issuer', async () => {
    const { faults } = await load(
      `${BASE}${issuers('- {id: a, issuer: "https://a.example"}\n- {id: a, issuer: "https://b.example"}\n- {id: c, issuer: "https://a.example"}')}`,
    )
    // The second entry with the id has taken the place of the first.
    assert.deepEqual(places(faults), ['6 tokenIssuers[1].id'])
    const twice = await load(
      `${BASE}${issuers('- {id: a, issuer: "https://a.example"}\n- {id: b, issuer: "https://a.example"}')}`,
    )
    assert.deepEqual(places(twice.faults), ['6 tokenIssuers[1].issuer'])
  })

  it('over an open line are a warning, but for this machine', async () => {
    const { warnings } = await load(
      `${BASE}${issuers('- {id: a, issuer: "http://a.example"}\n- {id: b, issuer: "http://127.0.0.1:1"}')}`,
    )
    assert.deepEqual(places(warnings), ['5 tokenIssuers[0].issuer'])
  })
})

describe('tokenExchange of a client', () => {
  it('is read with its patterns and templates', async () => {
    const { oidc } = await settingsOf(
      `${BASE}${github}${rule(`audience: [x], claims: {repository: "o/*", ref: [a, b]}, identity: {userID: "{{sub}}", groups: ["g-{{repository}}"]}`)}`,
    )
    assert.deepEqual(oidc.clients[0]?.tokenExchange, [
      {
        issuer: 'github',
        audience: ['x'],
        claims: { repository: ['o/*'], ref: ['a', 'b'] },
        identity: { userID: '{{sub}}', groups: ['g-{{repository}}'] },
      },
    ])
  })

  const faults: [what: string, rule: string, path: string, message: RegExp][] = [
    ['no claims', identity, 'claims', /everybody with a token/],
    ['claims that say nothing', `claims: {}, ${identity}`, 'claims', /everybody/],
    ['patterns that let all pass', `claims: {repository: "**", ref: [x, "*"]}, ${identity}`, 'claims', /everybody/],
    ['an empty pattern', `claims: {repository: ""}, ${identity}`, 'claims.repository', /empty/],
    ['a pattern without end', `claims: {repository: "${'x'.repeat(501)}"}, ${identity}`, 'claims.repository', /500/],
    ['nobody', 'claims: {ref: x}', 'identity.userID', /who is it/],
    ['half a place', 'claims: {ref: x}, identity: {userID: "{{sub"}', 'identity.userID', /no counterpart/],
    ['a place for nothing', 'claims: {ref: x}, identity: {userID: "{{ }}"}', 'identity.userID', /without the name/],
    [
      'claims that run together',
      'claims: {ref: x}, identity: {userID: "{{a}}{{b}}"}',
      'identity.userID',
      /nothing between/,
    ],
    ['an empty group', 'claims: {ref: x}, identity: {userID: a, groups: [""]}', 'identity.groups[0]', /empty/],
  ]
  for (const [what, bad, path, message] of faults) {
    it(`cannot name ${what}`, async () => {
      const found = await load(`${BASE}${github}${rule(bad)}`)
      assert.match(at(found.faults, `staticClients[0].tokenExchange[0].${path}`).message, message)
    })
  }

  // Lessons, row 33.
  for (const reserved of [
    'iss',
    'sub',
    'aud',
    'azp',
    'exp',
    'iat',
    'nbf',
    'jti',
    'nonce',
    'auth_time',
    'federated_claims',
  ]) {
    it(`cannot set ${reserved}`, async () => {
      const found = await load(`${BASE}${github}${rule(`claims: {ref: x}, identity: {userID: a, ${reserved}: b}`)}`)
      assert.match(
        at(found.faults, `staticClients[0].tokenExchange[0].identity.${reserved}`).message,
        /only this server sets/,
      )
    })
  }

  it('names an issuer of the file, or the nearest is named', async () => {
    const { faults } = await load(`${BASE}${github}${client(`  - {issuer: githb, claims: {ref: x}, ${identity}}`)}`)
    const fault = at(faults, 'staticClients[0].tokenExchange[0].issuer')
    assert.match(fault.message, /no token issuer/)
    assert.equal(fault.nearest, 'github')
  })

  it('of tokens of this server names whose, and leaves the person who they are', async () => {
    const { faults } = await load(`${BASE}${client(`  - {issuer: self, ${identity}}`)}`)
    assert.deepEqual(places(faults), [
      '9 staticClients[0].tokenExchange[0].audience',
      '9 staticClients[0].tokenExchange[0].identity',
    ])
    const { oidc } = await settingsOf(`${BASE}${client('  - {issuer: self, audience: [web]}')}`)
    assert.deepEqual(oidc.clients[0]?.tokenExchange, [{ issuer: 'self', audience: ['web'], claims: {} }])
  })
})

describe('who may use a client', () => {
  it('is as the file says', async () => {
    const { oidc } = await settingsOf(
      `${BASE}staticClients:\n- {id: a, name: A, public: true, disabled: true, requiredGroups: [x], contact: Ann}\n- {id: b, name: B, public: true}`,
    )
    const [a, b] = oidc.clients
    assert.deepEqual([a?.disabled, a?.requiredGroups, a?.contact], [true, ['x'], 'Ann'])
    assert.deepEqual([b?.disabled, b?.requiredGroups, b?.contact], [undefined, undefined, undefined])
  })

  it('is never a group without a name', async () => {
    const { faults } = await load(`${BASE}staticClients:\n- {id: a, name: A, public: true, requiredGroups: [""]}`)
    assert.deepEqual(places(faults), ['5 staticClients[0].requiredGroups[0]'])
  })
})
