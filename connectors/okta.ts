/** Okta: the OpenID Connect flow with what is known of Okta's authorization servers built in. */
import { type Static, Type } from 'typebox'
import { type ConfigAdvice, defineConnector, failure } from './contract.ts'
import { oidcFlow } from './lib/oidc/flow.ts'
import { groupsLimit, isOktaThin, oktaIssuer, recogniseOktaError } from './lib/oidc/okta.ts'
import { receiveFromOkta } from './lib/oidc/okta-messages.ts'
import { adviseShared, sharedOptions } from './lib/oidc/options.ts'
import { lazyUpstream } from './lib/oidc/upstream.ts'

const schema = Type.Object(
  {
    domain: Type.String({
      minLength: 1,
      description:
        'Host of the Okta org, such as acme.okta.com, or its custom domain. `http://` only with a loopback address.',
    }),
    serverId: Type.Optional(
      Type.String({
        description: 'Authorization server: `default`, an id such as aus1example, or absent for the org server.',
      }),
    ),
    ...sharedOptions,
    insecureEnableGroups: Type.Optional(
      Type.Boolean({ description: 'Whether the groups that Okta sends are believed. Default: true.' }),
    ),
    eventHookSecret: Type.Optional(
      Type.String({
        description:
          'What Okta sends as the Authorization header of its event hooks; without it none are taken. Long and random.',
      }),
    ),
  },
  { additionalProperties: false },
)

type Config = Static<typeof schema>

export const okta = defineConnector({
  schema,

  open(config, context) {
    const { domain, serverId, eventHookSecret, ...shared } = config
    const resolved = oktaIssuer(domain, serverId)
    if ('fault' in resolved) throw failure('misconfigured', `domain: ${resolved.fault}`)
    const settings = { ...shared, issuer: resolved.issuer, insecureEnableGroups: shared.insecureEnableGroups ?? true }
    const org = lazyUpstream({ ...settings, issuer: new URL(resolved.issuer).origin }, context)
    const messages = { settings: { ...settings, ...(eventHookSecret && { eventHookSecret }) }, org, context }
    const flow = oidcFlow(
      {
        ...settings,
        // The person logs out of an application; whether of all that is behind Okta the operator says.
        logout: shared.logout ?? false,
        basicAuthUnsupported: shared.basicAuthUnsupported ?? true,
        isThin: (claims, scopes) => isOktaThin(claims, scopes, settings),
        recognise: recogniseOktaError,
        inspectGroups(groups) {
          if (groups.length === groupsLimit) {
            context.log.warn(
              'Okta sent exactly as many groups as a claim can hold; narrow the filter of the groups claim',
              {
                groups: groupsLimit,
              },
            )
          }
        },
      },
      context,
    )
    return {
      ...flow,
      receive: async (request) => (await receiveFromOkta(request, messages)) ?? flow.receive!(request),
    }
  },

  advise(config) {
    return [...adviseShared(config), ...adviseOwn(config)]
  },
})

function adviseOwn(config: Config): ConfigAdvice[] {
  const advice: ConfigAdvice[] = []
  const resolved = oktaIssuer(config.domain, config.serverId)
  if ('fault' in resolved) advice.push({ path: '/domain', message: resolved.fault, severity: 'error' })
  if (config.allowedGroups?.length && config.insecureEnableGroups === false) {
    advice.push({ path: '/allowedGroups', message: 'restricts nobody with insecureEnableGroups: false' })
  }
  if (config.eventHookSecret !== undefined && config.eventHookSecret.length < 20) {
    advice.push({ path: '/eventHookSecret', message: 'can be guessed: use at least 20 random characters' })
  }
  return advice
}
