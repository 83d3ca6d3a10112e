/** From the word under `type:` to the code of a connector: ours, or a module of the operator's. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire, findPackageJSON, registerHooks } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ConnectorType, failure } from '../../connectors/contract.ts'
import { connectorTypes } from '../../connectors/index.ts'
import { schemaFault } from '../lib/schema.ts'

/** The types that are built in. */
export const knownTypes: string[] = Object.keys(connectorTypes)

/** Words that Dex has a connector type for: no package of that name stands in for one that is missing here. */
const dexTypes = new Set([
  'atlassian-crowd',
  'authproxy',
  'bitbucket-cloud',
  'gitea',
  'gitlab',
  'google',
  'keystone',
  'ldap',
  'linkedin',
  'microsoft',
  'oauth',
  'openshift',
  'saml',
  'samlExperimental',
])

/**
 * The type of that name: of the registry; a module (`./my.ts`, `../my.js`, an absolute path) relative to `folder`,
 * exported as default; or a package that Node finds from `folder`.
 * @returns `undefined` when the word names nothing
 * @throws ConnectorFailure `misconfigured` when a module is there and does not work
 */
export async function findConnectorType(type: string, folder: string): Promise<ConnectorType | undefined> {
  if (Object.hasOwn(connectorTypes, type)) return connectorTypes[type]
  if (type === '' || dexTypes.has(type)) return undefined
  const file = locate(type, folder)
  return file === undefined ? undefined : load(type, file)
}

/** As `findConnectorType`. @throws ConnectorFailure `misconfigured` also when the word names nothing */
export async function connectorType(type: string, folder: string): Promise<ConnectorType> {
  const found = await findConnectorType(type, folder)
  if (found) return found
  throw failure('misconfigured', `unknown connector type "${type}"; there is ${knownTypes.join(', ')}`)
}

const isPath = (type: string): boolean => type.startsWith('./') || type.startsWith('../') || isAbsolute(type)

function locate(type: string, folder: string): string | undefined {
  if (isPath(type)) {
    const file = resolve(folder, type)
    if (existsSync(file)) return file
    throw failure('misconfigured', `connector module "${type}" cannot be loaded: there is no ${file}`)
  }
  // An address or a pattern is no package name.
  if (!/^(@[\w.~-]+\/)?[\w~-][\w.~-]*(\/[\w.~-]+)*$/.test(type)) return undefined
  const base = join(resolve(folder), 'package.json')
  try {
    const found = createRequire(base).resolve(type)
    // `fs` and its like are no connectors.
    return isAbsolute(found) ? found : undefined
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === 'MODULE_NOT_FOUND') return undefined
    const entry = code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' ? importedEntry(type, base) : undefined
    if (entry !== undefined) return entry
    throw broken(type, error)
  }
}

/** The main entry of a package that is for `import` only, which `require.resolve` passes over. */
function importedEntry(name: string, base: string): string | undefined {
  const description = findPackageJSON(name, pathToFileURL(base))
  if (description === undefined) return undefined
  const { exports } = JSON.parse(readFileSync(description, 'utf8')) as { exports?: unknown }
  const main = typeof exports === 'object' && exports !== null && '.' in exports ? exports['.'] : exports
  const entry = chooseEntry(main)
  return entry === undefined ? undefined : join(dirname(description), entry)
}

/** Conditions apply in the order that they are written in. */
function chooseEntry(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (typeof target !== 'object' || target === null) return undefined
  for (const [condition, inner] of Object.entries(target)) {
    const chosen = ['node', 'import', 'default'].includes(condition) ? chooseEntry(inner) : undefined
    if (chosen !== undefined) return chosen
  }
  return undefined
}

const contract = 'countersign/connector'
let contractIsServed = false

/** A module may lie where no package is installed; it is written with our contract all the same, and with this copy of it. */
function serveContract(): void {
  if (contractIsServed) return
  contractIsServed = true
  const url = import.meta.resolve(contract)
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === contract ? { url, shortCircuit: true } : next(specifier, context),
  })
}

async function load(type: string, file: string): Promise<ConnectorType> {
  serveContract()
  const module: unknown = await import(pathToFileURL(file).href).catch((error: unknown) => {
    throw broken(type, error)
  })
  const { default: exported } = module as { default?: unknown }
  if (!isConnectorType(exported)) {
    throw failure('misconfigured', `connector module "${type}" has no default export with "schema" and "open"`)
  }
  const fault = schemaFault(exported.schema)
  if (fault !== undefined) {
    throw failure('misconfigured', `connector module "${type}" has a schema that is no JSON Schema: ${fault}`)
  }
  return exported
}

function broken(type: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error)
  return failure('misconfigured', `connector module "${type}" cannot be loaded: ${reason}`, { cause: error })
}

function isConnectorType(value: unknown): value is ConnectorType {
  if (typeof value !== 'object' || value === null) return false
  const { schema, open, advise } = value as Partial<Record<keyof ConnectorType, unknown>>
  const advises = advise === undefined || typeof advise === 'function'
  return typeof schema === 'object' && schema !== null && typeof open === 'function' && advises
}
