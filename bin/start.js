/** Becomes `dist/countersign.js`: the bundle, with what Node compiled of it kept from one start to the next. */
import { constants, enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// Whoever can write there decides what runs here, so not below /tmp, which is Node's own choice.
const { ENABLED, ALREADY_ENABLED, DISABLED } = constants.compileCacheStatus
for (const folder of [import.meta.dirname, process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')]) {
  const { status } = enableCompileCache(join(folder, 'countersign-compile-cache'))
  if ([ENABLED, ALREADY_ENABLED, DISABLED].includes(status)) break
}

/** Milliseconds after which a server has started. */
const started = 1000
/** Milliseconds after which it is known whether it has something to do. */
const settled = 3000
/** The part of the time in which the event loop may be at work, for a server that has nothing to do. */
const idle = 0.1

setTimeout(() => {
  const since = performance.eventLoopUtilization()
  setTimeout(() => {
    // A process that gets killed writes nothing at its end.
    flushCompileCache()
    // What only the start needed would lie there until much more comes: 8 MB of an idle server. One that is at work would
    // lose what was compiled for its work, too, and each login would take a quarter more for long.
    if (performance.eventLoopUtilization(since).utilization > idle) return
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, settled - started).unref()
}, started).unref()

await import('./bundle/js/main.js')
