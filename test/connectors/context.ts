/** What a connector is given in tests: the global fetch with a short time limit, a clock that a test may move, a log it may read. */
import type { ConnectorContext, HttpOptions } from '../../connectors/contract.ts'
import type { Attributes, Logger } from '../../src/lib/logger.ts'

export interface TestContext extends ConnectorContext {
  /** Messages of level warn and above, in order. */
  warnings: string[]
  /** What `http` was called with. */
  httpOptions: HttpOptions[]
  /** Moves the clock, in milliseconds. */
  advance(milliseconds: number): void
}

export const testIssuer = 'https://login.example.com/dex'

export function context(changes: Partial<ConnectorContext> & { timeout?: number } = {}): TestContext {
  const { timeout = 5000, ...replaced } = changes
  let offset = 0
  const warnings: string[] = []
  const httpOptions: HttpOptions[] = []
  const note = (message: string, _attributes?: Attributes) => void warnings.push(message)
  const log: Logger = { debug() {}, info() {}, warn: note, error: note, child: () => log }
  return {
    id: 'test',
    issuer: testIssuer,
    http(options = {}) {
      httpOptions.push(options)
      return (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(timeout) })
    },
    measure: (_call, work) => work(),
    now: () => new Date(Date.now() + offset),
    log,
    ...replaced,
    warnings,
    httpOptions,
    advance(milliseconds) {
      offset += milliseconds
    },
  }
}
