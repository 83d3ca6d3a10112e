import assert from 'node:assert/strict'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  authorizationUrl,
  client,
  eventually,
  logIn,
  openPlace,
  type Place,
  redeem,
  refresh,
  type Served,
  send,
  tokensOf,
} from './program.ts'

/** An upstream that answers when the test lets it, and a connector, as an operator would write one, that asks it. */
async function openSlowUpstream(folder: string) {
  const asked: ServerResponse[] = []
  const server = createServer((_, response) => {
    asked.push(response)
    server.emit('asked')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/who`
  const file = join(folder, 'slow.mjs')
  await writeFile(
    file,
    `import { defineConnector, Type } from 'countersign/connector'
    export default defineConnector({
      schema: Type.Object({}),
      open: (_, { http }) => ({
        style: 'browser',
        async start({ callbackUrl, state }) {
          const url = new URL(callbackUrl)
          url.searchParams.set('state', state)
          return { via: 'redirect', url }
        },
        finish: async () => ({ userId: await (await http()(${JSON.stringify(url)})).text() }),
        close: async () => { throw new Error('cannot close') },
      }),
    })`,
  )
  return {
    connector: { type: file, id: 'slow', name: 'Slow' },
    asked: () => (asked.length > 0 ? Promise.resolve() : once(server, 'asked')),
    answer() {
      for (const response of asked.splice(0)) response.end('somebody')
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Goes as far as the callback that asks the upstream; what it resolves to comes when the upstream has answered. */
async function departTo(issuer: string, connector: string): Promise<() => ReturnType<typeof send>> {
  const { headers } = await send(authorizationUrl(issuer, { connector }))
  const cookie = (headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0]).join('; ')
  const { location = '' } = headers
  assert.ok(location?.startsWith(`${issuer}/callback`), location)
  return () => send(location, { headers: { Cookie: cookie } })
}

/** `undefined` when nobody listens any more. */
const readiness = async ({ telemetry }: Served): Promise<number | undefined> =>
  (await send(`${telemetry}/healthz/ready`, { headers: { Connection: 'close' } }).catch(() => undefined))?.status

describe('stop of the program', function () {
  this.timeout(30_000)
  let place: Place
  beforeEach(async () => {
    place = await openPlace()
  })
  afterEach(() => place[Symbol.asyncDispose]())

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with 0 within a second of ${signal} when nothing is in flight`, async () => {
      await using server = await place.serve({ storage: place.lowdb })
      // A connection that is kept, as clients do, is no request in flight.
      await logIn(server.issuer)
      const since = performance.now()
      assert.equal(await server.stop(signal), 0)
      const took = performance.now() - since
      assert.ok(took < 1000, `${took} ms`)
      assert.match(server.stderr(), new RegExp(`type=stopped reason=${signal}`))
    })

    it(`is not ready from ${signal} on, and lets a request finish that waits for a slow upstream`, async () => {
      await using upstream = await openSlowUpstream(place.folder)
      await using server = await place.serve({ storage: place.lowdb, connectors: [upstream.connector] })
      const finish = await departTo(server.issuer, 'slow')
      assert.equal(await readiness(server), 200)
      const finishing = finish()
      await upstream.asked()
      server.child.kill(signal)
      await eventually('readiness off', async () => (await readiness(server)) !== 200 || undefined, 500)
      // What asks is told so, rather than to find nobody: a probe may take that for a crash.
      assert.equal(await readiness(server), 503)
      assert.equal((await send(`${server.telemetry}/healthz/live`)).status, 200)
      await assert.rejects(send(`${server.issuer}/keys`, { headers: { Connection: 'close' } }), /ECONNREFUSED/)

      upstream.answer()
      const { status, headers } = await finishing
      assert.ok(status === 302 || status === 303, String(status))
      const { location = '' } = headers
      assert.ok(location.startsWith(`${client.callback}?`), location)
      const since = performance.now()
      assert.equal(await server.ended, 0)
      assert.ok(performance.now() - since < 1000)

      // The code that it answered with was stored, and no lock is left, although the connector failed to close.
      assert.match(server.stderr(), /a part of the server could not be closed.*cannot close/)
      await assert.rejects(stat(`${place.lowdb.config.file}.lock`), /ENOENT/)
      await using again = await place.serve()
      const code = new URL(location).searchParams.get('code')!
      assert.equal((await redeem(again.issuer, code)).status, 200)
    })
  }

  it('keeps what was answered just before it', async () => {
    await using server = await place.serve({ storage: place.lowdb })
    const logins = await Promise.all(Array.from({ length: 8 }, () => logIn(server.issuer)))
    assert.equal(await server.stop('SIGTERM'), 0)
    await using again = await place.serve()
    for (const { refresh_token } of logins) tokensOf(await refresh(again.issuer, refresh_token!))
  })

  it('cuts short when asked a second time', async () => {
    await using upstream = await openSlowUpstream(place.folder)
    await using server = await place.serve({ connectors: [upstream.connector] })
    const finish = await departTo(server.issuer, 'slow')
    const cut = assert.rejects(finish())
    await upstream.asked()
    server.child.kill('SIGINT')
    await eventually('readiness off', async () => (await readiness(server)) !== 200 || undefined)
    assert.equal(await server.stop('SIGINT'), 'SIGINT')
    await cut
  })
})
