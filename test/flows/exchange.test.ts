import assert from 'node:assert/strict'
import { selfSigned } from '../server/certificate.ts'
import {
  githubJob,
  gitlabJob,
  kubernetesPod,
  startWorkloadIssuer,
  type WorkloadIssuer,
  workloadKey,
} from '../upstreams/workload-issuer.ts'
import {
  type Client,
  claimsOf,
  corp,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startServer,
  stopClock,
  tokensOf,
  web,
} from './server.ts'

const grant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const types = {
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
}
const aud = 'https://sign-in.example.com'
const ci: Client = { id: 'ci', redirectUri: '' }

const githubRule = {
  issuer: 'github',
  claims: { repository: 'octo-org/octo-repo', ref: 'refs/heads/*' },
  identity: {
    userID: '{{sub}}',
    username: '{{repository}} ({{workflow}})',
    groups: ['ci', 'env:{{environment}}'],
  },
}
const gitlabRule = {
  issuer: 'gitlab',
  claims: { project_path: ['other/x', 'my-group/**'], ref_protected: 'true', groups_direct: 'other-*' },
  identity: { userID: 'project-{{project_id}}', email: '{{user_email}}', emailVerified: true },
}
const kubernetesRule = {
  issuer: 'cluster',
  claims: { '/kubernetes.io/namespace': 'payments', sub: 'system:serviceaccount:payments:*' },
  identity: { userID: '{{sub}}', username: '{{/kubernetes.io/serviceaccount/name}}' },
}

