/** What is redeemed at the token endpoint stands for a login: whether it still may, and whether it can be refreshed. */
import { errors } from 'oidc-provider'
import type { Connectors } from '../login/connectors.ts'
import type { Factors } from '../login/factors/factors.ts'
import type { Clients } from './clients.ts'
import { judge, type PolicyContext, refusalOf } from './judge.ts'
import type { GrantType } from './policy.ts'
import { policyOf } from './refresh-policy.ts'
import { currentState } from './state.ts'

export interface RedeemContext {
  clients: Pick<Clients, 'get'>
  connectors: Connectors
  policy: PolicyContext
  factors: Pick<Factors, 'missing'>
}

/** What was right at the login may have been taken away since. */
export async function stillAllowed(
  token: { clientId?: string | undefined },
  grantType: GrantType,
  context: RedeemContext,
): Promise<void> {
  const { source } = currentState()
  if (!source) throw new errors.InvalidGrant('the login is not known any more')
  const { login, sid } = source
  const client = context.clients.get(token.clientId ?? '')
  const { connectorId, identity: person } = login
  const connectorGrant = source.hybrid ? ('implicit' as const) : undefined
  await judge(grantType, { client, connectorId, person, sid, connectorGrant }, context.policy)
  // The operator may have asked for more since the login: what it was not proven by then needs a new login.
  if (client && context.factors.missing(client, connectorId, login.factors).length > 0) {
    throw new errors.InvalidGrant('this client needs a second factor now, which the login did not have')
  }
}

/** `offline_access` was asked for, and the connector can say later who the person then is, where that is wanted. */
export async function mayRefresh({ connectors, clients, policy }: RedeemContext, clientId: string): Promise<boolean> {
  const { source } = currentState()
  if (!source?.scopes.includes('offline_access')) return false
  const { login, sid } = source
  const { connectorId } = login
  const connector = connectors.get(connectorId)
  const client = clients.get(clientId)
  if (connector?.opened?.refresh === undefined && policyOf(connector, client).upstream !== 'never') return false
  const subject = { client, connectorId, person: login.identity, sid }
  return (await refusalOf('refresh_token', subject, policy)) === undefined
}
