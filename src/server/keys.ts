/** The signing keys of one configuration: made here and kept in the store, or Vault's. */
import { failure } from '../../connectors/contract.ts'
import type { Json } from '../lib/json.ts'
import { openVaultKeys } from '../oidc/keys/vault.ts'
import { openSigningKeys, type SigningKeyOptions, type SigningKeys } from '../oidc/keys.ts'
import { longestTokenLife } from '../oidc/lifetimes.ts'
import type { OidcOptions } from '../oidc/options.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Handlers } from '../storage/requests.ts'
import type { Sealer } from '../storage/seal.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { ServerLog } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { openUpstream, type Upstream } from '../telemetry/upstream.ts'

export interface KeysContext {
  options: { oidc: OidcOptions }
  driver: StorageDriver
  sealer: Sealer
  log: ServerLog
  audit: Audit
  metrics: Metrics
  version: string
  env: Readonly<Record<string, string | undefined>>
}

/** Milliseconds in which Vault has to answer: a person waits for it. */
const vaultTimeout = 5_000

/** `upstream` is to be closed after the keys. */
export async function openKeys(
  context: KeysContext,
  now: () => Date,
): Promise<{ keys: SigningKeys; upstream?: Upstream }> {
  const { options, driver, sealer, log, audit, metrics, version, env } = context
  const { signer } = options.oidc
  if (signer.type === 'local') {
    return {
      keys: await openSigningKeys({ driver, sealer, options: localKeyOptions(options.oidc, signer), log, audit, now }),
    }
  }
  const upstream = openUpstream({
    // Counted beside the connectors' calls; whether Vault answers is a matter of readiness.
    connector: 'signer:vault',
    metrics: { upstreamCall: metrics.upstreamCall, connectorUp: () => {} },
    log,
    failure,
    timeoutMs: vaultTimeout,
    env,
    userAgent: `countersign/${version}`,
  })
  const { ca, skipVerify = false } = signer
  const fetch = upstream.http({ skipVerify, ...(ca !== undefined && { ca: [ca] }) })
  return { keys: await openVaultKeys({ options: signer, fetch, log, now }), upstream }
}

/** What the rotation of local keys follows. */
export function localKeyOptions(
  options: Pick<OidcOptions, 'clients' | 'lifetimes'>,
  { algorithm, rotationPeriod }: OidcOptions['signer'] & { type: 'local' },
): SigningKeyOptions {
  const clientAlgorithms = options.clients.flatMap(({ signingAlgorithm }) => signingAlgorithm ?? [])
  return { algorithm, clientAlgorithms, rotationPeriod, tokenLifetime: longestTokenLife(options) }
}

/** What commands may ask of a running server, by the names that both sides use. */
export const keyRequests = { list: 'list keys', rotate: 'rotate keys' } as const
/** Why the keys were rotated, in log and audit. */
export const commandReason = 'asked for on the command line'

export const requestsFor = (keys: SigningKeys): Handlers => {
  const list = () => keys.list() as unknown as Json
  return {
    [keyRequests.list]: async () => list(),
    [keyRequests.rotate]: async () => {
      await keys.rotate(commandReason)
      return list()
    },
  }
}
