/** Organisations and teams of a person on GitHub: whether they may log in, and as which groups they are told. */
import { type ConnectorFailure, failure, type Logger } from '../../contract.ts'
import { type GitHubApi, GitHubRefusal, type RefusalReason } from './api.ts'
import { record } from './profile.ts'

export interface OrganisationOptions {
  /** Who may log in; empty: everybody. Without `teams` membership suffices. */
  orgs: { name: string; teams: string[] }[]
  /** Legacy: whose teams are told, without the name of the organisation. Restricts nobody. */
  org: string | undefined
  loadAllGroups: boolean
  teamNameField: 'name' | 'slug' | 'both'
  /** Where a person can ask the owners of an organisation to approve this application. */
  approvalPage: URL
  log: Logger
}

/**
 * The groups; `undefined` when nobody asked for them.
 * @throws ConnectorFailure `not_in_required_groups`, `groups_incomplete`, and what calls throw
 */
export async function readGroups(
  api: GitHubApi,
  login: string,
  wanted: boolean,
  options: OrganisationOptions,
): Promise<string[] | undefined> {
  try {
    if (options.orgs.length > 0) return await groupsOfRequired(api, login, options)
    if (options.org) return teamLabels(await readTeams(api), options.org, options)
    if (!wanted) return undefined
    return options.loadAllGroups ? await allGroups(api, options) : []
  } catch (error) {
    throw error instanceof GitHubRefusal ? incomplete(error.reason, error.message, options, error.link) : error
  }
}

/** Where a person stands towards one organisation. */
type Standing =
  | { is: 'member' }
  | { is: 'stranger'; reason: Reason; message: string; link?: URL | undefined }
  | { is: 'unknown'; failure: unknown }

type Reason = RefusalReason | 'pending' | 'no member' | 'in none of the teams'

/** One organisation that answers badly must not keep out somebody whom another one lets in: all are asked, then it is decided. */
async function groupsOfRequired(api: GitHubApi, login: string, options: OrganisationOptions): Promise<string[]> {
  const standings = await Promise.all(options.orgs.map(({ name }) => standing(api, name, login)))
  const someHope = standings.some(({ is }) => is !== 'stranger')
  const teams = someHope ? await readTeams(api) : new Map<string, Team[]>()

  const groups: string[] = []
  const reasons: { org: string; standing: Standing & { is: 'stranger' } }[] = []
  let admitted = false
  let unknown: unknown
  for (const [index, { name: org, teams: required }] of options.orgs.entries()) {
    const found = standings[index]!
    if (found.is === 'stranger') {
      reasons.push({ org, standing: found })
      continue
    }
    const all = teamLabels(teams, org, options)
    const labels = required.length > 0 ? all.filter((label) => required.includes(label)) : all
    groups.push(...labels.map((label) => `${org}:${label}`))
    // Who is in a team of an organisation is its member, also when the question for that went wrong.
    if (labels.length > 0 || (found.is === 'member' && required.length === 0)) admitted = true
    else if (found.is === 'unknown') unknown ??= found.failure
    else reasons.push({ org, standing: { is: 'stranger', reason: 'in none of the teams', message: '' } })
  }
  if (admitted) return groups
  if (unknown !== undefined) throw unknown
  throw excluded(login, reasons, api, options)
}

/**
 * Asked as the person, GitHub answers 204 to members; 302 when this application may not see more than the public; 404 else.
 * Why it was no 204 is asked of the person's own membership, which has words for it.
 */
async function standing(api: GitHubApi, org: string, login: string): Promise<Standing> {
  if (org === '') return { is: 'stranger', reason: 'no member', message: 'an entry of orgs has no name' }
  const at = `/orgs/${encodeURIComponent(org)}`
  const member = encodeURIComponent(login)
  try {
    const status = await api.answer(`${at}/members/${member}`)
    if (status === 204) return { is: 'member' }
    if (status === 302 && (await api.answer(`${at}/public_members/${member}`)) === 204) return { is: 'member' }
    return await ownMembership(api, org)
  } catch (error) {
    return refused(error)
  }
}

async function ownMembership(api: GitHubApi, org: string): Promise<Standing> {
  const membership = await api.find(`/user/memberships/orgs/${encodeURIComponent(org)}`)
  if (membership === undefined) return { is: 'stranger', reason: 'no member', message: '' }
  const { state } = record(membership)
  if (state === 'active') return { is: 'member' }
  return { is: 'stranger', reason: 'pending', message: 'the invitation is not accepted yet' }
}

