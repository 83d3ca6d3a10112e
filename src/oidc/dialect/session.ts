/**
 * Without single sign-on there is no session: the engine's is made for the request, with the login that has just ended, and
 * is gone with it.
 */
import type { Session as EngineSession, Provider } from 'oidc-provider'
import { stateOf } from '../state.ts'
import { encodeSubject } from '../subject.ts'

export function sessionOf(provider: Provider): typeof EngineSession {
  const Base = provider.Session
  class Session extends Base {
    /** The engine saves no session and sets no cookie for one that is marked so. */
    readonly destroyed = true

    static override async get(ctx: Parameters<typeof Base.get>[0]): Promise<EngineSession> {
      const session = new Session()
      const { finished } = stateOf(ctx)
      if (finished) {
        const { connectorId, identity, authTime } = finished.login
        const { acr, amr } = identity.authentication ?? {}
        session.loginAccount({ accountId: encodeSubject(identity.userId, connectorId), loginTs: authTime, acr, amr })
      }
      ctx.oidc?.entity('Session', session)
      return session as unknown as EngineSession
    }
  }
  return Session as unknown as typeof EngineSession
}
