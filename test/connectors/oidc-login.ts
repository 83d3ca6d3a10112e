/** One login through a browser connector and a stand-in, as the server would run it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type {
  BrowserConnector,
  Connector,
  ConnectorContext,
  Departure,
  Identity,
  Json,
  Scopes,
  Wishes,
} from '../../connectors/contract.ts'
import { oidc } from '../../connectors/oidc.ts'
import { upstreamClient } from '../upstreams/oidc.ts'
import { testIssuer } from './context.ts'

export const callbackUrl = new URL(`${testIssuer}/callback`)

export interface LoginOptions {
  scopes?: Partial<Scopes>
  wishes?: Wishes
  /** Changes what the browser brings back. */
  bring?(params: URLSearchParams): void
  memo?: (memo: Json | undefined) => Json | undefined
  state?: string
}

export interface Upstream {
  authorize(url: URL): Promise<URLSearchParams>
}

/** An `oidc` connector of the usual configuration with `config` over it. */
export const openOidc = async (config: Record<string, unknown>, context: ConnectorContext): Promise<BrowserConnector> =>
  browser(await oidc.open({ ...upstreamClient, redirectURI: callbackUrl.href, ...config }, context))

export function browser(connector: Connector): BrowserConnector {
  assert.equal(connector.style, 'browser')
  return connector as BrowserConnector
}

const allScopes = (scopes: Partial<Scopes> = {}): Scopes => ({ groups: true, offlineAccess: false, ...scopes })

export async function depart(
  connector: BrowserConnector,
  options: LoginOptions = {},
): Promise<Departure & { via: 'redirect' }> {
  const state = options.state ?? randomBytes(32).toString('base64url')
  const departure = await connector.start({
    scopes: allScopes(options.scopes),
    callbackUrl,
    state,
    wishes: options.wishes ?? {},
  })
  assert.equal(departure.via, 'redirect')
  return departure as Departure & { via: 'redirect' }
}

export async function logIn(
  connector: BrowserConnector,
  upstream: Upstream,
  options: LoginOptions = {},
): Promise<Identity> {
  const departure = await depart(connector, options)
  const params = await upstream.authorize(departure.url)
  options.bring?.(params)
  const memo = options.memo ? options.memo(departure.memo) : departure.memo
  return connector.finish({
    callbackUrl,
    params,
    headers: new Map(),
    scopes: allScopes(options.scopes),
    state: departure.url.searchParams.get('state') ?? '',
    ...(memo !== undefined && { memo }),
  })
}

/** Asserts that `work` fails with this code of the contract, and perhaps this message. */
export async function failsWith(code: string, work: Promise<unknown>, message?: RegExp): Promise<void> {
  await assert.rejects(work, (error: Error & { code?: string }) => {
    assert.equal(error.name, 'ConnectorFailure', `${error.name}: ${error.message}`)
    assert.equal(error.code, code, error.message)
    if (message) assert.match(error.message, message)
    return true
  })
}
