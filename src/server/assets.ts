/** Static files of the pages, read once at open and served from memory. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { themeFolder, viewsFolder } from '../login/pages.ts'

export interface Asset {
  body: Buffer
  /** Content-Type. */
  type: string
  /** Quoted, strong (RFC 9110, 8.8.3). */
  etag: string
  cacheControl: string
}

export interface AssetOptions {
  /** A folder of the operator with `static/`, `themes/`, `robots.txt`. */
  dir?: string
  theme: string
  /** Path of the issuer without a trailing slash: `/dex`, or empty for a root issuer. */
  mount: string
}

/**
 * Answers `<mount>/static/*`, `<mount>/theme/*` and `<mount>/robots.txt`; the operator's files lie over ours.
 * What is asked for is looked up by its whole path as it stands in the URL (without the query), never on the disk,
 * so that no path leads out of the folders.
 *
 * @throws what `node:fs` throws, when a file cannot be read
 */
export function openAssets({ dir, theme, mount }: AssetOptions): (path: string) => Asset | undefined {
  const assets = new Map<string, Asset>()
  const add = (path: string, body: Buffer) => assets.set(`${mount}${path}`, asset(path, body))
  const addFolder = (path: string, folder: string) => {
    for (const [name, file] of filesIn(folder)) add(`${path}/${name}`, readFileSync(file))
  }

  add('/robots.txt', Buffer.from('User-agent: *\nDisallow: /\n'))
  addFolder('/static', join(viewsFolder(), 'static'))
  const themed = themeFolder(dir === undefined ? { theme } : { dir, theme })
  if (themed) addFolder('/theme', themed)
  if (dir) {
    addFolder('/static', join(dir, 'static'))
    const robots = join(dir, 'robots.txt')
    if (existsSync(robots)) add('/robots.txt', readFileSync(robots))
  }
  return (path) => assets.get(path)
}

/** Answers with a file, or that the caller has it already. */
export function sendAsset(request: IncomingMessage, response: ServerResponse, asset: Asset): void {
  const { body, type, etag, cacheControl } = asset
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end()
    return
  }
  const headers = { ETag: etag, 'Cache-Control': cacheControl, 'X-Content-Type-Options': 'nosniff' }
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function asset(path: string, body: Buffer): Asset {
  return {
    body,
    type: TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream',
    etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    cacheControl: 'public, max-age=3600',
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/vnd.microsoft.icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
}

/** Deeper folders are no assets but a link that leads back up. */
const MAX_DEPTH = 8

/** Files below a folder, by their path as a URL writes it. Hidden ones are left out: Kubernetes mounts keep theirs in `..data`. */
function filesIn(folder: string, prefix = '', depth = 0): [name: string, file: string][] {
  if (!existsSync(folder) || depth > MAX_DEPTH) return []
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .flatMap((name): [string, string][] => {
      const file = join(folder, name)
      const path = `${prefix}${encodeURIComponent(name)}`
      const found = statSync(file, { throwIfNoEntry: false })
      if (found?.isDirectory()) return filesIn(file, `${path}/`, depth + 1)
      return found?.isFile() ? [[path, file]] : []
    })
}
