/** `countersign mfa reset FILE`: takes second factors from a person who has lost them; the next login sets up new ones. */
import { openFactorRecords } from '../login/factors/records.ts'
import { openStorage } from '../storage/index.ts'
import { sealerFor } from '../storage/sealing-key.ts'
import { openAudit } from '../telemetry/audit.ts'
import { openLog } from '../telemetry/log.ts'
import { describeFindings, loadFile } from './check.ts'

export interface ResetOptions {
  /** Id of the connector that the person logs in with. */
  connector: string
  /** Their id at that connector, which the audit log has as `user_id`. */
  user: string
  /** Absent: all that they have. */
  authenticator?: string
  env: Record<string, string | undefined>
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown }
}

const DONE = 0
const FAILED = 2
/** The number of Dex's level. */
const WARN = 4

/** Resolves to the exit code: 0, or 2 when there was nothing to take or the store cannot be opened. */
export async function resetFactors(file: string, options: ResetOptions): Promise<0 | 2> {
  const { connector, user, authenticator, env, stdout, stderr } = options
  const { settings, faults } = await loadFile(file, { env })
  for (const line of describeFindings(faults, [])) stderr.write(`${line}\n`)
  if (!settings) return FAILED
  const log = openLog({ ...settings.log, level: WARN }, stderr)
  const now = () => new Date()
  try {
    const driver = await openStorage(settings.storage, { log, now })
    try {
      const sealer = await sealerFor(settings.storage)
      const records = openFactorRecords({ driver, sealer, now })
      const taken = await records.reset({ connectorId: connector, userId: user }, authenticator)
      if (taken.length === 0) {
        stderr.write(`${user} at ${connector} has no such second factor: nothing was changed.\n`)
        return FAILED
      }
      openAudit(log)({ type: 'factors_reset', authenticators: taken, connector_id: connector, user_id: user })
      log.flush()
      stdout.write(`${user} at ${connector} has lost: ${taken.join(', ')}. The next login sets up what it needs.\n`)
      return DONE
    } finally {
      await driver.close()
    }
  } catch (error) {
    stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    return FAILED
  }
}
