/** `countersign check FILE`: says whether `serve` would start, and all that is wrong or doubtful. */
import type { ConnectorType } from '../../connectors/contract.ts'
import { connectorTypes } from '../../connectors/index.ts'
import { type Fault, type Flags, formatFault, type Loaded, loadConfiguration } from '../config/index.ts'
import { findConnectorType } from '../login/load-connector.ts'
import type { StorageType } from '../storage/contract.ts'
import { storageTypes } from '../storage/index.ts'

export interface Registries {
  connectorTypes: Readonly<Record<string, ConnectorType>>
  storageTypes: Readonly<Record<string, StorageType>>
}

export interface CheckOptions {
  strict?: boolean
  env: Record<string, string | undefined>
  stdout: { write(text: string): unknown }
  flags?: Flags
  /** Instead of what this program brings. */
  registries?: Registries
}

const WOULD_START = 0
const WOULD_NOT_START = 2

/** Reads `file` with the types that this program brings: what `serve` and `check` share. */
export const loadFile = (
  file: string,
  { strict, env, flags, registries }: Omit<CheckOptions, 'stdout'>,
): Promise<Loaded> => {
  const known = registries ?? { connectorTypes, storageTypes }
  const find = registries ? async (type: string) => registries.connectorTypes[type] : findConnectorType
  return loadConfiguration(file, {
    env,
    strict: strict ?? false,
    ...(flags && { flags }),
    connectorTypes: find,
    connectorTypeNames: Object.keys(known.connectorTypes),
    storageTypes: known.storageTypes,
  })
}

/** Prints what was found, in the order of the file, and a summary. Resolves to the exit code: 0 or 2. */
export const check = async (file: string, options: CheckOptions): Promise<0 | 2> => {
  const { settings, faults, warnings } = await loadFile(file, options)
  for (const line of describeFindings(faults, warnings)) options.stdout.write(`${line}\n`)
  for (const note of settings?.notes ?? []) options.stdout.write(`${note}\n`)
  const found = `${amount(faults.length, 'fault')}, ${amount(warnings.length, 'warning')}`
  const outcome = settings ? 'serve would start' : 'serve would not start'
  options.stdout.write(`${file}: ${found}; ${outcome}.\n`)
  return settings ? WOULD_START : WOULD_NOT_START
}

/** One line each, faults and warnings sorted together by line. */
export const describeFindings = (faults: Fault[], warnings: Fault[]): string[] =>
  [
    ...faults.map((fault) => ({ fault, line: `error: ${formatFault(fault)}` })),
    ...warnings.map((fault) => ({ fault, line: `warning: ${formatFault(fault)}` })),
  ]
    .toSorted((a, b) => a.fault.line - b.fault.line || a.fault.column - b.fault.column)
    .map(({ line }) => line)

const amount = (count: number, thing: string): string =>
  `${count === 0 ? 'no' : count} ${thing}${count === 1 ? '' : 's'}`
