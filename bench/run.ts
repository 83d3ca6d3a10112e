/**
 * `npm run bench [-- --against PATH] [--quick] [--runs N]`: what an operation costs the server, in processor time, beside
 * another program that takes `serve FILE` (such as Dex), and writes docs/performance.md.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { drive, type Figures, prepare, twoSignatures } from './measure.ts'
import { type Results, report } from './report.ts'
import { configuration, LANES, scenarios } from './scenarios.ts'
import { type Program, type Server, serve } from './server.ts'

const root = join(import.meta.dirname, '..')
const { values: options } = parseArgs({
  options: {
    against: { type: 'string' },
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    /** Another program in the place of ours, for trying the bench itself. */
    program: { type: 'string' },
    /** Where to write the table; `-` writes none. */
    output: { type: 'string', default: join(root, 'docs', 'performance.md') },
  },
})
const runs = Number(options.runs ?? (options.quick ? 1 : 5))
const scale = options.quick ? 0.1 : 1
const OPERATIONS = 1000 * scale
const COLD = 200
const DURABLE_LANES = 16

const ours: Program = options.program
  ? { name: basename(options.program), command: options.program, args: [] }
  : { name: 'Countersign', command: process.execPath, args: [join(root, 'bin', 'countersign.js')] }
const programs = [ours]
if (options.against) programs.push({ name: basename(options.against), command: options.against, args: [] })

async function startUpstream(): Promise<{ issuer: string; stop(): void }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'upstream.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  return { issuer: String(line).trim(), stop: () => child.kill() }
}

/** One program from start to end, in memory. */
async function measure(program: Program, upstream: string, results: Results): Promise<void> {
  const server = await serve(program, (issuer, listen) => configuration(issuer, listen, upstream, { type: 'memory' }))
  const add = (key: string, figures: Figures) => results.add(program.name, key, figures)
  try {
    results.addStart(program.name, server.startedIn, server.memory())
    const first = scenarios[0]!
    add('cold', await drive(server, await prepare(first, server, LANES), COLD))
    for (const scenario of scenarios) {
      try {
        const operations = await prepare(scenario, server, LANES)
        await drive(server, operations, Math.ceil(scenario.warmUp * scale))
        add(scenario.key, await drive(server, operations, OPERATIONS * (scenario.factor ?? 1)))
      } catch (error) {
        if (!scenario.optional || program === ours) throw error
        console.error(`${program.name} has no ${scenario.title}: ${String(error).split('\n')[0]}`)
      }
    }
    results.addMemory(program.name, server.memory())
  } finally {
    await server.stop()
  }
}

/**
 * Logins with a store on disk: our embedded one, the other's sqlite3; from 1,000 records, 16 at once, or one at a time
 * where a program cannot (Dex answers 500 to parallel logins of one person on sqlite3).
 */
async function measureDurable(program: Program, upstream: string, results: Results, lanes: number): Promise<void> {
  const type = program === ours && !options.program ? 'lowdb' : 'sqlite3'
  const storage = (folder: string) => ({ type, config: { file: join(folder, 'store.db') } })
  let server: Server | undefined
  try {
    server = await serve(program, (issuer, listen, folder) => configuration(issuer, listen, upstream, storage(folder)))
    const operations = await prepare(scenarios[0]!, server, lanes)
    await drive(server, operations, 1000 * scale)
    results.add(program.name, 'durable', await drive(server, operations, OPERATIONS))
  } catch (error) {
    console.error(`${program.name} on ${type}, ${lanes} at once: ${String(error).split('\n')[0]}`)
    if (lanes > 1 && server !== undefined) await measureDurable(program, upstream, results, 1)
  } finally {
    await server?.stop()
  }
}

const upstream = await startUpstream()
const results = report(programs.map(({ name }) => name))
try {
  for (let run = 1; run <= runs; run++) {
    results.addSignatures(twoSignatures())
    for (const program of programs) {
      console.error(`run ${run} of ${runs}: ${program.name}`)
      await measure(program, upstream.issuer, results)
      await measureDurable(program, upstream.issuer, results, DURABLE_LANES)
    }
  }
} finally {
  upstream.stop()
}
const command = `npm run bench${options.against ? ` -- --against ${basename(options.against)}` : ''}`
const table = results.table()
console.log(table)
if (options.output !== '-' && !options.quick) writeFileSync(options.output, results.page(command, runs, OPERATIONS))
