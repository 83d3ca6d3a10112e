/** Forms that browsers post to us. */
import type { IncomingMessage } from 'node:http'
import { PageFailure } from '../login/failures.ts'

/** Bytes; our own forms need a hundredth of it, an upstream's assertion may need a lot. */
const largestForm = 256 * 1024

/** @throws PageFailure 400, 413 or 415 */
export async function readForm(request: IncomingMessage, limit = largestForm): Promise<URLSearchParams> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && type !== 'application/x-www-form-urlencoded') {
    throw new PageFailure(415, 'Only forms are accepted here.')
  }
  return new URLSearchParams(await readBody(request, limit))
}

/** What a script of ours sends. @throws PageFailure 400, 413 or 415 */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json') throw new PageFailure(415, 'Only JSON is accepted here.')
  const body = await readBody(request, limit)
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new PageFailure(400, 'This is no JSON.', { cause: error })
  }
}

/** Of whatever type, as UTF-8. @throws PageFailure 400 or 413 */
export async function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    // The connection stays, or the browser would see that it broke instead of a page.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) throw new PageFailure(413, 'The form is too large.')
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof PageFailure) throw error
    throw new PageFailure(400, 'The form did not arrive whole.', { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Refuses a form that another site's page sent (login CSRF). Browsers say where a request comes from by themselves
 * (Fetch Metadata, `Sec-Fetch-Site`; the Fetch standard's `Origin`); programs that are no browsers say nothing. An origin
 * `null` is a frame in a sandbox or the like.
 */
export function requireOwnForm(request: IncomingMessage, ownOrigin: string): void {
  const { 'sec-fetch-site': site, origin } = request.headers
  const foreign = site !== undefined ? site !== 'same-origin' : origin !== undefined && origin !== ownOrigin
  if (foreign) {
    throw new PageFailure(403, 'This form was sent by another site.', {
      next: 'If you were about to log in, go back to the application and start again.',
    })
  }
}
