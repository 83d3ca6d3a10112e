import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failure } from '../../connectors/contract.ts'
import { github } from '../../connectors/github.ts'
import { openUpstream, type Upstream } from '../../src/telemetry/upstream.ts'
import { selfSigned } from '../server/certificate.ts'
import { type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { context } from './context.ts'
import { browser, callbackUrl, failsWith, logIn } from './oidc-login.ts'

describe('github connector, Enterprise Server (GH-10)', () => {
  const pair = selfSigned('GitHub Enterprise')
  let up: GitHubStandIn
  let calls: Upstream
  let folder: string

  beforeEach(async () => {
    up = await startGitHub({ tls: pair })
    folder = await mkdtemp(join(tmpdir(), 'countersign-github-'))
    const metrics = { upstreamCall() {}, connectorUp() {} }
    calls = openUpstream({ connector: 'ghe', metrics, log: { debug() {} }, failure })
  })
  afterEach(async () => {
    await calls.close()
    await up.close()
    await rm(folder, { recursive: true })
  })

  const open = async (config: Record<string, unknown>) => {
    const { clientId: clientID, clientSecret } = up.account
    const usual = { clientID, clientSecret, redirectURI: callbackUrl.href, hostName: up.host }
    return browser(await github.open({ ...usual, ...config }, context({ http: calls.http })))
  }

  const forms: [string, (file: string) => string][] = [
    ['a file', (file) => file],
    ['base64', () => Buffer.from(pair.cert).toString('base64')],
    ['PEM text', () => pair.cert],
  ]
  for (const [name, rootCA] of forms) {
    it(`logs in with its own certificate authority as ${name}`, async () => {
      const file = join(folder, 'ca.pem')
      await writeFile(file, pair.cert)
      const identity = await logIn(await open({ rootCA: rootCA(file), orgs: [{ name: 'acme' }] }), up)
      assert.deepEqual(identity.groups, ['acme:Core Team', 'acme:ops'])
      assert.equal(identity.email, 'octo@example.com')
    })
  }

  it('trusts no server whose authority it was not told', async () => {
    await failsWith('upstream_unavailable', logIn(await open({}), up))
    assert.deepEqual(up.calls, [])
  })

  it('takes every address for verified, since the server verifies none', async () => {
    for (const email of up.account.person.emails) email.verified = false
    const identity = await logIn(await open({ rootCA: pair.cert }), up)
    assert.equal(identity.email, 'octo@example.com')
  })
})
