/** Lessons, row 28: whatever ended a login once ends it never again, with the old cookie put back and hours later too. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import { answerAt, arrive, corp, passwordHash, startLogin, startServer, stopClock } from '../flows/server.ts'
import { assertNoCode, cookieHeader, isDeadEnd } from './attack.ts'

const person = { email: 'jane@example.com', hash: passwordHash, username: 'jane', userID: 'id-of-jane' }

describe('replays', () => {
  it('of the callback', async () => {
    await using server = await startServer({ connectors: [corp('replays')] })
    using clock = stopClock()
    const browser = openBrowser()
    const started = startLogin(server)
    const departure = await browser.request(started.url)
    const cookie = cookieHeader(browser, server.issuer)
    const arrived = arrive(started, await browser.goOn(departure))
    assert.equal((await server.redeem(arrived)).status, 200)
    // Here the upstream takes its code again and again; from then on, when ours is forgotten, a real one does not.
    for (const wait of [0, 500]) {
      clock.advance(wait)
      await server.driver.sweep(new Date())
      isDeadEnd(await browser.request(departure.location!), 'without the cookie')
      const answer = await browser.request(departure.location!, { headers: { cookie } })
      assertNoCode(answer)
    }
  })

  it('of the callback of a login without a code, by fragment and by form', async () => {
    const oauth2 = { skipApprovalScreen: true, responseTypes: ['id_token', 'token'] }
    await using server = await startServer({ connectors: [corp('replays')], oauth2 })
    for (const mode of ['fragment', 'form_post']) {
      using clock = stopClock()
      const browser = openBrowser()
      const started = startLogin(server, { params: { response_type: 'id_token token', response_mode: mode } })
      const departure = await browser.request(started.url)
      const cookie = cookieHeader(browser, server.issuer)
      assert.match(answerAt(await browser.goOn(departure)).access_token ?? '', /^eyJ/)
      for (const wait of [0, 500]) {
        clock.advance(wait)
        await server.driver.sweep(new Date())
        isDeadEnd(await browser.request(departure.location!), 'without the cookie')
        isDeadEnd(await browser.request(departure.location!, { headers: { cookie } }))
      }
    }
  })

  it('of an approval of a login without a code', async () => {
    const oauth2 = { responseTypes: ['id_token'] }
    await using server = await startServer({ connectors: [corp('replays')], oauth2 })
    using clock = stopClock()
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server, { params: { response_type: 'id_token' } }).url)
    const cookie = cookieHeader(browser, server.issuer)
    assert.match(answerAt(await browser.decide(page, true)).id_token ?? '', /^eyJ/)
    const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
    for (const wait of [0, 500, 101, 4000]) {
      clock.advance(wait)
      await server.driver.sweep(new Date())
      assertNoCode(await browser.request(server.url('/approval'), { form, headers: { cookie } }))
    }
  })

  it('of a password that was right', async () => {
    await using server = await startServer({ connectors: [], enablePasswordDB: true, staticPasswords: [person] })
    const browser = openBrowser()
    const started = startLogin(server)
    const page = await browser.follow(started.url)
    const cookie = cookieHeader(browser, server.issuer)
    const form = { login: person.email, password: 'password' }
    const arrived = arrive(started, await browser.submit(page, form))
    isDeadEnd(await browser.request(page.url, { form }), 'without the cookie')
    assertNoCode(await browser.request(page.url, { form, headers: { cookie } }))
    assert.equal((await server.redeem(arrived)).status, 200)
    assertNoCode(await browser.request(page.url, { form, headers: { cookie } }))
  })

  it('of an approval, which holds a person who has logged in', async () => {
    await using server = await startServer({ connectors: [corp('replays')], oauth2: { skipApprovalScreen: false } })
    using clock = stopClock()
    const browser = openBrowser()
    const started = startLogin(server)
    const page = await browser.follow(started.url)
    const cookie = cookieHeader(browser, server.issuer)
    const arrived = arrive(started, await browser.decide(page, true))
    assert.equal((await server.redeem(arrived)).status, 200)
    const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
    for (const wait of [0, 500, 101, 4000]) {
      clock.advance(wait)
      await server.driver.sweep(new Date())
      isDeadEnd(await browser.request(server.url('/approval'), { form }), 'without the cookie')
      assertNoCode(await browser.request(server.url('/approval'), { form, headers: { cookie } }))
    }
    assert.equal((await server.redeem(arrived)).json().error, 'invalid_grant')
  })

  it('of a refusal turned into an approval', async () => {
    await using server = await startServer({ connectors: [corp('replays')], oauth2: { skipApprovalScreen: false } })
    const browser = openBrowser()
    const page = await browser.follow(startLogin(server).url)
    const refused = await browser.decide(page, false)
    assert.match(refused.location ?? '', /error=access_denied/)
    const form = { state: new URL(page.url).searchParams.get('state')!, approval: 'approve' }
    isDeadEnd(await browser.request(server.url('/approval'), { form }))
  })

  it('of fields that came by a cross-site POST: their handle works once', async () => {
    await using server = await startServer({ connectors: [corp('posted', { returnsBy: 'form' })] })
    const browser = openBrowser()
    const started = startLogin(server)
    const departure = await browser.request(started.url)
    const state = new URL(departure.location!).searchParams.get('state')!
    const cookie = cookieHeader(browser, server.issuer)
    const handed = await openBrowser().request(server.url('/callback'), { form: { state, SAMLResponse: 'x' } })
    assert.equal(handed.status, 303)
    const address = new URL(handed.location!, server.issuer).href
    arrive(started, await browser.request(address))
    isDeadEnd(await browser.request(address, { headers: { cookie } }))
  })
})