describe('token exchange with tokens of CI systems and workloads', () => {
  const pair = selfSigned('cluster')
  let github: WorkloadIssuer
  let gitlab: WorkloadIssuer
  let cluster: WorkloadIssuer
  let server: FlowServer
  before(async () => {
    github = await startWorkloadIssuer()
    gitlab = await startWorkloadIssuer({ alg: 'ES256' })
    cluster = await startWorkloadIssuer({ tls: pair, alg: 'ES256' })
  })
  after(async () => {
    for (const each of [github, gitlab, cluster]) await each[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    for (const each of [github, gitlab, cluster]) {
      each.asked.length = 0
      each.answers.clear()
      each.published = [each.key.publicJwk]
    }
    server = await startServer({
      connectors: [corp('workloads')],
      // A key that is made fast.
      signer: { type: 'local', config: { keysRotationPeriod: '6h', algorithm: 'ES256' } },
      tokenIssuers: [
        { id: 'github', issuer: github.issuer, audience: [aud] },
        { id: 'gitlab', issuer: gitlab.issuer, audience: [aud], jwksURI: gitlab.jwksURI, singleUse: true },
        { id: 'cluster', issuer: cluster.issuer, audience: [aud], rootCAs: [pair.cert] },
      ],
      staticClients: [
        { id: ci.id, name: 'CI', public: true, tokenExchange: [githubRule, gitlabRule, kubernetesRule] },
        { id: web.id, secret: web.secret, name: 'Web', redirectURIs: [web.redirectUri] },
        { id: peer.id, secret: peer.secret, name: 'Peer', trustedPeers: [ci.id] },
      ],
    })
  })
  afterEach(async () => {
    await server[Symbol.asyncDispose]()
  })

  const exchange = (token: string, more: Record<string, string> = {}, client = ci) =>
    server.token(
      {
        grant_type: grant,
        subject_token: token,
        subject_token_type: types.jwt,
        scope: 'openid profile groups',
        ...more,
      },
      client,
    )
  const exchanged = async (...args: Parameters<typeof exchange>) => {
    const answer = await exchange(...args)
    return claimsOf(tokensOf(answer).access_token)
  }

  it('a job of GitHub Actions is who the rule says, with the issuer in the place of a connector', async () => {
    const answer = await exchange(await github.sign(githubJob(github.issuer, aud)), {
      scope: 'openid profile groups email federated:id',
    })
    const { access_token, ...rest } = answer.json()
    assert.deepEqual(rest, { issued_token_type: types.accessToken, token_type: 'Bearer', expires_in: 86_400 })
    const { iat, exp, jti, ...claims } = claimsOf(String(access_token))
    assert.deepEqual(claims, {
      iss: server.issuer,
      sub: 'CityZXBvOm9jdG8tb3JnL29jdG8tcmVwbzpyZWY6cmVmcy9oZWFkcy9tYWluEgZnaXRodWI',
      aud: 'ci',
      name: 'octo-org/octo-repo (deploy)',
      groups: ['ci', 'env:production'],
      email_verified: false,
      federated_claims: { connector_id: 'github', user_id: 'repo:octo-org/octo-repo:ref:refs/heads/main' },
    })
    assert.ok(iat && exp && jti)
    assert.equal((await server.userinfo(String(access_token))).json().sub, claims.sub)
    assert.equal((await server.introspect(String(access_token))).active, true)
    assert.deepEqual(github.asked, ['/.well-known/openid-configuration', '/.well-known/jwks'])
    const issued = server.audited().find(({ type }) => type === 'tokens_issued')
    assert.deepEqual([issued?.connector_id, issued?.grant_type], ['github', grant])
  })

  it('a job of GitLab CI, by its project; of a list one entry has to fit', async () => {
    const token = await gitlab.sign(gitlabJob(gitlab.issuer, aud))
    const claims = await exchanged(token, { scope: 'openid email', subject_token_type: types.idToken })
    assert.deepEqual([claims.email, claims.email_verified], ['sample-user@example.com', true])
    assert.deepEqual(gitlab.asked, ['/.well-known/jwks'])
  })

  it('a pod of Kubernetes, whose issuer has a certificate of its own', async () => {
    const claims = await exchanged(await cluster.sign(kubernetesPod(cluster.issuer, aud)), { connector_id: 'cluster' })
    assert.equal(claims.name, 'api')
    assert.deepEqual(claims.groups, undefined)
  })

  it('gives an ID token when that is asked for, and what another client trusts this one with', async () => {
    const token = await github.sign(githubJob(github.issuer, aud))
    const id = await exchanged(token, { requested_token_type: types.idToken, audience: 'peer' })
    assert.deepEqual([id.aud, id.azp], [['peer', 'ci'], 'ci'])
    assert.equal((await exchanged(token, { audience: 'ci' })).aud, 'ci')
  })

  it('names several targets in one request (RFC 8693, 2.1)', async () => {
    const form = new URLSearchParams({
      client_id: ci.id,
      grant_type: grant,
      subject_token: await github.sign(githubJob(github.issuer, aud)),
      subject_token_type: types.jwt,
      audience: 'peer',
    })
    form.append('audience', 'ci')
    const answer = await server.request(server.url('/token'), { form })
    assert.deepEqual(claimsOf(tokensOf(answer).access_token).aud, ['peer', 'ci'])
  })

  it('takes a token once where the issuer is configured so, at once and one after another', async () => {
    const token = await gitlab.sign(gitlabJob(gitlab.issuer, aud))
    const answers = await Promise.all(Array.from({ length: 10 }, () => exchange(token)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(errorOf(await exchange(token)), '400 invalid_request')
    // Of another issuer any number.
    const other = await github.sign(githubJob(github.issuer, aud))
    for (let times = 0; times < 3; times++) assert.equal((await exchange(other)).status, 200)
  })

  it('asks once for keys that it does not know, so that an issuer can rotate them', async () => {
    assert.equal((await exchange(await github.sign(githubJob(github.issuer, aud)))).status, 200)
    const next = await workloadKey('key-2', 'ES256')
    github.published = [
      { kty: 'unheard-of', kid: 'key-2' },
      { kty: 'EC', crv: 'P-0', kid: 'key-2' },
      null,
      next.publicJwk,
    ]
    assert.equal((await exchange(await github.sign(githubJob(github.issuer, aud), {}, next))).status, 200)
    assert.equal(github.asked.filter((path) => path.endsWith('jwks')).length, 2)
    // The former key is not published any more.
    assert.equal(errorOf(await exchange(await github.sign(githubJob(github.issuer, aud)))), '400 invalid_request')
  })

  it('tells an outage of the issuer from a bad token, and recovers', async () => {
    const token = await github.sign(githubJob(github.issuer, aud))
    github.answers.set('/.well-known/openid-configuration', { status: 503 })
    assert.equal(errorOf(await exchange(token)), '503 temporarily_unavailable')
    github.answers.clear()
    github.answers.set('/.well-known/jwks', { status: 500 })
    assert.equal(errorOf(await exchange(token)), '503 temporarily_unavailable')
    github.answers.set('/.well-known/jwks', { status: 200, body: '<html>' })
    assert.equal(errorOf(await exchange(token)), '502 server_error')
    github.answers.clear()
    assert.equal((await exchange(token)).status, 200)
  })

  const requests: [what: string, fields: Record<string, string>, error: string][] = [
    ['a kind of token that is unknown', { subject_token_type: 'urn:x' }, '400 invalid_request'],
    [
      'an access token, which those issuers have none of',
      { subject_token_type: types.accessToken },
      '400 invalid_request',
    ],
    [
      'a refresh token wanted',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      '400 invalid_request',
    ],
    ['an actor', { actor_token: 'x', actor_token_type: types.jwt }, '400 invalid_request'],
    ['a target that does not trust this client', { audience: 'web' }, '400 invalid_target'],
    ['a target that is unknown', { audience: 'nobody' }, '400 invalid_target'],
    ['a resource', { resource: 'https://api.example.com' }, '400 invalid_target'],
    ['another issuer named', { connector_id: 'gitlab' }, '400 invalid_request'],
    ['a connector named', { connector_id: 'corp' }, '400 invalid_request'],
    ['an unknown scope', { scope: 'openid bogus' }, '400 invalid_scope'],
  ]
  for (const [what, fields, error] of requests) {
    it(`refuses ${what}: ${error}`, async () => {
      const token = await github.sign(githubJob(github.issuer, aud))
      const answer = await exchange(token, { connector_id: 'github', ...fields })
      assert.equal(errorOf(answer), error)
      assert.match(String(answer.json().error_description), /\w+ \w+/)
    })
  }

  it('is for clients that have a rule: whoever has none makes nobody ask for keys', async () => {
    const token = await github.sign(githubJob(github.issuer, aud))
    assert.equal(errorOf(await exchange(token, {}, web)), '400 invalid_request')
    assert.deepEqual(github.asked, [])
  })

  const misfits: [what: string, claims: Record<string, unknown>][] = [
    ['another repository', { repository: 'octo-org/octo-repo2' }],
    ['a repository that ends so', { repository: 'evil/octo-org/octo-repo' }],
    ['letters of another case', { repository: 'Octo-Org/octo-repo' }],
    ['a branch below another, which one star does not reach', { ref: 'refs/heads/feature/x' }],
    ['a tag', { ref: 'refs/tags/v1' }],
    ['a pull request', { ref: 'refs/pull/1/merge' }],
    ['a claim that is missing', { ref: undefined }],
    ['a claim that is a group of claims', { repository: { toString: 'octo-org/octo-repo' } }],
    ['a line break before', { repository: '\nocto-org/octo-repo' }],
    ['no claim that the identity needs', { environment: undefined }],
    ['an empty one', { environment: '' }],
    ['one with control characters', { environment: 'a\u0000b' }],
    ['one that is far too long', { environment: 'x'.repeat(2000) }],
  ]
  for (const [what, claims] of misfits) {
    it(`refuses ${what}`, async () => {
      const token = await github.sign({ ...githubJob(github.issuer, aud), ...claims })
      assert.equal(errorOf(await exchange(token)), '400 invalid_request')
    })
  }
})

describe('token exchange with tokens of this server', () => {
  const target: Client = { id: 'target', secret: 'target-secret', redirectUri: '' }
  const stranger: Client = { id: 'stranger', secret: 'stranger-secret', redirectUri: '' }
  const all = [web, peer, target, stranger]
  /** Whose tokens a requester may exchange, by its rules. */
  const rules: Record<string, string[]> = { peer: ['web'], target: ['web', 'peer'], web: [], stranger: [] }
  /** Whom a requester may name as audience. */
  const trusts: Record<string, string[]> = { target: ['peer'] }
  let server: FlowServer
  before(async () => {
    server = await startServer({
      connectors: [corp('own-tokens')],
      staticClients: all.map(({ id, secret, redirectUri }) => ({
        id,
        secret,
        name: id,
        ...(redirectUri && { redirectURIs: [redirectUri] }),
        trustedPeers: trusts[id] ?? [],
        tokenExchange: rules[id]!.length === 0 ? [] : [{ issuer: 'self', audience: rules[id] }],
      })),
    })
  })
  after(() => server[Symbol.asyncDispose]())

  const exchange = (token: string, client: Client, more: Record<string, string> = {}) =>
    server.token(
      { grant_type: grant, subject_token: token, subject_token_type: types.idToken, scope: 'openid groups', ...more },
      client,
    )

  // Lessons, row 16.
  for (const requester of all) {
    for (const subject of [web, peer]) {
      for (const audience of all) {
        const fits = rules[requester.id]!.includes(subject.id)
        const trusted = audience.id === requester.id || (trusts[audience.id] ?? []).includes(requester.id)
        const expected = !trusted ? '400 invalid_target' : fits ? 'given' : '400 invalid_request'
        it(`${requester.id} exchanges a token for ${subject.id} into one for ${audience.id}: ${expected}`, async () => {
          const { tokens } = await logIn(server, { client: subject })
          const answer = await exchange(tokens.id_token, requester, { audience: audience.id })
          if (expected !== 'given') return assert.equal(errorOf(answer), expected)
          const before = claimsOf(tokens.id_token)
          const after = claimsOf(tokensOf(answer).access_token)
          assert.equal(after.sub, before.sub, 'the person stays who they are')
          assert.deepEqual(after.groups, before.groups)
          assert.ok([after.aud].flat().includes(audience.id))
          assert.equal(after.azp ?? after.aud, requester.id)
        })
      }
    }
  }

  it('lives no longer than the token that it was made from, however often it is exchanged', async () => {
    using clock = stopClock()
    const { tokens, claims } = await logIn(server)
    clock.advance(3600)
    const first = (await exchange(tokens.id_token, peer)).json()
    const given = claimsOf(String(first.access_token))
    assert.equal(given.exp, claims.exp)
    assert.equal(first.expires_in, Number(claims.exp) - Number(given.iat))
    const second = (await exchange(String(first.access_token), target)).json()
    assert.equal(claimsOf(String(second.access_token)).exp, claims.exp)
  })

  it('knows what was revoked, and what the person was not asked about', async () => {
    const { tokens } = await logIn(server, { scope: 'openid' })
    assert.equal(claimsOf(tokensOf(await exchange(tokens.id_token, peer)).access_token).groups, undefined)
    await server.post('/token/revoke', { token: tokens.id_token }, web)
    assert.equal(errorOf(await exchange(tokens.id_token, peer)), '400 invalid_request')
  })

  it('takes nothing that only looks like a token of ours', async () => {
    const { tokens } = await logIn(server)
    const [header, payload, signature] = tokens.id_token.split('.')
    const forged = Buffer.from(JSON.stringify({ ...claimsOf(tokens.id_token), sub: 'x' })).toString('base64url')
    for (const token of [`${header}.${forged}.${signature}`, `${header}.${payload}.`, tokens.refresh_token ?? 'x']) {
      assert.equal(errorOf(await exchange(token, peer, { connector_id: 'self' })), '400 invalid_request')
    }
  })
})
