/** One use of a refresh token, from the settings that may forbid it by now to the upstream that is asked. */
import { errors } from 'oidc-provider'
import type { ConnectorData } from '../login/connector-data.ts'
import type { Factors } from '../login/factors/factors.ts'
import { personOf } from '../login/identity.ts'
import { coveredScopes } from '../login/wanted-claims.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { Clients } from './clients.ts'
import { type FoundToken, keepSource } from './dialect/refresh-token.ts'
import type { Flights } from './flights.ts'
import { groupsFault } from './groups-claim.ts'
import { noteJudged, type PolicyContext, refusalOf } from './judge.ts'
import { lifetimesOf } from './lifetimes.ts'
import { LoginEnded, type RefreshContext, refreshSource } from './refresh.ts'
import { checkedAt, isDue, policyOf, type Refusal, refusalBySettings } from './refresh-policy.ts'
import { splitScopes } from './scopes.ts'
import { currentContext, currentState, type GrantSource } from './state.ts'
import { openUpstreamData } from './upstream-data.ts'

export interface RenewalContext extends RefreshContext {
  clients: Clients
  connectorData: ConnectorData
  driver: StorageDriver
  factors: Pick<Factors, 'missing'>
  flights: Flights
  /** Ends a session because the upstream said so. */
  endSession(sid: string): Promise<void>
  policy: PolicyContext
  options: Parameters<typeof lifetimesOf>[0]
}

/**
 * Says who the person of a refresh token is now, in the state of the request. A repeated token is answered from what is
 * known. The turn of the token was taken when it was found; where several tokens share one of the upstream, its turn is
 * taken too.
 */
export function openRenewal(context: RenewalContext): (token: FoundToken) => Promise<void> {
  const { clients, connectors, policy, metrics, audit, flights, endSession } = context
  const { refreshTokens } = lifetimesOf(context.options, clients)
  const data = openUpstreamData(context)

  return async (token) => {
    const state = currentState()
    const { source } = state
    const client = clients.get(token.clientId ?? '')
    if (!source || !client) throw new errors.InvalidGrant('client is not configured any more')
    const { login } = source
    const { scope } = (currentContext().oidc.params ?? {}) as { scope?: string }
    const asked = scope === undefined ? source.scopes : splitScopes(scope)
    const refuse = ({ reason, error }: Refusal): never => {
      metrics.refresh(login.connectorId, reason)
      audit({ type: 'refresh_refused', client_id: client.id, reason, ...personOf(login) })
      throw error
    }
    const outside = async ({ login: { connectorId, identity } }: GrantSource): Promise<Refusal | undefined> => {
      const found = await refusalOf('refresh_token', { client, connectorId, person: identity, sid: source.sid }, policy)
      return found && { reason: found.restriction, error: found.error }
    }
    const refusal = await refusalBySettings(source, client, asked, context)
    if (refusal) refuse(refusal)
    if (token.repeated !== undefined) {
      const found = await outside(source)
      if (found) refuse(found)
      noteJudged('refresh_token')
      return metrics.refresh(login.connectorId, 'repeated')
    }

    const turns = [token.flight]
    const asking = policyOf(connectors.get(login.connectorId), client)
    if (login.dataId !== undefined && isDue(asking, Date.now() - checkedAt(source))) {
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
      state.source = await refreshSource({ source, client, policy: asking, held, turns }, context)
      const { scopes, wanted } = state.source
      const fault = groupsFault(state.source.login.identity, coveredScopes(scopes, wanted), client)
      if (fault !== undefined) throw new errors.InvalidGrant(fault)
      const found = await outside(state.source)
      if (found) {
        if (state.source !== source) keepSource(token, state.source, refreshTokens(client.id))
        refuse(found)
      }
      noteJudged('refresh_token')
    } catch (error) {
      if (error instanceof LoginEnded) {
        await token.destroy()
        // Others that came of the same login hear of it at their next use, whatever their policy is.
        if (login.dataId !== undefined) state.unit.delete('login-data', login.dataId)
        audit({ type: 'token_revoked', client_id: client.id, by: 'upstream', sub: token.accountId ?? '' })
        // Else single sign-on would go on handing out what a refresh is refused.
        if (error.refused && source.sid !== undefined) await endSession(source.sid)
      }
      throw error
    }
  }
}
