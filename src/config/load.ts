/** From an operator's file to the options of every room, with all that is wrong or doubtful in it at once. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { ConnectorType } from '../../connectors/contract.ts'
import { compileSchema } from '../lib/schema.ts'
import { isFapi } from '../oidc/profile.ts'
import type { StorageType } from '../storage/contract.ts'
import { type Environment, readSwitch, SWITCHES, type Switch } from './environment.ts'
import { configuration } from './keys/index.ts'
import { type Files, localFiles, type Reading, type Understood } from './reading.ts'
import { createReport, type Fault, type Report } from './report.ts'
import { checkCertificateWays } from './rules/client-auth.ts'
import { readClients } from './rules/clients.ts'
import { misplacedConnectorKey, readConnectors } from './rules/connectors.ts'
import { readDynamicClients } from './rules/dynamic-clients.ts'
import { readTokenIssuers } from './rules/exchange.ts'
import { readFrontend } from './rules/frontend.ts'
import { readGrants } from './rules/grants.ts'
import { checkIssuer } from './rules/issuer.ts'
import { checkGrpc, type Flags, readTelemetry, readWeb } from './rules/listeners.ts'
import { readLogger } from './rules/logging.ts'
import { readMfa } from './rules/mfa.ts'
import { readPasswords } from './rules/passwords.ts'
import { checkFapiServer } from './rules/profiles.ts'
import { readSessions } from './rules/sessions.ts'
import { readLayout } from './rules/shapes.ts'
import { checkClientAlgorithms, readSigner } from './rules/signer.ts'
import { readStorage } from './rules/storage.ts'
import { readExpiry, readPkce } from './rules/tokens.ts'
import { reportProblem } from './section.ts'
import type { Settings } from './settings.ts'
import { shape } from './shape.ts'
import { decodeText, type Node, readSource } from './source.ts'
import { DEX_CONNECTOR_TYPES, findUnbuilt } from './unbuilt.ts'

export interface LoadOptions {
  env: Environment
  /** Every warning is a fault. */
  strict?: boolean
  flags?: Flags
  /** A type of the registry, or a module of the operator's, relative to `folder`. */
  connectorTypes: (type: string, folder: string) => Promise<ConnectorType | undefined>
  connectorTypeNames: string[]
  storageTypes: Record<string, StorageType>
  /** Folder that relative paths start from; the process's. */
  cwd?: string
  /** How files that the configuration names are looked at; the disk's. */
  files?: Files
}

export interface Loaded {
  /** Absent when there are faults. */
  settings?: Settings
  /** In the order of the file. */
  faults: Fault[]
  warnings: Fault[]
}

/** Reads a Dex configuration file (YAML or JSON). Never throws for what a file holds: everything is a fault or a warning. */
export const loadConfiguration = async (file: string, options: LoadOptions): Promise<Loaded> => {
  const report = createReport(file)
  const settings = await load(file, options, report)
  return judge(settings, report, options)
}

const load = async (file: string, options: LoadOptions, report: Report): Promise<Settings | undefined> => {
  const root = await readTree(file, report)
  if (!root) return undefined
  report.locate('', root.place, root)
  const cwd = options.cwd ?? process.cwd()
  const reading: Reading = {
    report,
    env: options.env,
    expandEnv: readSwitch('DEX_EXPAND_ENV', options.env).on,
    files: options.files ?? localFiles,
    folder: dirname(resolve(cwd, file)),
    cwd,
    notes: [],
  }
  const understood = understand(root, report)
  for (const { pointer, sentence } of findUnbuilt(understood)) report.fault(pointer, sentence)
  checkSwitches(reading)
  return settle(understood, options, reading)
}

const readTree = async (file: string, report: Report): Promise<Node | undefined> => {
  const nowhere = { line: 0, column: 0 }
  let text: string
  try {
    text = decodeText(await readFile(file))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : error instanceof TypeError
          ? 'is no UTF-8 text'
          : `cannot be read (${code})`
    report.at(nowhere, '', why, 'fault')
    return undefined
  }
  const { root, faults, warnings } = readSource(text)
  for (const { place, path, message } of faults) report.at(place, path, message, 'fault')
  for (const { place, path, message } of warnings) report.at(place, path, message, 'warning')
  if (!root || root.kind === 'map') return root
  if (root.kind === 'scalar' && root.value === null) return { kind: 'map', place: root.place, entries: [] }
  report.at(root.place, '', 'must be a group of keys such as "issuer:" and "web:"', 'fault')
  return undefined
}

/** The file in the shape of the schema; what does not fit is reported and taken out, so that the rest can be judged. */
const understand = (root: Node, report: Report): Understood => {
  const value = shape(root, configuration, '', report, misplacedConnectorKey)
  const problems = compileSchema(configuration)(value)
  for (const problem of problems) reportProblem(problem, '', report)
  for (const { path } of problems.toSorted((a, b) => b.path.length - a.path.length)) takeOut(value, path)
  // An explicit null is no absence where Dex refuses it.
  const signer = root.kind === 'map' ? root.entries.find(({ key }) => key.toLowerCase() === 'signer') : undefined
  if (signer?.value.kind === 'scalar' && signer.value.value === null) {
    report.at(signer.place, 'signer', 'is empty: leave the key out for a local RS256 key, or give a type', 'fault')
  }
  return value as Understood
}

