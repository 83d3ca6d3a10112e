import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { basic, post, s256, verifierOf } from './lib/client.ts'
import { newPerson } from './lib/person.ts'
import { type Server, startServer } from './lib/server.ts'

const micetro = {
  id: 'micetro',
  secret: 'micetro-secret',
  redirectUri: 'https://micetro.example.com/mmws/auth_cb/okta',
}

/** What Central makes of `domain` and `server_id`: addresses as Okta has them, never looked up. */
const addressesOf = (issuer: string) => ({
  authorize: `${issuer}/v1/authorize`,
  token: `${issuer}/v1/token`,
  keys: `${issuer}/v1/keys`,
  userinfo: `${issuer}/v1/userinfo`,
})

interface Session {
  issuer: string
  verifier: string
  nonce: string
  code: string
}

/** Central: state, PKCE, and as nonce the hash of a value that only it knows. */
async function logIn(issuer: string): Promise<Session> {
  const [nonce, verifier] = [randomBytes(32).toString('base64url'), verifierOf()]
  const query = {
    client_id: micetro.id,
    response_type: 'code',
    redirect_uri: micetro.redirectUri,
    scope: 'openid profile email groups',
    state: randomBytes(16).toString('hex'),
    nonce: hex(nonce),
    code_challenge: s256(verifier),
    code_challenge_method: 'S256',
  }
  const address = `${addressesOf(issuer).authorize}?${new URLSearchParams(query)}`
  const { searchParams } = await newPerson().arrive(address, micetro.redirectUri)
  assert.equal(searchParams.get('error'), null)
  assert.equal(searchParams.get('state'), query.state)
  return { issuer, verifier, nonce, code: searchParams.get('code') ?? '' }
}

const hex = (nonce: string) => createHash('sha256').update(nonce).digest('hex')

/** The callback script's exchange: Basic, and what it looks at in the answer. */
async function exchange({ issuer, code, verifier }: Session) {
  const form = {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: micetro.redirectUri,
  }
  const { headers, body } = await post(addressesOf(issuer).token, form, { headers: basic(micetro.id, micetro.secret) })
  assert.equal('errorCode' in body, false)
  assert.equal(body.token_type, 'Bearer')
  assert.match(headers.get('content-type') ?? '', /^application\/json/)
  assert.ok(body.access_token && body.id_token)
  return { accessToken: body.access_token, idToken: body.id_token }
}

/** Okta's verifier: RS256, issuer, audience, end, and a key of `v1/keys`. */
async function judge(issuer: string, token: string, audience: string) {
  const keys = (await (await fetch(addressesOf(issuer).keys)).json()) as JSONWebKeySet
  return (await jwtVerify(token, createLocalJWKSet(keys), { issuer, audience, algorithms: ['RS256'] })).payload
}

/** Where that throws the script believes the server: by Basic, with the token in the query. */
async function believe(issuer: string, token: string, type: string): Promise<boolean> {
  const address = addressesOf(issuer).token.replace('/token', '/introspect')
  const answer = await fetch(`${address}?${new URLSearchParams({ token, token_type_hint: type })}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(micetro.id, micetro.secret) },
  })
  if (!answer.ok) throw new Error(`introspection answered ${answer.status}`)
  return ((await answer.json()) as { active?: boolean }).active ?? false
}

describe('Micetro', function () {
  this.timeout(30_000)
  let okta: OktaStandIn
  let server: Server

  before(async () => {
    okta = await startOkta()
    const { url: domain, clientId: clientID, clientSecret } = okta
    server = await startServer(
      () => ({
        layout: 'okta',
        oauth2: { skipApprovalScreen: true, introspectionQuery: true },
        staticClients: [
          { id: micetro.id, secret: micetro.secret, name: 'Micetro', redirectURIs: [micetro.redirectUri] },
        ],
        connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config: { domain, clientID, clientSecret } }],
      }),
      { path: '/oauth2/default' },
    )
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await okta?.close()
  })

  it('MI-1: the calls of its script succeed one after the other', async () => {
    const { issuer } = server
    const session = await logIn(issuer)
    const { accessToken, idToken } = await exchange(session)
    await judge(issuer, accessToken, micetro.id)
    const claims = await judge(issuer, idToken, micetro.id)
    const answer = await fetch(addressesOf(issuer).userinfo, { headers: { authorization: `Bearer ${accessToken}` } })
    const told = (await answer.json()) as Record<string, unknown>
    assert.equal(told.sub, claims.sub)
    const { preferred_username, name, email, groups } = told
    assert.deepEqual(
      [preferred_username, name, email, groups],
      ['jane@example.com', 'Jane Doe', 'jane@example.com', ['Everyone', 'devops']],
    )
  })

  it('MI-2: answers are JSON, and the type of tokens is spelled Bearer', async () => {
    const { accessToken } = await exchange(await logIn(server.issuer))
    const answer = await fetch(addressesOf(server.issuer).userinfo, {
      headers: { authorization: `Bearer ${accessToken}` },
    })
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
  })

  it('MI-3: the nonce of 64 hexadecimal digits comes back unchanged', async () => {
    const session = await logIn(server.issuer)
    const { idToken } = await exchange(session)
    const { nonce } = await judge(server.issuer, idToken, micetro.id)
    assert.equal(nonce, hex(session.nonce))
    assert.match(String(nonce), /^[\da-f]{64}$/)
  })

  it('MI-4: introspection by Basic believes its own tokens, with the parameters in the query', async () => {
    const { issuer } = server
    const { accessToken, idToken } = await exchange(await logIn(issuer))
    assert.equal(await believe(issuer, accessToken, 'access_token'), true)
    assert.equal(await believe(issuer, idToken, 'id_token'), true)
    assert.equal(await believe(issuer, `${idToken.slice(0, -4)}AAAA`, 'id_token'), false)
    // No token in a log of ours, whatever proxies do.
    assert.equal(server.output().includes(accessToken), false)
  })
})
