import assert from 'node:assert/strict'
import { mayNameAudience, peerOf, scopeFaults, splitScopes } from '../../src/oidc/scopes.ts'

const clients = new Map([
  ['web', { trustedPeers: [] }],
  ['api', { trustedPeers: ['web'] }],
])
const audience = (id: string) => `audience:server:client_id:${id}`

describe('scopes', () => {
  const texts: [text: string | undefined, scopes: string[]][] = [
    [undefined, []],
    ['', []],
    ['openid', ['openid']],
    ['  openid\temail \n groups ', ['openid', 'email', 'groups']],
    ['openid email openid', ['openid', 'email']],
    ['OpenID', ['OpenID']],
  ]
  for (const [text, scopes] of texts) {
    it(`of ${JSON.stringify(text)} are ${JSON.stringify(scopes)}`, () => {
      assert.deepEqual(splitScopes(text), scopes)
    })
  }

  it('name an audience by a prefix', () => {
    assert.equal(peerOf(audience('api')), 'api')
    assert.equal(peerOf(audience('a:b')), 'a:b')
    assert.equal(peerOf('openid'), undefined)
  })

  it('let a client name itself and whoever trusts it', () => {
    const may = (client: string, peer: string) => mayNameAudience(client, peer, clients)
    assert.deepEqual(
      [may('web', 'web'), may('web', 'api'), may('api', 'web'), may('web', 'nobody')],
      [true, true, false, false],
    )
  })

  it('are told apart: unknown ones, and audiences that do not trust the client', () => {
    const asked = ['openid', 'bogus', 'OpenID', 'federated:id', audience('api'), audience('web'), audience('nobody')]
    assert.deepEqual(scopeFaults(asked, 'web', clients), {
      unknown: ['bogus', 'OpenID'],
      untrusted: [audience('nobody')],
    })
    assert.deepEqual(scopeFaults([audience('web')], 'api', clients).untrusted, [audience('web')])
  })
})
