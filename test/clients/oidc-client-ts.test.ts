import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { CHROMIUM, INSTALL_CHROMIUM, logInAs, startBrowser } from './lib/browser.ts'
import { freePort, needs, type RunningProvider, startProvider } from './lib/program.ts'

const root = join(import.meta.dirname, '..', '..')
const library = join(root, 'node_modules', 'oidc-client-ts', 'dist', 'browser', 'oidc-client-ts.min.js')
const types: Record<string, string> = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

/** The example application on an origin of its own. */
async function serveExample(port: number, settings: object): Promise<Server> {
  const server = createServer(async (request, response) => {
    const name = new URL(request.url ?? '/', 'http://localhost').pathname.slice(1) || 'index.html'
    if (name === 'settings.json') return response.end(JSON.stringify(settings))
    const file = name === 'oidc-client-ts.min.js' ? library : join(root, 'examples', 'spa', name)
    const body = await readFile(file).catch(() => undefined)
    if (body === undefined) return response.writeHead(404).end()
    return response.writeHead(200, { 'Content-Type': types[name.split('.').at(-1)!] ?? 'text/plain' }).end(body)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

describe('oidc-client-ts in Chromium, on another origin', function () {
  this.timeout(60_000)
  let provider: RunningProvider
  let application: Server
  let browser: Browser
  let origin: string
  let page: Page

  before(async function () {
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    const port = await freePort()
    origin = `http://127.0.0.1:${port}`
    const client = { id: 'spa', name: 'Example application', public: true, redirectURIs: [`${origin}/`] }
    provider = await startProvider({ staticClients: [client] }, [origin])
    application = await serveExample(port, { issuer: provider.issuer, clientId: 'spa' })
    browser = await startBrowser()
  })
  after(async () => {
    await browser?.close()
    application?.close()
    application?.closeAllConnections()
    await provider?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    page = await (await browser.newContext()).newPage()
    page.setDefaultTimeout(15_000)
  })
  afterEach(async () => {
    await page?.context().close()
  })

  it('logs an admin in and shows groups and role from the ID token', async () => {
    await page.goto(`${origin}/`)
    await page.click('#login')
    await logInAs(page, 'admin')
    await page.locator('#signed-in').waitFor()
    assert.equal(await page.textContent('#role'), 'Admin')
    assert.deepEqual(await page.locator('#groups li').allTextContents(), ['admins', 'staff'])
    assert.equal(new URL(page.url()).search, '')
  })

  it('shows everybody else as a viewer', async () => {
    await page.goto(`${origin}/`)
    await page.click('#login')
    await logInAs(page, 'viewer')
    await page.locator('#signed-in').waitFor()
    assert.equal(await page.textContent('#role'), 'Viewer')
  })

  it('renews by refresh token across origins, twice', async () => {
    await page.goto(`${origin}/`)
    await page.click('#login')
    await logInAs(page, 'admin')
    await page.locator('#signed-in').waitFor()
    for (const _ of [1, 2]) {
      const answered = page.waitForResponse((response) => response.url().endsWith('/token'))
      await page.click('#renew')
      const response = await answered
      assert.equal(response.status(), 200)
      const tokens = (await response.json()) as Record<string, unknown>
      assert.equal(typeof tokens.id_token, 'string')
      assert.equal(typeof tokens.refresh_token, 'string')
      await page.getByText('Renewed at').waitFor()
    }
    assert.equal(await page.textContent('#role'), 'Admin')
  })
})
