import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { type Installed, installPackage } from '../package/installed.ts'
import { openPlace } from '../server/program.ts'

const starts = 7
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

describe('the installed package', () => {
  let installed: Installed
  before(async () => {
    installed = await installPackage()
  })
  after(() => installed?.[Symbol.asyncDispose]())

  it('answers soon after its start and takes little memory while nobody asks', async () => {
    await using place = await openPlace()
    await place.configure({ storage: place.lowdb })
    const milliseconds: number[] = []
    const megabytes: number[] = []
    // The first two make the keys and what the compile cache holds.
    for (let start = -2; start < starts; start++) {
      await using server = await place.serve(undefined, { command: [process.execPath, installed.bin] })
      await pause(5_000)
      if (start >= 0) {
        milliseconds.push(server.startedIn)
        if (existsSync('/proc/self/status')) {
          const status = await readFile(`/proc/${server.child.pid}/status`, 'utf8')
          megabytes.push(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024)
        }
      }
      assert.equal(await server.stop('SIGTERM'), 0)
    }
    console.log(
      `  first answer after ${Math.round(median(milliseconds))} ms (${milliseconds.map(Math.round).join(', ')}), ` +
        `${megabytes.length > 0 ? `${Math.round(median(megabytes))} MB` : 'unknown memory'} idle; medians of ${starts}`,
    )
    assert.ok(median(milliseconds) <= 300 * slowness(), `${median(milliseconds)} ms`)
    // The goal is 80 MB. Where Node's compiler happened to be called at the start, 6 MB of its code count, too.
    if (megabytes.length > 0) assert.ok(median(megabytes) <= 86, `${median(megabytes)} MB`)
  })
})

/** How much longer this machine takes now for something that it should do in 25 ms. */
function slowness(): number {
  const since = performance.now()
  let sum = 0
  for (let each = 0; each < 2e7; each++) sum += each % 7
  assert.ok(sum > 0)
  return Math.max(1, (performance.now() - since) / 25)
}
