import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { type OktaStandIn, startOkta } from '../upstreams/okta.ts'
import { forwardTo } from './lib/internet.ts'
import { judge, type Kargo, openCli, openUi, SERVICE, startKargo, uiCallback } from './lib/kargo.ts'
import { queryOf } from './lib/person.ts'

const example = readFileSync(join(import.meta.dirname, '..', 'dex', 'examples', 'kargo-okta.yaml'), 'utf8')
/** The connector of Kargo's page, to the letter: `openid` once more, a slash at the end of the issuer. */
const connectors = example.slice(example.indexOf('connectors:'))

/** Name in the certificate that a new connection to us is shown. */
const shown = ({ port }: Kargo): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { servername: SERVICE, rejectUnauthorized: false }
    const socket = connect(port, '127.0.0.1', options, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    }).once('error', reject)
  })

describe("Kargo's page on Okta", function () {
  this.timeout(30_000)
  let okta: OktaStandIn
  let kargo: Kargo

  before(async () => {
    okta = await startOkta({
      origin: 'https://acme.okta.com',
      redirectUris: ['https://kargo.example.com/dex/callback'],
      pkceRequired: true,
    })
    const env = { CLIENT_SECRET: okta.clientSecret }
    kargo = await startKargo({ connectors, hosts: ['acme.okta.com'], env })
    kargo.net.put('acme.okta.com', forwardTo({ port: okta.port }))
  })
  after(async () => {
    await kargo?.[Symbol.asyncDispose]()
    await okta?.close()
  })
  beforeEach(() => {
    okta.org.status = 'active'
    okta.org.user = {
      sub: '00u8x7EXAMPLE',
      name: 'Jane Doe',
      preferred_username: 'jane@example.com',
      email: 'jane@example.com',
      email_verified: true,
      groups: ['Everyone', 'devops'],
    }
    okta.calls.length = 0
  })

  const logIn = async () => {
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const began = await ui.begin()
    const tokens = await ui.finish(await kargo.person().arrive(began.url, uiCallback), began)
    return { ui, tokens }
  }
  const asked = (name: string) => okta.calls.filter(({ path }) => path.endsWith(`/${name}`))

  it('KA-3: logs in with the snippet unchanged, its trailing slash included (OK-2, OK-3, OK-4, OK-9)', async () => {
    const { tokens } = await logIn()
    const { claims } = await judge(kargo, tokens.id_token)
    assert.equal(claims.email, 'jane@example.com')
    assert.equal(claims.email_verified, true)
    assert.deepEqual(claims.groups, ['Everyone', 'devops'])
    const [{ query } = { query: new URLSearchParams() }] = asked('authorize')
    assert.equal(query.get('scope'), 'openid profile email groups offline_access')
    assert.match(query.get('state') ?? '', /^[A-Za-z0-9_-]{22,}$/)
    assert.equal(query.get('code_challenge_method'), 'S256')
    assert.ok(query.get('nonce'))
    const [{ authorization, form } = { authorization: '', form: new URLSearchParams() }] = asked('token')
    assert.equal(authorization, undefined)
    assert.equal(form.get('client_secret'), okta.clientSecret)
    assert.match(await kargo.server.logged(/trailing slash/), /level=WARN/)
    assert.doesNotMatch(kargo.server.output(), new RegExp(okta.clientSecret))
  })

  it('KA-3: logs the CLI in', async () => {
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const { body } = await cli.finish(await kargo.person().arrive(began.url, cli.callback), began)
    assert.deepEqual((await judge(kargo, body.id_token)).roles, ['kargo-admin'])
  })

  it('KA-4: tells the groups of now at each refresh, and follows Okta when it rotates (OK-8)', async () => {
    const { ui, tokens } = await logIn()
    okta.org.user.groups = ['Everyone', 'developers']
    const second = await ui.renew(tokens.refresh_token!)
    assert.deepEqual((await judge(kargo, second.id_token)).roles, ['kargo-viewer'])
    okta.advance(60_000)
    okta.org.user.groups = []
    const third = await ui.renew(second.refresh_token!)
    assert.deepEqual((await judge(kargo, third.id_token)).roles, [])
    okta.advance(60_000)
    okta.org.user.groups = ['devops']
    const fourth = await ui.renew(third.refresh_token!)
    assert.deepEqual((await judge(kargo, fourth.id_token)).roles, ['kargo-admin'])
  })

  it('asks Okta once when two tabs of the UI refresh at once, and lets both go on (X-6)', async () => {
    const { ui, tokens } = await logIn()
    okta.calls.length = 0
    const [one, two] = await Promise.all([ui.renew(tokens.refresh_token!), ui.renew(tokens.refresh_token!)])
    assert.equal(one.refresh_token, two.refresh_token, 'both hold the same successor')
    assert.equal(asked('token').length, 1)
    assert.ok((await ui.renew(one.refresh_token!)).id_token)
  })

  for (const [who, groups, roles] of [
    ['an admin', ['devops'], ['kargo-admin']],
    ['a viewer', ['Everyone', 'developers'], ['kargo-viewer']],
    ['both', ['developers', 'devops'], ['kargo-admin', 'kargo-viewer']],
    ['nobody, though names are alike', ['DevOps', 'devops-eu', ' devops', 'dev,ops'], []],
    ['nobody without groups', [], []],
  ] as const) {
    it(`KA-9: makes ${who} of somebody in [${groups.join(', ')}]`, async () => {
      okta.org.user.groups = [...groups]
      const { tokens } = await logIn()
      const judged = await judge(kargo, tokens.id_token)
      assert.deepEqual(judged.roles, roles)
      assert.deepEqual(judged.claims.groups, groups.length > 0 ? groups : undefined)
    })
  }

  it('KA-8: refuses the login when Okta tells no e-mail, which Kargo could not use', async () => {
    okta.org.user.email = undefined as unknown as string
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const arrived = await kargo.person().arrive(began.url, cli.callback)
    await assert.rejects(cli.finish(arrived, began), /server_error: .*did not send an e-mail address/)
    assert.equal(arrived.searchParams.get('state'), began.state)
  })

  it('X-13: tells the CLI at once that Okta refused, with its state and the number of the request (OK-11)', async () => {
    okta.org.status = 'unassigned'
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const since = Date.now()
    const arrived = await kargo.person().arrive(began.url, cli.callback)
    assert.ok(Date.now() - since < 2000)
    assert.equal(arrived.searchParams.get('state'), began.state)
    await assert.rejects(cli.finish(arrived, began), /^Error: access_denied: /)
    const request = /\(request ([\w-]+)\)/.exec(queryOf(arrived).error_description ?? '')?.[1]
    assert.ok(request)
    const line = await kargo.server.logged(new RegExp(`failed to authenticate.*${request}`))
    assert.match(line, /reason=login_refused upstream_code=access_denied/)
    assert.match(line, /not assigned to the client application/)
  })

  it('X-14: lets two tabs log in at once, and no other browser finish either', async () => {
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const person = kargo.person()
    const tabs = await Promise.all([ui.begin(), ui.begin()])
    const callback = `${kargo.issuer}/callback`
    const returns = []
    for (const { url } of tabs) returns.push(await person.arrive(url, callback))
    const stranger = await kargo.person().open(returns[0]!)
    assert.equal(stranger.status, 400)
    for (const [index, address] of returns.entries()) {
      const tokens = await ui.finish(await person.arrive(address, uiCallback), tabs[index]!)
      assert.ok(tokens.id_token)
    }
  })

  it('KA-11: takes renewed TLS files without losing the login in progress', async () => {
    const ui = await openUi(kargo.issuer, kargo.net.fetch)
    const person = kargo.person()
    const began = await ui.begin()
    const back = await person.arrive(began.url, `${kargo.issuer}/callback`)
    assert.equal(await shown(kargo), kargo.certificates[0])
    await kargo.renew()
    assert.equal(await shown(kargo), kargo.certificates[1])
    const tokens = await ui.finish(await person.arrive(back, uiCallback), began)
    assert.ok((await ui.renew(tokens.refresh_token!)).id_token)
  })

  it('ends the login of somebody who was suspended at Okta, at the next refresh (OK-8)', async () => {
    const cli = await openCli(kargo.issuer, kargo.net.fetch)
    const began = cli.begin()
    const { body } = await cli.finish(await kargo.person().arrive(began.url, cli.callback), began)
    okta.org.status = 'suspended'
    const refused = await cli.refresh(body.refresh_token!)
    assert.equal(refused.status, 400)
    assert.equal(refused.body.error, 'invalid_grant')
    okta.org.status = 'active'
    assert.equal((await cli.refresh(body.refresh_token!)).body.error, 'invalid_grant')
  })
})
