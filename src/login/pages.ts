/**
 * The pages that a person sees, as HTML text. Templates stand in `views/`, texts in `messages.ts`; both are read and
 * compiled once, so that showing a page reads no file.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Eta } from 'eta/core'
import type { TotpPage, WebAuthnPage } from './factors/pages.ts'
import { type Messages, messagesFor } from './messages.ts'
import type {
  ApprovalPage,
  ChoosePage,
  DevicePage,
  FailurePage,
  LoggedOutPage,
  LogoutPage,
  PasswordPage,
  PostPage,
  SignedInPage,
} from './page-shapes.ts'

/** How the pages look; what `frontend:` says. */
export interface PageOptions {
  /** Display name in titles. */
  issuer: string
  /** Absolute address, or a path of an asset; absent: the theme's `logo.png`, else our own mark. */
  logoURL?: string
  /** `light`, `dark`, `auto`, or the name of a folder in `dir/themes`. */
  theme: string
  /** A folder of the operator with `static/`, `themes/`, `views/`. */
  dir?: string
  /** For templates of the operator: `it.extra`. */
  extra: Record<string, string>
}

/** One function a page; each returns a whole HTML document. `locales` are the person's languages, best first. */
export interface Pages {
  choose(page: ChoosePage, locales?: readonly string[]): string
  password(page: PasswordPage, locales?: readonly string[]): string
  approval(page: ApprovalPage, locales?: readonly string[]): string
  totp(page: TotpPage, locales?: readonly string[]): string
  webauthn(page: WebAuthnPage, locales?: readonly string[]): string
  device(page: DevicePage, locales?: readonly string[]): string
  deviceDone(page: { clientName: string }, locales?: readonly string[]): string
  deviceRefused(page: { clientName: string; requestId?: string }, locales?: readonly string[]): string
  /** Who is logged in, and what they can end. */
  signedIn(page: SignedInPage, locales?: readonly string[]): string
  /** Asks whether the person wants to log out. */
  logout(page: LogoutPage, locales?: readonly string[]): string
  /** Nobody is logged in (any more). */
  loggedOut(page: LoggedOutPage, locales?: readonly string[]): string
  failure(page: FailurePage, locales?: readonly string[]): string
  home(page: { issuer: string; discoveryUrl: string }, locales?: readonly string[]): string
  /** Leaves by a cross-site POST (SAML, `form_post`): a form with a button, which a script of ours presses. */
  post(page: PostPage, locales?: readonly string[]): string
  /** Shows a code to copy, for `urn:ietf:wg:oauth:2.0:oob`. */
  oob(page: { code: string }, locales?: readonly string[]): string
}

/**
 * Reads and compiles the templates; `dir/views/*.eta` of the operator replace ours by name.
 *
 * @param mount path of the issuer without a trailing slash: `/dex`, or empty for a root issuer
 * @throws what `node:fs` and eta throw, when a template cannot be read or compiled
 */
export function openPages(options: PageOptions, mount: string): Pages {
  const eta = new Eta({ autoTrim: ['nl', false], rmWhitespace: true })
  for (const folder of [viewsFolder(), options.dir && join(options.dir, 'views')]) {
    if (!folder || !existsSync(folder)) continue
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.eta'))) {
      eta.loadTemplate(`@${name.slice(0, -'.eta'.length)}`, readFileSync(join(folder, name), 'utf8'))
    }
  }

  const frame = frameOf(options, mount)
  const escaped = eta.config.escapeFunction
  /** A sentence around a name that somebody else chose, which stands out and cannot disturb the order of the words. */
  const named = (sentence: (name: string) => string, name: string): string => {
    const [before = '', after = ''] = sentence(PLACE).split(PLACE)
    return `${escaped(before)}<bdi>${escaped(name)}</bdi>${escaped(after)}`
  }
  const show = (template: string, title: string, m: Messages, page: object): string =>
    eta.render(`@${template}`, { ...page, frame, m, title, named, href: safeAddress })

  return {
    choose: (page, locales) => {
      const m = messagesFor(locales)
      return show('choose', m.choose.title(options.issuer), m, { ...page, connectors: page.connectors.map(withIcon) })
    },
    password: (page, locales) => {
      const m = messagesFor(locales)
      const alert = page.message ?? (page.invalid ? m.password.invalid(page.prompt) : undefined)
      return show('password', m.password.title(page.connectorName), m, { ...page, alert })
    },
    approval: (page, locales) => {
      const m = messagesFor(locales)
      return show('approval', m.approval.title, m, page)
    },
    totp: (page, locales) => {
      const m = messagesFor(locales)
      const { title } = page.enrolment ? m.totp.enrol : m.totp
      const grouped = page.enrolment?.secret.replace(/(.{4})(?=.)/g, '$1 ')
      return show('totp', title, m, { ...page, grouped, alert: page.message })
    },
    webauthn: (page, locales) => {
      const m = messagesFor(locales)
      const { enrol, title } = m.webauthn
      const titles = { login: title, register: enrol.title, further: enrol.furtherTitle }
      return show('webauthn', titles[page.mode], m, page)
    },
    device: (page, locales) => {
      const m = messagesFor(locales)
      return show('device', m.device.title, m, { ...page, alert: page.message })
    },
    deviceDone: ({ clientName }, locales) => {
      const m = messagesFor(locales)
      const { title, message, next } = m.deviceDone
      return show('outcome', title, m, { outcome: 'success', message, clientName, next })
    },
    deviceRefused: ({ clientName, requestId }, locales) => {
      const m = messagesFor(locales)
      const { title, message, next } = m.deviceRefused
      return show('outcome', title, m, { outcome: 'refusal', message, clientName, next, requestId })
    },
    signedIn: (page, locales) => {
      const m = messagesFor(locales)
      return show('signed-in', m.signedIn.title, m, page)
    },
    logout: (page, locales) => {
      const m = messagesFor(locales)
      return show('logout', m.logout.title, m, page)
    },
    loggedOut: ({ wasLoggedIn, ...page }, locales) => {
      const m = messagesFor(locales)
      const { title, message, next } = wasLoggedIn ? m.loggedOut : m.notLoggedIn
      const { clientName, connectorName } = page.goOn ?? {}
      const goOnText = connectorName === undefined ? m.back(clientName) : m.loggedOut.atUpstream(connectorName)
      return show('logged-out', title, m, { ...page, message, goOnText, next: page.goOn ? undefined : next })
    },
    failure: (page, locales) => {
      const m = messagesFor(locales)
      const advice = page.requestId ? m.failure.next : m.failure.nextWithoutId
      return show('failure', page.title ?? m.failure.title, m, {
        ...page,
        message: page.message.replace(/\s+/g, ' ').trim(),
        statusText: STATUS_CODES[page.status] ?? '',
        next: page.nextStep ?? advice,
      })
    },
    home: (page, locales) => {
      const m = messagesFor(locales)
      return show('home', m.home.title, m, page)
    },
    post: (page, locales) => show('post', page.title, messagesFor(locales), page),
    oob: (page, locales) => {
      const m = messagesFor(locales)
      return show('oob', m.oob.title, m, page)
    },
  }
}

