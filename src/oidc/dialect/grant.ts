/**
 * A grant is no record of its own: the code, the device grant or the refresh token that names it holds all of it, so that
 * where one of those is found its grant exists. Saves a write and a read a login.
 */
import { type Grant as EngineGrant, errors, type Provider } from 'oidc-provider'
import { currentContext } from '../state.ts'

/** Where the engine stands when it asks for a grant: the token that it has just found. */
interface Named {
  grantId?: string | undefined
  accountId?: string | undefined
  clientId?: string | undefined
  scope?: string | undefined
  resource?: string | string[] | undefined
}

const found = new WeakMap<object, Named>()

/** Remembers the token whose grant the engine will ask for in this request. */
export function rememberGrantOf(token: Named): void {
  found.set(currentContext(), token)
}

/**
 * Of the resources that were granted a request at the token endpoint is for one (RFC 8707, 2.2). The engine looks at that
 * when the code or refresh token is used up already.
 */
export function checkResource({ clientId, resource }: Named): void {
  const { oidc } = currentContext()
  if (oidc.route !== 'token' || oidc.client?.clientId !== clientId) return
  const granted = [resource ?? []].flat()
  const wanted = [(oidc.params?.resource as Named['resource']) ?? granted].flat()
  if (wanted.length > 1) throw new errors.InvalidTarget('one of the granted resources has to be named')
  if (wanted.some((each) => !granted.includes(each))) throw new errors.InvalidTarget('that resource was not granted')
}

export function grantOf(provider: Provider): typeof EngineGrant {
  const Base = provider.Grant
  class Grant extends Base {
    static override async find<T>(this: { new (...args: never[]): T }, id: string): Promise<T | undefined> {
      const token = found.get(currentContext())
      if (!token || token.grantId !== id) return undefined
      const { accountId, clientId, scope, resource } = token
      const grant = new Grant({ ...(accountId && { accountId }), ...(clientId && { clientId }) })
      grant.jti = id
      if (scope) grant.addOIDCScope(scope)
      for (const each of [resource ?? []].flat()) if (scope) grant.addResourceScope(each, scope)
      return grant as T
    }
  }
  return Grant as typeof EngineGrant
}
