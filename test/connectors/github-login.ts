/** Opening the GitHub connector against its stand-in. */
import assert from 'node:assert/strict'
import { type BrowserConnector, ConnectorFailure, type Identity } from '../../connectors/contract.ts'
import { github } from '../../connectors/github.ts'
import type { GitHubStandIn } from '../upstreams/github.ts'
import { context, type TestContext } from './context.ts'
import { browser, callbackUrl, type LoginOptions, logIn } from './oidc-login.ts'

export interface Opened {
  connector: BrowserConnector
  context: TestContext
  /** A whole login; what it is told of groups follows `scopes`, which ask for groups by default. */
  logIn(options?: LoginOptions): Promise<Identity>
  refresh(identity: Identity, groups?: boolean): Promise<Identity>
}

/** The connector for github.com, as the stand-in plays it, with `config` over the usual options. */
export async function openGitHub(up: GitHubStandIn, config: Record<string, unknown> = {}): Promise<Opened> {
  const test = context({ http: () => up.fetch, now: () => new Date(up.account.now()) })
  const { clientId: clientID, clientSecret } = up.account
  const whole = { clientID, clientSecret, redirectURI: callbackUrl.href, ...config }
  const connector = browser(await github.open(whole, test))
  return {
    connector,
    context: test,
    logIn: (options) => logIn(connector, up, options),
    async refresh(identity, groups = true) {
      if (!connector.refresh) throw new Error('the connector cannot refresh')
      return connector.refresh(identity, { groups, offlineAccess: true })
    },
  }
}

export const accessTokenOf = ({ connectorData }: Identity): string => {
  const data = connectorData
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return String(data.accessToken)
  throw new Error('no connector data')
}

/** The failure that `work` ends with. */
export const failureOf = async (work: Promise<unknown>): Promise<ConnectorFailure> => {
  const outcome = await work.then(
    () => 'no failure',
    (error: unknown) => error,
  )
  if (outcome instanceof ConnectorFailure) return outcome
  assert.fail(String(outcome))
}