const takeOut = (value: unknown, pointer: string): void => {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = steps.pop()
  let parent = value
  for (const step of steps) parent = (parent as Record<string, unknown> | undefined)?.[step]
  if (last === undefined || typeof parent !== 'object' || parent === null) return
  // Entries keep their numbers, since places hang on them.
  if (Array.isArray(parent)) {
    if (Number(last) < parent.length) parent[Number(last)] = steps.length === 1 ? {} : ''
  } else delete (parent as Record<string, unknown>)[last]
}

const settle = async (understood: Understood, options: LoadOptions, reading: Reading): Promise<Settings> => {
  const { flags = {} } = options
  const expiry = understood.expiry ?? {}
  const issuer = checkIssuer(understood.issuer, reading)
  const web = await readWeb(understood.web ?? {}, understood.layout, flags, reading)
  const registry = { find: options.connectorTypes, names: options.connectorTypeNames }
  const tokens = readExpiry(expiry, reading)
  const listed = await readConnectors(understood.connectors ?? [], issuer, registry, tokens.refreshTokens, reading)
  const local = readPasswords(understood, reading)
  if (local && listed.some(({ id }) => id === 'local')) {
    reading.report.warn(
      '/enablePasswordDB',
      'adds the connector "local", which takes the place of the one in connectors with that id',
    )
  }
  const connectors = local ? [...listed.filter(({ id }) => id !== 'local'), local] : listed
  const sessions = readSessions(understood, reading)
  const tokenIssuers = readTokenIssuers(
    understood.tokenIssuers ?? [],
    connectors.map(({ id }) => id),
    issuer,
    reading,
  )
  checkGrpc(understood.grpc ?? {}, flags, reading)
  const clients = readClients(
    understood.staticClients ?? [],
    connectors.map(({ id }) => id),
    tokens,
    tokenIssuers.map(({ id }) => id),
    reading,
  )
  checkCertificateWays(clients, web, reading)
  const dynamicClients = readDynamicClients(
    understood.dynamicClients,
    connectors.map(({ id }) => id),
    reading,
  )
  const signer = await readSigner(understood.signer, expiry, reading)
  checkClientAlgorithms(understood.staticClients ?? [], understood.signer, reading)
  if (web.tls && clients.some(isFapi)) web.tls.recommendedOnly = true
  checkFapiServer(understood.staticClients ?? [], signer, reading)
  const frontend = await readFrontend(understood.frontend ?? {}, reading)
  const around = {
    issuer,
    displayName: frontend.issuer,
    connectorTypes: [...registry.names, ...DEX_CONNECTOR_TYPES, ...connectors.map(({ type }) => type)],
    clients: understood.staticClients ?? [],
    sessions: sessions !== undefined,
  }
  return {
    issuer,
    web,
    frontend,
    telemetry: readTelemetry(understood.telemetry ?? {}, web, flags, reading),
    log: readLogger(understood.logger ?? {}, reading),
    storage: readStorage(understood.storage, options.storageTypes, reading),
    oidc: {
      issuer,
      clients,
      ...(tokenIssuers.length > 0 && { tokenIssuers }),
      ...readLayout(understood, reading),
      ...(dynamicClients && { dynamicClients }),
      ...(web.clientCertificates?.address !== undefined && { certificateAddress: web.clientCertificates.address }),
      ...readGrants(
        understood.oauth2 ?? {},
        connectors.map(({ id }) => id),
        reading,
      ),
      ...readPkce(understood.oauth2 ?? {}, reading),
      ...(understood.oauth2?.dpop?.requireNonce && { dpop: { requireNonce: true } }),
      ...tokens,
      ...(sessions && { sessions: true }),
      signer,
    },
    login: {
      connectors,
      folder: reading.folder,
      skipApprovalScreen: understood.oauth2?.skipApprovalScreen ?? false,
      alwaysShowLoginScreen: understood.oauth2?.alwaysShowLoginScreen ?? false,
      ...(sessions && { sessions }),
      mfa: readMfa(understood.mfa ?? {}, around, reading),
    },
    continueOnConnectorFailure: readSwitch('DEX_CONTINUE_ON_CONNECTOR_FAILURE', reading.env).on,
    notes: reading.notes,
  }
}

const checkSwitches = ({ report, env }: Reading): void => {
  for (const name of Object.keys(SWITCHES) as Switch[]) {
    const { on, invalid } = readSwitch(name, env)
    if (invalid !== undefined)
      report.environment(name, `must be true or false; ${on} is taken instead of "${invalid}"`, 'warning')
  }
}

/** What is a fault and what a warning, in the order of the file. */
const judge = (settings: Settings | undefined, report: Report, { strict, env }: LoadOptions): Loaded => {
  const strictKeys = readSwitch('DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS', env).on
  const refused = report.warnings.filter(({ unknownKey }) => strict || (strictKeys && unknownKey))
  const plain = ({ unknownKey: _, ...fault }: Fault & { unknownKey?: boolean }): Fault => fault
  const faults = inOrder([...report.faults, ...refused.map(plain)])
  const warnings = inOrder(report.warnings.filter((warning) => !refused.includes(warning)).map(plain))
  return { ...(settings && faults.length === 0 && { settings }), faults, warnings }
}

const inOrder = (faults: Fault[]): Fault[] => faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
