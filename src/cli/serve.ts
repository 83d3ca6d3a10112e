/** `countersign serve FILE`: the server, from its configuration to its end. */
import type { Flags, Settings } from '../config/index.ts'
import { requestAttributes } from '../server/request-context.ts'
import { openServer, type RunningServer } from '../server/server.ts'
import { openAudit } from '../telemetry/audit.ts'
import { openLog, type ServerLog } from '../telemetry/log.ts'
import { describeFindings, loadFile } from './check.ts'

export interface ServeOptions {
  flags: Flags
  strict: boolean
  env: Record<string, string | undefined>
  version: string
  stderr: { write(text: string): unknown }
}

const FAILED = 2

/** Serves until the process is told to stop. Resolves to the exit code: 0 after a stop, 2 when it could not start. */
export async function serve(file: string, options: ServeOptions): Promise<number> {
  const { flags, strict, env, version, stderr } = options
  const { settings, faults, warnings } = await loadFile(file, { strict, env, flags })
  for (const line of describeFindings(faults, settings ? [] : warnings)) stderr.write(`${line}\n`)
  if (!settings) {
    stderr.write(`${file}: ${faults.length} fault${faults.length === 1 ? '' : 's'}; the server does not start.\n`)
    return FAILED
  }
  const log = openLog(settings.log, undefined, { attributes: requestAttributes })
  for (const line of describeFindings([], warnings)) log.warn(line.replace(/^warning: /, ''))
  const stopping = stopSignal()
  let server: RunningServer
  try {
    server = await openServer({ options: settings, log, version, env })
  } catch (error) {
    log.flush()
    stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    return FAILED
  }
  announce(log, file, settings, version)
  const signal = await stopping
  log.info('stopping', { signal })
  await server.close()
  openAudit(log)({ type: 'stopped', reason: signal })
  log.flush()
  return 0
}

/** Resolves with the first signal that asks for a stop. */
function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  return promise
}

/** The lines that Dex writes at its start, and what an auditor wants to know of it. */
function announce(log: ServerLog, file: string, settings: Settings, version: string): void {
  const { issuer, storage, oidc, login } = settings
  log.info('Version info', { version, node_version: process.version, os_arch: `${process.platform}/${process.arch}` })
  log.info('config issuer', { issuer })
  log.info('config storage', { storage_type: storage.type })
  for (const { name } of oidc.clients) log.info('config static client', { client_name: name })
  if (login.skipApprovalScreen) log.info('config skipping approval screen')
  log.info('config refresh tokens rotation', { enabled: oidc.refreshTokens.rotate })
  for (const note of settings.notes) log.info(note)
  const audit = openAudit(log)
  const connectors = login.connectors.map(({ id }) => id)
  audit({ type: 'configuration_loaded', file, connectors, clients: oidc.clients.length })
  audit({ type: 'started', version })
}
