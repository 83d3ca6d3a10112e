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

/** Who may log in, as config.example.yaml has it. */
const hint =
  'Log in with Email as admin@example.com or viewer@example.com (the password of both is “password”), or with Example (mock), which asks nothing.'

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
      response.end(JSON.stringify({ issuer, clientId: application.clientId, hint }))
      return
    }
    const found = files[pathname]
    if (found === undefined) {
      response.writeHead(404, headers).end()
      return
    }
    response.writeHead(200, { ...headers, 'Content-Type': found.type }).end(await readFile(found.file))
  })
  await listening(server, application.port)
  return server
}

/** @throws Error that says which port is taken */
async function listening(server: Server, port: number): Promise<void> {
  server.listen(port, application.host)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error
    throw new Error(
      `Port ${port} is taken: another program listens on ${application.host}:${port}, perhaps another \`npm start\`. ` +
        'End it and try again.',
    )
  })
}

/** Looked at first: else the answer of another server there would pass for that of ours. */
async function needPort(port: number): Promise<void> {
  const server = createServer()
  await listening(server, port)
  server.close()
  await once(server, 'close')
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
  Countersign is running.

    Open      http://${application.host}:${application.port}/   (a demo application)
    Issuer    ${issuer}

  Log in with Email as
    admin@example.com     password: password    in the groups admins and developers
    viewer@example.com    password: password    in the group viewers
  or with Example (mock), which asks nothing.

  Try next, in another terminal
    a command line            npx countersign login --issuer ${issuer} --client-id demo-cli
    one without a browser     npx countersign login --issuer ${issuer} --client-id demo-cli --device
    your own configuration    npx countersign check FILE, then npx countersign serve FILE
    Okta, GitHub              README.md, "Set up an upstream"

  Ctrl-C ends it.
`

/** Milliseconds in which the server writes the last lines of its start. */
const LAST_LINES = 100

async function main(): Promise<void> {
  const file = process.argv[2] ?? 'config.example.yaml'
  const program = join(root, 'bin', 'countersign.js')
  for (const port of [application.port, Number(new URL(issuer).port)]) await needPort(port)
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

  let served: Server | undefined
  try {
    await waitForDiscovery(child)
    served = await serveApplication()
    await pause(LAST_LINES)
    console.log(invitation)
    await ended
  } catch (error) {
    if (!stopping) console.error(error instanceof Error ? error.message : error)
    if (child.exitCode === null) child.kill('SIGTERM')
    process.exitCode = stopping ? 0 : 1
  }
  served?.close()
  served?.closeAllConnections()
}

await main().catch((error: Error) => {
  console.error(error.message)
  process.exitCode = 1
})
