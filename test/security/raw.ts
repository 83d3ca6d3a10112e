/** Requests as no library would send them: bytes to a socket, and what comes back within a time. */
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0: the connection was closed without an answer. */
  status: number
  head: string
  body: string
  milliseconds: number
}

const longestWait = 15_000

/** @throws Error when neither an answer nor an end of the connection comes */
export function sendRaw(origin: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(origin)
  const since = performance.now()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      const text = Buffer.concat(chunks)
        .toString('latin1')
        .replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
      const [head = '', ...body] = text.split('\r\n\r\n')
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
      resolve({ status, head, body: body.join('\r\n\r\n'), milliseconds: performance.now() - since })
    }
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no answer to ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`))
    }, longestWait)
    socket.on('data', (chunk) => void chunks.push(chunk))
    socket.on('end', finish)
    socket.on('error', finish)
  })
}

export interface RawRequest {
  method?: string
  /** As it stands in the request line. */
  target: string
  headers?: readonly (readonly [name: string, value: string])[]
  body?: string | Buffer
}

/** A request that ends its connection; `Host` and `Content-Length` are added where they are not given. */
export function rawRequest({ method = 'GET', target, headers = [], body }: RawRequest): Buffer {
  const given = new Set(headers.map(([name]) => name.toLowerCase()))
  const content = body === undefined ? undefined : Buffer.from(body as string)
  const all = [
    ...(given.has('host') ? [] : [['Host', 'login.example.com']]),
    ...headers,
    ...(content && !given.has('content-length') && !given.has('transfer-encoding')
      ? [['Content-Length', String(content.length)]]
      : []),
    ['Connection', 'close'],
  ]
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), content ?? Buffer.alloc(0)])
}
