/** The scenario files: what was asked of Dex, and what it answered. `../README.md` describes the format. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../../src/lib/json.ts'

export interface Theme {
  theme: string
  configs: Record<string, Configuration>
  scenarios: Scenario[]
}

export interface Configuration {
  /** Stand-ins to start, by name. `refresh` is for recording only: Dex cannot do that with every store. */
  needs?: string[]
  file: DexFile
}

/** A Dex configuration; what depends on the run is filled in by `server.ts`. */
export interface DexFile {
  issuer?: string
  web?: Record<string, Json>
  [key: string]: Json | undefined
}

export interface Scenario {
  name: string
  config: string
  steps: Step[]
}

/** Has one of `request`, `browse`, `prepare`, `arrange`, `observe` and `wait`. */
export interface Step {
  step: string
  request?: Asked
  browse?: Asked
  /** A request whose answer is not compared. */
  prepare?: Asked
  /** What stand-ins do from now on. */
  arrange?: Record<string, Arrangement>
  /** A stand-in, whose log is the answer. */
  observe?: string
  /** Seconds. */
  wait?: number
  /** Words that the page holds or not. */
  says?: string
  /** Names of lists whose order Dex itself changes from answer to answer. */
  anyOrder?: string[]
  /** Values for later steps, as `body.access_token`, by the name they get. */
  save?: Record<string, string>
  answer?: Answer
  better?: Better | Better[]
}

export interface Asked {
  method?: string
  /** Below the issuer; `url` is a whole address instead. */
  path?: string
  url?: string
  query?: Fields
  form?: Fields
  body?: string
  headers?: Record<string, string>
  basic?: [id: string, secret: string]
  bearer?: string
  /** The name of a cookie jar. */
  jar?: string
  person?: Person
}

/** A list repeats a parameter, null leaves it out. */
export type Fields = Record<string, string | string[] | null>

/** Who walks through the pages. What is not given is not done, so the walk ends there. */
export interface Person {
  connector?: string
  login?: string
  password?: string
  userCode?: string
  approve?: boolean
}

export type Arrangement = Record<string, Json>

/** An answer in the form that is written down. */
export type Answer = Record<string, Json>

/** A patch on the answer, in the manner of RFC 7396, and why that is preferred to Dex's. */
export interface Better extends Record<string, Json | undefined> {
  why?: string
  /** Dex's own answer is right as well. */
  optional?: boolean
}

/** Values for the places `{name}`. */
export type Names = Record<string, string>

const folder = join(import.meta.dirname, '..', 'scenarios')

/** The names of the scenario files, without their ending. */
export const themeNames: readonly string[] = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length))
  .toSorted()

export const readTheme = (name: string): Theme =>
  JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Theme

/** Whether a step has an answer that is compared. */
export const isCompared = (step: Step): boolean =>
  step.browse !== undefined || step.request !== undefined || step.observe !== undefined

/** Puts values into the places `{name}` of every string in `value`. @throws Error when a name is not known */
export function fill<T>(value: T, names: Names): T
export function fill(value: unknown, names: Names): unknown {
  if (typeof value === 'string') {
    return value.replace(/\{([a-zA-Z][\w.]*)\}/g, (place, name: string) => {
      const known = names[name]
      if (known === undefined) throw new Error(`${place} is not known: an earlier step did not bring it`)
      return known
    })
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, names))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [fill(key, names), fill(item, names)]))
  }
  return value
}
