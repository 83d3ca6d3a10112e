/** GitHub's REST API, as far as a login needs it: bodies are GitHub's own examples with our person's values in them. */
import type { GitHubAccount, GitHubCall, GitHubOrganisation, GitHubReply, GitHubToken } from './github-account.ts'
import type { Description } from './github-description.ts'

export interface Rest {
  account: GitHubAccount
  description: Description
  /** As pages link to it. */
  address: string
  /** Of the pages for people. */
  web: string
}

type Body = Record<string, unknown>

const refuse = (status: number, message: string, headers: Record<string, string> = {}): GitHubReply => ({
  status,
  body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status) },
  headers,
})
const missing = refuse(404, 'Not Found')

/** @param path below the API's address */
export function answer(rest: Rest, call: GitHubCall, path: string): GitHubReply {
  const { account } = rest
  const bearer = /^(?:Bearer|token) (\S+)$/i.exec(String(call.headers.authorization))?.[1] ?? ''
  const token = account.tokens.get(bearer)
  if (!token || (token.expiresAt ?? Number.POSITIVE_INFINITY) < account.now()) return refuse(401, 'Bad credentials')
  if (account.person.suspended) return refuse(403, 'Sorry. Your account was suspended.')
  const reply = resource(rest, call, path, token)
  if (account.app === 'app') return reply
  return { ...reply, headers: { 'x-oauth-scopes': token.scopes.join(', '), ...reply.headers } }
}

function resource(rest: Rest, call: GitHubCall, path: string, token: GitHubToken): GitHubReply {
  const { account } = rest
  const may = (scope: string) => account.app === 'app' || token.scopes.includes(scope)
  const lacking = refuse(403, 'You need at least read:org scope.', { 'x-accepted-oauth-scopes': 'admin:org, read:org' })
  switch (path) {
    case '/user':
      return { status: 200, body: user(rest) }
    case '/user/emails':
      return may('user:email') ? paged(rest, call, path, emails(account)) : missing
    case '/user/orgs':
      return may('read:org')
        ? paged(
            rest,
            call,
            path,
            shown(account).map(([login]) => simple(rest, login)),
          )
        : lacking
    case '/user/teams':
      return may('read:org') ? paged(rest, call, path, teams(rest)) : lacking
  }
  const membership = /^\/user\/memberships\/orgs\/([^/]+)$/.exec(path)?.[1]
  if (membership !== undefined) return may('read:org') ? ownMembership(rest, decodeURIComponent(membership)) : lacking
  const [, org = '', kind, login] = /^\/orgs\/([^/]+)\/(members|public_members)\/([^/]+)$/.exec(path) ?? []
  if (kind === undefined || decodeURIComponent(login ?? '') !== account.person.login) return missing
  return kind === 'members' ? member(rest, decodeURIComponent(org), may('read:org')) : publicMember(account, org)
}

const find = (account: GitHubAccount, org: string): GitHubOrganisation | undefined =>
  Object.entries(account.organisations).find(([login]) => login.toLowerCase() === org.toLowerCase())?.[1]

const isMember = ({ membership }: GitHubOrganisation): boolean => membership === 'member' || membership === 'public'

function member(rest: Rest, org: string, mayAsk: boolean): GitHubReply {
  const found = find(rest.account, org)
  if (!found) return missing
  if (found.wantsSignOn) return signOn(rest, org)
  if (!mayAsk || found.unapproved || !isMember(found)) {
    const location = `${rest.address}/orgs/${org}/public_members/${rest.account.person.login}`
    return { status: 302, headers: { location } }
  }
  return { status: 204 }
}

const publicMember = (account: GitHubAccount, org: string): GitHubReply =>
  find(account, org)?.membership === 'public' ? { status: 204 } : missing

function ownMembership(rest: Rest, org: string): GitHubReply {
  const found = find(rest.account, org)
  if (!found || found.membership === 'none') return missing
  if (found.wantsSignOn) return signOn(rest, org)
  if (found.unapproved) {
    return refuse(
      403,
      `Although you appear to have the correct authorization credentials, the \`${org}\` organization has enabled OAuth App access restrictions, meaning that data access to third-parties is limited.`,
    )
  }
  const example = rest.description.example('org-membership') as Body
  return { status: 200, body: { ...example, state: isMember(found) ? 'active' : 'pending', role: 'member' } }
}

function signOn({ web }: Rest, org: string): GitHubReply {
  const page = `${web}/orgs/${org}/sso?authorization_request=AAAA`
  return refuse(403, 'Resource protected by organization SAML enforcement. You must grant your OAuth token access.', {
    'x-github-sso': `required; url=${page}`,
  })
}

/** What this token may see. */
const shown = (account: GitHubAccount): [string, GitHubOrganisation][] =>
  Object.entries(account.organisations).filter(([, org]) => isMember(org) && !org.unapproved && !org.wantsSignOn)

function user({ account, description }: Rest): Body {
  const { id, login, name, email } = account.person
  const example = description.example('private-user-response-with-public-and-private-profile-information') as Body
  return { ...example, id, login, name, email }
}

const emails = ({ person }: GitHubAccount): Body[] =>
  person.emails.map((entry) => ({ ...entry, visibility: entry.primary ? 'private' : null }))

function simple({ description }: Rest, login: string): Body {
  const [example] = description.example('organization-simple-items') as Body[]
  return { ...example, login }
}

function teams({ account, description }: Rest): Body[] {
  const [example] = description.example('team-full-items') as Body[]
  // GitHub's examples are older than its schema.
  const newer = { type: 'Organization', updated_at: '2017-08-17T12:37:15Z', archived_at: null }
  return shown(account).flatMap(([login, org]) =>
    org.teams.map(({ name, slug }, index) => {
      const organization = { ...(example?.organization as Body), ...newer, login }
      return { ...example, id: index + 1, name, slug, type: 'organization', organization }
    }),
  )
}

/** Thirty at once, or as many as are asked for up to a hundred; `Link` says where it goes on. */
function paged({ account, address }: Rest, { query }: GitHubCall, path: string, all: Body[]): GitHubReply {
  const size = Math.min(100, Number(query.get('per_page') ?? 30))
  const page = Number(query.get('page') ?? 1)
  const last = Math.max(1, Math.ceil(all.length / size))
  const at = (number: number, rel: string) => `<${address}${path}?per_page=${size}&page=${number}>; rel="${rel}"`
  const links = [
    ...(page > 1 ? [at(page - 1, 'prev')] : []),
    ...(page < last ? [at(page + 1, 'next'), at(last, 'last')] : []),
    ...(page > 1 ? [at(1, 'first')] : []),
  ]
  const hidden = Object.values(account.organisations).some((org) => org.wantsSignOn)
  const headers = {
    ...(links.length > 0 && { link: links.join(', ') }),
    ...(hidden && path !== '/user/emails' && { 'x-github-sso': 'partial-results; organizations=21955855,20582480' }),
  }
  return { status: 200, body: all.slice((page - 1) * size, page * size), headers }
}
