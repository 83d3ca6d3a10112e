/** Drives a scenario and counts. */
import { generateKeyPairSync, sign } from 'node:crypto'
import type { Scenario } from './scenarios.ts'
import type { Server } from './server.ts'

export interface Figures {
  /** Milliseconds of the server's processor time for one operation. */
  cpu: number
  /** Operations a second. */
  rate: number
  /** Milliseconds, 99th percentile. */
  p99: number
}

/** Runs `count` operations, `lanes` at once. */
export async function drive(server: Server, operations: (() => Promise<unknown>)[], count: number): Promise<Figures> {
  const latencies: number[] = []
  let left = count
  const before = server.cpu()
  const started = performance.now()
  await Promise.all(
    operations.map(async (operation) => {
      while (left > 0) {
        left -= 1
        const at = performance.now()
        await operation()
        latencies.push(performance.now() - at)
      }
    }),
  )
  const wall = performance.now() - started
  latencies.sort((a, b) => a - b)
  return {
    cpu: (server.cpu() - before) / count,
    rate: (count / wall) * 1000,
    p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
  }
}

export const prepare = (scenario: Scenario, server: Server, lanes: number) =>
  Promise.all(Array.from({ length: lanes }, (_, lane) => scenario.prepare(server.issuer, lane)))

/** Milliseconds of processor time for two RS256 signatures with 2,048 bits, on this machine now. */
export function twoSignatures(): number {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const text = Buffer.alloc(600, 'a')
  const round = (count: number) => {
    const before = process.cpuUsage()
    for (let each = 0; each < count; each++) sign('sha256', text, privateKey)
    const { user, system } = process.cpuUsage(before)
    return ((user + system) / 1000 / count) * 2
  }
  round(100)
  return round(600)
}

export const median = (values: number[]): number => {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
