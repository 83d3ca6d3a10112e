/** Ends sessions, with everything that ends with them. */
import type { Session, Sessions } from '../login/sessions.ts'
import type { Change, StorageDriver } from '../storage/contract.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Family } from './family.ts'
import type { LogoutNotices } from './logout-notices.ts'
import type { ClientOptions } from './options.ts'
import { encodeSubject } from './subject.ts'

/** Who ended a session. */
export type EndedBy = 'person' | 'client' | 'replaced' | 'upstream' | 'operator'

export interface SessionEnder {
  /**
   * Ends a session: refresh tokens that are bound to it end with it, its clients are told. Others stay: a command line that
   * was logged in once is not logged out by a browser.
   */
  end(session: Session, by: EndedBy): Promise<void>
  /** Sends what clients have not been told yet. */
  resume(): void
  /** Whether what a client got in a session has ended with it: only where the client is bound to it. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
}

export interface SessionEnderContext {
  sessions: Pick<Sessions, 'get'> | undefined
  driver: StorageDriver
  clients: { get(id: string): Pick<ClientOptions, 'sessionBound'> | undefined }
  notices: LogoutNotices
  audit: Audit
}

export function openSessionEnder({ sessions, driver, clients, notices, audit }: SessionEnderContext): SessionEnder {
  return {
    async end(session, by) {
      const changes: Change[] = [{ do: 'delete', kind: 'session', id: session.id }]
      let outlived = false
      for await (const [id, { body }] of driver.find('refresh-family', { session: session.id })) {
        const { clientId } = body as unknown as Family
        if (clients.get(clientId)?.sessionBound) changes.push({ do: 'delete', kind: 'refresh-family', id })
        else outlived = true
      }
      const { dataId } = session.login
      if (dataId !== undefined && !outlived) changes.push({ do: 'delete', kind: 'login-data', id: dataId })
      await driver.commit([...changes, ...notices.changesFor(session)])
      const { connectorId, identity } = session.login
      const sub = encodeSubject(identity.userId, connectorId)
      audit({ type: 'session_ended', by, sub, connector_id: connectorId, user_id: identity.userId, sid: session.id })
      notices.send()
    },

    resume: notices.send,

    async hasEnded(clientId, sid) {
      if (sid === undefined || !clients.get(clientId)?.sessionBound) return false
      return (await sessions?.get(sid)) === undefined
    },
  }
}
