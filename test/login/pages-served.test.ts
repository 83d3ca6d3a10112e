/**
 * The pages of the real server in a real browser: every page that a person can meet, and what becomes of a login when they
 * do not walk straight on.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { CHROMIUM, INSTALL_CHROMIUM, startBrowser } from '../clients/lib/browser.ts'
import { needs, PASSWORD, waitUntil } from '../clients/lib/program.ts'
import { openWorld, type World } from './pages-world.ts'

const ADMIN = 'admin@example.com'
const VIEWER = 'viewer@example.com'

describe('pages of the real server', function () {
  this.timeout(60_000)
  let world: World
  let browser: Browser

  before(async function () {
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    ;[world, browser] = await Promise.all([openWorld(), startBrowser()])
  })
  after(async () => {
    await browser?.close()
    await world?.[Symbol.asyncDispose]()
  })

  /** A browser of its own, which has no cookies yet. */
  async function visit(
    scene: (page: Page, context: BrowserContext) => Promise<void>,
    options: BrowserContextOptions = {},
  ): Promise<void> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    context.setDefaultTimeout(15_000)
    try {
      await scene(await context.newPage(), context)
    } finally {
      await context.close()
    }
  }
  const withoutScripts = { javaScriptEnabled: false }

  const headed = (page: Page, heading: string) => page.getByRole('heading', { name: heading, level: 1 }).waitFor()
  const press = (page: Page, button: string) => page.getByRole('button', { name: button, exact: true }).click()
  const choose = (page: Page, connector: string) =>
    page.getByRole('link', { name: `Log in with ${connector}`, exact: true }).click()
  async function fill(page: Page, name: string, password = PASSWORD): Promise<void> {
    await page.fill('#login', name)
    await page.fill('#password', password)
  }
  async function logIn(page: Page, name: string, password?: string): Promise<void> {
    await fill(page, name, password)
    await press(page, 'Log in')
  }
  /** Up to the page that asks for approval. */
  async function toApproval(page: Page, client = 'one', params?: Record<string, string>): Promise<void> {
    await page.goto(world.authorize(client, params))
    await logIn(page, ADMIN)
    await headed(page, 'Grant access')
  }
  async function toDeviceChoice(page: Page): Promise<void> {
    await page.goto(await world.device())
    await press(page, 'Continue')
    await headed(page, 'Log in to Acme')
  }
  /** What the application got, once the browser shows it. */
  async function arrived(page: Page): Promise<URLSearchParams> {
    await headed(page, 'Application')
    return world.arrivals.at(-1)!.params
  }
  const assertCode = async (params: URLSearchParams, client = 'one') => {
    assert.equal(params.get('error'), null)
    assert.equal(await world.redeem(client, params.get('code') ?? ''), 200)
  }
  const requestNumber = async (page: Page) => (await page.locator('.foot code').textContent()) ?? ''
  const inLog = (number: string) =>
    waitUntil(
      `request ${number} in the log`,
      async () => world.provider.output().includes(number) || undefined,
      world.provider.output,
    )

  /** Every page, and how one gets there. */
  const walks: Record<string, (page: Page) => Promise<unknown>> = {
    home: (page) => page.goto(world.at('/')),
    choice: (page) => page.goto(world.authorize('app')),
    password: (page) => page.goto(world.authorize('one')),
    'password wrong': async (page) => {
      await page.goto(world.authorize('few', { connector_id: 'local' }))
      await logIn(page, ADMIN, 'wrong')
      await page.getByRole('alert').getByText('Email Address or password is wrong.').waitFor()
    },
    'password too often': async (page) => {
      await page.goto(world.authorize('few', { connector_id: 'staff' }))
      const form = { login: 'nobody', password: 'wrong' }
      for (let tries = 0; tries < 10; tries++) await page.request.post(page.url(), { form })
      await logIn(page, 'nobody', 'wrong')
      await page.getByRole('alert').getByText('Too many tries. Wait 10 minutes').waitFor()
    },
    approval: (page) => toApproval(page),
    'approval of nothing': (page) => toApproval(page, 'one', { scope: 'openid' }),
    'device code': (page) => page.goto(world.at('/device')),
    'device code in the address': async (page) => {
      await page.goto(await world.device())
      assert.match(await page.inputValue('#user_code'), /^\w{4}-\w{4}$/)
    },
    'device code wrong': async (page) => {
      await page.goto(world.at('/device'))
      await page.fill('#user_code', 'ABCD-EFGH')
      await press(page, 'Continue')
      await page.getByRole('alert').getByText('This code is wrong').waitFor()
    },
    'device approval': async (page) => {
      await toDeviceChoice(page)
      await choose(page, 'Example')
      await page.getByText('Go on only if it is yours').waitFor()
    },
    'device done': async (page) => {
      await toDeviceChoice(page)
      await choose(page, 'Example')
      await press(page, 'Grant access')
      await headed(page, 'You are logged in')
    },
    'device refused': async (page) => {
      await toDeviceChoice(page)
      await choose(page, 'Example')
      await press(page, 'Cancel')
      await headed(page, 'Access denied')
    },
    'device of a locked account': async (page) => {
      await toDeviceChoice(page)
      await choose(page, 'Locked')
      await logIn(page, 'kilgore')
      await page.getByText('Your account is locked.').waitFor()
      await page.getByRole('link', { name: 'Enter the code again' }).waitFor()
    },
    'device and a connector that is broken': async (page) => {
      await toDeviceChoice(page)
      await choose(page, 'Broken')
      await page.getByText('This way to log in is not set up correctly.').waitFor()
    },
    'unknown client': (page) => page.goto(world.authorize('unheard-of')),
    'unregistered redirect_uri': (page) =>
      page.goto(world.authorize('app', { redirect_uri: 'https://elsewhere.example/callback' })),
    'no connector for the client': (page) => page.goto(world.authorize('nobody')),
    'connector that is not there': (page) => page.goto(world.authorize('app', { connector_id: 'gone' })),
    'connector of others': (page) => page.goto(world.authorize('few').replace('/auth?', '/auth/groups?')),
    'login of another browser': (page) => page.goto(world.at('/callback?code=x&state=of-somebody-else')),
    'not in the groups': async (page) => {
      await page.goto(world.authorize('app', { connector_id: 'groups' }))
      await headed(page, 'You may not log in here')
    },
    'departure by POST': async (page) => {
      await page.route('**/submit.js', (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
      await page.goto(world.authorize('app', { connector_id: 'post' }))
      await headed(page, 'Log in with SAML')
    },
    'answer by POST': async (page) => {
      await page.route('**/submit.js', (route) => route.fulfill({ contentType: 'text/javascript', body: '' }))
      await toApproval(page, 'one', { response_mode: 'form_post' })
      await press(page, 'Grant access')
      await headed(page, 'Back to the application')
    },
    'code to copy': async (page) => {
      await page.goto(world.authorize('cli', { redirect_uri: 'urn:ietf:wg:oauth:2.0:oob', connector_id: 'mock' }))
      await press(page, 'Grant access')
      await headed(page, 'Login successful')
      assert.match(await page.inputValue('#code'), /^[\w-]{40,}$/)
    },
    'refusal without a client': async (page) => {
      await page.goto(world.authorize('cli', { redirect_uri: 'urn:ietf:wg:oauth:2.0:oob', connector_id: 'mock' }))
      await press(page, 'Cancel')
      await page.getByText('Access was refused.').waitFor()
    },
  }

  describe('each of them', () => {
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
    /** One for all, since opening one takes long. */
    let context: BrowserContext
    before(async () => {
      context = await browser.newContext({ reducedMotion: 'reduce', colorScheme: 'light' })
      context.setDefaultTimeout(15_000)
    })
    after(() => context?.close())

    const faultsOf = (page: Page, options: object) =>
      page.evaluate(`axe.run(${JSON.stringify({ ...options, iframes: false, preload: false })}).then(
        ({ violations, incomplete }) =>
          [...violations, ...incomplete].flatMap((rule) => rule.nodes.map((node) => rule.id + ': ' + node.html)))`)

    /** Bytes of the page and all that it loaded. */
    const weigh = (page: Page) =>
      page.evaluate<number>(`[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)`)

    /** What the browser has to complain about: the policy, scripts, and what cannot be loaded. */
    function complaintsOf(page: Page): string[] {
      const complaints: string[] = []
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('requestfailed', (request) => complaints.push(`${request.url()} ${request.failure()?.errorText}`))
      page.on('console', (message) => {
        // Chromium reports the status of the page itself, which is meant.
        const isPage = message.location().url === page.url()
        if (!(isPage && message.text().startsWith('Failed to load resource'))) complaints.push(message.text())
      })
      return complaints
    }

    for (const name of Object.keys(walks)) {
      it(`satisfies axe in both themes, loads without complaint and weighs little: ${name}`, async () => {
        const page = await context.newPage()
        const complaints = complaintsOf(page)
        await walks[name]!(page)
        await page.waitForLoadState('load')
        const weight = await weigh(page)
        await page.evaluate(axe)
        assert.deepEqual(await faultsOf(page, {}), [], 'in the light')
        await page.emulateMedia({ colorScheme: 'dark' })
        // There only colours differ.
        assert.deepEqual(await faultsOf(page, { runOnly: ['color-contrast'] }), [], 'in the dark')
        assert.ok(weight > 5_000 && weight < 30_000, `${weight} bytes`)
        for (const number of await page.locator('.foot code').allTextContents()) await inLog(number)
        assert.deepEqual(complaints, [])
        await page.close()
      })
    }
  })

  describe('a login', () => {
    it('works without scripts', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('few'))
        await choose(page, 'Email')
        await logIn(page, ADMIN, 'wrong')
        await page.getByText('password is wrong').waitFor()
        assert.equal(await page.inputValue('#login'), ADMIN)
        await page.fill('#password', PASSWORD)
        await press(page, 'Log in')
        await press(page, 'Grant access')
        const params = await arrived(page)
        assert.equal(params.get('state'), 'a state')
        await assertCode(params, 'few')
      }, withoutScripts)
    })

    it('works without scripts where answers go by POST, and by itself with them', async () => {
      for (const javaScriptEnabled of [false, true]) {
        await visit(
          async (page) => {
            await toApproval(page, 'one', { response_mode: 'form_post' })
            await press(page, 'Grant access')
            if (!javaScriptEnabled) await press(page, 'Continue')
            await assertCode(await arrived(page))
            assert.equal(world.arrivals.at(-1)?.method, 'POST')
          },
          { javaScriptEnabled },
        )
      }
    })

    it('lets a device in without scripts', async () => {
      await visit(async (page) => {
        await toDeviceChoice(page)
        await choose(page, 'Email')
        await logIn(page, VIEWER)
        await page.getByText(VIEWER).waitFor()
        await press(page, 'Grant access')
        await headed(page, 'You are logged in')
      }, withoutScripts)
    })

    it('works by keyboard alone, and shows where the focus is', async () => {
      await visit(async (page) => {
        const focused = () =>
          page.evaluate<[string, string]>(`[document.activeElement.textContent.trim(),
            getComputedStyle(document.activeElement).outlineStyle]`)
        const tabTo = async (wanted: string) => {
          await page.waitForLoadState('load')
          for (let presses = 0; presses < 8; presses++) {
            await page.keyboard.press('Tab')
            const [text, outline] = await focused()
            assert.equal(outline, 'solid', `no outline on "${text}"`)
            if (text === wanted) return
          }
          assert.fail(`no "${wanted}" by keyboard`)
        }
        await page.goto(world.authorize('few'))
        await tabTo('Log in with Email')
        await page.keyboard.press('Enter')
        await page.locator('#login:focus').waitFor()
        await page.keyboard.type(ADMIN)
        await page.keyboard.press('Tab')
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press('Enter')
        await headed(page, 'Grant access')
        await tabTo('Cancel')
        await page.keyboard.press('Shift+Tab')
        assert.equal((await focused())[0], 'Grant access')
        await page.keyboard.press('Enter')
        await assertCode(await arrived(page), 'few')
      })
    })

    it('may go on in two tabs at once', async () => {
      await visit(async (page, context) => {
        const other = await context.newPage()
        await page.goto(world.authorize('one', { state: 'first' }))
        await other.goto(world.authorize('one', { state: 'second' }))
        for (const [tab, name, state] of [
          [page, ADMIN, 'first'],
          [other, VIEWER, 'second'],
        ] as const) {
          await logIn(tab, name)
          await tab.getByText(name).waitFor()
          await press(tab, 'Grant access')
          const params = await arrived(tab)
          assert.equal(params.get('state'), state)
          await assertCode(params)
        }
      })
    })
  })

  describe('the back button', () => {
    it('leads from the password to the choice, and on by another way', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('few'))
        await choose(page, 'Email')
        await page.goBack()
        await choose(page, 'Staff')
        await page.getByRole('link', { name: 'Choose another login method' }).click()
        await choose(page, 'Example')
        await press(page, 'Grant access')
        await assertCode(await arrived(page), 'few')
      })
    })

    it('leads from the approval to the password, for somebody else to log in', async () => {
      await visit(async (page) => {
        await toApproval(page)
        await page.goBack()
        await logIn(page, VIEWER)
        await page.getByText(VIEWER).waitFor()
        await press(page, 'Grant access')
        await assertCode(await arrived(page))
      })
    })

    it('leads from the approval to the answer of an upstream, which leads on', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('few', { connector_id: 'mock' }))
        await headed(page, 'Grant access')
        const state = new URL(page.url()).searchParams.get('state')
        await page.goto(world.at(`/callback?state=${state}`))
        await headed(page, 'You are logged in')
        await page.getByRole('link', { name: 'Continue' }).click()
        await press(page, 'Grant access')
        await assertCode(await arrived(page), 'few')
      })
    })

    it('leads a device’s login to the choice, as often as one likes', async () => {
      await visit(async (page) => {
        await toDeviceChoice(page)
        await choose(page, 'Email')
        await page.goBack()
        await choose(page, 'Staff')
        await page.getByRole('link', { name: 'Choose another login method' }).click()
        await choose(page, 'Example')
        await press(page, 'Grant access')
        await headed(page, 'You are logged in')
      })
    })

    it('says after the end that there is no login to continue', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('one'))
        await logIn(page, ADMIN)
        await press(page, 'Grant access')
        await arrived(page)
        await page.goBack()
        await headed(page, 'There is no login to continue')
        await inLog(await requestNumber(page))
      })
    })
  })

  describe('what was sent already', () => {
    it('can be sent again by a reload, as long as the login is not over', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('one'))
        await logIn(page, ADMIN, 'wrong')
        await page.getByText('password is wrong').waitFor()
        await page.reload()
        await page.getByText('password is wrong').waitFor()
        await logIn(page, ADMIN)
        await headed(page, 'Grant access')
        await page.reload()
        await press(page, 'Grant access')
        await assertCode(await arrived(page))
      })
    })

    it('leads a device’s login nowhere else when its end is loaded again', async () => {
      await visit(async (page) => {
        await toDeviceChoice(page)
        await choose(page, 'Example')
        await press(page, 'Grant access')
        await headed(page, 'You are logged in')
        await page.reload()
        await headed(page, 'There is no login to continue')
      })
    })

    it('counts once when somebody clicks twice', async () => {
      await using quick = await openWorld({ skipApproval: true })
      await visit(async (page) => {
        for (let time = 0; time < 2; time++) {
          await page.goto(quick.authorize('one'))
          await fill(page, ADMIN)
          await page.locator('#submit-login').dblclick()
          await headed(page, 'Application')
          assert.equal(await quick.redeem('one', quick.arrivals.at(-1)!.params.get('code') ?? ''), 200)
          assert.equal(quick.arrivals.length, time + 1)
        }
      })
      await visit(async (page) => {
        await page.goto(quick.authorize('one'))
        await fill(page, ADMIN)
        await page.locator('#submit-login').dblclick()
        // Without scripts both clicks count, and the browser shows whichever answer comes second.
        await page.locator('h1', { hasText: /^(Application|This login is finished|There is no login.*)$/ }).waitFor()
      }, withoutScripts)
    })

    it('counts once on the page that asks for approval as well', async () => {
      await visit(async (page) => {
        await toApproval(page)
        await page.locator('button.primary').dblclick()
        await assertCode(await arrived(page))
      })
    })

    it('can be sent anew at once by who came back', async () => {
      await visit(async (page) => {
        await page.goto(world.authorize('one'))
        await logIn(page, ADMIN, 'wrong')
        await page.getByText('password is wrong').waitFor()
        await page.goBack()
        await logIn(page, ADMIN)
        await headed(page, 'Grant access')
      })
    })
  })

  describe('a form that is too late', () => {
    it('says so when the login has ended in another tab', async () => {
      await visit(async (page, context) => {
        await page.goto(world.authorize('one'))
        const stale = await context.newPage()
        await stale.goto(page.url())
        await logIn(page, ADMIN)
        await press(page, 'Grant access')
        await arrived(page)
        await logIn(stale, ADMIN)
        await headed(stale, 'There is no login to continue')
        await stale.getByText('Go back to the application and log in again.').waitFor()
        await inLog(await requestNumber(stale))
      })
    })

    it('speaks of cookies when they are lost', async () => {
      await visit(async (page, context) => {
        await page.goto(world.authorize('one'))
        await context.clearCookies()
        await logIn(page, ADMIN)
        await headed(page, 'There is no login to continue')
        await page.getByText('allow cookies for this site').waitFor()
      })
    })

    it('asks for the code again where a device waits', async () => {
      await visit(async (page, context) => {
        await toDeviceChoice(page)
        await context.clearCookies()
        await page.reload()
        await page.getByRole('alert').getByText('Enter the code once more').waitFor()
        await page.goto(world.at('/device/auth/verify_code'))
        await headed(page, 'Connect a device')
      })
    })
  })

  describe('a page of failure', () => {
    it('leads back to the client, which learns the error, its own state and the number of the log', async () => {
      await visit(async (page) => {
        await walks['not in the groups']!(page)
        const number = await requestNumber(page)
        await page.getByRole('link', { name: 'Back to Kargo' }).click()
        const params = await arrived(page)
        assert.equal(params.get('error'), 'access_denied')
        assert.equal(params.get('state'), 'a state')
        assert.equal(params.get('iss'), world.provider.issuer)
        assert.ok(params.get('error_description')?.includes(number))
        await inLog(number)
      })
    })

    it('leads from a connector that is not there, or not for this client, to those that are', async () => {
      for (const name of ['connector that is not there', 'connector of others']) {
        await visit(async (page) => {
          await walks[name]!(page)
          await page.getByRole('link', { name: 'Choose another login method' }).click()
          await choose(page, 'Email')
          await page.getByText('to continue to Kargo').waitFor()
        })
      }
    })

    it('leads a device back to its code', async () => {
      await visit(async (page) => {
        await walks['device of a locked account']!(page)
        await page.getByRole('link', { name: 'Enter the code again' }).click()
        await headed(page, 'Connect a device')
      })
    })
  })
})
