/** GitHub and GitHub Enterprise Server: OAuth 2.0 login, with organisations and teams as groups. */
import { type Static, Type } from 'typebox'
import {
  type ConfigAdvice,
  ConnectorFailure,
  defineConnector,
  type FailureCode,
  failure,
  type Identity,
  type Scopes,
} from './contract.ts'
import { readCertificates } from './lib/certificates.ts'
import { type GitHubPlace, githubApi, pauseAfter } from './lib/github/api.ts'
import { type OrganisationOptions, readGroups } from './lib/github/organisations.ts'
import { readProfile } from './lib/github/profile.ts'
import { renewals } from './lib/github/renewals.ts'
import { recogniseGitHubError, tokensFrom } from './lib/github/tokens.ts'
import { checkRedirectUri, type OAuthTokens, oauthClient } from './lib/oauth.ts'
import { guarded } from './lib/oidc/failures.ts'

const text = (description: string) => Type.Optional(Type.String({ description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))

const org = Type.Object(
  {
    name: text('Login of the organisation, as in its address.'),
    teams: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Teams, spelled as `teamNameField` says; membership in one is needed. Empty: any member.',
      }),
    ),
  },
  { additionalProperties: false },
)

const schema = Type.Object(
  {
    clientID: text('Client id of the OAuth app or GitHub App.'),
    clientSecret: text('Its client secret.'),
    redirectURI: text('`<issuer>/callback` of this server, as registered at GitHub.'),
    org: text('Legacy: the teams of this organisation are told by their bare names. Restricts nobody; use `orgs`.'),
    orgs: Type.Optional(
      Type.Array(org, { description: 'Only members of one of these may log in; their teams are told as `org:team`.' }),
    ),
    hostName: text('Host of a GitHub Enterprise Server, without a path. Default: github.com.'),
    rootCA: text('Certificate authority of that server: a file path, base64 of PEM, or PEM text.'),
    teamNameField: Type.Optional(
      Type.Enum(['name', 'slug', 'both', ''], {
        description: 'What a team is called in groups: its name, its slug, or both. Default: name.',
      }),
    ),
    loadAllGroups: flag('Without `orgs`: tell every organisation and team when a client asks for groups.'),
    useLoginAsID: flag(
      'Take the login for the user id instead of the number. A login can be renamed and taken by others.',
    ),
    preferredEmailDomain: text('Prefer a verified address of this domain; `*` stands for one label, not for the last.'),
    pkce: flag('Bind logins with PKCE (S256). Default: true.'),
  },
  { additionalProperties: false },
)

type Config = Static<typeof schema>

export const github = defineConnector({
  schema,

  open(config, context) {
    const [fault] = faults(config)
    if (fault) throw failure('misconfigured', fault.message)
    const ca = config.rootCA ? readCertificates([config.rootCA], 'rootCA') : []
    const fetch = guarded(context.http(ca.length > 0 ? { ca } : {}))
    const place = placeOf(config.hostName, { fetch, now: context.now, log: context.log })
    const options = groupOptions(config, place)
    const oauth = oauthClient(
      {
        authorizationEndpoint: `${place.web}/login/oauth/authorize`,
        tokenEndpoint: `${place.web}/login/oauth/access_token`,
        clientId: config.clientID ?? '',
        clientSecret: config.clientSecret ?? '',
        fetch,
        pkce: config.pkce ?? true,
        recognise: recogniseGitHubError,
        recogniseResponse: (response) => {
          const retryAfter = pauseAfter(response, '', context.now())
          return retryAfter === undefined
            ? undefined
            : failure('rate_limited', 'GitHub limits our requests', { retryAfter })
        },
      },
      context,
    )
    const valid = renewals(oauth.renew, context.now)

    async function identify(tokens: OAuthTokens, scopes: Scopes): Promise<Identity> {
      const api = githubApi(place, tokens.accessToken, tokens.scope)
      const { id, login, name, email } = await readProfile(api, {
        everyEmailVerified: Boolean(config.hostName),
        preferredEmailDomain: config.preferredEmailDomain,
      })
      const groups = await readGroups(api, login, scopes.groups, options)
      return {
        userId: config.useLoginAsID ? login : id,
        username: name ?? login,
        preferredUsername: login,
        email,
        emailVerified: true,
        ...(groups && { groups }),
        // Also without offline access: GitHub ends a person's oldest token at the eleventh, so the newest is the one to keep.
        connectorData: { ...tokens },
      }
    }

    return {
      style: 'browser',
      dataPer: 'person',

      async start(request) {
        checkRedirectUri(config.redirectURI, context)
        const { loginHint, prompt } = request.wishes
        const groups = request.scopes.groups || options.orgs.length > 0 || Boolean(options.org)
        return oauth.depart(request, groups ? ['user:email', 'read:org'] : ['user:email'], {
          ...(loginHint && { login: loginHint }),
          ...(prompt?.split(' ').includes('select_account') && { prompt: 'select_account' }),
        })
      },

      async finish(arrival) {
        checkRedirectUri(config.redirectURI, context)
        const tokens = await oauth.redeem(arrival)
        try {
          return await identify(tokens, arrival.scopes)
        } catch (error) {
          throw renamed(error, ['identity_gone'], 'upstream_invalid_response')
        }
      },

      async refresh(identity, scopes) {
        const kept = tokensFrom(identity.connectorData)
        if (!kept) throw failure('identity_gone', 'no upstream access token found', { notAsked: true })
        try {
          const identified = await identify(await valid(kept), scopes)
          // A renamed login is the same person still.
          return { ...identified, userId: identity.userId }
        } catch (error) {
          throw renamed(error, refusals, 'identity_gone')
        }
      },
    }
  },

  advise(config) {
    return [...faults(config), ...doubts(config)]
  },
})

