/**
 * Makes `dist/`: the server as a bundle, its views, and the connector contract with its types.
 *
 *     dist/countersign.js      switches the compile cache on, then imports the bundle
 *     dist/bundle/js/          the bundle; as deep as a room of src/, so that `../../views` means the same in both
 *     dist/views/              as views/
 *     dist/connector.js        `countersign/connector`, with its types under dist/types
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { builtins, checks, mediaTypes, names, parts } from './build-plugins.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
process.chdir(root)
rmSync(dist, { recursive: true, force: true })

const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  minifySyntax: true,
  minifyWhitespace: true,
  minifyIdentifiers: false,
  legalComments: 'none',
  logLevel: 'warning',
}

await build({
  ...common,
  entryPoints: { main: 'src/main.ts' },
  outdir: join(dist, 'bundle', 'js'),
  splitting: true,
  chunkNames: '[name]-[hash]',
  // Native code stays a package of its own.
  external: ['@node-rs/bcrypt'],
  plugins: [names, builtins, checks, parts, mediaTypes],
  banner: {
    // CommonJS packages inside the bundle call `require` for what Node itself brings.
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})
await build({ ...common, entryPoints: ['connectors/contract.ts'], outfile: join(dist, 'connector.js') })

mkdirSync(dist, { recursive: true })
cpSync('views', join(dist, 'views'), { recursive: true })
cpSync('bin/start.js', join(dist, 'countersign.js'))

const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
const { status } = spawnSync(
  process.execPath,
  [tsc, '-p', 'bin/tsconfig.types.json', '--outDir', join(dist, 'types')],
  { stdio: 'inherit' },
)
if (status !== 0) process.exit(status ?? 1)
// Declarations name the sources that they were made from; beside them stand declarations of JavaScript.
for (const name of ['connectors/contract.d.ts', 'bin/connector.d.ts']) {
  const from = name.startsWith('bin/') ? name : join(dist, 'types', name)
  const to = join(dist, 'types', name)
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, readFileSync(from, 'utf8').replace(/(from ')(\.[^']+)\.ts'/g, "$1$2.js'"))
}
