import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { type Application, serveApplication } from './lib/application.ts'
import { CHROMIUM, INSTALL_CHROMIUM, logInAs, startBrowser } from './lib/browser.ts'
import { needs, type RunningProvider, startProvider } from './lib/program.ts'

const root = join(import.meta.dirname, '..', '..')
const library = join(root, 'node_modules', 'keycloak-js', 'lib', 'keycloak.js')

type Claims = Record<string, unknown>

/** As much of the library as the test touches. */
interface Keycloak {
  init(options: object): Promise<boolean>
  loadUserInfo(): Promise<Claims>
  logout(options: { redirectUri: string }): Promise<void>
  idTokenParsed: Claims
  tokenParsed: Claims
  refreshToken?: string
}
interface Settings {
  provider: object
  start: object
}
declare const window: { keycloak: Keycloak; location: { origin: string } }

describe('keycloak-js in Chromium, with its option oidcProvider', function () {
  this.timeout(60_000)
  let application: Application
  let browser: Browser
  let context: BrowserContext
  let page: Page

  before(async function () {
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    application = await serveApplication(library, 'module')
    browser = await startBrowser()
  })
  after(async () => {
    await browser?.close()
    await application?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    context = await browser.newContext()
    page = await context.newPage()
    page.setDefaultTimeout(15_000)
  })
  afterEach(() => context?.close())

  const serve = (origins: string[], web: Record<string, unknown> = {}): Promise<RunningProvider> => {
    const { origin } = application
    const client = {
      id: 'spa',
      name: 'Keycloak application',
      public: true,
      redirectURIs: [`${origin}/`],
      postLogoutRedirectURIs: [`${origin}/bye`],
    }
    return startProvider({ sessions: {}, staticClients: [client] }, origins, { web })
  }

  const settingsFor = ({ issuer }: RunningProvider, responseMode: string): Settings => ({
    provider: { oidcProvider: issuer, clientId: 'spa' },
    start: {
      onLoad: 'login-required',
      responseMode,
      scope: 'openid profile email groups',
      pkceMethod: 'S256',
      checkLoginIframe: false,
      redirectUri: `${application.origin}/`,
    },
  })

  /** What the application does at every start; leaves for the login where there is none. */
  const start = (settings: Settings): Promise<boolean | string> =>
    page.evaluate(async ({ provider, start }) => {
      const { default: Library } = (await import(`${window.location.origin}/library.js`)) as {
        default: new (options: object) => Keycloak
      }
      window.keycloak = new Library(provider)
      return window.keycloak.init(start).catch((error: unknown) => String(error ?? 'failed'))
    }, settings)

  const leave = async (settings: Settings): Promise<URL> => {
    await page.goto(`${application.origin}/`)
    const asked = page.waitForRequest((request) => request.url().includes('/dex/auth?'))
    // The page goes away in the middle of it.
    start(settings).catch(() => undefined)
    const address = new URL((await asked).url())
    await logInAs(page, 'admin')
    await page.waitForURL((url) => url.origin === application.origin && url.href.includes('code='))
    return address
  }

  for (const responseMode of ['fragment', 'query']) {
    it(`logs in with response_mode=${responseMode}, with credentials at the token endpoint, and out`, async () => {
      await using provider = await serve([application.origin], { allowCredentials: true })
      const settings = settingsFor(provider, responseMode)
      const { searchParams } = await leave(settings)
      assert.equal(searchParams.get('response_mode'), responseMode)
      assert.equal(searchParams.get('code_challenge_method'), 'S256')
      const { search, hash } = new URL(page.url())
      assert.equal((responseMode === 'query' ? search : hash).includes('code='), true)
      const answered = page.waitForResponse(`${provider.issuer}/token`)
      assert.equal(await start(settings), true)
      const headers = await (await answered).allHeaders()
      assert.equal(headers['access-control-allow-credentials'], 'true')
      assert.equal(headers['access-control-allow-origin'], application.origin)
      const { id, access, told } = await page.evaluate(async () => {
        const { keycloak } = window
        return { id: keycloak.idTokenParsed, access: keycloak.tokenParsed, told: await keycloak.loadUserInfo() }
      })
      assert.deepEqual(id.groups, ['admins', 'staff'])
      assert.equal(access.sub, id.sub)
      assert.equal(told.email, 'admin@example.com')
      const redirectUri = `${application.origin}/bye`
      await page.evaluate((options) => void window.keycloak.logout(options), { redirectUri })
      await page.waitForURL(`${redirectUri}*`)
    })
  }

  const refused: [why: string, origins: () => string[], web: Record<string, unknown>][] = [
    ['without allowCredentials', () => [application.origin], {}],
    ['where any origin is allowed', () => ['*'], { allowCredentials: true }],
    ['from an origin that is not listed', () => ['https://other.example'], { allowCredentials: true }],
  ]
  for (const [why, origins, web] of refused) {
    it(`is not shown the tokens ${why}`, async () => {
      await using provider = await serve(origins(), web)
      const { issuer } = provider
      // Discovery by hand: the third case would end there already.
      const oidcProvider = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
      const settings = { ...settingsFor(provider, 'fragment'), provider: { oidcProvider, clientId: 'spa' } }
      await leave(settings)
      assert.notEqual(await start(settings), true)
      assert.equal(await page.evaluate(() => window.keycloak.idTokenParsed), undefined)
    })
  }
})
