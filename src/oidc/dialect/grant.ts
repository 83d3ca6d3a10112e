/**
 * A grant is no record of its own: the code, the device grant or the refresh token that names it holds all of it, so that
 * where one of those is found its grant exists. Saves a write and a read a login.
 */
import type { Grant as EngineGrant, Provider } from 'oidc-provider'
import { currentContext } from '../state.ts'

/** Where the engine stands when it asks for a grant: the token that it has just found. */
interface Named {
  grantId?: string | undefined
  accountId?: string | undefined
  clientId?: string | undefined
  scope?: string | undefined
}

const found = new WeakMap<object, Named>()

/** Remembers the token whose grant the engine will ask for in this request. */
export function rememberGrantOf(token: Named): void {
  found.set(currentContext(), token)
}

export function grantOf(provider: Provider): typeof EngineGrant {
  const Base = provider.Grant
  class Grant extends Base {
    static override async find<T>(this: { new (...args: never[]): T }, id: string): Promise<T | undefined> {
      const token = found.get(currentContext())
      if (!token || token.grantId !== id) return undefined
      const { accountId, clientId, scope } = token
      const grant = new Grant({ ...(accountId && { accountId }), ...(clientId && { clientId }) })
      grant.jti = id
      if (scope) grant.addOIDCScope(scope)
      return grant as T
    }
  }
  return Grant as typeof EngineGrant
}
