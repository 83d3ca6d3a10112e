/** Medians and tables. */
import { cpus } from 'node:os'
import { type Figures, median } from './measure.ts'
import { scenarios } from './scenarios.ts'

export interface Results {
  add(program: string, key: string, figures: Figures): void
  /** Milliseconds to the first answer, and resident bytes before any work. */
  addStart(program: string, startedIn: number, idle: number): void
  /** Resident bytes after the work. */
  addMemory(program: string, bytes: number): void
  /** Milliseconds for two signatures. */
  addSignatures(cost: number): void
  table(): string
  /** The text of docs/performance.md. */
  page(command: string, runs: number, operations: number): string
}

const rows: { key: string; title: string; goal?: number }[] = [
  ...scenarios,
  { key: 'cold', title: 'login without upstream, cold (first 200)' },
  { key: 'durable', title: 'login without upstream, store on disk, 16 at once', goal: 1 },
]

const fixed = (value: number, digits: number, unit = '') =>
  Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : '–'
const line = (cells: string[]) => `| ${cells.join(' | ')} |`
const markdown = (head: string[], body: string[][]) =>
  [head, head.map((_, column) => (column === 0 ? '---' : '--:')), ...body].map(line).join('\n')
const megabytes = (bytes: number) => fixed(bytes / 2 ** 20, 0, ' MB')

/** Collects the figures of several runs; the first name is ours, a second one is what it is compared with. */
export function report(names: string[]): Results {
  const samples = new Map<string, number[]>()
  const keep = (program: string, key: string, value: number) => {
    const at = `${program} ${key}`
    samples.set(at, [...(samples.get(at) ?? []), value])
  }
  const of = (program: string, key: string) => median(samples.get(`${program} ${key}`) ?? [])
  const [ours = '', other] = names

  /** Median of the ratios of each run: both programs saw the same machine in it. */
  const ratio = (key: string) => {
    if (other === undefined) return Number.NaN
    const theirs = samples.get(`${other} ${key}.cpu`) ?? []
    return median((samples.get(`${ours} ${key}.cpu`) ?? []).map((value, run) => value / (theirs[run] ?? Number.NaN)))
  }

  function table(): string {
    const signatures = of('', 'signatures')
    const compared = other !== undefined
    const cost = markdown(
      ['CPU ms an operation', ...names, ...(compared ? ['ratio', 'goal'] : []), `${ours} in two signatures`],
      rows.map(({ key, title, goal }) => [
        title,
        ...names.map((name) => fixed(of(name, `${key}.cpu`), 2)),
        ...(compared ? [fixed(ratio(key), 2), goal === undefined ? '' : `≤ ${goal}`] : []),
        fixed(of(ours, `${key}.cpu`) / signatures, 2),
      ]),
    )
    const pace = markdown(
      ['operations a second; 99 % within', ...names],
      rows.map(({ key, title }) => [
        title,
        ...names.map((name) => `${fixed(of(name, `${key}.rate`), 0)}; ${fixed(of(name, `${key}.p99`), 1, ' ms')}`),
      ]),
    )
    const around = markdown(
      ['', 'start to first answer', 'memory idle', 'memory after the work'],
      names.map((name) => [
        name,
        fixed(of(name, 'start'), 0, ' ms'),
        megabytes(of(name, 'idle')),
        megabytes(of(name, 'memory')),
      ]),
    )
    return [
      cost,
      pace,
      around,
      `Two RS256 signatures beside it: ${fixed(signatures, 2, ' ms')} of processor time.`,
    ].join('\n\n')
  }

  return {
    add(program, key, figures) {
      for (const [name, value] of Object.entries(figures)) keep(program, `${key}.${name}`, value)
    },
    addStart(program, startedIn, idle) {
      keep(program, 'start', startedIn)
      keep(program, 'idle', idle)
    },
    addMemory: (program, bytes) => keep(program, 'memory', bytes),
    addSignatures: (cost) => keep('', 'signatures', cost),
    table,
    page: (command, runs, operations) => `# Performance

Written by \`${command}\` on ${new Date().toISOString().slice(0, 10)}: Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}),
medians of ${runs} runs, ${operations} operations of each kind at 8 in parallel after a warm-up of 1,500 logins and 500 of everything else.

What counts is the processor time of the server (user and system, all threads, child processes included) for one operation,
since throughput depends on what else the machine does; the load comes from another process on the same machine. A login is
the authorization code flow with PKCE and ends with an ID, an access and a refresh token; RS256, store in memory but where the
row says otherwise.

${table()}
`,
  }
}
