/** GitHub's REST API as one person's token sees it: paging, rate limits, and refusals told apart. */
import { failure, type Logger } from '../../contract.ts'

/** A version of the API that github.com and the supported Enterprise Servers serve. */
const apiVersion = '2022-11-28'

/** The most that a list call gives at once. */
const pageSize = 100

/** Ten thousand entries: nobody is in more teams, so a list that goes on is a fault. */
const mostPages = 100

/** Things of GitHub's that were renamed are found at their new place. */
const mostRedirects = 3

/** Seconds to wait after a limit that names no time, as GitHub advises. */
const usualPause = 60

/** Scopes that let a token see organisations and teams. */
const organisationScopes = ['read:org', 'write:org', 'admin:org']

/** Why GitHub keeps something from this token that it might show to another. */
export type RefusalReason = 'sso' | 'unapproved' | 'scope' | 'permission' | 'other'

/** A 403 that says more than "no"; the callers know what it means for the login. */
export class GitHubRefusal extends Error {
  override readonly name = 'GitHubRefusal'
  readonly reason: RefusalReason
  readonly link: URL | undefined

  constructor(reason: RefusalReason, message: string, link?: URL) {
    super(message)
    this.reason = reason
    this.link = link
  }
}

/** Where one GitHub is. */
export interface GitHubPlace {
  /** Such as `https://api.github.com`, without a trailing slash. */
  api: string
  /** Such as `https://github.com`, without a trailing slash. */
  web: string
  fetch: typeof fetch
  now(): Date
  log: Logger
}

export interface GitHubApi {
  /** One object. */
  get(path: string): Promise<unknown>
  /** One object, or `undefined` when GitHub knows none. */
  find(path: string): Promise<unknown>
  /** All pages of a list. */
  list(path: string): Promise<unknown[]>
  /** The status of a call that answers yes (204) or no (302, 404). */
  answer(path: string): Promise<number>
  /** Whether GitHub said that the token may not see organisations. `false` also where it said nothing, as for GitHub Apps. */
  lacksOrganisationScope(): boolean
}

/**
 * @param scope what came with the token; later answers know better
 * @throws (each call) ConnectorFailure `upstream_unavailable`, `rate_limited`, `upstream_invalid_response`,
 *   `account_disabled`, `identity_gone` when the token is refused; GitHubRefusal
 */
export function githubApi(place: GitHubPlace, accessToken: string, scope: string | undefined): GitHubApi {
  let granted = scopesIn(scope)

  async function call(address: string, redirects = 0): Promise<Response> {
    const response = await place.fetch(address, {
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${accessToken}`,
        'user-agent': 'countersign',
        'x-github-api-version': apiVersion,
      },
      redirect: 'manual',
    })
    granted = scopesIn(response.headers.get('x-oauth-scopes')) ?? granted
    const { status } = response
    const moved = [301, 307, 308].includes(status) ? response.headers.get('location') : null
    if (moved !== null && redirects < mostRedirects) {
      await response.body?.cancel()
      return call(ownAddress(new URL(moved, address).href, place.api), redirects + 1)
    }
    if (status < 400 || status === 404) return response
    throw await refusal(response, new URL(address).pathname)
  }

  async function refusal(response: Response, path: string): Promise<Error> {
    const { status } = response
    if (status >= 500 || status === 408) {
      await response.body?.cancel()
      return failure('upstream_unavailable', `GitHub answered ${status} to ${path}`)
    }
    const message = await messageOf(response)
    const said = `GitHub answered ${status} to ${path}: ${message}`
    if (status === 401) return failure('identity_gone', said)
    const pause = pauseAfter(response, message, place.now())
    if (pause !== undefined) return failure('rate_limited', said, { retryAfter: pause })
    if (status !== 403) return failure('upstream_invalid_response', said)
    if (/account (was|is|has been) suspended/i.test(message)) return failure('account_disabled', said)
    return forbidden(response, message, said)
  }

  function forbidden(response: Response, message: string, said: string): GitHubRefusal {
    const sso = response.headers.get('x-github-sso')
    if (sso?.startsWith('required')) return new GitHubRefusal('sso', said, ssoLink(sso, place.web))
    if (/access restrictions/i.test(message)) return new GitHubRefusal('unapproved', said)
    if (/not accessible by integration/i.test(message)) return new GitHubRefusal('permission', said)
    return new GitHubRefusal(lacksOrganisationScope() ? 'scope' : 'other', said)
  }

  const lacksOrganisationScope = (): boolean =>
    granted !== undefined && !organisationScopes.some((name) => granted?.has(name))

  return {
    lacksOrganisationScope,

    async get(path) {
      return json(await found(await call(place.api + path), path), path)
    },

    async find(path) {
      const response = await call(place.api + path)
      if (response.status === 200) return json(response, path)
      await response.body?.cancel()
      return undefined
    },

    async list(path) {
      const entries: unknown[] = []
      let address: string | undefined = `${place.api}${path}?per_page=${pageSize}`
      for (let page = 1; address !== undefined; page++) {
        if (page > mostPages) throw failure('upstream_invalid_response', `GitHub's list ${path} does not end`)
        const response: Response = await found(await call(address), path)
        const some = await json(response, path)
        if (!Array.isArray(some)) throw failure('upstream_invalid_response', `GitHub's answer to ${path} is no list`)
        entries.push(...some)
        if (response.headers.get('x-github-sso')?.startsWith('partial-results')) {
          place.log.warn('GitHub leaves out organisations that want single sign-on for this token', { path })
        }
        address = nextPage(response.headers.get('link'), place.api)
      }
      return entries
    },

    async answer(path) {
      const response = await call(place.api + path)
      await response.body?.cancel()
      return response.status
    },
  }

  /** Whatever a token may not see is as if it were not there. */
  async function found(response: Response, path: string): Promise<Response> {
    if (response.status === 200) return response
    await response.body?.cancel()
    if (response.status === 404 && lacksOrganisationScope()) {
      throw new GitHubRefusal('scope', `GitHub answered 404 to ${path}, which the token's scopes do not reach`)
    }
    throw failure('upstream_invalid_response', `GitHub answered ${response.status} to ${path}`)
  }
}

