/** The connectors of one configuration: opened at the start, or again when a login needs one that did not open. */
import { type Connector, type ConnectorContext, type ConnectorFailure, failure } from '../../connectors/contract.ts'
import type { Logger } from '../lib/logger.ts'
import { connectorType } from './load-connector.ts'
import type { ConnectorOptions, RefreshPolicy } from './options.ts'

export interface ConfiguredConnector {
  readonly id: string
  /** Text of the button. */
  readonly name: string
  readonly type: string
  /** The opened connector. @throws ConnectorFailure `misconfigured` when it cannot be opened; tried anew each time */
  open(): Promise<Connector>
  /** The opened connector, if it is open. */
  readonly opened: Connector | undefined
  /** Whether `connectors[].grantTypes` lets this grant type use it. */
  allows(grantType: string): boolean
  /** What `connectors[].refresh` says. */
  readonly refresh?: Partial<RefreshPolicy>
}

export interface Connectors {
  get(id: string): ConfiguredConnector | undefined
  /** In the order of their names, as the page of choice lists them. */
  readonly all: readonly ConfiguredConnector[]
  close(): Promise<void>
}

export interface ConnectorsContext {
  /** Folder that relative module types start from. */
  folder: string
  /** What a connector of that id may use. */
  contextFor(id: string, type: string): ConnectorContext
  log: Logger
  /** Start although some fail to open (Dex's `DEX_CONTINUE_ON_CONNECTOR_FAILURE`). */
  continueOnFailure: boolean
}

/** @throws ConnectorFailure `misconfigured` when a connector cannot be opened (with `continueOnFailure`: when none can) */
export async function openConnectors(
  options: readonly ConnectorOptions[],
  context: ConnectorsContext,
): Promise<Connectors> {
  const all = options.map((each) => configured(each, context)).toSorted(byName)
  const failures: ConnectorFailure[] = []
  for (const connector of all) {
    try {
      await connector.open()
      context.log.info('config connector', { connector_id: connector.id })
    } catch (error) {
      if (!context.continueOnFailure) throw error
      failures.push(error as ConnectorFailure)
      context.log.error('connector cannot be opened; the next login by it tries again', {
        connector_id: connector.id,
        err: error,
      })
    }
  }
  if (all.length > 0 && failures.length === all.length) {
    throw failure('misconfigured', `no connector can be opened: ${failures[0]!.message}`, { cause: failures[0] })
  }
  const byId = new Map(all.map((connector) => [connector.id, connector]))
  return {
    all,
    get: (id) => byId.get(id),
    async close() {
      await Promise.all(all.map(({ opened }) => opened?.close?.()))
    },
  }
}

function configured(options: ConnectorOptions, { folder, contextFor }: ConnectorsContext): ConfiguredConnector {
  const { id, name, type, config, grantTypes, refresh } = options
  let opened: Connector | undefined
  let opening: Promise<Connector> | undefined
  const open = async (): Promise<Connector> => {
    try {
      const found = await connectorType(type, folder)
      opened = await found.open(config, contextFor(id, type))
      return opened
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw failure('misconfigured', `connector "${id}" cannot be opened: ${reason}`, { cause: error })
    } finally {
      opening = undefined
    }
  }
  return {
    id,
    name,
    type,
    get opened() {
      return opened
    },
    open: () => {
      if (opened) return Promise.resolve(opened)
      opening ??= open()
      return opening
    },
    allows: (grantType) => grantTypes.length === 0 || grantTypes.includes(grantType),
    ...(refresh && { refresh }),
  }
}

function byName(a: ConfiguredConnector, b: ConfiguredConnector): number {
  const [first, second] = [a.name.toLowerCase(), b.name.toLowerCase()]
  if (first === second) return 0
  return first < second ? -1 : 1
}
