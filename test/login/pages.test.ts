import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeScopes, messagesFor } from '../../src/login/messages.ts'
import { openPages, viewsFolder } from '../../src/login/pages.ts'
import { plainOptions, plainPages, samples } from './pages-samples.ts'

/** What Argo CD's reverse proxy reads of an error page. */
const ARGO_CD = /<p>(.*)([\s\S]*?)<\/p>/
/** Words by which automated clients tell an error page. */
const ERROR = /invalid|error|denied|wrong|incorrect|fail|expired|unknown|forbidden|reject|missing|no longer|try again/i

const body = (html: string) => html.slice(html.indexOf('<body'))
const text = (html: string) =>
  body(html)
    .replace(/<\/?bdi>/g, '')
    .replace(/<[^>]*>/g, ' ')
const forms = (html: string) => [...html.matchAll(/<form[\s\S]*?<\/form>/g)].map(([form]) => form)

describe('login pages: the choice of connectors', () => {
  const page = plainPages().choose({
    connectors: [
      { id: 'gh', name: 'GitHub', type: 'github', url: '/dex/auth/gh?client_id=a&state=b' },
      { id: 'own', name: 'Ours', type: './my connector.ts', url: '/dex/auth/own' },
    ],
    clientName: 'Kargo',
  })

  it('links each connector, names it and carries the class of its type', () => {
    assert.match(
      page,
      /<a [^>]*href="\/dex\/auth\/gh\?client_id=a&amp;state=b">.*dex-btn-icon--github".*Log in with GitHub<\/span><\/a>/,
    )
  })
  it('makes one class of a type that is a path', () => assert.match(page, /dex-btn-icon--\.?-?my-connector-ts/))
  it('says which application asked', () => assert.match(text(page), /Log in to Acme\s+to continue to Kargo/))
  it('has no form, so that it is taken for nothing else', () => assert.deepEqual(forms(page), []))
  it('says so when there is no connector', () => {
    assert.match(text(plainPages().choose({ connectors: [] })), /No login method is set up yet/)
  })
})

describe('login pages: the password form', () => {
  const request = { action: '/dex/auth/local/login?state=a', prompt: 'Email Address' }

  it('has the fields and ids that scripts know', () => {
    const [form] = forms(plainPages().password(request))
    for (const part of [
      'id="login" name="login"',
      'id="password" name="password" type="password"',
      'id="submit-login"',
    ]) {
      assert.ok(form?.includes(part), part)
    }
    assert.match(form!, /<form method="post" action="\/dex\/auth\/local\/login\?state=a">/)
  })
  it('tells a password manager what is what, and starts at the first empty field', () => {
    const empty = plainPages().password(request)
    assert.match(empty, /<input[^>]*name="login"[^>]*autocomplete="username"[^>]*autofocus>/)
    assert.match(empty, /<input[^>]*name="password"[^>]*autocomplete="current-password">/)
    assert.match(plainPages().password({ ...request, username: 'jane' }), /<input[^>]*name="password"[^>]*autofocus>/)
  })
  it('speaks of no error at first', () => {
    const page = plainPages().password({ ...request, backUrl: '/dex/auth?x' })
    assert.doesNotMatch(text(page), ERROR)
    assert.doesNotMatch(page, /login-error/)
  })
  it('announces wrong credentials and keeps the user name, never the password', () => {
    const page = plainPages().password({ ...request, username: 'jane@example.com', invalid: true })
    assert.match(page, /<div id="login-error"[^>]*role="alert">Email Address or password is wrong\.<\/div>/)
    assert.match(page, /value="jane@example\.com"/)
    assert.match(
      page,
      /<input[^>]*name="password"(?![^>]*value)[^>]*aria-describedby="login-error" aria-invalid="true"/,
    )
  })
  it('says what else is in the way, without blaming the fields', () => {
    const page = plainPages().password({ ...request, message: 'Too many attempts.' })
    assert.match(page, /role="alert">Too many attempts\.</)
    assert.doesNotMatch(page, /aria-invalid/)
  })
  it('says which application asked', () => {
    assert.match(text(plainPages().password({ ...request, clientName: 'Kargo' })), /to continue to Kargo/)
  })
  it('leads back only when there is another connector', () => {
    assert.match(plainPages().password({ ...request, backUrl: '/dex/auth?a=b' }), /<a href="\/dex\/auth\?a=b">/)
    assert.doesNotMatch(plainPages().password(request), /<a /)
  })
})

