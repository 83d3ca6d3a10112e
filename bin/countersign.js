#!/usr/bin/env node
/**
 * The command `countersign`: the build if there is one that is up to date, else the sources. An older Node hands over
 * to the one that is installed with this package.
 */
import { createRequire } from 'node:module'
import { become, findNode, runsTypeScript } from './node.js'

// By `require`, since `import` of these loads more than is used: 3 MB of a server.
const require = createRequire(import.meta.url)
const { existsSync, readdirSync, statSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = join(root, 'dist', 'countersign.js')
const source = join(root, 'src', 'main.ts')

/** A published package has no sources; in a checkout a build that is older than them would mislead. */
const buildIsCurrent = () => {
  if (!existsSync(built)) return false
  if (!existsSync(source)) return true
  const builtAt = statSync(built).mtimeMs
  return ['src', 'connectors', 'views'].every((folder) =>
    readdirSync(join(root, folder), { recursive: true }).every(
      (name) => statSync(join(root, folder, name)).mtimeMs <= builtAt,
    ),
  )
}

if (runsTypeScript(process.version)) await import(pathToFileURL(buildIsCurrent() ? built : source).href)
else become(findNode(), [fileURLToPath(import.meta.url), ...process.argv.slice(2)])
