/**
 * GitHub's description of its own REST API (OpenAPI 3.0), as a judge of what passes between a connector and the stand-in:
 * an undeclared path, parameter, status or field is an error, and so is a body that fails its schema.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'

/** github.com, or an Enterprise Server. */
export type Edition = 'api.github.com' | 'ghes-3.19'

export interface DescribedRequest {
  method: string
  /** Below the server's address, without the query. */
  path: string
  query: URLSearchParams
  headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface DescribedReply {
  status: number
  body?: unknown
  headers?: Readonly<Record<string, string>>
}

export interface Description {
  /** @throws AssertionError that names everything undeclared */
  check(request: DescribedRequest, reply: DescribedReply): void
  /** A fresh copy of one of GitHub's own examples. */
  example(name: string): unknown
}

type Schema = { [keyword: string]: unknown }
interface Operation {
  parameters?: Schema[]
  responses: Record<string, Schema>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>; examples: Record<string, { value: unknown }> }
}

/** What GitHub answers anywhere, and so describes nowhere in particular: no access, limits, outages. */
const anywhere = new Set([401, 403, 429, 500, 502, 503])

const versions = ['2022-11-28', '2026-03-10']

const loaded = new Map<Edition, Description>()

/** Reads the description once; some 13 MB. */
export function describeGitHub(edition: Edition): Description {
  const known = loaded.get(edition)
  if (known) return known
  const file = createRequire(import.meta.url).resolve(`@octokit/openapi/generated/${edition}.json`)
  const description = judge(JSON.parse(readFileSync(file, 'utf8')) as Document, edition)
  loaded.set(edition, description)
  return description
}

function judge(document: Document, edition: Edition): Description {
  const ajv = new Ajv({ allErrors: true, strict: false, validateSchema: false, logger: false })
  formats.default(ajv)
  ajv.addSchema(document, edition)
  const compiled = new Map<string, ValidateFunction>()

  const at = (pointer: string): Schema => {
    let found: unknown = document
    for (const part of pointer.split('/').slice(1)) {
      found = (found as Record<string, unknown>)[part.replaceAll('~1', '/').replaceAll('~0', '~')]
    }
    return found as Schema
  }
  const resolved = (schema: Schema): Schema =>
    typeof schema.$ref === 'string' ? resolved(at(schema.$ref.slice(1))) : schema

  const faultsOf = (pointer: string, value: unknown): string[] => {
    let validate = compiled.get(pointer)
    if (!validate) {
      validate = ajv.compile({ $ref: `${edition}#${encodeURI(pointer)}` })
      compiled.set(pointer, validate)
    }
    const wrong = validate(value)
      ? []
      : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)
    return [...wrong, ...undeclared(at(pointer), value, '')]
  }

  /** Members that no branch of the schema knows. */
  const undeclared = (schema: Schema, value: unknown, place: string): string[] => {
    const branches = branchesOf(schema)
    if (Array.isArray(value)) {
      const items = branches.flatMap((branch) => (branch.items ? [branch.items as Schema] : []))
      return value.flatMap((entry, index) =>
        items.length === 0 ? [] : undeclared({ anyOf: items }, entry, `${place}/${index}`),
      )
    }
    if (typeof value !== 'object' || value === null) return []
    if (branches.some(({ additionalProperties: more }) => typeof more === 'object' || more === true)) return []
    return Object.entries(value).flatMap(([name, member]) => {
      const declared = branches.flatMap((branch) => {
        const found = (branch.properties as Record<string, Schema> | undefined)?.[name]
        return found ? [found] : []
      })
      if (declared.length === 0) return [`${place}/${name} is not declared`]
      return undeclared({ anyOf: declared }, member, `${place}/${name}`)
    })
  }

  const branchesOf = (schema: Schema): Schema[] => {
    const whole = resolved(schema)
    const inner = ['allOf', 'anyOf', 'oneOf'].flatMap((keyword) => (whole[keyword] as Schema[] | undefined) ?? [])
    return [whole, ...inner.flatMap(branchesOf)]
  }

  const pathFor = (path: string): string | undefined => {
    const parts = path.split('/')
    const fits = (template: string) => {
      const wanted = template.split('/')
      return (
        wanted.length === parts.length &&
        wanted.every((part, i) => (part.startsWith('{') ? parts[i] : part === parts[i]))
      )
    }
    const templates = Object.keys(document.paths).filter(fits)
    return templates.toSorted((a, b) => a.split('{').length - b.split('{').length)[0]
  }

  return {
    example: (name) => structuredClone(document.components.examples[name]?.value),

    check({ method, path, query, headers }, { status, body, headers: answered = {} }) {
      const where = `${method} ${path} (${status})`
      const template = pathFor(path)
      assert.ok(template, `${where}: no such path at ${edition}`)
      const name = method.toLowerCase()
      const operation = document.paths[template]?.[name]
      assert.ok(operation, `${where}: no such method`)

      const parameters = (operation.parameters ?? []).map(resolved)
      const faults = [...query.keys()]
        .filter((key) => !parameters.some((parameter) => parameter.in === 'query' && parameter.name === key))
        .map((key) => `query parameter ${key} is not declared`)
      if (!/^Bearer \S+$/.test(String(headers.authorization))) faults.push('no bearer token')
      if (!headers['user-agent']) faults.push('no User-Agent, which GitHub requires')
      if (!versions.includes(String(headers['x-github-api-version']))) faults.push('no known API version')
      if (headers.accept !== 'application/vnd.github+json') faults.push('not the recommended Accept')

      const response = operation.responses[status]
      assert.ok(response || anywhere.has(status), `${where}: no such status`)
      const described = response && resolved(response)
      const content = (described?.content as Record<string, Schema> | undefined)?.['application/json']
      if (content) {
        const escaped = template.replaceAll('~', '~0').replaceAll('/', '~1')
        const pointer = response?.$ref
          ? `${String(response.$ref).slice(1)}/content/application~1json/schema`
          : `/paths/${escaped}/${name}/responses/${status}/content/application~1json/schema`
        faults.push(...faultsOf(pointer, body))
      } else if (body !== undefined && status < 500) {
        faults.push(...(status >= 400 ? faultsOf('/components/schemas/basic-error', body) : ['no body is declared']))
      }
      if (answered.link && !(described?.headers as Schema | undefined)?.Link) faults.push('no Link header is declared')
      assert.deepEqual(faults, [], where)
    },
  }
}
