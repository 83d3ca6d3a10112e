import assert from 'node:assert/strict'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { basic, discover, type Metadata, post, verified } from './lib/client.ts'
import { newPerson, queryOf } from './lib/person.ts'
import { type Server, startServer } from './lib/server.ts'

/** `identityprovider` of type OIDCIdentityProvider with issuer, clientID and clientSecret of ours. */
const kubesphere = { id: 'kubesphere', secret: 'kubesphere-secret', name: 'KubeSphere' }
const redirectUri = 'https://console.example.com/oauth/redirect/Okta'

/** What ks-apiserver needs of an authorization request: the provider's name as state, no PKCE, no nonce. */
const consoleUrl = ({ authorization_endpoint }: Metadata, scope = 'openid profile email') => {
  const query = {
    state: 'Okta',
    client_id: kubesphere.id,
    response_type: 'code',
    redirect_uri: redirectUri,
    ...(scope !== '' && { scope }),
  }
  return `${authorization_endpoint}?${new URLSearchParams(query)}`
}

describe('KubeSphere', function () {
  this.timeout(30_000)
  let okta: OktaStandIn
  let server: Server
  let metadata: Metadata

  before(async () => {
    okta = await startOkta()
    const { url: domain, clientId: clientID, clientSecret } = okta
    server = await startServer(() => ({
      staticClients: [{ ...kubesphere, redirectURIs: [redirectUri] }],
      connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config: { domain, clientID, clientSecret } }],
    }))
    metadata = await discover(server.issuer)
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await okta?.close()
  })

  const arriveAtConsole = () => newPerson().arrive(consoleUrl(metadata), redirectUri)
  const codeForm = (arrived: URL) => ({
    grant_type: 'authorization_code',
    code: arrived.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
  })
  const redeem = (form: Record<string, string>) =>
    post(metadata.token_endpoint, form, { headers: basic(kubesphere.id, kubesphere.secret) })

  it('KS-1: logs in with the block of its Okta article, with getUserInfo over the ID token', async () => {
    const { status, body } = await redeem(codeForm(await arriveAtConsole()))
    assert.equal(status, 200)
    const claims = await verified(body.id_token, metadata, kubesphere.id)
    const answer = await fetch(metadata.userinfo_endpoint, {
      headers: { authorization: `Bearer ${body.access_token}` },
    })
    const userinfo = (await answer.json()) as Record<string, unknown>
    // It lays the one over the other without comparing the persons.
    assert.equal(userinfo.sub, claims.sub)
    const merged: Record<string, unknown> = { ...claims, ...userinfo }
    assert.equal(merged.email, 'jane@example.com')
    assert.equal(merged.preferred_username, 'jane@example.com')
    assert.equal('nonce' in claims, false)
  })

  it('KS-2: takes the constant state of four letters, without PKCE and nonce, and returns it', async () => {
    const query = queryOf(await arriveAtConsole())
    assert.equal(query.state, 'Okta')
    assert.deepEqual(Object.keys(query).sort(), ['code', 'iss', 'state'])
  })

  it('KS-3: takes the secret by Basic or in the body, also after a first try that failed', async () => {
    const { id, secret } = kubesphere
    const inBody = await post(metadata.token_endpoint, {
      ...codeForm(await arriveAtConsole()),
      client_id: id,
      client_secret: secret,
    })
    assert.equal(inBody.status, 200)
    // Go tries one way and then the other, with the same code.
    const form = codeForm(await arriveAtConsole())
    const wrong = await post(metadata.token_endpoint, form, { headers: basic(id, 'wrong') })
    assert.equal(wrong.status, 401)
    assert.equal(wrong.body.error, 'invalid_client')
    assert.match(wrong.headers.get('www-authenticate') ?? '', /^Basic /)
    assert.equal((await post(metadata.token_endpoint, { ...form, client_id: id, client_secret: secret })).status, 200)
  })

  it('KS-4: keeps `sub` when the name and the address of a person change', async () => {
    const subject = async () => {
      const { body } = await redeem(codeForm(await arriveAtConsole()))
      return (await verified(body.id_token, metadata, kubesphere.id)).sub
    }
    const before = await subject()
    Object.assign(okta.org.user, { name: 'Jane Roe', email: 'roe@example.com', preferred_username: 'roe@example.com' })
    assert.equal(await subject(), before)
  })

  it('KS-7: answers a request without scope by invalid_scope that names openid, with the state', async () => {
    const { url, way } = await newPerson().open(consoleUrl(metadata, ''), redirectUri)
    const { error, error_description: description, state } = queryOf(url)
    assert.equal(error, 'invalid_scope')
    assert.match(description ?? '', /^Missing required scope\(s\) \[ openid \]\./)
    assert.equal(state, 'Okta')
    assert.equal(way.length, 2)
  })

  it('KS-8: refuses a code that comes again, as after a reload of the callback, and logs why', async () => {
    const form = codeForm(await arriveAtConsole())
    const first = await redeem(form)
    assert.equal(first.status, 200)
    const second = await redeem(form)
    assert.equal(second.status, 400)
    assert.equal(second.body.error, 'invalid_grant')
    await server.logged(/client_id=kubesphere .*code already used/)
    // A reload is no theft: what the first exchange gave stays good.
    const userinfo = await fetch(metadata.userinfo_endpoint, {
      headers: { authorization: `Bearer ${first.body.access_token}` },
    })
    assert.equal(userinfo.status, 200)
  })
})