/** What ends a refresh for good. */
const refusals: readonly FailureCode[] = [
  'login_refused',
  'not_in_required_groups',
  'groups_incomplete',
  'account_disabled',
]

function renamed(error: unknown, codes: readonly FailureCode[], code: FailureCode): unknown {
  if (!(error instanceof ConnectorFailure) || !codes.includes(error.code)) return error
  return failure(code, error.message, { ...error.details, cause: error })
}

function placeOf(hostName: string | undefined, rest: Pick<GitHubPlace, 'fetch' | 'now' | 'log'>): GitHubPlace {
  if (!hostName) return { api: 'https://api.github.com', web: 'https://github.com', ...rest }
  return { api: `https://${hostName}/api/v3`, web: `https://${hostName}`, ...rest }
}

function groupOptions(config: Config, { web, log }: GitHubPlace): OrganisationOptions {
  return {
    orgs: (config.orgs ?? []).map(({ name = '', teams = [] }) => ({ name, teams })),
    org: config.org || undefined,
    loadAllGroups: config.loadAllGroups ?? false,
    teamNameField: config.teamNameField || 'name',
    approvalPage: new URL(`${web}/settings/connections/applications/${encodeURIComponent(config.clientID ?? '')}`),
    log,
  }
}

/** What keeps this connector from opening, as in Dex. */
function faults({ org, orgs, hostName, rootCA, preferredEmailDomain }: Config): ConfigAdvice[] {
  const found: ConfigAdvice[] = []
  const fault = (path: string, message: string) => found.push({ path, message, severity: 'error' })
  if (org && orgs?.length) fault('/org', "github: cannot use both 'org' and 'orgs' fields simultaneously")
  if (hostName?.includes('/')) fault('/hostName', 'invalid hostname: hostname cannot contain `/`')
  else if (hostName && !isHost(hostName)) fault('/hostName', `"${hostName}" is no host name`)
  if (rootCA && !hostName) {
    fault('/rootCA', 'invalid connector config: Host name field required for a root certificate file')
  }
  if (preferredEmailDomain?.endsWith('*')) {
    fault('/preferredEmailDomain', 'invalid PreferredEmailDomain: glob pattern cannot end with "*"')
  }
  return found
}

const isHost = (name: string): boolean => URL.parse(`https://${name}`)?.host === name.toLowerCase().replace(/:443$/, '')

function doubts(config: Config): ConfigAdvice[] {
  const found: ConfigAdvice[] = []
  const warn = (path: string, message: string) => found.push({ path, message })
  if (!config.clientID) warn('/clientID', 'is missing: GitHub will refuse every login')
  if (!config.clientSecret) warn('/clientSecret', 'is missing: GitHub will refuse every login')
  if (!config.redirectURI) warn('/redirectURI', 'is missing: <issuer>/callback is used')
  if (config.org)
    warn('/org', 'is the older form and restricts nobody; `orgs: [{ name: … }]` does, and tells `org:team`')
  if (config.useLoginAsID) {
    warn('/useLoginAsID', 'a login can be renamed and then be taken by somebody else, who is the same person here')
  }
  if (config.loadAllGroups && (config.orgs?.length || config.org)) {
    warn('/loadAllGroups', 'has no effect beside `orgs` or `org`')
  }
  for (const [index, { name }] of (config.orgs ?? []).entries()) {
    if (!name) warn(`/orgs/${index}/name`, 'is missing: this entry lets nobody in')
  }
  if (config.pkce === false)
    warn('/pkce', 'without PKCE a stolen code can be redeemed; older Enterprise Servers ignore it')
  return found
}
