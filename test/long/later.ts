/**
 * Loaded before the program. SIGUSR2 moves its clock on by eleven minutes, which is longer than a code lives, lets the
 * janitor come, collects garbage down to the last, and says on standard error what is left, as JSON.
 */
import { setTimeout as pause } from 'node:timers/promises'

const jump = 11 * 60_000
let ahead = 0

const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...given: []) {
    if (given.length === 0) super(RealDate.now() + ahead)
    else super(...given)
  }
  static override now(): number {
    return RealDate.now() + ahead
  }
} as DateConstructor

// The janitor comes every minute; here every second.
const realTimeout = globalThis.setTimeout
const sooner = (work: (...all: unknown[]) => void, ms?: number, ...more: unknown[]) =>
  realTimeout(work, ms === 60_000 ? 1_000 : ms, ...more)
globalThis.setTimeout = Object.assign(sooner, realTimeout) as unknown as typeof setTimeout

/** With `--expose-gc`. `last-resort` gives the pages back, too. */
const { gc } = globalThis as { gc?: (options: object) => void }

process.on('SIGUSR2', async () => {
  ahead += jump
  await pause(3_000)
  for (let round = 0; round < 3; round++) {
    gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    await pause(200)
  }
  process.stderr.write(`left ${JSON.stringify(process.memoryUsage())}\n`)
})