function refused(error: unknown): Standing {
  if (!(error instanceof GitHubRefusal)) return { is: 'unknown', failure: error }
  return { is: 'stranger', reason: error.reason, message: error.message, link: error.link }
}

/** What helps the person most is said first. */
const byHelp: readonly Reason[] = ['sso', 'unapproved', 'scope', 'permission', 'pending']

function excluded(
  login: string,
  reasons: { org: string; standing: Standing & { is: 'stranger' } }[],
  api: GitHubApi,
  options: OrganisationOptions,
): ConnectorFailure {
  const told = reasons.map(({ org, standing: { reason, message } }) => `${org}: ${reason}${message && ` (${message})`}`)
  const message = `github: user "${login}" not in required orgs or teams; ${told.join('; ')}`
  for (const reason of byHelp) {
    const first = reasons.find(({ standing }) => standing.reason === reason)
    if (first) return withHelp('not_in_required_groups', reason, message, options, first.standing.link, first.org)
  }
  // Without the scope GitHub shows private members to nobody, so that "no member" is not known.
  if (api.lacksOrganisationScope()) return withHelp('groups_incomplete', 'scope', message, options)
  return failure('not_in_required_groups', message)
}

const incomplete = (reason: RefusalReason, message: string, options: OrganisationOptions, link?: URL) =>
  withHelp('groups_incomplete', reason, message, options, link)

function withHelp(
  code: 'not_in_required_groups' | 'groups_incomplete',
  reason: Reason,
  message: string,
  { approvalPage }: OrganisationOptions,
  link?: URL,
  org = 'of yours',
): ConnectorFailure {
  switch (reason) {
    case 'sso':
      return failure(code, message, {
        safe: `The GitHub organisation ${org} wants single sign-on for this application. Sign in there, then log in here again.`,
        ...(link && { link }),
      })
    case 'unapproved':
      return failure(code, message, {
        safe: `The GitHub organisation ${org} has not approved this application. Ask for its approval at GitHub; an owner of the organisation grants it.`,
        link: approvalPage,
      })
    case 'scope':
      return failure('groups_incomplete', `organisation access not granted: read:org is missing; ${message}`, {
        safe: 'Organisation access was not granted to this application at GitHub. Log in again and allow it.',
        link: approvalPage,
      })
    case 'permission':
      return failure(code, `the GitHub App needs the organisation permission "Members: read"; ${message}`, {
        safe: 'This application may not read the members of your GitHub organisations. An administrator can allow it.',
      })
    case 'pending':
      return failure(code, message, {
        safe: `Your invitation to the GitHub organisation ${org} is waiting. Accept it, then log in here again.`,
      })
    default:
      return failure(code, message)
  }
}

/** `org` and `org:team` of every organisation that GitHub shows. */
async function allGroups(api: GitHubApi, options: OrganisationOptions): Promise<string[]> {
  const orgs = (await api.list('/user/orgs')).map((org) => text(record(org).login)).filter(Boolean)
  const teams = await readTeams(api)
  if (orgs.length === 0 && api.lacksOrganisationScope()) {
    throw new GitHubRefusal('scope', 'GitHub lists no organisations to this token')
  }
  return orgs.flatMap((org) => [org, ...teamLabels(teams, org, options).map((label) => `${org}:${label}`)])
}

interface Team {
  name: string
  slug: string
}

/** One listing for all organisations, by login in lower case: GitHub's logins are the same in either. */
async function readTeams(api: GitHubApi): Promise<Map<string, Team[]>> {
  const teams = new Map<string, Team[]>()
  for (const entry of await api.list('/user/teams')) {
    const { name, slug, organization } = record(entry)
    const org = text(record(organization).login).toLowerCase()
    teams.set(org, [...(teams.get(org) ?? []), { name: text(name), slug: text(slug) }])
  }
  return teams
}

function teamLabels(
  teams: Map<string, Team[]>,
  org: string,
  { teamNameField }: Pick<OrganisationOptions, 'teamNameField'>,
): string[] {
  const labels = (teams.get(org.toLowerCase()) ?? []).flatMap(({ name, slug }) => {
    if (teamNameField === 'both') return [name, slug]
    return teamNameField === 'slug' ? [slug] : [name]
  })
  return [...new Set(labels.filter(Boolean))]
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