describe('login pages: approval and device', () => {
  it('asks in two forms that differ in the hidden answer', () => {
    const page = plainPages().approval({
      action: '/dex/approval?req=q',
      fields: { req: 'q' },
      clientName: 'Kargo',
      userName: 'jane',
      scopes: describeScopes(['openid', 'groups', 'audience:server:client_id:x', 'email'], messagesFor()),
    })
    const found = forms(page)
    assert.deepEqual(
      found.map((form) => /name="approval" value="(\w+)"/.exec(form)?.[1]),
      ['approve', 'rejected'],
    )
    for (const form of found) assert.match(form, /<input type="hidden" name="req" value="q">/)
    assert.deepEqual(
      [...page.matchAll(/<li>(.*)<\/li>/g)].map(([, item]) => item),
      ['See your email address', 'See the groups you belong to'],
    )
    assert.doesNotMatch(text(page), /device/)
    assert.match(text(page), /Logged in as jane/)
  })
  it('shows the code in a field that the person can compare and correct', () => {
    const page = plainPages().device({ action: '/dex/device/auth/verify_code', userCode: 'ABCD-EFGH' })
    assert.match(forms(page)[0]!, /<input[^>]*id="user_code" name="user_code" type="text" value="ABCD-EFGH"/)
    assert.doesNotMatch(text(page), ERROR)
    assert.match(
      plainPages().device({ action: '/d', message: 'This code has expired.' }),
      /role="alert">This code has expired\./,
    )
  })
  it('says that a device waits, on the page that lets it in', () => {
    const asked = { action: '/a', fields: {}, clientName: 'CLI', userName: 'jane', scopes: [] }
    assert.match(text(plainPages().approval({ ...asked, forDevice: true })), /only if it is yours/)
  })
  it('asks to compare a code that came with the address', () => {
    assert.match(text(plainPages().device({ action: '/d', userCode: 'ABCD-EFGH' })), /shows this code/)
    assert.match(text(plainPages().device({ action: '/d', userCode: 'ABCD', message: 'No.' })), /Enter the code/)
  })
  it('ends a device login on a page without forms', () => {
    assert.deepEqual(forms(plainPages().deviceDone({ clientName: 'CLI' })), [])
    assert.match(text(plainPages().deviceRefused({ clientName: 'CLI' })), /Access denied/)
  })
})

describe('login pages: failures', () => {
  const pages = plainPages()

  it('gives the status text as h2 and the message as what Argo CD reads', () => {
    const page = pages.failure({
      status: 500,
      message: 'Authentication failed.\nTry again.',
      requestId: 'r-1',
      nextStep: 'Wait.',
    })
    assert.equal(ARGO_CD.exec(page)?.[1]?.replace('</p>', ''), 'Authentication failed. Try again.')
    assert.match(page, /<p>Authentication failed\. Try again\.<\/p>/)
    assert.equal(page.match(/<\/p>/g)?.length, 1)
    assert.match(page, /<h2>Internal Server Error<\/h2>/)
    assert.match(text(page), /Wait\.[\s\S]*Error 500 · Request number\s+r-1/)
    assert.doesNotMatch(page, /<h2>.*<\/h2>\s*<p>/, 'words of the protocol stand at the foot')
  })
  it('speaks of an error and gives a next step whatever the status', () => {
    for (const status of [400, 403, 404, 429, 500, 502, 503, 599]) {
      const page = pages.failure({ status, title: 'Too busy', message: 'Please wait.' })
      assert.match(text(page), ERROR, String(status))
      assert.match(page, /<h2>.+<\/h2>/)
    }
  })
  it('offers a way back and a further link', () => {
    const page = pages.failure({
      status: 403,
      message: 'No.',
      button: { href: 'com.example.app:/cb?error=access_denied', text: 'Back' },
      link: { href: 'https://github.com/orgs/acme/sso', text: 'Single sign-on' },
    })
    assert.match(page, /href="com\.example\.app:\/cb\?error=access_denied">Back</)
    assert.match(page, /href="https:\/\/github\.com\/orgs\/acme\/sso">Single sign-on</)
  })
  it('makes no link of an address that runs code', () => {
    for (const href of [
      'javascript:alert(1)',
      ' jAvaScript:alert(1)',
      'java\nscript:alert(1)',
      'data:text/html,x',
      'http://[bad',
    ]) {
      assert.match(pages.failure({ status: 400, message: 'x', button: { href, text: 'Go' } }), /href="#">Go</, href)
    }
  })
})