/** Our `views` folder, from sources as well as from a bundle in `dist/`: the nearest one above this module. */
export function viewsFolder(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    const views = join(folder, 'views')
    if (existsSync(join(views, 'layout.eta'))) return views
    if (folder === dirname(folder)) throw new Error(`no folder "views" with layout.eta at or above ${start}`)
  }
}

/** Stands for a name in a sentence of the catalogue; a letter of private use, which no language has. */
const PLACE = '\u{e000}'

const BUILT_IN_THEMES = new Set(['light', 'dark', 'auto'])
/** Names that old Dex files use for its default look. */
const DEFAULT_THEMES = new Set(['', 'coreos', 'tectonic'])

/** The folder of an operator's theme, if it is there. */
export function themeFolder({ dir, theme }: Pick<PageOptions, 'dir' | 'theme'>): string | undefined {
  if (!dir || !/^[\w-][\w.-]*$/.test(theme)) return undefined
  const folder = join(dir, 'themes', theme)
  return existsSync(folder) ? folder : undefined
}

/** What every page shares. */
interface Frame {
  issuer: string
  /** `light`, `dark` or `auto`: what `color-scheme` is to be. */
  scheme: string
  mount: string
  logo: string
  /** Whether the logo is our square mark, beside which the name is written out. */
  ownLogo: boolean
  favicon: string
  styles: string[]
  extra: Record<string, string>
}

function frameOf(options: PageOptions, mount: string): Frame {
  const { issuer, logoURL, theme, dir, extra } = options
  const themed = themeFolder(options)
  const inTheme = (file: string) => (themed && existsSync(join(themed, file)) ? `${mount}/theme/${file}` : undefined)
  // Dex's default for logoURL, which operators write out, names a file that only a theme's folder brings.
  const wanted = logoURL && (logoURL !== 'theme/logo.png' || inTheme('logo.png')) ? logoURL : undefined
  const configured = wanted ? assetAddress(wanted, mount) : inTheme('logo.png')
  const ownStyles = [dir && join(dir, 'static', STYLES), join(viewsFolder(), 'static', STYLES)]
  const version = fingerprint(ownStyles.find((file) => file && existsSync(file)) as string)
  const themeStyles = inTheme('styles.css')
  const auto = theme === 'auto' || DEFAULT_THEMES.has(theme)
  return {
    issuer,
    // Style sheets written for Dex know one scheme, so a theme of the operator starts from light.
    scheme: auto ? 'auto' : BUILT_IN_THEMES.has(theme) ? theme : 'light',
    mount,
    logo: configured ?? `${mount}/static/logo.svg`,
    ownLogo: configured === undefined,
    favicon: inTheme('favicon.png') ?? `${mount}/static/logo.svg`,
    styles: [
      `${mount}/static/${STYLES}?v=${version}`,
      ...(themed && themeStyles ? [`${themeStyles}?v=${fingerprint(join(themed, 'styles.css'))}`] : []),
    ],
    extra,
  }
}

const STYLES = 'countersign.css'

/** So that a browser that keeps the old style sheet asks again after a change. */
const fingerprint = (file: string): string =>
  createHash('sha256').update(readFileSync(file)).digest('base64url').slice(0, 8)

/** An address with a scheme as it is, anything else below the mount, as Dex resolves `logoURL`. */
const assetAddress = (asset: string, mount: string): string =>
  /^[a-z][a-z\d+.-]*:/i.test(asset) ? asset : `${mount}/${asset.replace(/^[./]+/, '')}`

/** Types can be module paths of the operator; a class is one word. */
const withIcon = <C extends { type: string }>(connector: C): C & { icon: string } => ({
  ...connector,
  icon: connector.type.replace(/[^\w-]+/g, '-'),
})

/** Addresses of links and forms may come from clients and connectors: those that run code lead nowhere. */
function safeAddress(address: string): string {
  const url = URL.parse(address, 'https://relative.invalid/')
  return url && !/^(javascript|vbscript|data|blob|file):$/.test(url.protocol) ? address : '#'
}
