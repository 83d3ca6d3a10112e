import assert from 'node:assert/strict'
import { type GitHubOptions, type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { failureOf, type Opened, openGitHub } from './github-login.ts'
import { failsWith } from './oidc-login.ts'

describe('github connector, errors', () => {
  let up: GitHubStandIn
  afterEach(() => up.close())

  const start = async (config: Record<string, unknown> = {}, options: GitHubOptions = {}): Promise<Opened> => {
    up = await startGitHub(options)
    return openGitHub(up, config)
  }

  it('knows an error that came with status 200, and says which (GH-2)', async () => {
    const { logIn } = await start()
    const error = await failureOf(logIn({ bring: (params) => params.set('code', 'wrong') }))
    assert.equal(error.code, 'upstream_invalid_response')
    assert.match(error.message, /bad_verification_code: The code passed is incorrect or expired/)
    assert.match(error.details.safe ?? '', /GitHub answered bad_verification_code: the code is wrong or has expired/)
  })

  for (const [told, code] of [
    ['unverified_user_email', 'login_refused'],
    ['redirect_uri_mismatch', 'misconfigured'],
    ['something_new', 'upstream_invalid_response'],
  ] as const) {
    it(`takes ${told} for ${code} (GH-2)`, async () => {
      const { logIn } = await start({}, { codeError: told })
      await failsWith(code, logIn(), new RegExp(told))
    })
  }

  for (const [told, code] of [
    ['access_denied', 'login_refused'],
    ['application_suspended', 'misconfigured'],
  ] as const) {
    it(`takes ${told} in the callback for ${code}`, async () => {
      const { logIn } = await start({}, { deny: told })
      await failsWith(code, logIn(), new RegExp(told))
      assert.deepEqual(up.calls, [])
    })
  }

  it('says that the secret is wrong', async () => {
    const { logIn } = await start({ clientSecret: 'wrong' })
    await failsWith('misconfigured', logIn(), /clientID or clientSecret is wrong/)
  })

  it('sends the secret in the body where Basic is not understood, and so from then on', async () => {
    const { logIn } = await start({}, { basic: false })
    await logIn()
    await logIn()
    assert.equal(up.calls.filter((call) => call.endsWith('access_token')).length, 3)
    assert.equal(up.tokenRequest()?.headers.authorization, undefined)
  })

  it('does not take a fresh token that is refused for a person who is gone', async () => {
    const { logIn } = await start()
    up.disturb('/user', { status: 401, body: { message: 'Bad credentials' } })
    await failsWith('upstream_invalid_response', logIn(), /Bad credentials/)
  })

  it('tells a suspended account', async () => {
    const { logIn } = await start()
    up.account.person.suspended = true
    await failsWith('account_disabled', logIn())
  })

  it('tells an outage', async () => {
    const { logIn } = await start()
    up.disturb('/user', { status: 502, body: 'Unicorn' })
    await failsWith('upstream_unavailable', logIn())
  })

  const limits: [string, Record<string, string>, string, number][] = [
    ['the primary limit', { 'x-ratelimit-remaining': '0' }, 'API rate limit exceeded', 90],
    ['a secondary limit', { 'retry-after': '30' }, 'You have exceeded a secondary rate limit', 30],
    ['a limit without a time', {}, 'You have exceeded a secondary rate limit', 60],
  ]
  for (const [name, headers, message, seconds] of limits) {
    it(`tells ${name} with the time to wait`, async () => {
      const fixed = Date.UTC(2026, 0, 1)
      const { logIn } = await start({}, { now: () => fixed })
      const reset = headers['x-ratelimit-remaining'] && { 'x-ratelimit-reset': String(fixed / 1000 + 90) }
      up.disturb('/user', { status: 403, body: { message }, headers: { ...headers, ...reset } })
      const error = await failureOf(logIn())
      assert.equal(error.code, 'rate_limited')
      assert.equal(error.details.retryAfter, seconds)
    })
  }

  it('shows the token to no other host than GitHub, whatever a page links to', async () => {
    const { logIn } = await start()
    const elsewhere = { link: '<https://evil.example/user/emails?page=2>; rel="next"' }
    up.disturb('/user/emails', { status: 200, body: [], headers: elsewhere })
    await failsWith('upstream_invalid_response', logIn(), /another host/)
  })
})
