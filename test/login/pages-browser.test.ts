/** The pages in a real browser: accessibility, width, keyboard, and that nothing hostile becomes markup. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { openAssets } from '../../src/server/assets.ts'
import { browserFor } from '../chromium.ts'
import { plainPages, samples } from './pages-samples.ts'

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'; base-uri 'none'; frame-src 'self'; frame-ancestors 'self'; script-src 'self'"
const HOSTILE = `"><img src=x onerror="window.hit=1"><script>window.hit=1</script>'\`\${1}<%= 1 %></title></textarea>&lt;`

describe('login pages in a browser', function () {
  this.timeout(120_000)
  let server: Server
  let browser: Browser
  let origin: string
  let shown: Record<string, string>
  const posted: string[] = []

  before(async function () {
    browser = await browserFor(this)
    const asset = openAssets({ theme: 'auto', mount: '/dex' })
    server = createServer((request, response) => {
      const path = decodeURIComponent(request.url!.split('?')[0]!)
      const found = asset(path)
      if (request.method === 'POST') {
        request.setEncoding('utf8').on('data', (form) => posted.push(form))
        return response.end('<!doctype html><title>posted</title>')
      }
      response.setHeader('content-security-policy', POLICY)
      response.setHeader('content-type', found?.type ?? 'text/html; charset=utf-8')
      response.end(found?.body ?? shown[path.slice(1)] ?? '')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(async () => {
    await browser?.close()
    server?.close()
  })

  async function inBrowser(options: BrowserContextOptions, visit: (page: Page, complaints: string[]) => Promise<void>) {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    try {
      await visit(page, complaints)
    } finally {
      await context.close()
    }
  }

  /** Every page, kept from leaving by itself. */
  function staying(): string[] {
    for (const name of ['post', 'logged out on the way']) {
      shown[name] = shown[name]!.replace(/<script[^>]*(submit|leave)\.js[^>]*><\/script>/, '')
    }
    return Object.keys(shown)
  }
  const open = (page: Page, name: string) => page.goto(`${origin}/${encodeURIComponent(name)}`)

  // What follows the system is looked at in pages-served.test.ts.
  for (const [theme, colorScheme] of [
    ['light', 'dark'],
    ['dark', 'light'],
  ] as const) {
    it(`axe finds nothing on any page: theme ${theme} on a ${colorScheme} system`, async () => {
      shown = samples(plainPages({ theme }))
      const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
      await inBrowser({ colorScheme, viewport: { width: 1280, height: 800 } }, async (page, complaints) => {
        for (const name of staying()) {
          await open(page, name)
          await page.evaluate(axe)
          const found = await page.evaluate(`axe.run({ iframes: false, preload: false }).then(
            ({ violations, incomplete }) =>
              [...violations, ...incomplete].flatMap((rule) => rule.nodes.map((node) => rule.id + ': ' + node.html)))`)
          assert.deepEqual(found, [], name)
        }
        assert.deepEqual(complaints, [])
      })
    })
  }

  it('no page is wider than a phone, down to 320 pixels', async () => {
    shown = samples(plainPages({ issuer: 'A'.repeat(60) }), (text) =>
      text.includes('/') ? text : `${text}${'w'.repeat(60)}`,
    )
    for (const width of [375, 320]) {
      await inBrowser({ viewport: { width, height: 700 } }, async (page) => {
        for (const name of staying()) {
          await open(page, name)
          assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${name} at ${width}`)
        }
      })
    }
  })

  it('nothing hostile in any field becomes an element, an attribute or a running script', async () => {
    const outline = `[...document.querySelectorAll('*')].map((e) => [e.tagName, ...e.getAttributeNames()].join(' '))`
    const outlines: unknown[][] = []
    for (const text of [(benign: string) => benign, (benign: string) => `${benign}${HOSTILE}`]) {
      shown = samples(plainPages({ issuer: text('Acme') }), text)
      await inBrowser({ bypassCSP: true }, async (page) => {
        const seen: unknown[] = []
        for (const name of staying()) {
          await open(page, name)
          seen.push([name, await page.evaluate(outline)])
          assert.equal(await page.evaluate('window.hit'), undefined, name)
        }
        outlines.push(seen)
      })
    }
    assert.deepEqual(outlines[1], outlines[0])
  })

  it('a person logs in with the keyboard alone and without scripts, and sees where the focus is', async () => {
    shown = { form: plainPages().password({ action: '/check', prompt: 'Email', backUrl: '/dex/auth' }) }
    await inBrowser({ javaScriptEnabled: false }, async (page) => {
      await open(page, 'form')
      // The focus comes with the first picture of the page, which may be later than its load event.
      await page.locator('#login:focus').waitFor()
      await page.keyboard.type('jane')
      await page.keyboard.press('Tab')
      await page.keyboard.type('s3cret')
      await page.keyboard.press('Tab')
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
      assert.equal(outline, 'solid', 'no outline on the focused button')
      await page.keyboard.press('Enter')
      await page.waitForURL(/check/)
      assert.equal(posted.pop(), 'login=jane&password=s3cret')
    })
  })

  it('leaves by POST at once with scripts, also when a field is called submit, and by the button without', async () => {
    shown = {
      leave: plainPages().post({
        action: '/acs',
        fields: { submit: 'a', SAMLRequest: 'PHNhbWw+"' },
        title: 'Continue',
      }),
    }
    for (const javaScriptEnabled of [true, false]) {
      await inBrowser({ javaScriptEnabled }, async (page) => {
        await open(page, 'leave')
        if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click()
        await page.waitForURL(/acs/)
        assert.equal(posted.pop(), 'submit=a&SAMLRequest=PHNhbWw%2B%22')
      })
    }
  })
})
