/** JSON Schema checks whose findings are sentences for an operator. */
import { Ajv2020, type ErrorObject, type Options } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'
import { compiled, fingerprint } from './compiled.ts'
import { nearest } from './nearest.ts'

export interface SchemaProblem {
  /** JSON pointer (RFC 6901) of what is wrong; of a missing key, where it would stand. */
  path: string
  /** What is wrong, as the rest of a sentence about that place. */
  message: string
  /** The valid name that was most likely meant. */
  nearest?: string
  /** The types that were wanted, where the type is wrong. */
  wanted?: string[]
}

/** Checks a value, and fills in the schema's defaults in place. An empty list: nothing is wrong. */
export type Validate = (value: unknown) => SchemaProblem[]

/** For those that check configurations; `npm run build` uses them too, see `compiled.ts`. */
export const ajvOptions = {
  // Schemas carry annotations of ours, and those of operators' modules are not ours to judge.
  strict: false,
  allowUnionTypes: true,
  allErrors: true,
  verbose: true,
  useDefaults: true,
  // Judging the schemas, and making the checks as fast as can be, costs more than a start has use for.
  validateSchema: false,
  meta: false,
  code: { optimize: false },
} satisfies Options

let shared: Ajv2020 | undefined
const ajv = (): Ajv2020 => {
  shared ??= formats.default(new Ajv2020(ajvOptions)) as Ajv2020
  return shared
}

