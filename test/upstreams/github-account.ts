/** What the GitHub stand-in knows: one person, the organisations, one application, and the tokens that are out. */
export interface GitHubTeam {
  name: string
  slug: string
}

/** One organisation, and the person's standing in it. */
export interface GitHubOrganisation {
  /** `member` sees it all; `public` is a member whom everybody may see; `pending` has not accepted the invitation. */
  membership: 'member' | 'public' | 'pending' | 'none'
  teams: GitHubTeam[]
  /** The organisation has not approved this OAuth app: it shows it what everybody may see. */
  unapproved?: boolean
  /** The organisation wants single sign-on, and this token has not been through it. */
  wantsSignOn?: boolean
}

export interface GitHubPerson {
  id: number
  login: string
  name: string | null
  /** The public address. */
  email: string | null
  emails: { email: string; primary: boolean; verified: boolean }[]
  suspended?: boolean
}

export interface GitHubToken {
  scopes: string[]
  expiresAt?: number
}

export interface GitHubAccount {
  clientId: string
  clientSecret: string
  redirectUri: string
  /** An OAuth app, whose tokens last and carry scopes; or a GitHub App, whose tokens expire and have none. */
  app: 'oauth' | 'app'
  /** Whether HTTP Basic is understood at the token endpoint. */
  basic: boolean
  /** Older Enterprise Servers pass over PKCE. */
  ignoresPkce: boolean
  person: GitHubPerson
  organisations: Record<string, GitHubOrganisation>
  /** The person says no. */
  deny?: string
  /** The next code is answered with this error. */
  codeError?: string
  /** Scopes that are granted whatever is asked; all that is asked when absent. */
  grants?: string[]
  codes: Map<string, { scopes: string[]; redirectUri: string; challenge: string | null; expiresAt: number }>
  /** The oldest first. */
  tokens: Map<string, GitHubToken>
  /** To the access token that they belong to. */
  refreshTokens: Map<string, string>
  /** Milliseconds. */
  now(): number
}

export interface GitHubCall {
  method: string
  /** As at an Enterprise Server, without the query. */
  path: string
  query: URLSearchParams
  form: URLSearchParams
  headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface GitHubReply {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export const octocat = (): GitHubPerson => ({
  id: 583231,
  login: 'octo',
  name: 'Octo Cat',
  email: null,
  emails: [
    { email: 'spare@corp.example', primary: false, verified: true },
    { email: 'octo@example.com', primary: true, verified: true },
  ],
})

/** A member of acme with two teams, and of one other organisation without any. */
export const acmeAndOther = (): Record<string, GitHubOrganisation> => ({
  acme: {
    membership: 'member',
    teams: [
      { name: 'Core Team', slug: 'core-team' },
      { name: 'ops', slug: 'ops' },
    ],
  },
  other: { membership: 'member', teams: [] },
})
