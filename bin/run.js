/**
 * What the npm scripts call: installs what is missing, then runs the rest of the command line on Node 24.
 *
 *     node bin/run.js FILE [ARGUMENTS]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { become, findNode } from './node.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const packagesIn = (file) => {
  const path = join(root, file)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined
}

/** Whether node_modules holds what package-lock.json asks for; packages for other platforms may be absent. */
const isInstalled = () => {
  const installed = packagesIn('node_modules/.package-lock.json')
  if (installed === undefined) return false
  const wanted = packagesIn('package-lock.json') ?? {}
  return Object.entries(wanted).every(
    ([path, { version, optional, peer }]) =>
      path === '' || installed[path]?.version === version || (installed[path] === undefined && (optional || peer)),
  )
}

if (!isInstalled()) {
  console.error('Installing packages (npm ci), this takes a moment …')
  // npm tells its scripts where it is; without that the one in the path is as good.
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, error } =
    npm === undefined
      ? spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
      : spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) {
    console.error(`npm ci failed${error ? `: ${error.message}` : ''}.`)
    process.exit(status ?? 1)
  }
}

become(findNode(), process.argv.slice(2), { cwd: root })
