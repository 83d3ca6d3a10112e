/** Lessons, row 10, for connectors with tokens of their own kind: GitHub's and Okta's stay out of the log as well. */
import assert from 'node:assert/strict'
import { openBrowser } from '../flows/browser.ts'
import { arrive, authorize, startLogin, startServer, tokensOf } from '../flows/server.ts'
import { selfSigned } from '../server/certificate.ts'
import { startGitHub } from '../upstreams/github.ts'
import { startOkta } from '../upstreams/okta.ts'

const scope = 'openid email groups offline_access'

function assertSilent(log: string, secrets: Iterable<string>): void {
  let looked = 0
  for (const each of secrets) {
    looked++
    const at = log.indexOf(each)
    assert.ok(at < 0, `"${each}" in the log: ${log.slice(Math.max(0, at - 300), at + 100)}`)
  }
  assert.ok(looked >= 4)
}

describe('secrets of upstreams and the log', () => {
  it('row 10: GitHub', async () => {
    const pair = selfSigned('GitHub Enterprise')
    const up = await startGitHub({ tls: pair, app: 'app' })
    const { clientId: clientID, clientSecret } = up.account
    const config = { clientID, clientSecret, hostName: up.host, rootCA: pair.cert, loadAllGroups: true }
    await using server = await startServer({ connectors: [{ type: 'github', id: 'github', name: 'GitHub', config }] })
    up.account.redirectUri = server.url('/callback')
    const secrets = new Set([clientSecret])
    const remember = () => {
      for (const each of [
        ...up.account.codes.keys(),
        ...up.account.tokens.keys(),
        ...up.account.refreshTokens.keys(),
      ]) {
        secrets.add(each)
      }
    }
    /** The stand-in speaks TLS, which the browser of these tests does not. */
    const login = async () => {
      const browser = openBrowser()
      const started = startLogin(server, { scope })
      const departure = await browser.request(started.url)
      const params = await up.authorize(new URL(departure.location ?? ''))
      remember()
      return { started, answer: await browser.request(`${server.url('/callback')}?${params}`) }
    }
    const { started, answer } = await login()
    const { refresh_token = '' } = tokensOf(await server.redeem(arrive(started, answer)))
    remember()
    assert.equal((await server.refresh(refresh_token)).status, 200)
    remember()
    up.disturb('/user', { status: 500, body: { message: [...secrets].join(' ') } }, 3)
    assert.match((await login()).answer.location ?? '', /error=/)
    remember()
    assertSilent(server.logged(), secrets)
    await up.close()
  })

  it('row 10: Okta', async () => {
    const up = await startOkta()
    const config = { domain: up.url, clientID: up.clientId, clientSecret: up.clientSecret }
    await using server = await startServer({ connectors: [{ type: 'okta', id: 'okta', name: 'Okta', config }] })
    const secrets = new Set([up.clientSecret])
    const remember = () => {
      const { codes, refreshTokens, accessTokens } = up.org
      for (const each of [...codes.keys(), ...refreshTokens.keys(), ...accessTokens.keys()]) secrets.add(each)
    }
    const arrived = await authorize(server, { scope })
    remember()
    const { refresh_token = '' } = tokensOf(await server.redeem(arrived))
    remember()
    assert.equal((await server.refresh(refresh_token)).status, 200)
    remember()
    up.limit('token', 1)
    await authorize(server, { scope }).catch(() => {})
    remember()
    assertSilent(server.logged(), secrets)
    await up.close()
  })
})
