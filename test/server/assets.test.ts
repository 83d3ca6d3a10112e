import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { viewsFolder } from '../../src/login/pages.ts'
import { openAssets } from '../../src/server/assets.ts'

describe('static files', () => {
  let dir: string
  const put = (path: string, content: string) => {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), content)
  }
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'countersign-assets-'))
    put('static/main.css', 'a {}')
    put('static/img/our logo.png', 'png')
    put('static/logo.svg', '<svg>theirs</svg>')
    put('static/.hidden', 'no')
    put('static/data.unknown', 'x')
    put('themes/corporate/styles.css', 'b {}')
    put('robots.txt', 'User-agent: x')
    put('secret.txt', 'secret')
    put('mounted/..data/new.txt', 'new')
    symlinkSync(join(dir, 'mounted/..data/new.txt'), join(dir, 'static/new.txt'))
    symlinkSync(join(dir, 'static'), join(dir, 'static/again'))
    symlinkSync(join(dir, 'nowhere'), join(dir, 'static/broken'))
  })
  after(() => rmSync(dir, { recursive: true }))

  it('serves ours below the issuer’s path with type, strong ETag and a bounded life', () => {
    const style = openAssets({ theme: 'auto', mount: '/dex' })('/dex/static/countersign.css')
    assert.equal(style?.type, 'text/css; charset=utf-8')
    assert.match(style!.etag, /^"[\w-]{22}"$/)
    assert.equal(style?.cacheControl, 'public, max-age=3600')
    const root = openAssets({ theme: 'auto', mount: '' })
    assert.equal(root('/static/icons/github.svg')?.type, 'image/svg+xml')
    assert.equal(root('/static/submit.js')?.type, 'text/javascript; charset=utf-8')
    assert.equal(root('/robots.txt')?.body.toString(), 'User-agent: *\nDisallow: /\n')
  })
  it('lays the operator’s files over ours', () => {
    const asset = openAssets({ dir, theme: 'corporate', mount: '/dex' })
    assert.equal(asset('/dex/static/main.css')?.body.toString(), 'a {}')
    assert.equal(asset('/dex/static/logo.svg')?.body.toString(), '<svg>theirs</svg>')
    assert.equal(asset('/dex/theme/styles.css')?.body.toString(), 'b {}')
    assert.equal(asset('/dex/robots.txt')?.body.toString(), 'User-agent: x')
    assert.ok(asset('/dex/static/countersign.css'))
    assert.equal(asset('/dex/static/img/our%20logo.png')?.type, 'image/png')
    assert.equal(asset('/dex/static/data.unknown')?.type, 'application/octet-stream')
  })
  it('follows links, as Kubernetes mounts files by them, but not in circles', () => {
    const asset = openAssets({ dir, theme: 'light', mount: '' })
    assert.equal(asset('/static/new.txt')?.body.toString(), 'new')
    assert.equal(asset('/static/broken'), undefined)
  })
  it('gives nothing out but what lies in the folders, and lists no folder', () => {
    const asset = openAssets({ dir, theme: 'corporate', mount: '/dex' })
    const refused = [
      '../secret.txt',
      '..%2fsecret.txt',
      '%2e%2e/secret.txt',
      '.hidden',
      '',
      'img',
      'img/',
      '/etc/passwd',
      '__proto__',
    ]
    for (const path of refused) assert.equal(asset(`/dex/static/${path}`), undefined, path)
    for (const path of ['/static/main.css', '/dex/theme/', '/dex/static', '/dex/secret.txt', '__proto__'])
      assert.equal(asset(path), undefined, path)
  })
  it('has no theme for a name that leads out of the folder or is not there', () => {
    for (const theme of ['../static', '..', '.', '/etc', 'gone', '']) {
      assert.equal(openAssets({ dir, theme, mount: '' })('/theme/main.css'), undefined, theme)
    }
  })
  it('finds the views from a bundle in dist', async () => {
    const pack = mkdtempSync(join(tmpdir(), 'countersign-bundle-'))
    try {
      cpSync(viewsFolder(), join(pack, 'views'), { recursive: true })
      const outfile = join(pack, 'dist', 'assets.mjs')
      const entry = join(import.meta.dirname, '../../src/server/assets.ts')
      await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
      const bundled = (await import(pathToFileURL(outfile).href)) as { openAssets: typeof openAssets }
      assert.ok(bundled.openAssets({ theme: 'auto', mount: '' })('/static/logo.svg'))
    } finally {
      rmSync(pack, { recursive: true })
    }
  })
})
