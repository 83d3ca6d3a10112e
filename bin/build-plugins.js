/** What the bundle does otherwise than the sources, each for less memory and an earlier first answer. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import standalone from 'ajv/dist/standalone/index.js'
import formats from 'ajv-formats'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * oidc-provider uses the names of classes as the names of its kinds of record, and a bundler renames what collides: a
 * login that breaks later. Classes only, since esbuild's `keepNames` defines the name of each closure whenever one is
 * made, which every request would pay.
 */
export const names = {
  name: 'names',
  setup({ onLoad }) {
    onLoad(
      { filter: /node_modules[\\/]oidc-provider[\\/]lib[\\/].*\.js$|src[\\/]oidc[\\/].*\.ts$/ },
      async ({ path }) => {
        const text = await readFile(path, 'utf8')
        const contents = text.replace(
          /\bclass (\w+)( extends [^{\n]+)? \{/g,
          "$& static { Object.defineProperty(this, 'name', { value: '$1', configurable: true }) }",
        )
        return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' }
      },
    )
  },
}

/**
 * `import` of a module of Node's reads every name that it exports, and `node:http` then loads a WebSocket client: 13 MB.
 * Taken by a call, only what is used is read.
 */
export const builtins = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}')`,
    }))
  },
}

/** Of packages that load all they have for whoever wants one thing: what is wanted, and where it lies. */
const wanted = {
  'prom-client': {
    Counter: 'lib/counter.js',
    Gauge: 'lib/gauge.js',
    Histogram: 'lib/histogram.js',
    Registry: 'lib/registry.js',
  },
  'rate-limiter-flexible': {
    RateLimiterMemory: 'lib/RateLimiterMemory.js',
    RateLimiterRes: 'lib/RateLimiterRes.js',
  },
}

export const parts = {
  name: 'parts',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${Object.keys(wanted).join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'parts' }))
    onLoad({ filter, namespace: 'parts' }, ({ path }) => ({
      contents: Object.entries(wanted[path])
        .map(([name, file]) => `export { default as ${name} } from '${path}/${file}'`)
        .join('\n'),
      resolveDir: root,
    }))
  },
}

/** Checks of all schemas that are known now, in the place of `src/lib/compiled.ts`. */
export const checks = {
  name: 'checks',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/compiled\.ts$/ }, ({ resolveDir }) => ({
      path: join(resolveDir, 'compiled.ts'),
      namespace: 'checks',
    }))
    onLoad({ filter: /.*/, namespace: 'checks' }, async ({ path }) => {
      const { fingerprint } = await import(pathToFileURL(path).href)
      const { ajvOptions } = await import('../src/lib/schema.ts')
      const ajv = new Ajv2020({ ...ajvOptions, code: { ...ajvOptions.code, source: true } })
      formats.default(ajv)
      const names = {}
      const byFingerprint = []
      for (const schema of await knownSchemas()) {
        const name = `check${byFingerprint.length}`
        ajv.addSchema(JSON.parse(JSON.stringify(schema)), name)
        names[name] = name
        byFingerprint.push(`${JSON.stringify(fingerprint(schema))}: exports.${name}`)
      }
      const contents = `${standalone.default(ajv, names)}
        exports.compiled = { ${byFingerprint.join(', ')} }
        exports.fingerprint = ${fingerprint}
        const { hash } = require('node:crypto')`
      return { contents, resolveDir: root }
    })
  },
}

const knownSchemas = async () => {
  const [{ configuration }, { localSigner, vaultSigner }, { connectorTypes }, { storageTypes }] = await Promise.all([
    import('../src/config/keys/index.ts'),
    import('../src/config/keys/signer.ts'),
    import('../connectors/index.ts'),
    import('../src/storage/index.ts'),
  ])
  const types = [...Object.values(connectorTypes), ...Object.values(storageTypes)]
  return [configuration, localSigner, vaultSigner, ...types.map(({ schema }) => schema)]
}

/** Koa's list of all media types, 8 MB in memory. It serves to add charsets, and to know a type by an extension. */
export const mediaTypes = {
  name: 'media types',
  setup({ onLoad }) {
    const extensions = 'html css js mjs json txt xml svg png jpg gif webp ico woff2 pdf'.split(' ')
    onLoad({ filter: /mime-db[\\/]db\.json$/ }, ({ path }) => {
      const all = Object.entries(JSON.parse(readFileSync(path, 'utf8')))
      const kept = all.filter(([, type]) => type.charset || type.extensions?.some((each) => extensions.includes(each)))
      return { contents: JSON.stringify(Object.fromEntries(kept)), loader: 'json' }
    })
  },
}
