import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { selfSigned } from '../server/certificate.ts'
import { type GitHubOptions, type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { acmeAndOther, octocat } from '../upstreams/github-account.ts'
import { forwardTo, type Internet, portOf, startInternet } from './lib/internet.ts'
import { judge, openCli, openUi, startKargo, uiCallback } from './lib/kargo.ts'
import { newPerson, type Seen } from './lib/person.ts'
import { temporaryFolder } from './lib/program.ts'
import { logIn as logInAt, redeem, refresh, requestOf, type Server, startServer, web, webClient } from './lib/server.ts'

const team = (name: string) => ({ name, slug: name.toLowerCase().replaceAll(' ', '-') })

/** github.com and api.github.com, as the stand-in plays them. */
function putGitHub(net: Internet, github: GitHubStandIn): void {
  const port = portOf(`http://${github.host}`)
  net.put('github.com', forwardTo({ port }))
  net.put('api.github.com', forwardTo({ port, prefix: '/api/v3' }))
}

describe('GitHub, from the client to the organisation and back', function () {
  this.timeout(30_000)
  let net: Internet
  let github: GitHubStandIn
  let server: Server
  const authority = join(temporaryFolder(), 'internet.pem')

  const connector = (issuer: string, id: string, config: object) => ({
    type: 'github',
    id,
    name: id,
    config: {
      clientID: github.account.clientId,
      clientSecret: '$GITHUB_SECRET',
      redirectURI: `${issuer}/callback`,
      ...config,
    },
  })

  before(async () => {
    net = await startInternet(['github.com', 'api.github.com'])
    writeFileSync(authority, net.certificate)
    github = await startGitHub()
    putGitHub(net, github)
    const env = { HTTPS_PROXY: net.proxy, NODE_EXTRA_CA_CERTS: authority, GITHUB_SECRET: github.account.clientSecret }
    server = await startServer(
      (issuer) => ({
        staticClients: [webClient],
        connectors: [
          connector(issuer, 'required', { orgs: [{ name: 'acme', teams: ['ops', 'Core Team'] }, { name: 'partner' }] }),
          connector(issuer, 'everything', { loadAllGroups: true, teamNameField: 'slug' }),
          connector(issuer, 'plain', {}),
        ],
      }),
      { env },
    )
    github.account.redirectUri = `${server.issuer}/callback`
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    // Fails when something passed that GitHub's description of its API does not know.
    await github?.close()
    await net?.[Symbol.asyncDispose]()
    assert.deepEqual(net.lost, [])
  })
  beforeEach(() => {
    delete github.account.deny
    delete github.account.codeError
    delete github.account.grants
    Object.assign(github.account, { person: octocat(), organisations: acmeAndOther() })
    github.calls.length = 0
  })

  /** Through a connector, by somebody whose browser is on the internet of the test. */
  const logIn = (through: string, more: Record<string, string> = {}) =>
    logInAt(server, web, { connector_id: through, ...more }, newPerson(net.fetch))

  /** The page that a login through a connector ends on. */
  async function pageOf(through: string): Promise<Seen & { back: URL; state: string }> {
    const { url, state } = requestOf(server, web, { connector_id: through })
    const page = await newPerson(net.fetch).open(url, web.redirectUri)
    const back = page.links.find(({ text }) => text === 'Back to Web')?.href
    assert.ok(back, `${page.status} ${page.url}: ${page.text}`)
    return { ...page, back: new URL(back), state }
  }

  it('GH-1: tells the required teams as org:team, and the number as user id', async () => {
    const { claims } = await logIn('required')
    assert.deepEqual(claims.groups, ['acme:Core Team', 'acme:ops'])
    assert.equal(Buffer.from(String(claims.sub), 'base64url').toString(), '\n\x06583231\x12\x08required')
    assert.equal(claims.name, 'Octo Cat')
    assert.equal(claims.preferred_username, 'octo')
    assert.equal(claims.email, 'octo@example.com')
    assert.equal(claims.email_verified, true)
  })

  it('GH-1: tells every organisation and team with loadAllGroups, by slug', async () => {
    const { claims } = await logIn('everything')
    assert.deepEqual(claims.groups, ['acme', 'acme:core-team', 'acme:ops', 'other'])
  })

  it('GH-1: asks GitHub for organisations only when a client asks for groups or the operator requires some', async () => {
    const { claims } = await logIn('plain', { scope: 'openid email' })
    assert.equal('groups' in claims, false)
    assert.equal(
      github.calls.some((call) => /orgs|teams/.test(call)),
      false,
    )
    const kept = await logIn('required', { scope: 'openid email' })
    assert.equal('groups' in kept.claims, false)
    assert.ok(github.calls.includes('GET /user/teams'))
  })

  it('GH-2: passes on why GitHub refused the code, which it does with status 200', async () => {
    github.account.codeError = 'bad_verification_code'
    await assert.rejects(logIn('required'), /^Error: server_error: GitHub answered bad_verification_code/)
    await server.logged(/level=ERROR .*the code is wrong or has expired/)
    github.account.codeError = 'unverified_user_email'
    await assert.rejects(logIn('required'), /^Error: access_denied: Verify the primary e-mail address/)
  })

  it('GH-2: tells what is wrong with the application at GitHub, which its callback says', async () => {
    github.account.deny = 'application_suspended'
    await assert.rejects(
      logIn('required'),
      /^Error: server_error: GitHub answered application_suspended: the application is suspended/,
    )
  })

  it('MI-7: names one person differently through two connectors', async () => {
    assert.notEqual((await logIn('required')).claims.sub, (await logIn('plain')).claims.sub)
  })

  it('GH-3: proves itself by PKCE', async () => {
    await logIn('required')
    assert.match(github.tokenRequest()?.form.get('code_verifier') ?? '', /^[\w-]{43}$/)
  })

  it('GH-4: reads all pages of teams, and carries them all through the approval page', async () => {
    const teams = Array.from({ length: 250 }, (_, index) => team(`Team with a long name ${index}`))
    github.account.organisations.partner = { membership: 'member', teams }
    const { claims } = await logIn('required')
    assert.equal((claims.groups as string[]).length, 252)

    const request = requestOf(server, web, { connector_id: 'required', prompt: 'consent' })
    const person = newPerson(net.fetch)
    const approval = await person.open(request.url)
    const { url: arrived } = await person.submit(approval, {}, { end: web.redirectUri })
    assert.deepEqual((await redeem(server, web, request, arrived)).claims.groups, claims.groups)
  })

  it('GH-5: calls who has no name by the login, and takes the verified primary address', async () => {
    Object.assign(github.account.person, { name: null, email: null })
    const { claims } = await logIn('plain')
    assert.equal(claims.name, 'octo')
    assert.equal(claims.email, 'octo@example.com')
  })

  it('GH-6: says that access to organisations was not granted instead of telling no groups', async () => {
    github.account.grants = ['user:email']
    for (const through of ['required', 'everything']) {
      await assert.rejects(logIn(through), /^Error: access_denied: Organisation access was not granted/)
    }
  })

  it('GH-7: shows the page for single sign-on where the organisation wants it, and a way back to the client', async () => {
    github.account.organisations.acme!.wantsSignOn = true
    const page = await pageOf('required')
    assert.equal(page.status, 403)
    assert.match(page.text, /The GitHub organisation acme wants single sign-on/)
    const link = page.links.find(({ href }) => href.startsWith('https://github.com/orgs/acme/sso'))
    assert.ok(link, page.html)
  })

  it('shows who is in none of the required organisations a page with a way back, and the client access_denied', async () => {
    github.account.organisations.acme!.membership = 'none'
    const { status, text, back, state } = await pageOf('required')
    assert.equal(status, 403)
    assert.match(text, /You may not log in here/)
    assert.equal(back.origin + back.pathname, web.redirectUri)
    const { error_description: description, ...answer } = Object.fromEntries(back.searchParams)
    assert.deepEqual(answer, { error: 'access_denied', state, iss: server.issuer })
    assert.match(description ?? '', /\(request [\w-]+\)$/)
    await server.logged(/level=WARN .*user \\?"octo\\?" not in required orgs or teams/)
  })

  it('tells the client that the person cancelled at GitHub', async () => {
    github.account.deny = 'access_denied'
    await assert.rejects(logIn('required'), /^Error: access_denied: The login was refused or cancelled/)
  })

  it('reads teams anew at each refresh', async () => {
    const { tokens } = await logIn('required')
    github.account.organisations.acme!.teams = [team('ops'), team('new')]
    const renewed = await refresh(server, tokens.refresh_token)
    assert.deepEqual(renewed.claims?.groups, ['acme:ops'])
  })

  it('GH-9: ends the login of who left the organisation at the next refresh', async () => {
    const { tokens } = await logIn('required')
    github.account.organisations.acme!.membership = 'none'
    const refused = await refresh(server, tokens.refresh_token)
    assert.equal(refused.status, 400)
    assert.equal(refused.error, 'invalid_grant')
    github.account.organisations = acmeAndOther()
    assert.equal((await refresh(server, tokens.refresh_token)).error, 'invalid_grant')
  })

  it('keeps the login over an outage and a limit of GitHub', async () => {
    const { tokens } = await logIn('required')
    github.disturb('/user', { status: 502, body: 'Bad Gateway' })
    assert.equal((await refresh(server, tokens.refresh_token)).status, 503)
    const limited = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 60) }
    github.disturb('/user', { status: 403, headers: limited, body: { message: 'API rate limit exceeded' } })
    assert.equal((await refresh(server, tokens.refresh_token)).error, 'temporarily_unavailable')
    assert.equal((await refresh(server, tokens.refresh_token)).status, 200)
  })

  it('GH-11: keeps `sub` when the login is renamed', async () => {
    const { claims, tokens } = await logIn('required')
    github.account.person.login = 'renamed'
    assert.equal((await logIn('required')).claims.sub, claims.sub)
    const renewed = await refresh(server, tokens.refresh_token)
    assert.equal(renewed.claims?.sub, claims.sub)
    assert.equal(renewed.claims?.preferred_username, 'renamed')
  })

  it('lets one person stay logged in more often than the ten tokens that GitHub keeps of them', async () => {
    const first = await logIn('required')
    const others = []
    // Four at once, since they all write what is kept of the one person.
    for (let round = 0; round < 3; round++) {
      others.push(...(await Promise.all(Array.from({ length: 4 }, () => logIn('required')))))
    }
    assert.equal(github.account.tokens.size, 10)
    for (const { tokens } of [first, ...others]) {
      assert.equal((await refresh(server, tokens.refresh_token)).status, 200)
    }
  })

  it('ends all logins of a person whose token was revoked at GitHub', async () => {
    const [one, two] = [await logIn('required'), await logIn('required')]
    github.account.tokens.clear()
    for (const { tokens } of [one, two]) {
      assert.equal((await refresh(server, tokens.refresh_token)).error, 'invalid_grant')
    }
    const again = await logIn('required')
    assert.equal((await refresh(server, again.tokens.refresh_token)).status, 200)
  })
})

