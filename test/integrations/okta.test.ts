import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { selfSigned } from '../server/certificate.ts'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { forwardTo, startInternet } from './lib/internet.ts'
import { newPerson } from './lib/person.ts'
import { configurationFile, countersign, temporaryFolder } from './lib/program.ts'
import { logIn as logInAt, refresh, requestOf, type Server, startServer, web, webClient } from './lib/server.ts'

const many = (count: number) => Array.from({ length: count }, (_, index) => `group-${index}`)

describe('Okta, from the client to the org and back', function () {
  this.timeout(30_000)
  const pair = selfSigned('okta')
  const lateAuthority = join(temporaryFolder(), 'ca.pem')
  let okta: OktaStandIn
  let overTls: OktaStandIn
  let server: Server

  before(async () => {
    okta = await startOkta({ servers: ['default', 'aus1x'], pkceRequired: true })
    overTls = await startOkta({ tls: pair })
    const { clientId: clientID, clientSecret } = okta
    server = await startServer((issuer) => {
      const connector = (type: string, id: string, more: object) => {
        const config = { clientID, clientSecret, redirectURI: `${issuer}/callback`, ...more }
        return { type, id, name: id, config }
      }
      const domain = okta.url
      const scopes = ['profile', 'email', 'groups']
      return {
        staticClients: [webClient],
        expiry: { refreshTokens: { reuseInterval: '10s' } },
        connectors: [
          connector('okta', 'org', { domain }),
          connector('okta', 'custom', { domain, serverId: 'aus1x' }),
          connector('okta', 'restricted', { domain, allowedGroups: ['devops'] }),
          connector('okta', 'no added scopes', { domain, scopes, addScopes: false }),
          connector('okta', 'late', { domain: overTls.url, rootCAs: [lateAuthority] }),
          connector('oidc', 'plain', { issuer: domain }),
          connector('oidc', 'without groups', { issuer: domain, scopes, insecureSkipEmailVerified: true }),
        ],
      }
    })
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await okta?.close()
    await overTls?.close()
  })
  beforeEach(() => {
    okta.calls.length = 0
    Object.assign(okta.org, { status: 'active', thinIdToken: false, refreshGrant: true })
    Object.assign(okta.org.user, {
      name: 'Jane Doe',
      email: 'jane@example.com',
      preferred_username: 'jane@example.com',
      email_verified: true,
      groups: ['Everyone', 'devops'],
    })
  })

  const logIn = (through = 'org', more: Record<string, string> = {}) =>
    logInAt(server, web, { connector_id: through, ...more })
  const asked = (name: string) => okta.calls.filter(({ path }) => path.endsWith(`/${name}`))
  const outcome = async (refreshToken: string | undefined) => {
    const { status, error } = await refresh(server, refreshToken)
    return [status, error]
  }

  it('tells groups in the ID token and whether the e-mail is verified, which only userinfo knows (OK-4, OK-5)', async () => {
    okta.org.user.email_verified = false
    const { claims } = await logIn()
    assert.deepEqual(claims.groups, ['Everyone', 'devops'])
    assert.equal(claims.email_verified, false)
    assert.equal(asked('userinfo').length, 1)
  })

  it('reads profile and groups of a thin ID token from userinfo (OK-6)', async () => {
    okta.org.thinIdToken = true
    const { claims } = await logIn()
    assert.equal(claims.name, 'Jane Doe')
    assert.deepEqual(claims.groups, ['Everyone', 'devops'])
  })

  it('asks Okta for groups and offline access only for a client that asks us (OK-4, OK-9)', async () => {
    const { claims, tokens } = await logIn('org', { scope: 'openid email' })
    assert.equal(asked('authorize')[0]?.query.get('scope'), 'openid profile email')
    assert.equal('groups' in claims, false)
    assert.equal(tokens.refresh_token, undefined)
  })

  it('uses a custom authorization server, which lists no groups scope (OK-1, OK-4)', async () => {
    const { claims } = await logIn('custom')
    assert.deepEqual(claims.groups, ['Everyone', 'devops'])
    assert.equal(asked('authorize')[0]?.path, '/oauth2/aus1x/v1/authorize')
    assert.equal(asked('authorize')[0]?.query.get('scope'), 'openid profile email offline_access')
  })

  it('passes on what the client wishes of the login: login_hint, prompt, max_age, acr_values', async () => {
    const wishes = {
      login_hint: 'jane@example.com',
      prompt: 'login',
      max_age: '60',
      acr_values: 'urn:okta:loa:2fa:any',
    }
    await logIn('org', { scope: 'openid', ...wishes })
    const query = asked('authorize')[0]?.query
    for (const [name, value] of Object.entries(wishes)) assert.equal(query?.get(name), value)
  })

  it('keeps `sub` when the person is renamed and gets another address', async () => {
    const { claims: before } = await logIn()
    Object.assign(okta.org.user, { name: 'Jane Roe', email: 'roe@example.com', preferred_username: 'roe@example.com' })
    const { claims: after } = await logIn()
    assert.equal(after.sub, before.sub)
    assert.equal(after.email, 'roe@example.com')
  })

  it('lets only members of allowedGroups in, and shows the rest a page that leads back', async () => {
    assert.deepEqual((await logIn('restricted')).claims.groups, ['devops'])
    okta.org.user.groups = ['Everyone']
    const { url, state } = requestOf(server, web, { connector_id: 'restricted' })
    const page = await newPerson().open(url)
    assert.equal(page.status, 403)
    const back = new URL(page.links.find(({ text }) => text === 'Back to Web')?.href ?? '')
    assert.equal(back.origin + back.pathname, web.redirectUri)
    assert.equal(back.searchParams.get('error'), 'access_denied')
    assert.equal(back.searchParams.get('state'), state)
  })

  it('refreshes through three rotations of Okta, and ends when Okta refuses (OK-8, RZ-1)', async () => {
    let { tokens } = await logIn()
    for (const groups of [['ops'], ['ops', 'devops'], []]) {
      okta.advance(60_000)
      okta.org.user.groups = groups
      const renewed = await refresh(server, tokens.refresh_token)
      assert.deepEqual(renewed.claims?.groups, groups.length > 0 ? groups : undefined)
      tokens = renewed.tokens
    }
    okta.org.status = 'unassigned'
    assert.deepEqual(await outcome(tokens.refresh_token), [400, 'invalid_grant'])
    okta.org.status = 'active'
    assert.deepEqual(await outcome(tokens.refresh_token), [400, 'invalid_grant'])
  })

  it('gives all who refresh at once one answer within reuseInterval, for one call to Okta (OK-8)', async () => {
    const { tokens } = await logIn()
    okta.calls.length = 0
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(server, tokens.refresh_token)))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.equal(new Set(answers.map((answer) => answer.tokens.refresh_token)).size, 1)
    assert.equal(asked('token').length, 1)
  })

  it('survives a limit of Okta at a refresh: the same refresh token works afterwards (OK-10)', async () => {
    const { tokens } = await logIn()
    okta.limit('token', 1)
    const limited = await refresh(server, tokens.refresh_token)
    assert.equal(limited.status, 503)
    assert.equal(limited.error, 'temporarily_unavailable')
    const told = Number(limited.headers.get('retry-after'))
    const meant = (okta.org.now() - Date.now()) / 1000 + 20
    assert.ok(Math.abs(told - meant) <= 3, `Okta means ${meant} seconds, the client is told ${told}`)
    assert.deepEqual(await outcome(tokens.refresh_token), [200, undefined])
  })

  it('answers temporarily_unavailable when Okta limits us inside a login (OK-10)', async () => {
    for (const path of ['token', 'userinfo'] as const) {
      okta.limit(path, 1)
      await assert.rejects(logIn(), /^Error: temporarily_unavailable: .*\(request /)
    }
    assert.ok((await logIn()).claims)
  })

  it('says that somebody is not assigned to the application (OK-11)', async () => {
    okta.org.status = 'unassigned'
    await assert.rejects(logIn(), /^Error: access_denied: The login was refused or cancelled\. \(request /)
  })

  it('says that more than a hundred groups need a narrower filter, and lets a hundred in (OK-7)', async () => {
    okta.org.user.groups = many(101)
    await assert.rejects(logIn(), /^Error: access_denied: .*more than 100 groups.*narrow that filter/)
    okta.org.user.groups = many(100)
    assert.equal(((await logIn()).claims.groups as string[]).length, 100)
    await server.logged(/level=WARN .*as many groups as a claim can hold/)
  })

  it('goes on after Okta has changed its keys (OK-16)', async () => {
    await logIn()
    okta.calls.length = 0
    await okta.rotateKeys()
    await logIn()
    await logIn()
    assert.equal(asked('keys').length, 1)
    assert.equal(asked('openid-configuration').length, 0)
  })

  it('logs in although the app has no refresh token grant, and tells the operator how to spare the detour (OK-9)', async () => {
    okta.org.refreshGrant = false
    const inSpite = await logIn()
    assert.deepEqual(inSpite.claims.groups, ['Everyone', 'devops'])
    assert.equal(inSpite.tokens.refresh_token, undefined)
    await server.logged(/level=WARN msg="the upstream refused offline_access.*addScopes: false/)
    const { claims, tokens } = await logIn('no added scopes')
    assert.deepEqual(claims.groups, ['Everyone', 'devops'])
    assert.deepEqual(await outcome(tokens.refresh_token), [400, 'invalid_grant'])
  })

  it('as plain oidc refuses who has no email_verified and names the option (OK-5)', async () => {
    await assert.rejects(logIn('plain'), /^Error: server_error: .*insecureSkipEmailVerified/)
  })

  it('as plain oidc keeps groups to itself without insecureEnableGroups (OK-6)', async () => {
    assert.equal('groups' in (await logIn('without groups')).claims, false)
  })

  it('PL-3: does not keep others from logging in when a connector cannot be opened, and opens it when it can', async () => {
    await server.logged(/level=ERROR msg="connector cannot be opened.*rootCAs\[0\]/)
    const { claims } = await logIn()
    await using net = await startInternet([], [pair.cert])
    const late = () => logInAt(server, web, { connector_id: 'late' }, newPerson(net.fetch))
    await assert.rejects(late(), /^Error: server_error: /)
    writeFileSync(lateAuthority, pair.cert)
    const other = await late()
    assert.equal(other.claims.email, 'jane@example.com')
    assert.notEqual(other.claims.sub, claims.sub)
  })

  it('never shows Okta a refresh token twice, whatever fails between its answer and ours', async () => {
    const { tokens } = await logIn()
    let { refresh_token: token } = tokens
    // An org without a grace time: one former token ends the chain.
    okta.org.leeway = -1
    try {
      const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(server, token)))
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
      token = answers[0]!.tokens.refresh_token
      const { tokens: thin } = await logIn('org')
      okta.limit('userinfo', 1)
      assert.deepEqual(await outcome(thin.refresh_token), [503, 'temporarily_unavailable'])
      assert.deepEqual(await outcome(thin.refresh_token), [200, undefined])
      assert.deepEqual(await outcome(token), [200, undefined])
    } finally {
      okta.org.leeway = 30_000
    }
  })
})