/** Separated by commas, with or without a blank. `undefined`: nothing was said, which is how GitHub Apps look. */
function scopesIn(text: string | null | undefined): Set<string> | undefined {
  const names = (text ?? '').split(/[\s,]+/).filter(Boolean)
  return names.length > 0 ? new Set(names) : undefined
}

async function json(response: Response, path: string): Promise<unknown> {
  try {
    return await response.json()
  } catch (cause) {
    throw failure('upstream_invalid_response', `GitHub's answer to ${path} is no JSON`, { cause })
  }
}

/** GitHub's own words, for the log only. */
async function messageOf(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => undefined)
  const { message } = (typeof body === 'object' && body !== null ? body : {}) as { message?: unknown }
  return typeof message === 'string'
    ? message.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').slice(0, 300)
    : 'no message'
}

/**
 * Seconds until a limit ends, or `undefined` when it was none. The primary limit counts calls (`x-ratelimit-remaining`),
 * secondary ones say `retry-after`, or only that there is one.
 */
export function pauseAfter(response: Response, message: string, now: Date): number | undefined {
  const { status, headers } = response
  if (status !== 403 && status !== 429) return undefined
  const after = headers.get('retry-after')
  if (after !== null && /^\d{1,9}$/.test(after)) return Math.max(1, Number(after))
  const reset = Number(headers.get('x-ratelimit-reset'))
  if (headers.get('x-ratelimit-remaining') === '0' && reset > 0) {
    return Math.max(1, Math.ceil(reset - now.getTime() / 1000))
  }
  return status === 429 || /rate limit/i.test(message) ? usualPause : undefined
}

/** The page where the person can authorize the token; only one of GitHub's own. */
function ssoLink(header: string, web: string): URL | undefined {
  const url = URL.parse(/\burl=([^\s;,]+)/.exec(header)?.[1] ?? '')
  return url?.origin === new URL(web).origin ? url : undefined
}

/** Web Linking (RFC 8288). */
function nextPage(link: string | null, api: string): string | undefined {
  const next = (link ?? '').split(',').find((part) => /;\s*rel="?next"?\s*(;|$)/.test(part))
  const address = /<([^>]+)>/.exec(next ?? '')?.[1]
  return address === undefined ? undefined : ownAddress(address, api)
}

/** The token is shown to no other host, whatever an answer says. */
function ownAddress(address: string, api: string): string {
  if (URL.parse(address)?.origin === new URL(api).origin) return address
  throw failure('upstream_invalid_response', 'GitHub sends us on to another host')
}
