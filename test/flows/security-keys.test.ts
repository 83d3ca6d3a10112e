/** WebAuthn in a real browser with a virtual authenticator (Chrome DevTools Protocol, domain WebAuthn). */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core'
import { browserFor } from '../chromium.ts'
import { type Client, claimsOf, corp, type FlowServer, startLogin, startServer, tokensOf } from './server.ts'
import { jane, upstream } from './upstream.ts'

describe('security keys in a browser', function () {
  this.timeout(120_000)
  let application: Server
  let client: Client
  let browser: Browser

  before(async function () {
    browser = await browserFor(this)
    application = createServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html')
      response.end('<!doctype html><link rel="icon" href="data:,"><title>Application</title>')
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const { port } = application.address() as AddressInfo
    client = { id: 'app', secret: 'app-secret', redirectUri: `http://127.0.0.1:${port}/callback` }
  })
  after(async () => {
    await browser?.close()
    application?.close()
  })

  const key = (config: Record<string, unknown> = {}) => ({ id: 'key', type: 'WebAuthn', config })
  const open = (mfa: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Promise<FlowServer> =>
    startServer(
      {
        connectors: [corp('keys')],
        mfa: { authenticators: [key(), { id: 'other', type: 'WebAuthn' }], defaultMFAChain: ['key'], ...mfa },
        staticClients: [
          { id: client.id, secret: client.secret, name: 'Kargo', redirectURIs: [client.redirectUri] },
          { id: 'other', secret: 'x', name: 'Other', redirectURIs: [client.redirectUri], mfaChain: ['other'] },
        ],
        ...more,
      },
      { host: 'localhost' },
    )

  interface Person {
    page: Page
    context: BrowserContext
    cdp: CDPSession
    complaints: string[]
    /** Plugs a key in; gives its id. */
    plug(options?: Record<string, unknown>): Promise<string>
  }

  async function withPerson(work: (person: Person) => Promise<void>): Promise<void> {
    const context = await browser.newContext()
    const page = await context.newPage()
    const cdp = await context.newCDPSession(page)
    await cdp.send('WebAuthn.enable')
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    const plug = async (options: Record<string, unknown> = {}) => {
      const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'usb',
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: true,
          ...options,
        },
      } as never)
      return authenticatorId
    }
    try {
      await work({ page, context, cdp, complaints, plug })
    } finally {
      await context.close()
    }
  }

  /** Up to the page of the key. */
  async function arrive({ page }: Person, server: FlowServer, from = client) {
    const started = startLogin(server, { client: from, scope: 'openid' })
    await page.goto(started.url)
    return started
  }
  async function press({ page }: Person, button = '#submit-login'): Promise<void> {
    await page.locator(button).click()
  }
  async function redeemed({ page }: Person, server: FlowServer, started: Awaited<ReturnType<typeof arrive>>) {
    await page.waitForURL(/\/callback\?/)
    const code = new URL(page.url()).searchParams.get('code')!
    return claimsOf(tokensOf(await server.redeem({ ...started, code, location: '' })).id_token)
  }
  const complaint = async ({ page }: Person): Promise<string> => {
    await page.locator('#login-error:not([hidden])').waitFor()
    return (await page.locator('#login-error').textContent()) ?? ''
  }

  beforeEach(() => {
    upstream('keys').person = jane()
  })

  it('sets a key up at the first login and asks for it at the next one', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      await person.plug()
      const first = await arrive(person, server)
      assert.equal(await person.page.title(), 'Set up a security key · Countersign')
      await press(person)
      assert.deepEqual((await redeemed(person, server, first)).amr, ['hwk', 'user', 'mfa'])
      const second = await arrive(person, server)
      assert.equal(await person.page.title(), 'Use your security key · Countersign')
      await press(person)
      assert.deepEqual((await redeemed(person, server, second)).amr, ['hwk', 'user', 'mfa'])
      assert.deepEqual(person.complaints, [])
    })
  })

  it('does not take the key of somebody else, and says so without ending the login', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      const own = await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      await person.cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: own })
      await person.plug()
      await arrive(person, server)
      await press(person)
      assert.match(await complaint(person), /^Nothing was done/)
      assert.equal(await person.page.locator('#submit-login').isEnabled(), true)
    })
  })

  it('refuses a key that counts backwards', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      const authenticatorId = await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      // A copy of the key, made before it was used for the last time.
      const { credentials } = await person.cdp.send('WebAuthn.getCredentials', { authenticatorId })
      const second = await arrive(person, server)
      await press(person)
      await redeemed(person, server, second)
      await person.cdp.send('WebAuthn.removeCredential', {
        authenticatorId,
        credentialId: credentials[0]!.credentialId,
      })
      await person.cdp.send('WebAuthn.addCredential', {
        authenticatorId,
        credential: { ...credentials[0]!, rpId: 'localhost', signCount: 0 },
      })
      await arrive(person, server)
      await press(person)
      assert.match(await complaint(person), /was not accepted/)
      const refusal = server.audited().find(({ type }) => type === 'factor_refused')
      assert.equal(refusal?.reason, 'counter_regression')
      assert.match(server.logged(), /"level":"WARN"[^\n]*counter_regression/)
    })
  })

  it('honours userVerification: required', async () => {
    await using server = await open({
      authenticators: [key({ userVerification: 'required' }), { id: 'other', type: 'WebAuthn' }],
    })
    await withPerson(async (person) => {
      await person.plug({ hasUserVerification: false, isUserVerified: false })
      await arrive(person, server)
      await press(person)
      assert.match(await complaint(person), /^Nothing was done/)
      // A browser that does not care.
      const answered = person.page.waitForResponse(/register\/begin/)
      await person.page.route(/register\/begin/, async (route) => {
        const answer = await route.fetch()
        const { publicKey } = await answer.json()
        assert.equal(publicKey.authenticatorSelection.userVerification, 'required')
        publicKey.authenticatorSelection.userVerification = 'discouraged'
        await route.fulfill({ response: answer, json: { publicKey } })
      })
      await press(person)
      await answered
      assert.match(await complaint(person), /was not accepted/)
    })
  })

  it('honours authenticatorAttachment', async () => {
    await using server = await open({
      authenticators: [key({ authenticatorAttachment: 'platform' }), { id: 'other', type: 'WebAuthn' }],
    })
    await withPerson(async (person) => {
      await person.plug({ transport: 'usb' })
      await person.page.route(/register\/begin/, async (route) => {
        const answer = await route.fetch()
        const { publicKey } = await answer.json()
        assert.equal(publicKey.authenticatorSelection.authenticatorAttachment, 'platform')
        delete publicKey.authenticatorSelection.authenticatorAttachment
        await route.fulfill({ response: answer, json: { publicKey } })
      })
      await arrive(person, server)
      await press(person)
      assert.match(await complaint(person), /was not accepted/)
      assert.equal(server.audited().find(({ type }) => type === 'factor_refused')?.reason, 'wrong_attachment')
    })
    await withPerson(async (person) => {
      await person.plug({ transport: 'internal' })
      const started = await arrive(person, server)
      await press(person)
      await redeemed(person, server, started)
    })
  })

  it('adds a further key to one that was shown, and takes either', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      const first = await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      const started = await arrive(person, server)
      await press(person, '#submit-further')
      await person.page.waitForURL(/further=key/)
      assert.equal(await person.page.title(), 'Add another security key · Countersign')
      await press(person)
      assert.match(await complaint(person), /is set up already/)
      await person.cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: first })
      await person.plug()
      await press(person)
      await redeemed(person, server, started)
      const again = await arrive(person, server)
      await press(person)
      await redeemed(person, server, again)
    })
  })

  it('goes on without a further key when the person changes their mind', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      const started = await arrive(person, server)
      await press(person, '#submit-further')
      await person.page.locator('#skip').click()
      await redeemed(person, server, started)
    })
  })

  it('does not let the first factor alone add a key', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
    })
    await withPerson(async (attacker) => {
      await attacker.plug()
      for (const from of [client, { ...client, id: 'other', secret: 'x' }]) {
        await arrive(attacker, server, from)
        const state = new URL(attacker.page.url()).searchParams.get('state')
        assert.equal(await attacker.page.title(), 'Use your security key · Countersign')
        for (const query of [`state=${state}`, `state=${state}&further=key`, `state=${state}&further=other`]) {
          for (const [step, status] of [
            ['register/begin', 409],
            ['register/finish', 409],
          ] as const) {
            const found = await attacker.page.evaluate(
              `fetch('/dex/mfa/webauthn/${step}?${query}', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then((answer) => answer.status)`,
            )
            assert.equal(found, status, `${step}?${query}`)
          }
        }
      }
    })
  })

  it('takes an answer once, in one login, and only from the browser of that login', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      await arrive(person, server)
      const sent = person.page.waitForRequest(/login\/finish/)
      await person.page.route(/login\/finish/, (route) => route.abort())
      await press(person)
      const answer = (await sent).postData()!
      const cookie = (await person.context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
      const send = (address: string, headers: Record<string, string>) =>
        server.request(address, {
          body: answer,
          headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', ...headers },
        })
      const address = (await sent).url()
      assert.equal((await send(address, {})).status, 400, 'another browser')
      const other = startLogin(server, { client, scope: 'openid' })
      await person.page.unroute(/login\/finish/)
      await person.page.goto(other.url)
      const elsewhere = address.replace(/state=[^&]*/, `state=${new URL(person.page.url()).searchParams.get('state')}`)
      const cookies = (await person.context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
      assert.equal((await send(elsewhere, { cookie: cookies })).status, 400, 'another login')
      const answers = await Promise.all(Array.from({ length: 4 }, () => send(address, { cookie })))
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400, 400])
    })
  })

  it('locks after five answers that are wrong', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      await person.plug()
      await arrive(person, server)
      const state = new URL(person.page.url()).searchParams.get('state')
      const results = await person.page.evaluate(`(async () => {
        const found = []
        for (let each = 0; each < 6; each++) {
          const answer = await fetch('/dex/mfa/webauthn/register/finish?state=${state}', {
            method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"id":"x"}' })
          found.push(answer.status + ' ' + answer.headers.get('retry-after'))
        }
        return found
      })()`)
      assert.deepEqual((results as string[]).slice(0, 5), Array(5).fill('400 null'))
      assert.match((results as string[])[5]!, /^429 \d+$/)
    })
  })

  it('keeps keys sealed, and none of their parts in the log', async () => {
    await using server = await open()
    await withPerson(async (person) => {
      const authenticatorId = await person.plug()
      await arrive(person, server)
      await press(person)
      await person.page.waitForURL(/\/callback\?/)
      const { credentials } = await person.cdp.send('WebAuthn.getCredentials', { authenticatorId })
      const id = Buffer.from(credentials[0]!.credentialId, 'base64').toString('base64url')
      const written = JSON.stringify(server.commits)
      for (const text of [written, server.logged()]) assert.ok(!text.includes(id))
      assert.ok(server.commits.some(({ changes }) => changes.some(({ kind }) => kind === 'factors')))
    })
  })

  it('needs scripts, and says so where there are none', async () => {
    await using server = await open()
    const context = await browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.goto(startLogin(server, { client, scope: 'openid' }).url)
    assert.match((await page.locator('main').textContent()) ?? '', /This step needs JavaScript/)
    await context.close()
  })
})
