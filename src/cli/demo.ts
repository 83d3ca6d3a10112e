/**
 * `npm start`: the server with `config.example.yaml`, a single-page application beside it, and what to try next.
 *
 *     node src/cli/demo.ts [FILE]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const root = dirname(dirname(import.meta.dirname))
const issuer = 'http://127.0.0.1:5556/dex'
const application = { host: '127.0.0.1', port: 5555, clientId: 'demo-spa' }

/** Seconds until a server that does not answer is given up. */
const START_LIMIT = 30

const library = join(root, 'node_modules', 'oidc-client-ts', 'dist', 'browser', 'oidc-client-ts.min.js')
const spa = join(root, 'examples', 'spa')

/** What the application's origin serves: path, file, type. */
const files: Record<string, { file: string; type: string }> = {
  '/': { file: join(spa, 'index.html'), type: 'text/html; charset=utf-8' },
  '/app.js': { file: join(spa, 'app.js'), type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: join(spa, 'style.css'), type: 'text/css; charset=utf-8' },
  '/oidc-client-ts.min.js': { file: library, type: 'text/javascript; charset=utf-8' },
}

async function serveApplication(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', issuer)
    const headers = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }
    if (pathname === '/settings.json') {
      response.writeHead(200, { ...headers, 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ issuer, clientId: application.clientId }))
      return
    }
    const found = files[pathname]
    if (found === undefined) {
      response.writeHead(404, headers).end()
      return
    }
    response.writeHead(200, { ...headers, 'Content-Type': found.type }).end(await readFile(found.file))
  })
  server.listen(application.port, application.host)
  await once(server, 'listening')
  return server
}

async function waitForDiscovery(child: ChildProcess): Promise<void> {
  const url = `${issuer}/.well-known/openid-configuration`
  const limit = Date.now() + START_LIMIT * 1000
  while (Date.now() < limit) {
    if (child.exitCode !== null) throw new Error('The server did not start; what it said stands above.')
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return
    await pause(100)
  }
  throw new Error(`${url} did not answer within ${START_LIMIT} seconds.`)
}

const invitation = `
  Countersign runs.

    Demo application   http://${application.host}:${application.port}/
    Issuer             ${issuer}

  Log in as
    admin@example.com  password   in the group admins
    viewer@example.com password   a viewer
  or by the mock upstream, which asks nothing.

  Try next
    from a command line    npx countersign login --issuer ${issuer} --client-id demo-cli
    without a browser here npx countersign login --issuer ${issuer} --client-id demo-cli --device
    your own configuration npx countersign check FILE && npx countersign serve FILE
    Okta, GitHub           README.md, section "Set up an upstream"

  Ctrl-C ends it.
`

async function main(): Promise<void> {
  const file = process.argv[2] ?? 'config.example.yaml'
  const program = join(root, 'bin', 'countersign.js')
  const child = spawn(process.execPath, [program, 'serve', file], { cwd: root, stdio: 'inherit' })
  const ended = once(child, 'exit')
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    stopping = true
    // A terminal sends Ctrl-C to the server as well, which then needs no second one.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)

  let application: Server | undefined
  try {
    await waitForDiscovery(child)
    application = await serveApplication()
    console.log(invitation)
    await ended
  } catch (error) {
    if (!stopping) console.error(error instanceof Error ? error.message : error)
    if (child.exitCode === null) child.kill('SIGTERM')
    process.exitCode = stopping ? 0 : 1
  }
  application?.close()
  application?.closeAllConnections()
}

await main()
