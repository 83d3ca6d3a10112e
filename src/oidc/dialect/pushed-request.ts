/**
 * Pushed authorization requests (RFC 9126) keep the scope that the client asked for: the engine takes out what it does not
 * know, such as audiences, and `offline_access` without a prompt.
 */
import type { PushedAuthorizationRequest as EngineRequest, Provider } from 'oidc-provider'
import { idOf } from '../ids.ts'
import { paramsOf } from '../resolve.ts'
import { currentContext, currentState } from '../state.ts'

export function pushedRequestOf(provider: Provider): typeof EngineRequest {
  const Base = provider.PushedAuthorizationRequest
  class PushedAuthorizationRequest extends Base {
    declare asked?: string

    static override get IN_PAYLOAD(): string[] {
      return [...Base.IN_PAYLOAD, 'asked']
    }

    override async save(ttl: number): Promise<string> {
      const ctx = currentContext()
      const state = currentState()
      const { request, scope } = ctx.oidc.body ?? {}
      const asked = request === undefined ? scope : state.askedScope
      if (typeof asked === 'string') this.asked = asked
      const id = await super.save(ttl)
      state.pushed = {
        id: idOf(id),
        params: { ...paramsOf(ctx), ...(this.asked !== undefined && { scope: this.asked }) },
      }
      return id
    }
  }
  return PushedAuthorizationRequest as unknown as typeof EngineRequest
}
