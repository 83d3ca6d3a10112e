/** `countersign keys`: looks at the signing keys of a configured server, rotates them, and seals its store anew. */
import { resolve } from 'node:path'
import type { Settings } from '../config/index.ts'
import { type KeyInfo, storedKeys } from '../oidc/keys.ts'
import { commandReason, keyRequests, openKeys } from '../server/keys.ts'
import { resealStore } from '../server/sealed.ts'
import { StoreInUse } from '../storage/contract.ts'
import { openStorage } from '../storage/index.ts'
import { askHolder, requestPath } from '../storage/requests.ts'
import { sealerOf, sealingKeyId } from '../storage/seal.ts'
import { addSealingKey, keepFirstSealingKey, sealerFor, sealingKeyPath } from '../storage/sealing-key.ts'
import { openAudit } from '../telemetry/audit.ts'
import { openLog } from '../telemetry/log.ts'
import { openMetrics } from '../telemetry/metrics.ts'
import { describeFindings, loadFile } from './check.ts'

export interface KeysCommand {
  env: Record<string, string | undefined>
  version: string
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown }
}

const DONE = 0
const FAILED = 2
/** Of the log: what keeps a command from its work, beside the audit. */
const ERRORS = 8

/** Prints the keys of a server, running or not. Resolves to the exit code. */
export const listKeys = (file: string, command: KeysCommand): Promise<number> =>
  withSettings(file, command, async (settings) => {
    print(await askOrOpen(settings, command, 'list'), command)
  })

/** Makes the next keys sign now, in a running server or in the store of one that is stopped. */
export const rotateKeys = (file: string, command: KeysCommand): Promise<number> =>
  withSettings(file, command, async (settings) => {
    print(await askOrOpen(settings, command, 'rotate'), command)
  })

/**
 * Makes a new sealing key and seals with it what the store of a stopped server holds sealed.
 * @param forget whether the former keys are dropped, so that they open nothing any more
 */
export const resealKeys = (file: string, { forget }: { forget: boolean }, command: KeysCommand): Promise<number> =>
  withSettings(file, command, async ({ storage, log: options }) => {
    if (storage.type !== 'lowdb') {
      throw new Error(`a store of type "${storage.type}" has no key file: there is nothing to seal anew`)
    }
    const log = openLog({ ...options, level: ERRORS })
    const driver = await openStorage(storage, { log, now: () => new Date() }).catch((error) => {
      if (!(error instanceof StoreInUse)) throw error
      throw new Error(`${error.message} Sealing anew needs the store to itself.`)
    })
    try {
      await sealerFor(storage)
      const path = sealingKeyPath(resolve((storage.config as { file: string }).file))
      const keys = await addSealingKey(path)
      const former = keys.slice(1)
      const { texts, left } = await resealStore(driver, sealerOf(keys), former.map(sealingKeyId))
      command.stdout.write(
        `A new key stands first in ${path}; ${count(texts, 'text')} in the store ${texts === 1 ? 'is' : 'are'} sealed with it.\n`,
      )
      const where = [...left].map(([kind, number]) => `${number} of kind ${kind}`).join(', ')
      if (where !== '') {
        const problem = `some texts could not be sealed anew (${where}), and only the former keys open them`
        if (forget) throw new Error(`the former keys are not forgotten: ${problem}`)
        command.stdout.write(`Beware: ${problem}.\n`)
      }
      if (!forget) {
        const what = former.length === 1 ? 'The former key stays' : `The ${former.length} former keys stay`
        command.stdout.write(`${what} in the file for backups and logins in progress; --forget drops former keys.\n`)
        return
      }
      await keepFirstSealingKey(path)
      command.stdout.write('The former keys are forgotten: backups that were made before cannot be opened any more.\n')
    } finally {
      await driver.close()
    }
  })

async function withSettings(
  file: string,
  { env, stderr }: KeysCommand,
  work: (settings: Settings) => Promise<void>,
): Promise<number> {
  const { settings, faults } = await loadFile(file, { env })
  for (const line of describeFindings(faults, [])) stderr.write(`${line}\n`)
  if (!settings) return FAILED
  try {
    await work(settings)
    return DONE
  } catch (error) {
    stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    return FAILED
  }
}

/** The server that holds the store does it, if one runs; else this process. */
async function askOrOpen(settings: Settings, command: KeysCommand, what: keyof typeof keyRequests): Promise<KeyInfo[]> {
  const { storage, oidc } = settings
  if (storage.type === 'memory' && oidc.signer.type === 'local') {
    throw new Error(
      'the store is in the memory of the running server, where no command reaches its keys: restart it for new ones',
    )
  }
  try {
    return await openAnd(settings, command, what)
  } catch (error) {
    const path = requestPath(storage)
    if (!(error instanceof StoreInUse) || path === undefined) throw error
    return (await askHolder(path, keyRequests[what])) as unknown as KeyInfo[]
  }
}

async function openAnd(
  settings: Settings,
  { env, version }: KeysCommand,
  what: keyof typeof keyRequests,
): Promise<KeyInfo[]> {
  await using opened = new AsyncDisposableStack()
  const log = openLog({ ...settings.log, level: ERRORS })
  opened.defer(() => log.flush())
  const now = () => new Date()
  const driver = await openStorage(settings.storage, { log, now })
  opened.defer(() => driver.close())
  // Looking changes nothing; to open the keys would rotate them when that is due.
  if (what === 'list' && settings.oidc.signer.type === 'local') return storedKeys(driver)
  const sealer = await sealerFor(settings.storage)
  const context = {
    options: settings,
    driver,
    sealer,
    log,
    audit: openAudit(log),
    metrics: openMetrics({ version }),
    version,
    env,
  }
  const { keys, upstream } = await openKeys(context, now)
  opened.defer(() => upstream?.close())
  opened.defer(() => keys.close())
  if (what === 'rotate') await keys.rotate(commandReason)
  else await keys.check()
  return keys.list()
}

const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? '' : 's'}`

function print(keys: KeyInfo[], { stdout }: KeysCommand): void {
  const time = (seconds: number | undefined) =>
    seconds === undefined ? '-' : new Date(seconds * 1000).toISOString().replace('.000', '')
  const rows = [
    ['STATE', 'ALGORITHM', 'SINCE', 'PUBLISHED UNTIL', 'KEY ID'],
    ...keys.map(({ state, algorithm, since, until, kid }) => [state, algorithm, time(since), time(until), kid]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  for (const row of rows)
    stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    )
}
