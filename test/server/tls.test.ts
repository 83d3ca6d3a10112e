import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { type Listening, listen } from '../../src/server/listen.ts'
import type { TlsOptions } from '../../src/server/tls.ts'
import { type KeptLog, keepLog } from '../telemetry/records.ts'
import { type Pair, selfSigned } from './certificate.ts'

type ClientOptions = NonNullable<Parameters<typeof connect>[1]>

const handshake = (port: number, options: ClientOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', { rejectUnauthorized: false, ...options }, () => {
      socket.destroy()
      resolve(socket)
    })
    socket.once('error', reject)
  })

/** The name in the certificate that the server shows. */
const shown = async (port: number): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1', { rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN))
    socket.destroy()
  })
  socket.once('error', reject)
  return promise
}

const old: ClientOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
const weak: ClientOptions = {
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0',
}

describe('TLS', () => {
  let folder: string
  let log: KeptLog
  let server: Listening | undefined

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-tls-'))
    log = keepLog()
  })
  afterEach(async () => {
    await server?.close(0)
    server = undefined
    await rm(folder, { recursive: true })
  })

  const write = async ({ cert, key }: Pair, into = folder): Promise<void> => {
    await writeFile(join(into, 'tls.crt'), cert)
    await writeFile(join(into, 'tls.key'), key)
  }
  const start = async (options: Partial<TlsOptions> = {}): Promise<number> => {
    server = await listen({
      https: '127.0.0.1:0',
      tls: { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), minVersion: 'TLSv1.2', ...options },
      handler: (_, response) => response.end('secure'),
      log,
    })
    return server.addresses[0]!.port
  }
  const assertHardened = async (port: number): Promise<void> => {
    await assert.rejects(handshake(port, old), /protocol version/i)
    await assert.rejects(handshake(port, weak), /handshake failure/i)
    assert.equal((await handshake(port, { maxVersion: 'TLSv1.2' })).destroyed, true)
    assert.equal((await handshake(port)).destroyed, true)
  }

  it('offers no more than BCP 195 recommends where FAPI 2.0 wants that (RFC 9325, 4.2)', async () => {
    await write(selfSigned('fapi'))
    const only = (ciphers: string) => ({ maxVersion: 'TLSv1.2', ciphers }) as const
    const other = only('ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:AES128-GCM-SHA256')
    const port = await start({ recommendedOnly: true })
    await assertHardened(port)
    await assert.rejects(handshake(port, other), /handshake failure/i)
    await handshake(port, only('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'))
    await server!.close(0)
    await handshake(await start(), other)
  })

  it('has a client for these tests that a server without limits accepts', async () => {
    const open = createServer({ ...selfSigned('open'), minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' }).listen(
      0,
      '127.0.0.1',
    )
    await once(open, 'listening')
    const { port } = open.address() as AddressInfo
    await handshake(port, old)
    await handshake(port, weak)
    open.close()
  })

  it('refuses TLS 1.1 and suites outside the list (lesson 3)', async () => {
    await write(selfSigned('first'))
    await assertHardened(await start())
  })

  it('refuses them after the certificate was reloaded too, and serves the new one (lesson 3)', async () => {
    await write(selfSigned('first'))
    const port = await start()
    assert.equal(await shown(port), 'first')
    await write(selfSigned('second'))
    await log.heard('TLS certificate reloaded')
    assert.equal(await shown(port), 'second')
    await assertHardened(port)
  })

  it('keeps to the configured versions', async () => {
    await write(selfSigned('first'))
    const port = await start({ minVersion: 'TLSv1.3' })
    await assert.rejects(handshake(port, { maxVersion: 'TLSv1.2' }), /protocol version/i)
    await server?.close(0)
    const older = await start({ maxVersion: 'TLSv1.2' })
    await assert.rejects(handshake(older, { minVersion: 'TLSv1.3' }), /protocol version/i)
  })

  it('follows the links of a mounted Kubernetes secret', async () => {
    const version = async (name: string): Promise<void> => {
      await mkdir(join(folder, name))
      await write(selfSigned(name), join(folder, name))
      await symlink(name, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    await version('..2026_1')
    for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(folder, file))
    const port = await start()
    await version('..2026_2')
    await log.heard('TLS certificate reloaded')
    assert.equal(await shown(port), '..2026_2')
  })

  it('keeps the pair in use when the new one is broken, and says so', async () => {
    await write(selfSigned('first'))
    const port = await start()
    await writeFile(join(folder, 'tls.key'), selfSigned('other').key)
    const { attributes } = await log.heard('TLS certificate not reloaded, the one in use stays')
    assert.match(String(attributes.err), /the key does not belong to the certificate/)
    assert.equal(await shown(port), 'first')
    log.records.length = 0
    await writeFile(join(folder, 'tls.crt'), '')
    await log.heard('TLS certificate not reloaded, the one in use stays')
    assert.equal(await shown(port), 'first')
  })

  it('reloads on SIGHUP while it listens', async () => {
    // Links to where it does not watch: only the signal tells.
    const elsewhere = join(folder, 'elsewhere')
    await mkdir(elsewhere)
    await write(selfSigned('first'), elsewhere)
    for (const file of ['tls.crt', 'tls.key']) await symlink(join(elsewhere, file), join(folder, file))
    const before = process.listenerCount('SIGHUP')
    const port = await start()
    assert.equal(process.listenerCount('SIGHUP'), before + 1)
    await write(selfSigned('second'), elsewhere)
    process.kill(process.pid, 'SIGHUP')
    assert.equal((await log.heard('TLS certificate reloaded')).attributes.reason, 'SIGHUP')
    assert.equal(await shown(port), 'second')
    await server?.close(0)
    assert.equal(process.listenerCount('SIGHUP'), before)
  })

  it('names the option and the file that cannot be used', async () => {
    await assert.rejects(start(), /^Error: web\.tlsCert: cannot read .*tls\.crt: no such file$/)
    await write({ cert: 'no PEM', key: 'no PEM' })
    await assert.rejects(start(), /web\.tlsCert .*tls\.crt, web\.tlsKey .*tls\.key: no usable PEM/)
    await write({ cert: selfSigned('a').cert, key: selfSigned('b').key })
    await assert.rejects(start(), /the key does not belong to the certificate/)
    const withoutPair = listen({ https: '127.0.0.1:0', handler: () => {}, log })
    await assert.rejects(withoutPair, /web\.https needs web\.tlsCert and web\.tlsKey/)
  })

  it('answers requests', async () => {
    await write(selfSigned('first'))
    const port = await start()
    const sent = request({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }).end()
    const [response] = await once(sent, 'response')
    assert.equal(Buffer.concat(await response.toArray()).toString(), 'secure')
  })
})
