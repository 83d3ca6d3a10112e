/** Keys of what clients are shown: the layout of paths, and the claims that each of them gets. */
import { Type } from 'typebox'
import { listOf } from './annotate.ts'

/** At the top of the file. */
export const layoutKeys = {
  layout: Type.Optional(
    Type.Enum(['dex', 'okta'], {
      description:
        'Which paths clients are told. `okta`: `/v1/authorize`, `/v1/token` and so on below an issuer such as `https://login.example.com/oauth2/default`, for software that makes them from the issuer; those of Dex work all the same.',
      'x-default': 'dex',
      'x-own': true,
    }),
  ),
}

/** In `web`. */
export const corsKeys = {
  allowCredentials: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Let scripts of `allowedOrigins` send requests with credentials, as keycloak-js does. Has no effect beside `*`.',
      'x-own': true,
    }),
  ),
}

/** In `oauth2`. */
export const introspectionKeys = {
  introspectionQuery: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'With `layout: okta`: introspection at its path also takes `token` and `token_type_hint` from the query. Query strings end up in logs of proxies.',
      'x-own': true,
    }),
  ),
}

/** In an entry of `staticClients`. */
export const claimsKeys = {
  defaultScopes: Type.Optional(
    listOf('Scopes of a request that names none. Without it such a request is refused.', { 'x-own': true }),
  ),
  groupsClaim: Type.Optional(
    Type.Enum(['omit', 'empty', 'fail'], {
      description:
        'What becomes of claim `groups` for somebody without any. `omit`: there is none. `empty`: `[]` where the upstream said "none", no claim where it said nothing. `fail`: as `empty`, and who comes without word on groups is refused.',
      'x-default': 'omit',
      'x-own': true,
    }),
  ),
  claims: Type.Optional(
    Type.Object(
      {
        preferredUsername: Type.Optional(
          Type.Object(
            {
              cutDomain: Type.Optional(
                Type.Boolean({ default: false, description: 'Leave out what follows the last `@`.', 'x-own': true }),
              ),
              form: Type.Optional(
                Type.Enum(['as-is', 'kubernetes'], {
                  description:
                    '`kubernetes`: lower case, other characters than letters, digits, `-` and `.` become `-`, as KubeSphere wants names.',
                  'x-default': 'as-is',
                  'x-own': true,
                }),
              ),
              maxLength: Type.Optional(
                Type.Integer({
                  minimum: 12,
                  maximum: 253,
                  description: 'Longest name in characters, the suffix included.',
                  'x-own': true,
                }),
              ),
              suffix: Type.Optional(
                Type.Enum(['always', 'changed', 'never'], {
                  description:
                    'Eight letters made of `sub` at the end. `always` keeps names apart whatever the upstreams say; `changed` only where this rule changed a name; `never` where you know that no two people end with one name.',
                  'x-default': 'always',
                  'x-own': true,
                }),
              ),
            },
            { description: 'How claim `preferred_username` is made.', 'x-own': true },
          ),
        ),
      },
      { description: 'How claims are made for this client.', 'x-own': true },
    ),
  ),
  httpsLoopback: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Of a public client: redirect URIs that are registered as `https://localhost/…` stand for http on loopback, at any port.',
      'x-own': true,
    }),
  ),
}
