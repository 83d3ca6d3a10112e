/** What can be configured of every connector that speaks OpenID Connect to its upstream, and what is doubtful in it. */
import { type Static, Type } from 'typebox'
import type { ConfigAdvice } from '../../contract.ts'
import { compileFilter } from './groups.ts'

const text = (description: string) => Type.Optional(Type.String({ description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const texts = (description: string) => Type.Optional(Type.Array(Type.String(), { description }))

const claimMapping = Type.Object(
  {
    preferred_username: text('Claim that holds the preferred user name.'),
    email: text('Claim that holds the e-mail address.'),
    groups: text('Claim that holds the groups.'),
  },
  {
    additionalProperties: false,
    description: 'Claims to read where the standard one is missing; see `overrideClaimMapping`.',
  },
)

const newGroup = Type.Object(
  {
    claims: texts('Claims whose values are joined; those that are no strings are passed over.'),
    delimiter: text('Stands between prefix and values.'),
    clearDelimiter: flag('Take the delimiter out of the values first.'),
    prefix: text('First part of the name.'),
  },
  { additionalProperties: false },
)

const claimModifications = Type.Object(
  {
    newGroupFromClaims: Type.Optional(
      Type.Array(newGroup, {
        description: 'Groups made of other claims; added last, and also without `insecureEnableGroups`.',
      }),
    ),
    filterGroupClaims: Type.Optional(
      Type.Object(
        { groupsFilter: text('RE2 expression; only groups in which it matches somewhere are kept.') },
        { additionalProperties: false, description: 'Which groups of the claim are kept.' },
      ),
    ),
    modifyGroupNames: Type.Optional(
      Type.Object(
        { prefix: text('Put before each group.'), suffix: text('Put after each group.') },
        { additionalProperties: false, description: 'Changes the names of the groups that were kept.' },
      ),
    ),
  },
  { additionalProperties: false, description: 'What is done with groups before clients see them.' },
)

/** Properties of the `config:` section that `oidc` and `okta` have in common. */
export const sharedOptions = {
  clientID: text('Client id of the application that was registered at the upstream.'),
  clientSecret: text('Its secret; without one the client is taken to be public.'),
  redirectURI: text('`<issuer>/callback` of this server, as registered at the upstream.'),
  basicAuthUnsupported: flag(
    'Send id and secret in the body instead of the Authorization header. Default: what discovery lists, and the body for okta.com and oktapreview.com.',
  ),
  scopes: texts('Scopes to ask for; `openid` is always sent. Default: profile and email.'),
  addScopes: flag(
    'Add `groups` (only without explicit `scopes`) and `offline_access` when the client asked for them and the upstream lists them. Default: true.',
  ),
  rootCAs: texts('Further trusted certificate authorities: a file path, base64 of PEM, or PEM text.'),
  insecureSkipVerify: flag('Do not verify the certificate of the upstream.'),
  insecureSkipEmailVerified: flag(
    'Take an e-mail address for verified when the upstream does not say; `false` stays `false`.',
  ),
  allowedGroups: texts('Only members of at least one of these groups may log in, and only these groups are told.'),
  acrValues: texts('Sent as `acr_values` (OpenID Connect Core, 3.1.2.1).'),
  getUserInfo: flag('Ask the userinfo endpoint at each login; its claims win over those of the ID token.'),
  userIDKey: text('Claim that names the person for ever. Default: sub.'),
  userNameKey: text('Claim that holds the display name. Default: name.'),
  promptType: text('Sent as `prompt` when the client asks for offline access. Default: consent. Empty: not sent.'),
  pkceChallenge: text('`S256` or `plain`. Default: the best that discovery lists.'),
  overrideClaimMapping: flag('Prefer the claims of `claimMapping` to the standard ones.'),
  claimMapping: Type.Optional(claimMapping),
  claimModifications: Type.Optional(claimModifications),
  logout: Type.Optional(
    Type.Boolean({
      description:
        'Log out at the upstream as well when a session ends here; `<issuer>/logout/callback` must be registered there. Default: true, for okta false.',
      'x-own': true,
    }),
  ),
}

const sharedSchema = Type.Object(sharedOptions)

/** The shared part of a section after the schema accepted it. */
export type SharedConfig = Static<typeof sharedSchema>

const mutableClaims = new Set(['email', 'name', 'preferred_username', 'nickname', 'upn'])

/** Warnings that do not depend on the kind of upstream. */
export function adviseShared(config: SharedConfig): ConfigAdvice[] {
  const advice: ConfigAdvice[] = []
  const warn = (path: string, message: string) => advice.push({ path, message })
  if (!config.clientID) warn('/clientID', 'is missing: the upstream will refuse every login')
  if (!config.redirectURI) warn('/redirectURI', 'is missing: <issuer>/callback is used')
  if (config.insecureSkipVerify) warn('/insecureSkipVerify', 'anybody on the way can pose as the upstream; use rootCAs')
  if (config.userIDKey && mutableClaims.has(config.userIDKey)) {
    warn(
      '/userIDKey',
      `"${config.userIDKey}" can change or be given to somebody else, who then is the same person here`,
    )
  }
  const method = config.pkceChallenge
  if (method && method !== 'S256' && method !== 'plain') {
    warn('/pkceChallenge', `"${method}" is neither S256 nor plain: every login will fail`)
  }
  if (method === 'plain') warn('/pkceChallenge', 'plain does not protect the code; S256 does')
  const filter = config.claimModifications?.filterGroupClaims?.groupsFilter
  if (filter && !compileFilter(filter)) {
    warn('/claimModifications/filterGroupClaims/groupsFilter', 'is no valid RE2 expression and is ignored')
  }
  return advice
}