describe('login pages: all of them', () => {
  it('carry no inline style, script or handler', () => {
    for (const [name, html] of Object.entries(samples(plainPages()))) {
      assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*src="\/dex\/static\/\w+\.js")/, name)
    }
  })
  it('load a script only to leave by POST, for keys, or to take two clicks for one, and have a button for who runs none', () => {
    for (const [name, html] of Object.entries(samples(plainPages()))) {
      const [, script] = /<script src="\/dex\/static\/(\w+)\.js"/.exec(html) ?? []
      const leaving = { post: 'submit', 'logged out on the way': 'leave' }[name]
      const own = name.startsWith('webauthn') ? 'webauthn' : leaving
      assert.equal(script, own ?? (html.includes('<form') ? 'once' : undefined), name)
    }
    assert.match(samples(plainPages()).post!, /<button[^>]*type="submit">Continue<\/button>/)
  })
  it('stay under 30 kB with style sheet, their script and every picture', () => {
    const folder = join(viewsFolder(), 'static')
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    for (const [name, html] of Object.entries(samples(plainPages()))) {
      const wanted = files.filter((file) => !file.name.endsWith('.js') || html.includes(`/static/${file.name}"`))
      const assets = wanted.reduce((sum, file) => sum + readFileSync(join(file.parentPath, file.name)).length, 0)
      const weight = assets + Buffer.byteLength(html)
      assert.ok(weight < 30_000, `${name}: ${weight} bytes`)
    }
  })
  it('set names of others apart, so that letters of another direction leave the sentence as it is', () => {
    const page = plainPages().approval({ action: '/a', fields: {}, clientName: '\u202e<b>', userName: 'x', scopes: [] })
    assert.match(page, /<bdi>\u202e&lt;b&gt;<\/bdi> asks for no/)
    assert.match(page, /Logged in as <bdi>x<\/bdi>/)
  })
  it('keep an operator’s language where there is a catalogue, and English elsewhere', () => {
    assert.equal(messagesFor(['xx', 'en-GB']).lang, 'en')
    assert.equal(messagesFor(['constructor', '__proto__', '']).lang, 'en')
    assert.match(plainPages().home({ issuer: 'i', discoveryUrl: '/d' }, ['fr']), /<html lang="en"/)
  })
})

describe('login pages: frontend options', () => {
  const home = { issuer: 'https://login.example', discoveryUrl: '/.well-known/openid-configuration' }
  let dir: string
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'countersign-pages-'))
    mkdirSync(join(dir, 'themes', 'corporate'), { recursive: true })
    mkdirSync(join(dir, 'views'))
    writeFileSync(join(dir, 'themes', 'corporate', 'styles.css'), 'body { color: red }')
    writeFileSync(join(dir, 'themes', 'corporate', 'logo.png'), 'png')
    writeFileSync(
      join(dir, 'views', 'home.eta'),
      `<% layout('@layout') %><h1>Ours: <%= it.frame.extra.greeting %></h1>`,
    )
  })
  after(() => rmSync(dir, { recursive: true }))

  it('works below a path and at the root', () => {
    assert.match(openPages(plainOptions, '').home(home), /href="\/static\/countersign\.css\?v=[\w-]+"/)
    assert.match(openPages(plainOptions, '/a/b').home(home), /href="\/a\/b\/static\/countersign\.css\?v=[\w-]+"/)
  })
  it('forces light or dark, and follows the system for auto and for the default names of old files', () => {
    for (const [theme, scheme] of [
      ['light', 'light'],
      ['dark', 'dark'],
      ['auto', 'auto'],
      ['coreos', 'auto'],
      ['tectonic', 'auto'],
      ['gone', 'light'],
    ]) {
      assert.match(plainPages({ theme: theme! }).home(home), new RegExp(`data-theme="${scheme}"`), theme)
    }
  })
  it('links a theme of the operator after ours, with its logo', () => {
    const page = plainPages({ dir, theme: 'corporate' }).home(home)
    assert.match(page, /countersign\.css[\s\S]*href="\/dex\/theme\/styles\.css\?v=/)
    assert.match(page, /<img class="logo" src="\/dex\/theme\/logo\.png" alt="Acme">/)
  })
  it('takes a theme only from its folder', () => {
    assert.doesNotMatch(plainPages({ dir, theme: '../themes/corporate' }).home(home), /theme\/styles/)
  })
  it('takes logoURL as an address or as an asset below the issuer, as Dex does', () => {
    const logo = (logoURL: string) => /<img class="\w+" src="([^"]*)"/.exec(plainPages({ logoURL }).home(home))?.[1]
    assert.equal(logo('https://cdn.example/a.svg'), 'https://cdn.example/a.svg')
    assert.equal(logo('static/ours.png'), '/dex/static/ours.png')
    assert.equal(logo('/static/ours.png'), '/dex/static/ours.png')
    assert.equal(logo('theme/logo.png'), '/dex/static/logo.svg', "Dex's default without a theme that has one")
  })
  it('shows the operator’s own view, which reads `extra`', () => {
    assert.match(plainPages({ dir, extra: { greeting: 'Hi <you>' } }).home(home), /<h1>Ours: Hi &lt;you&gt;<\/h1>/)
  })
})
