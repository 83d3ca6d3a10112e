/** One use of a refresh token, from the settings that may forbid it by now to the upstream that is asked. */
import { errors } from 'oidc-provider'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Factors } from '../login/factors/factors.ts'
import { personOf } from '../login/identity.ts'
import { coveredScopes } from '../login/wanted-claims.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Clients } from './clients.ts'
import type { FoundToken } from './dialect/refresh-token.ts'
import type { Flights } from './flights.ts'
import { groupsFault } from './groups-claim.ts'
import { LoginEnded, type RefreshContext, refreshSource } from './refresh.ts'
import { checkedAt, isDue, policyOf, refusalBySettings } from './refresh-policy.ts'
import { splitScopes } from './scopes.ts'
import { currentContext, currentState } from './state.ts'
import { openUpstreamData } from './upstream-data.ts'

export interface RenewalContext extends RefreshContext {
  clients: Clients
  connectorData: ConnectorData
  driver: StorageDriver
  factors: Pick<Factors, 'missing'>
  flights: Flights
}

/**
 * Says who the person of a refresh token is now, in the state of the request. A repeated token is answered from what is
 * known. The turn of the token was taken when it was found; where several tokens share one of the upstream, its turn is
 * taken too.
 */
export function openRenewal(context: RenewalContext): (token: FoundToken) => Promise<void> {
  const { clients, connectors, metrics, audit, flights } = context
  const data = openUpstreamData(context)

  return async (token) => {
    const state = currentState()
    const { source } = state
    const client = clients.get(token.clientId ?? '')
    if (!source || !client) throw new errors.InvalidGrant('client is not configured any more')
    const { login } = source
    const { scope } = (currentContext().oidc.params ?? {}) as { scope?: string }
    const asked = scope === undefined ? source.scopes : splitScopes(scope)
    const refusal = refusalBySettings(source, client, asked, context)
    if (refusal) {
      metrics.refresh(login.connectorId, refusal.reason)
      audit({ type: 'refresh_refused', client_id: client.id, reason: refusal.reason, ...personOf(login) })
      throw refusal.error
    }
    if (token.repeated !== undefined) return metrics.refresh(login.connectorId, 'repeated')

    const turns = [token.flight]
    const policy = policyOf(connectors.get(login.connectorId), client)
    if (login.dataId !== undefined && isDue(policy, Date.now() - checkedAt(source))) {
      const shared = await flights.take(`login-data ${login.dataId}`)
      state.release.push(shared.end)
      turns.push(shared)
    }
    const held = await data.at(token.jti, login, state.unit)
    let settled: Promise<void> | undefined
    for (const turn of turns) {
      turn.before(() => {
        settled ??= held.settle(state.stored === true)
        return settled
      })
    }
    try {
      state.source = await refreshSource({ source, client, policy, held, turns }, context)
      const { scopes, wanted } = state.source
      const fault = groupsFault(state.source.login.identity, coveredScopes(scopes, wanted), client)
      if (fault !== undefined) throw new errors.InvalidGrant(fault)
    } catch (error) {
      if (error instanceof LoginEnded) {
        await token.destroy()
        // Others that came of the same login hear of it at their next use, whatever their policy is.
        if (login.dataId !== undefined) state.unit.delete('login-data', login.dataId)
        audit({ type: 'token_revoked', client_id: client.id, by: 'upstream', sub: token.accountId ?? '' })
      }
      throw error
    }
  }
}