/** Why a schema from elsewhere is no valid JSON Schema (2020-12). */
export const schemaFault = (schema: TSchema): string | undefined => {
  const judge = formats.default(new Ajv2020({ ...ajvOptions, validateSchema: true, meta: true }))
  try {
    judge.compile(schema)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const known = new WeakMap<TSchema, Validate>()

/** Compiles a TypeBox (JSON) schema once. It must be a valid one, see `schemaFault`. */
export const compileSchema = (schema: TSchema): Validate => {
  const before = known.get(schema)
  if (before) return before
  const check = compiled[fingerprint(schema)] ?? ajv().compile(schema)
  const validate: Validate = (value) => (check(value) ? [] : describe(check.errors ?? []))
  known.set(schema, validate)
  return validate
}

/** One wrong word is one sentence: what the branches of a union say is folded into what was wanted. */
const describe = (errors: ErrorObject[]): SchemaProblem[] => {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
  const problems: SchemaProblem[] = []
  for (const error of errors) {
    if (unions.some((union) => union !== error && error.schemaPath.startsWith(`${union.schemaPath}/`))) continue
    if (error.keyword === 'if') continue
    problems.push(...(unions.includes(error) ? describeUnion(error, errors) : [describeOne(error)]))
  }
  const seen = new Set<string>()
  return problems.filter(({ path, message }) => {
    const key = `${path} ${message}`
    return !seen.has(key) && seen.add(key)
  })
}

/** The branch that got furthest is the one that was meant: its faults below the union's own place are told. */
const describeUnion = (union: ErrorObject, errors: ErrorObject[]): SchemaProblem[] => {
  const inside = errors.filter((error) => error.schemaPath.startsWith(`${union.schemaPath}/`))
  const branches = Object.values(
    Object.groupBy(inside, (error) => error.schemaPath.slice(union.schemaPath.length).split('/')[1]!),
  )
  const meant = branches.filter((branch) => branch!.every((error) => !isWrongKind(error, union.instancePath)))
  if (meant.length > 0) {
    const fewest = meant.reduce((a, b) => (b!.length < a!.length ? b : a))!
    if (fewest.every(({ keyword }) => keyword !== 'const')) return fewest.map(describeOne)
  }
  const constants = inside.filter(({ keyword }) => keyword === 'const').map(({ params }) => params.allowedValue)
  if (constants.length > 0) return [notAmong(union.instancePath, union.data, constants)]
  const wanted = [...new Set(inside.filter((error) => isWrongKind(error, union.instancePath)).flatMap(typesOf))]
  return [
    {
      path: union.instancePath,
      message: `must be ${alternatives(wanted.map(kindName))}, not ${kindOf(union.data)}`,
      wanted,
    },
  ]
}

const isWrongKind = (error: ErrorObject, place: string): boolean =>
  error.keyword === 'type' && error.instancePath === place

const typesOf = (error: ErrorObject): string[] => [error.params.type].flat() as string[]

const describeOne = (error: ErrorObject): SchemaProblem => {
  const { keyword, instancePath: path, params, data, parentSchema } = error
  switch (keyword) {
    case 'required':
      return { path: `${path}/${escapePointer(params.missingProperty)}`, message: 'is missing' }
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const name = String(params.additionalProperty ?? params.unevaluatedProperty)
      return withNearest(
        { path: `${path}/${escapePointer(name)}`, message: 'is no known key' },
        name,
        Object.keys(parentSchema?.properties ?? {}),
      )
    }
    case 'type':
      return {
        path,
        message: `must be ${alternatives(typesOf(error).map(kindName))}, not ${kindOf(data)}`,
        wanted: typesOf(error),
      }
    case 'enum':
      return notAmong(path, data, params.allowedValues)
    case 'const':
      return notAmong(path, data, [params.allowedValue])
    case 'minLength':
      return {
        path,
        message: params.limit === 1 ? 'must not be empty' : `must have at least ${params.limit} characters`,
      }
    case 'maxLength':
      return { path, message: `must have at most ${params.limit} characters` }
    case 'minItems':
      return {
        path,
        message: params.limit === 1 ? 'must not be empty' : `must have at least ${params.limit} entries`,
      }
    case 'maxItems':
      return { path, message: `must have at most ${params.limit} entries` }
    case 'uniqueItems':
      return { path, message: `names the same thing twice (entries ${params.j + 1} and ${params.i + 1})` }
    case 'minimum':
      return { path, message: `must be at least ${params.limit}` }
    case 'maximum':
      return { path, message: `must be at most ${params.limit}` }
    case 'exclusiveMinimum':
      return { path, message: `must be more than ${params.limit}` }
    case 'exclusiveMaximum':
      return { path, message: `must be less than ${params.limit}` }
    case 'format':
      return { path, message: `must be ${FORMATS[params.format] ?? `of the form "${params.format}"`}` }
    case 'pattern':
      return { path, message: `must match ${params.pattern}` }
    case 'dependentRequired':
      return {
        path: `${path}/${escapePointer(params.missingProperty)}`,
        message: `is needed beside "${params.property}"`,
      }
    case 'not':
      return { path, message: 'is not allowed here' }
    default:
      return { path, message: error.message ?? `fails "${keyword}"` }
  }
}

const FORMATS: Record<string, string | undefined> = {
  uri: 'an absolute address such as https://example.com/path',
  url: 'an absolute address such as https://example.com/path',
  email: 'an e-mail address',
  hostname: 'a host name',
  regex: 'a regular expression',
}

const notAmong = (path: string, data: unknown, allowed: unknown[]): SchemaProblem => {
  const message = `must be ${alternatives(allowed.map(quote))}, not ${quote(data)}`
  const wrongKind = typeof data !== 'string' && allowed.every((word) => typeof word === 'string')
  return withNearest({ path, message, ...(wrongKind && { wanted: ['string'] }) }, String(data), allowed.map(String))
}

const withNearest = (problem: SchemaProblem, word: string, candidates: string[]): SchemaProblem => {
  const name = nearest(word, candidates)
  return name === undefined ? problem : { ...problem, nearest: name }
}

const quote = (value: unknown): string =>
  typeof value === 'object' && value !== null ? kindOf(value) : JSON.stringify(value)

const KINDS: Record<string, string | undefined> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of keys',
  null: 'empty',
}
const kindName = (type: string): string => KINDS[type] ?? type

const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'boolean') return String(value)
  return kindName(typeof value)
}

const alternatives = (words: string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`

const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')
