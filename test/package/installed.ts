/** The package as somebody gets it from npm: built, packed, and installed into a folder of its own with nothing but what it needs. */
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** What the build reads. A copy, since the checkout may be in use, and a build there would decide what `bin` runs. */
const sources = [
  'bin',
  'connectors',
  'src',
  'views',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'config.example.yaml',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
]

export interface Installed extends AsyncDisposable {
  /** Where it is installed. */
  folder: string
  /** The command. */
  bin: string
  /** Paths in the package. */
  files: string[]
  /** Runs a command there and gives what it printed. */
  run(command: string, args: string[]): { code: number | null; stdout: string; stderr: string }
}

interface LockedPackage {
  dev?: boolean
  version?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  bin?: Record<string, string>
}

export async function installPackage(): Promise<Installed> {
  // A short path, as packages have: the longer it is, the more Node compiles of what handles paths.
  const folder = await mkdtemp(join(tmpdir(), 'pkg-'))
  const [tree, app] = [join(folder, 'tree'), join(folder, 'app')]
  await mkdir(tree)
  await mkdir(app)
  for (const name of sources) await cp(join(root, name), join(tree, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'))
  const [packed] = JSON.parse(
    must(npm(['pack', '--json', '--loglevel=error', '--pack-destination', folder], tree)),
  ) as {
    filename: string
    files: { path: string }[]
  }[]
  await lock(app, `file:../${packed!.filename}`)
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  must(npm(['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', ...quiet], app))
  return {
    folder: app,
    bin: join(app, 'node_modules', 'countersign', 'bin', 'countersign.js'),
    files: packed!.files.map(({ path }) => path),
    run: (command, args) => runIn(app, command, args),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Asks for the same versions as the checkout has: npm finds them in its cache and needs no network. */
async function lock(app: string, spec: string): Promise<void> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>
  }
  const { '': own = {}, ...others } = packages
  const needed = Object.entries(others).filter(([, { dev }]) => !dev)
  const { version, dependencies, optionalDependencies, bin } = own
  const asked = { dependencies: { countersign: spec } }
  const locked = {
    '': asked,
    'node_modules/countersign': { version, resolved: spec, dependencies, optionalDependencies, bin },
    ...Object.fromEntries(needed),
  }
  await writeFile(join(app, 'package.json'), JSON.stringify({ private: true, ...asked }))
  await writeFile(
    join(app, 'package-lock.json'),
    JSON.stringify({ lockfileVersion: 3, requires: true, packages: locked }),
  )
}

/** The npm that runs the tests, or the one in the path. */
function npm(args: string[], cwd: string) {
  const script = process.env.npm_execpath
  return script === undefined ? runIn(cwd, 'npm', args) : runIn(cwd, process.execPath, [script, ...args])
}

function runIn(cwd: string, command: string, args: string[]) {
  // The Node that the tests run on; what npm told of this checkout is not for the other folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))
  env.PATH = `${dirname(process.execPath)}${delimiter}${env.PATH}`
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' })
  if (error) throw error
  return { code: status, stdout, stderr }
}

function must({ code, stdout, stderr }: ReturnType<typeof runIn>): string {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}${stdout}`)
  return stdout
}