describe('Okta before the start', function () {
  this.timeout(30_000)

  it('may be down: clients are told so, and no restart is needed when it is up', async () => {
    const okta = await startOkta({ origin: 'https://acme.okta.com' })
    await using net = await startInternet(['acme.okta.com'])
    const authority = join(temporaryFolder(), 'internet.pem')
    writeFileSync(authority, net.certificate)
    const { clientId: clientID, clientSecret } = okta
    const config = { domain: 'acme.okta.com', clientID, clientSecret }
    const configuration = {
      staticClients: [webClient],
      connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config }],
    }
    const env = { HTTPS_PROXY: net.proxy, NODE_EXTRA_CA_CERTS: authority }
    await using server = await startServer(() => configuration, { env })
    const attempt = async () => {
      const { url } = await newPerson(net.fetch).open(requestOf(server, web).url, web.redirectUri)
      return url.searchParams.get('error') ?? 'none'
    }
    const since = Date.now()
    for (let tries = 0; tries < 3; tries++) assert.equal(await attempt(), 'temporarily_unavailable')
    assert.ok(Date.now() - since < 3000)
    net.put('acme.okta.com', forwardTo({ port: okta.port }))
    const deadline = Date.now() + 10_000
    while ((await attempt()) !== 'none') {
      assert.ok(Date.now() < deadline, 'not up ten seconds after Okta')
      await pause(200)
    }
    assert.ok(net.lost.every((host) => host === 'acme.okta.com'))
    await okta.close()
  })

  it('is refused by the address of its admin console, with the one to use (OK-1)', () => {
    const config = { domain: 'https://acme-admin.okta.com/', clientID: 'a', clientSecret: 'b' }
    const file = configurationFile({
      issuer: 'http://127.0.0.1:1/dex',
      storage: { type: 'memory' },
      web: { http: '127.0.0.1:1' },
      connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config }],
    })
    const { status, stderr } = spawnSync(process.execPath, [countersign, 'serve', file], { encoding: 'utf8' })
    assert.equal(status, 2)
    assert.match(stderr, /domain.*acme-admin\.okta\.com is the admin console.*use acme\.okta\.com/)
  })
})
