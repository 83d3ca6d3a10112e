import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { type Application, serveApplication } from './lib/application.ts'
import { CHROMIUM, INSTALL_CHROMIUM, logInAs, startBrowser } from './lib/browser.ts'
import { needs, type RunningProvider, startProvider } from './lib/program.ts'

const root = join(import.meta.dirname, '..', '..')
const library = join(root, 'node_modules', '@okta', 'okta-auth-js', 'dist', 'okta-auth-js.min.js')

interface Token {
  claims: Record<string, unknown>
  scopes: string[]
}
interface Tokens {
  idToken: Token & { idToken: string }
  accessToken: Token & { accessToken: string }
  refreshToken: { refreshToken: string }
}
/** As much of the library as the test touches. */
interface OktaAuth {
  token: {
    getWithRedirect(): Promise<void>
    parseFromUrl(): Promise<{ tokens: Tokens }>
    renewTokens(): Promise<Tokens>
    getUserInfo(): Promise<Record<string, unknown>>
  }
  tokenManager: { setTokens(tokens: Tokens): void; getTokensSync(): Tokens }
  signOut(options: { postLogoutRedirectUri: string }): Promise<unknown>
}
declare const window: { OktaAuth: new (options: object) => OktaAuth; client: OktaAuth }

describe('@okta/okta-auth-js in Chromium, with nothing but the issuer', function () {
  this.timeout(60_000)
  let provider: RunningProvider
  let application: Application
  let browser: Browser
  let page: Page

  before(async function () {
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    application = await serveApplication(library)
    const { origin } = application
    const client = {
      id: 'spa',
      name: 'Okta application',
      public: true,
      redirectURIs: [`${origin}/callback`],
      postLogoutRedirectURIs: [`${origin}/bye`],
    }
    const configuration = { layout: 'okta', sessions: {}, staticClients: [client] }
    provider = await startProvider(configuration, [origin], { path: '/oauth2/default' })
    browser = await startBrowser()
    page = await (await browser.newContext()).newPage()
    page.setDefaultTimeout(15_000)
  })
  after(async () => {
    await browser?.close()
    await application?.[Symbol.asyncDispose]()
    await provider?.[Symbol.asyncDispose]()
  })

  /** What the application does at every start: it knows the issuer and its own id, no address of an endpoint. */
  const open = async () => {
    const { origin } = application
    await page.evaluate(
      (options) => {
        window.client = new window.OktaAuth(options)
      },
      {
        issuer: provider.issuer,
        clientId: 'spa',
        redirectUri: `${origin}/callback`,
        scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
      },
    )
  }

  it('logs in with PKCE, verifies the ID token and keeps the tokens', async () => {
    await page.goto(`${application.origin}/`)
    await open()
    const asked = page.waitForRequest((request) => request.url().startsWith(`${provider.issuer}/v1/authorize?`))
    await page.evaluate(() => void window.client.token.getWithRedirect())
    assert.equal(new URL((await asked).url()).searchParams.get('code_challenge_method'), 'S256')
    await logInAs(page, 'admin')
    await page.waitForURL(`${application.origin}/callback?*`)
    const redeemed = page.waitForResponse(`${provider.issuer}/v1/token`)
    await open()
    const claims = await page.evaluate(async () => {
      const { tokens } = await window.client.token.parseFromUrl()
      window.client.tokenManager.setTokens(tokens)
      return tokens.idToken.claims
    })
    assert.equal((await redeemed).status(), 200)
    assert.deepEqual([claims.email, claims.groups], ['admin@example.com', ['admins', 'staff']])
  })

  it('renews its tokens twice, each time with the refresh token before', async () => {
    for (const _ of [1, 2]) {
      const [before, after] = await page.evaluate(async () => {
        const { client } = window
        const old = client.tokenManager.getTokensSync()
        const renewed = await client.token.renewTokens()
        client.tokenManager.setTokens(renewed)
        return [old, client.tokenManager.getTokensSync()] as const
      })
      assert.notEqual(after.accessToken.accessToken, before.accessToken.accessToken)
      assert.notEqual(after.refreshToken.refreshToken, before.refreshToken.refreshToken)
      assert.equal(after.idToken.claims.sub, before.idToken.claims.sub)
    }
  })

  it('asks userinfo', async () => {
    const answered = page.waitForResponse((response) => response.url() === `${provider.issuer}/v1/userinfo`)
    const told = await page.evaluate(() => window.client.token.getUserInfo())
    assert.equal((await answered).status(), 200)
    assert.deepEqual([told.email, told.groups], ['admin@example.com', ['admins', 'staff']])
  })

  it('signs out: takes its tokens back, ends the session and returns', async () => {
    const { access, refresh } = await page.evaluate(() => {
      const { accessToken, refreshToken } = window.client.tokenManager.getTokensSync()
      return { access: accessToken.accessToken, refresh: refreshToken.refreshToken }
    })
    const asked = page.waitForRequest((request) => request.url().startsWith(`${provider.issuer}/v1/logout?`))
    const postLogoutRedirectUri = `${application.origin}/bye`
    await page.evaluate((options) => void window.client.signOut(options), { postLogoutRedirectUri })
    assert.ok(new URL((await asked).url()).searchParams.get('id_token_hint'))
    await page.waitForURL(`${postLogoutRedirectUri}*`)
    const told = await fetch(`${provider.issuer}/v1/userinfo`, { headers: { authorization: `Bearer ${access}` } })
    assert.equal(told.status, 401)
    const form = { grant_type: 'refresh_token', client_id: 'spa', refresh_token: refresh }
    const refused = await fetch(`${provider.issuer}/v1/token`, { method: 'POST', body: new URLSearchParams(form) })
    assert.equal(((await refused.json()) as { error: string }).error, 'invalid_grant')
    // The session is over as well: the password is asked for.
    await page.goto(`${application.origin}/`)
    await open()
    await page.evaluate(() => void window.client.token.getWithRedirect())
    await logInAs(page, 'viewer')
    await page.waitForURL(`${application.origin}/callback?*`)
  })
})
