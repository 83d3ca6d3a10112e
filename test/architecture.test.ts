import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'

const root = dirname(import.meta.dirname)

/** Rooms from left to right: an import may only point to the right, or stay where it is. */
const rooms = [
  ['main', 'cli'],
  ['config'],
  ['server', 'api'],
  ['oidc'],
  ['login'],
  ['connectors'],
  ['storage'],
  ['telemetry'],
  ['lib'],
]

/** Which rooms may import a package; a package that is not named here may be imported by none. */
const homes: Record<string, string[]> = {
  '@koa/router': ['server'],
  '@node-rs/bcrypt': ['login', 'connectors'],
  '@simplewebauthn/server': ['login'],
  ajv: ['lib'],
  'ajv-formats': ['lib'],
  bowser: ['login'],
  commander: ['main', 'cli'],
  eta: ['login'],
  'ipaddr.js': ['server', 'config', 'lib', 'login'],
  jose: ['oidc', 'connectors'],
  koa: ['server', 'oidc', 'login', 'telemetry'],
  lowdb: ['storage'],
  'oidc-provider': ['oidc'],
  'openid-client': ['connectors', 'cli'],
  otpauth: ['login'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  'rate-limiter-flexible': ['login'],
  re2js: ['lib', 'connectors', 'config'],
  typebox: ['config', 'server', 'oidc', 'login', 'connectors', 'storage', 'telemetry', 'lib', 'cli'],
  undici: ['telemetry'],
  uqr: ['login'],
  yaml: ['config'],
}

interface Import {
  from: string
  specifier: string
  typeOnly: boolean
}

const filesBelow = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))

const sources = [...filesBelow('src'), ...filesBelow('connectors')]

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')

const importsOf = (file: string): Import[] => {
  const text = withoutComments(readFileSync(join(root, file), 'utf8'))
  const found: Import[] = []
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s)?[^'"`;]*?from\s*'([^']+)'/gm)) {
    found.push({ from: file, specifier: match[2]!, typeOnly: match[1] !== undefined })
  }
  for (const match of text.matchAll(/^\s*import\s+'([^']+)'/gm)) {
    found.push({ from: file, specifier: match[1]!, typeOnly: false })
  }
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from: file, specifier: match[1]!, typeOnly: false })
  }
  return found
}

const imports = sources.flatMap(importsOf)
const isRelative = (specifier: string) => specifier.startsWith('.')
const target = ({ from, specifier }: Import) => posix.join(posix.dirname(from), specifier)

const roomOf = (file: string): string => {
  if (file.startsWith('connectors/')) return 'connectors'
  const name = file.split('/')[1]!
  return name.endsWith('.ts') ? 'main' : name
}
const rank = (room: string) => rooms.findIndex((names) => names.includes(room))

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Fails with one line for each offender. */
const none = (offenders: string[]) => assert.equal(offenders.join('\n'), '')
const show = ({ from, specifier }: Import) => `${from} imports ${specifier}`

describe('architecture', () => {
  it('knows every room of src', () => {
    none(sources.filter((file) => rank(roomOf(file)) === -1))
  })

  it('lets imports run one way, from the command line down to lib', () => {
    none(
      imports
        .filter((each) => isRelative(each.specifier) && rank(roomOf(target(each))) < rank(roomOf(each.from)))
        .map(show),
    )
  })

  it('keeps the configuration to main, cli and itself', () => {
    none(
      imports
        .filter((each) => isRelative(each.specifier) && roomOf(target(each)) === 'config')
        .filter((each) => !['main', 'cli', 'config'].includes(roomOf(each.from)))
        .map(show),
    )
  })

  it('gives each package one home', () => {
    none(
      imports
        .filter(({ specifier }) => !isRelative(specifier) && !specifier.startsWith('node:'))
        .filter(({ specifier, typeOnly, from }) => {
          const allowed = homes[packageOf(specifier)]
          if (allowed?.includes(roomOf(from))) return false
          // The types of a framework cost nothing at run time.
          return !(typeOnly && packageOf(specifier) === 'koa')
        })
        .map(show),
    )
  })

  it('shows a connector nothing but the contract, its library and src/lib', () => {
    const allowed = (path: string, from: string) =>
      path === 'connectors/contract.ts' ||
      path === 'connectors/presets.ts' ||
      path.startsWith('connectors/lib/') ||
      path.startsWith('src/lib/') ||
      // A connector that is a folder may use its own files.
      (from.split('/').length > 2 && posix.dirname(path).startsWith(posix.dirname(from)))
    none(
      imports
        .filter(({ from, specifier }) => from.startsWith('connectors/') && isRelative(specifier))
        .filter(({ from }) => from !== 'connectors/index.ts')
        .filter((each) => !each.typeOnly || !target(each).startsWith('src/lib/'))
        .filter((each) => !allowed(target(each), each.from))
        .map(show),
    )
  })

  it('names a connector only in the registry', () => {
    const known = ['connectors/contract.ts', 'connectors/index.ts']
    none(
      imports
        .filter(({ from, specifier }) => !from.startsWith('connectors/') && isRelative(specifier))
        .filter((each) => target(each).startsWith('connectors/') && !known.includes(target(each)))
        .filter((each) => !target(each).startsWith('connectors/lib/'))
        .map(show),
    )
  })

  it('names a storage driver only in the registry', () => {
    none(
      imports
        .filter((each) => isRelative(each.specifier) && target(each).startsWith('src/storage/drivers/'))
        .filter(({ from }) => from !== 'src/storage/index.ts' && !from.startsWith('src/storage/drivers/'))
        .map(show),
    )
  })

  it('lets no connector read the environment', () => {
    none(
      sources.filter(
        (file) => file.startsWith('connectors/') && /process\.env/.test(readFileSync(join(root, file), 'utf8')),
      ),
    )
  })

  it('keeps every file below 320 lines', () => {
    none(
      sources
        .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length }))
        .filter(({ lines }) => lines > 320)
        .map(({ file, lines }) => `${file}: ${lines} lines`),
    )
  })

  it('has no drawer for leftovers', () => {
    none(sources.filter((file) => /(^|\/)(utils?|helpers?|common|misc|shared)(\/|\.ts$)/.test(file)))
  })
})
