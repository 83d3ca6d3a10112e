import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { CHROMIUM, INSTALL_CHROMIUM, logInAs, startBrowser } from './lib/browser.ts'
import {
  freePort,
  needs,
  type RunningProcess,
  type RunningProvider,
  start,
  startProvider,
  waitUntil,
} from './lib/program.ts'

const APACHE = '/usr/sbin/apache2'
const MODULES = '/usr/lib/apache2/modules'
const SECRET = 'apache-secret'

const loaded = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'dir',
  'mime',
  'env',
  'filter',
  'include',
  'auth_openidc',
]

/** Everything below `/` is for the group admins. */
const configuration = (folder: string, port: number, issuer: string) => `
ServerRoot ${folder}
ServerName 127.0.0.1
PidFile ${folder}/pid
Listen 127.0.0.1:${port}
ErrorLog ${folder}/error.log
${loaded.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
${userInfo().uid === 0 ? 'User www-data\nGroup www-data' : ''}
TypesConfig /etc/mime.types
DocumentRoot ${folder}/pages
DirectoryIndex index.html
OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret ${SECRET}
OIDCRedirectURI http://127.0.0.1:${port}/callback
OIDCCryptoPassphrase a-passphrase-of-the-test
OIDCPKCEMethod S256
OIDCScope "openid email profile groups"
OIDCRemoteUserClaim email
<Location />
  AuthType openid-connect
  Require claim groups:admins
</Location>
`

describe('Apache mod_auth_openidc', function () {
  this.timeout(60_000)
  let folder: string
  let provider: RunningProvider
  let apache: RunningProcess
  let browser: Browser
  let home: string

  before(async function () {
    const module = join(MODULES, 'mod_auth_openidc.so')
    needs(this, [APACHE, module], 'apt-get install apache2 libapache2-mod-auth-openidc')
    needs(this, [CHROMIUM], INSTALL_CHROMIUM)
    const port = await freePort()
    home = `http://127.0.0.1:${port}/`
    provider = await startProvider({
      staticClients: [{ id: 'apache', secret: SECRET, name: 'Apache', redirectURIs: [`${home}callback`] }],
    })
    folder = mkdtempSync(join(tmpdir(), 'countersign-apache-'))
    chmodSync(folder, 0o755)
    mkdirSync(join(folder, 'pages'))
    writeFileSync(join(folder, 'pages', 'index.html'), '<h1>For admins</h1>')
    writeFileSync(join(folder, 'httpd.conf'), configuration(folder, port, provider.issuer))
    apache = start(APACHE, ['-DFOREGROUND', '-f', join(folder, 'httpd.conf')])
    await waitUntil('Apache', () => fetch(home, { redirect: 'manual' }).then(() => true), apache.output)
    browser = await startBrowser()
  })
  after(async () => {
    await browser?.close()
    await apache?.[Symbol.asyncDispose]()
    await provider?.[Symbol.asyncDispose]()
    if (folder) rmSync(folder, { recursive: true, force: true })
  })

  it('lets a member of the required group in, by discovery, PKCE and userinfo', async () => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(home)
    await logInAs(page, 'admin')
    await page.getByText('For admins').waitFor({ timeout: 15_000 })
    assert.equal(page.url(), home)
    await context.close()
  })

  it('refuses who is not in the group', async () => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(home)
    const answered = page.waitForResponse(
      (response) => response.url() === home && [401, 403].includes(response.status()),
      { timeout: 15_000 },
    )
    await logInAs(page, 'viewer')
    await answered
    assert.doesNotMatch(await page.content(), /For admins/)
    await context.close()
  })
})
