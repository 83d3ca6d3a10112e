/**
 * The process itself, read when somebody scrapes. The library's own default metrics watch the event loop and the
 * garbage collector with a timer of 10 ms, which costs an idle server more than all its requests.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Of this process; `undefined` where the system has no /proc. */
const openDescriptors = (): number | undefined => {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

const mostDescriptors = (): number | undefined => {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}

/** Adds `process_*` as Prometheus' client libraries name them, and what Node knows of its heap and event loop. */
export const registerProcessMetrics = (register: Registry): void => {
  const registers = [register]
  const gauge = (name: string, help: string, read: () => number | undefined): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read()
        if (value !== undefined) this.set(value)
      },
    })
  }

  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time used, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  const startTime = Math.round(Date.now() - process.uptime() * 1000) / 1000
  gauge('process_start_time_seconds', 'When the process started, Unix time.', () => startTime)
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  gauge('process_open_fds', 'Open file descriptors.', openDescriptors)
  gauge('process_max_fds', 'Most file descriptors that may be open.', mostDescriptors)
  gauge('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed)
  gauge('nodejs_heap_size_total_bytes', 'Heap reserved.', () => process.memoryUsage().heapTotal)

  let before = performance.eventLoopUtilization()
  gauge('nodejs_eventloop_utilization', 'Share of the time since the last scrape that the event loop was busy.', () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    return utilization
  })
  new Gauge({
    name: 'nodejs_version_info',
    help: 'Version of Node; always 1.',
    labelNames: ['version'],
    registers,
  }).set({ version: process.version }, 1)
}