describe('GitHub in other places', function () {
  this.timeout(30_000)

  it('GH-10: an Enterprise Server with an authority of its own, whose addresses all count as verified', async () => {
    const pair = selfSigned('ghe')
    const emails = [{ email: 'octo@corp.example', primary: true, verified: false }]
    const options: GitHubOptions = { tls: pair, ignoresPkce: true, person: { ...octocat(), emails } }
    const github = await startGitHub(options)
    const rootCA = join(temporaryFolder(), 'ghe.pem')
    writeFileSync(rootCA, pair.cert)
    const { clientId: clientID, clientSecret } = github.account
    const config = { clientID, clientSecret, hostName: github.host, rootCA, orgs: [{ name: 'acme' }] }
    await using server = await startServer(() => ({
      staticClients: [webClient],
      connectors: [{ type: 'github', id: 'ghe', name: 'GitHub Enterprise', config }],
    }))
    github.account.redirectUri = `${server.issuer}/callback`
    await using net = await startInternet([], [pair.cert])
    const { tokens } = await logInAt(server, web, {}, newPerson(net.fetch))
    const renewed = await refresh(server, tokens.refresh_token)
    assert.equal(renewed.claims?.email, 'octo@corp.example')
    assert.equal(renewed.claims?.email_verified, true)
    assert.deepEqual(renewed.claims?.groups, ['acme:Core Team', 'acme:ops'])
    await github.close()
  })

  it("KA-2: the connector of Kargo's page, whose teams become Kargo's roles", async () => {
    const organisations = { acme: { membership: 'member' as const, teams: [team('devops'), team('elsewhere')] } }
    const github = await startGitHub({ redirectUri: 'https://kargo.example.com/dex/callback', organisations })
    const connectors = `connectors:
- id: github
  name: GitHub
  type: github
  config:
    clientID: ${github.account.clientId}
    clientSecret: $CLIENT_SECRET
    redirectURI: https://kargo.example.com/dex/callback
    orgs:
    - name: acme
      teams:
      - devops`
    const env = { CLIENT_SECRET: github.account.clientSecret }
    await using kargo = await startKargo({ connectors, hosts: ['github.com', 'api.github.com'], env })
    putGitHub(kargo.net, github)
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const began = await ui.begin()
    const tokens = await ui.finish(await kargo.person().arrive(began.url, uiCallback), began)
    assert.deepEqual((await judge(kargo, tokens.id_token)).claims.groups, ['acme:devops'])
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const start = cli.begin()
    const { body } = await cli.finish(await kargo.person().arrive(start.url, cli.callback), start)
    const refreshed = await cli.refresh(body.refresh_token!)
    assert.deepEqual((await judge(kargo, refreshed.body.id_token)).claims.groups, ['acme:devops'])
    assert.ok((await ui.renew(tokens.refresh_token!)).id_token)
    organisations.acme.teams = [team('elsewhere')]
    assert.equal((await cli.refresh(refreshed.body.refresh_token!)).body.error, 'invalid_grant')
    await github.close()
  })
})
