/** Any OpenID provider: login, groups, refresh and token exchange by discovery (OpenID Connect Core and Discovery 1.0). */
import { type Static, Type } from 'typebox'
import { type ConfigAdvice, defineConnector, failure } from './contract.ts'
import { oidcFlow } from './lib/oidc/flow.ts'
import { isOktaHost, recogniseOktaError } from './lib/oidc/okta.ts'
import { adviseShared, sharedOptions } from './lib/oidc/options.ts'

const address = (description: string) => Type.Optional(Type.String({ description }))

const schema = Type.Object(
  {
    issuer: Type.String({ minLength: 1, description: 'Issuer of the upstream; discovery is read below it.' }),
    issuerAlias: Type.Optional(
      Type.String({
        description: 'What its tokens carry as `iss` when that differs; the discovered issuer is then not compared.',
      }),
    ),
    ...sharedOptions,
    insecureEnableGroups: Type.Optional(
      Type.Boolean({
        description: 'Believe the groups that the upstream sends. Its name is older than its meaning. Default: false.',
      }),
    ),
    hostedDomains: Type.Optional(
      Type.Array(Type.String(), { description: 'Not supported here; the connector google has it.' }),
    ),
    providerDiscoveryOverrides: Type.Optional(
      Type.Object(
        {
          tokenURL: address('Token endpoint.'),
          authURL: address('Authorization endpoint.'),
          jwksURL: address('Address of the key set.'),
          userInfoURL: address('Userinfo endpoint.'),
          deviceAuthURL: address('Device authorization endpoint.'),
          endSessionURL: address('End session endpoint.'),
        },
        { additionalProperties: false, description: 'Replaces what the discovery document says.' },
      ),
    ),
  },
  { additionalProperties: false },
)

type Config = Static<typeof schema>

const noHostedDomains = 'hostedDomains is not supported by the connector oidc; use the connector google'

export const oidc = defineConnector({
  schema,

  open(config, context) {
    if (config.hostedDomains?.length) throw failure('misconfigured', noHostedDomains)
    const { providerDiscoveryOverrides: overrides, hostedDomains: _, ...settings } = config
    const known = isOktaHost(config.issuer) ? { recognise: recogniseOktaError } : {}
    return oidcFlow({ ...settings, ...known, ...(overrides && { overrides }) }, context)
  },

  advise(config) {
    return [...adviseShared(config), ...adviseOwn(config)]
  },
})

function adviseOwn(config: Config): ConfigAdvice[] {
  const advice: ConfigAdvice[] = []
  if (config.hostedDomains?.length) advice.push({ path: '/hostedDomains', message: noHostedDomains, severity: 'error' })
  if (config.allowedGroups?.length && !config.insecureEnableGroups) {
    advice.push({ path: '/allowedGroups', message: 'restricts nobody without insecureEnableGroups: true' })
  }
  if (Object.values(config.providerDiscoveryOverrides ?? {}).some(Boolean)) {
    advice.push({
      path: '/providerDiscoveryOverrides',
      message: 'whoever serves the replaced endpoints decides who can log in; use it only where discovery is wrong',
    })
  }
  return advice
}
