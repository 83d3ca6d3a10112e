/** Replays a theme: one server for each configuration, and its scenarios one after another. */
import { setTimeout as pause } from 'node:timers/promises'
import { judge, type Verdict } from './differences.ts'
import { Jar } from './exchange.ts'
import { type Configuration, isCompared, type Names, type Scenario, type Theme } from './scenarios.ts'
import { type Program, startServer } from './server.ts'
import { perform, type Run } from './step.ts'
import { namesOf, startStandIns } from './upstreams/index.ts'

export interface Outcome extends Verdict {
  scenario: string
  step: string
  /** How many answers it stands for: all of a configuration when the server does not start. */
  answers: number
}

export interface Selection {
  /** Which configurations; by default all. */
  configuration?(name: string): boolean
  scenario?(scenario: Scenario): boolean
}

/** Names that every scenario may use besides what its steps save. The verifier is that of RFC 7636, appendix B. */
const CONSTANTS: Names = {
  callback: 'http://127.0.0.1:5555/callback',
  verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
  challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
}

export async function* replay(
  { configs, scenarios }: Theme,
  program: Program,
  { configuration = () => true, scenario = () => true }: Selection = {},
): AsyncGenerator<Outcome> {
  for (const [name, config] of Object.entries(configs).filter(([each]) => configuration(each))) {
    const wanted = scenarios.filter((each) => each.config === name && scenario(each))
    if (wanted.length === 0) continue
    try {
      yield* withServer(program, config, wanted)
    } catch (error) {
      const answers = wanted.flatMap(({ steps }) => steps).filter(isCompared).length
      yield { scenario: `configuration ${name}`, step: 'start', ...failure(error), answers }
    }
  }
}

async function* withServer(program: Program, config: Configuration, scenarios: Scenario[]): AsyncGenerator<Outcome> {
  const standIns = await startStandIns(config.needs)
  const all = Object.entries(standIns)
  const upstreams = Object.assign({ ...CONSTANTS }, ...all.map(([name, up]) => namesOf(name, up)))
  try {
    const server = await startServer(program, config.file, upstreams)
    const names = { ...upstreams, ...server.names }
    const ca = all.find(([, up]) => up.ca)?.[1].ca?.pem
    try {
      for (const scenario of scenarios) yield* play(scenario, { standIns, issuer: server.issuer, ca, names })
    } finally {
      await server.stop()
    }
  } finally {
    for (const [, up] of all) up.close()
  }
}

async function* play(scenario: Scenario, world: Omit<Run, 'jar'>): AsyncGenerator<Outcome> {
  const jars = new Map<string, Jar>()
  const jar = (name: string): Jar => {
    const found = jars.get(name) ?? new Jar()
    jars.set(name, found)
    return found
  }
  const run: Run = { ...world, names: { ...world.names }, jar }
  for (const up of Object.values(world.standIns)) up.arrange({})
  for (const step of scenario.steps) {
    if (step.wait) {
      await pause(step.wait * 1000)
      continue
    }
    const verdict = await perform(step, run).then(
      (seen) => seen && judge(step, seen),
      (error: unknown) => failure(error),
    )
    if (verdict) yield { scenario: scenario.name, step: step.step, ...verdict, answers: 1 }
  }
}

function failure(error: unknown): Verdict {
  const { message, cause } = error as Error
  const why = cause ? `${message}: ${(cause as Error).message}` : message || String(error)
  return { verdict: 'differ', why }
}
