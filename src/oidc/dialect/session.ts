/** Without single sign-on there is no session: the engine's is made for the request and gone with it. */
import type { Session as EngineSession, Provider } from 'oidc-provider'

export function sessionOf(provider: Provider): typeof EngineSession {
  const Base = provider.Session
  class Session extends Base {
    /** The engine saves no session and sets no cookie for one that is marked so. */
    readonly destroyed = true

    static override async get(ctx: Parameters<typeof Base.get>[0]): Promise<EngineSession> {
      const session = new Session()
      ctx.oidc?.entity('Session', session)
      return session as unknown as EngineSession
    }
  }
  return Session as unknown as typeof EngineSession
}
