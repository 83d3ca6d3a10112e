/** The client credentials grant (RFC 6749, 4.4) as Dex has it: tokens that stand for the client itself, without a connector. */

import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import type { Login } from '../login/identity.ts'
import type { Clients } from './clients.ts'
import { judge, type PolicyContext } from './judge.ts'
import type { ClientOptions } from './options.ts'
import { answerTokens, readScopes } from './own-grants.ts'
import { federatedId } from './scopes.ts'

export const clientCredentialsGrant = 'client_credentials'

interface CredentialsParameters {
  scope?: string
  nonce?: string
}

export interface CredentialsContext {
  clients: Clients
  policy: PolicyContext
}

/** Adds the grant type to the engine; its own makes opaque tokens that are nobody's. */
export function addClientCredentials(provider: Provider, context: CredentialsContext): void {
  provider.registerGrantType<CredentialsParameters>(clientCredentialsGrant, (ctx) => grant(provider, ctx, context), [
    'scope',
    'nonce',
  ])
}

/** What needs a person: a later refresh, or an upstream that knows them. */
const ofPeople: ReadonlySet<string> = new Set(['offline_access', federatedId])

async function grant(
  provider: Provider,
  ctx: TokenEndpointGrantContext<CredentialsParameters>,
  { clients, policy }: CredentialsContext,
): Promise<void> {
  const { client, params } = ctx.oidc
  const options = clients.get(client.clientId)
  if (!options) throw new errors.InvalidClient('client is not configured any more')
  // RFC 6749, 4.4: the credentials are all that vouches for the tokens.
  if (options.public) throw new errors.UnauthorizedClient('public clients cannot use client_credentials')
  // The default chain is for people who log in; a chain of its own says that nothing less will do for this client.
  if (options.mfaChain && options.mfaChain.length > 0) {
    throw new errors.AccessDenied('this client needs a second factor, which can only be shown in a browser')
  }
  const scopes = readScopes(params.scope, options.id, clients)
  const refused = scopes.filter((scope) => ofPeople.has(scope))
  if (refused.length > 0) {
    throw new errors.InvalidScope(
      'client_credentials stands for no person: this scope cannot be had',
      refused.join(' '),
    )
  }
  await judge(clientCredentialsGrant, { client: options }, policy)
  const { nonce } = params
  const source = { kind: 'client' as const, login: loginOf(options), scopes, ...(nonce && { nonce }) }
  await answerTokens(provider, ctx, source, { idToken: scopes.includes('openid'), refreshToken: () => false })
}

/** The client in the place of a person; no connector has an empty id. */
const loginOf = ({ id, name, ownGroups }: ClientOptions): Login => ({
  connectorId: '',
  identity: { userId: id, username: name, preferredUsername: name, ...(ownGroups && { groups: ownGroups }) },
  authTime: Math.floor(Date.now() / 1000),
})
