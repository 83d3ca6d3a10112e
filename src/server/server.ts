/** The server around the application: its store, its sockets, its upkeep, and their order at the start and at the end. */

import type { StorageDriver } from '../storage/contract.ts'
import { openStorage } from '../storage/index.ts'
import { startSweeping } from '../storage/janitor.ts'
import { kinds } from '../storage/kinds.ts'
import { answerRequests, requestPath } from '../storage/requests.ts'
import { sealerFor } from '../storage/sealing-key.ts'
import { openAudit } from '../telemetry/audit.ts'
import type { ServerLog } from '../telemetry/log.ts'
import { openMetrics } from '../telemetry/metrics.ts'
import { openApp } from './app.ts'
import { requestsFor } from './keys.ts'
import { type BoundAddress, listen } from './listen.ts'
import type { ServerOptions } from './options.ts'
import { openTelemetryServer, type TelemetryServer } from './telemetry-server.ts'

export interface RunningServer {
  addresses: BoundAddress[]
  /** Readiness off, requests in flight finish, the store is flushed. */
  close(): Promise<void>
}

export interface ServerContext {
  options: ServerOptions
  log: ServerLog
  version: string
  env: Readonly<Record<string, string | undefined>>
}

/** Seconds between two sweeps of expired records. */
const sweepEvery = 60

/** @throws Error with a sentence for the operator when a part cannot be opened; what was open is closed again */
export async function openServer({ options, log, version, env }: ServerContext): Promise<RunningServer> {
  const closers: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) {
      // Whatever fails, the store is closed in order.
      await close().catch((error) => log.error('a part of the server could not be closed', { err: error }))
    }
  }
  const now = () => new Date()
  try {
    const driver = await openStorage(options.storage, { log, now })
    closers.push(() => driver.close())
    const sealer = await sealerFor(options.storage)
    const metrics = openMetrics({ version })
    metrics.countRecords(() => countRecords(driver))
    const janitor = startSweeping(driver, { everySeconds: sweepEvery, log })
    closers.push(() => janitor.close())
    const audit = openAudit(log)
    const app = await openApp({ options, driver, sealer, log, audit, metrics, version, env, now })
    closers.push(() => app.close())
    const path = requestPath(options.storage)
    if (path !== undefined) {
      const requests = answerRequests(path, { handlers: requestsFor(app.services.keys), log })
      closers.push(requests.close)
    }

    // Opened before and closed after the listener that it speaks of, so that whoever asks is always told.
    let telemetry: TelemetryServer | undefined
    if (options.telemetry.http !== undefined) {
      telemetry = await openTelemetryServer({
        http: options.telemetry.http,
        enableProfiling: options.telemetry.enableProfiling,
        metrics,
        log,
        checks: {
          storage: () => driver.ready(),
          keys: () => app.services.keys.check(),
          connectors: async () => {
            if (app.services.connectors.all.length === 0) throw new Error('no connectors are configured')
          },
        },
      })
      telemetry.ready(false)
      closers.push(telemetry.close)
    }

    const { http, https, tls } = options.web
    const web = await listen({
      ...(http !== undefined && { http }),
      ...(https !== undefined && { https }),
      ...(tls && { tls }),
      handler: app.handler,
      log,
    })
    closers.push(() => web.close())
    telemetry?.ready(true)
    return {
      addresses: web.addresses,
      close() {
        telemetry?.ready(false)
        return closeAll()
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function countRecords(driver: StorageDriver) {
  const counted = Object.keys(kinds).map(async (kind) => {
    const { live, expired } = await driver.count(kind)
    return [
      { kind, state: 'live', count: live },
      { kind, state: 'expired', count: expired },
    ]
  })
  return (await Promise.all(counted)).flat()
}
