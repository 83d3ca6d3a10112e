/** Ends what an upstream says has ended: sessions, and where it says so refresh tokens. */
import { setImmediate } from 'node:timers/promises'
import type { Ended } from '../../connectors/contract.ts'
import type { Login } from '../login/identity.ts'
import { type Session, sessionIndex } from '../login/sessions.ts'
import type { StorageDriver } from '../storage/contract.ts'
import type { KindName } from '../storage/kinds.ts'
import type { Audit } from '../telemetry/audit.ts'
import type { Family } from './family.ts'
import { holdingsOf } from './holdings.ts'
import type { SessionEnder } from './session-end.ts'
import type { GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

export interface UpstreamEnder {
  /** @returns whether anything was held in the name of that person */
  end(connectorId: string, ended: Ended): Promise<boolean>
}

export interface UpstreamEnderContext {
  driver: StorageDriver
  ender: Pick<SessionEnder, 'end'>
  audit: Audit
}

/** Records. */
const breath = 500

/** Whoever is of this user id, as far as the indexes ask. */
const loginOf = (connectorId: string, userId: string): Login => ({ connectorId, identity: { userId }, authTime: 0 })

export function openUpstreamEnder({ driver, ender, audit }: UpstreamEnderContext): UpstreamEnder {
  const endPerson = async (connectorId: string, userId: string, tokens: boolean): Promise<boolean> => {
    const held = await holdingsOf(driver, loginOf(connectorId, userId), Number.POSITIVE_INFINITY)
    const sub = encodeSubject(userId, connectorId)
    for (const { id, clientId } of tokens ? held.tokens : []) {
      await driver.commit([{ do: 'delete', kind: 'refresh-family', id }])
      audit({ type: 'token_revoked', client_id: clientId, by: 'upstream', sub })
    }
    if (tokens) await endUnredeemed(connectorId, userId)
    for (const session of held.sessions) await ender.end(session, 'upstream')
    return held.tokens.length > 0 || held.sessions.length > 0
  }

  return {
    async end(connectorId, ended) {
      const tokens = ended.tokens === true
      if ('userId' in ended) return endPerson(connectorId, ended.userId, tokens)
      const people = 'email' in ended ? await peopleByEmail(connectorId, ended.email) : new Set<string>()
      if ('sid' in ended) {
        const sessions: Session[] = []
        for await (const [id, { body }] of driver.find('session', {
          upstream: sessionIndex.upstream(connectorId, ended.sid),
        })) {
          const { secret: _, former: _former, ...rest } = body as unknown as Session & Record<string, unknown>
          sessions.push({ ...rest, id } as Session)
        }
        for (const session of sessions) {
          await ender.end(session, 'upstream')
          if (tokens) people.add(session.login.identity.userId)
        }
        if (!tokens) return sessions.length > 0
      }
      let found = false
      for (const userId of people) found = (await endPerson(connectorId, userId, tokens)) || found
      return found
    },
  }

  /** All records of a kind, with a breath now and then for whoever else is served. */
  async function* all(kind: KindName) {
    let count = 0
    for await (const entry of driver.find(kind, {})) {
      yield entry
      if (++count % breath === 0) await setImmediate()
    }
  }

  /** A login that has just succeeded may not become a refresh token any more. */
  async function endUnredeemed(connectorId: string, userId: string): Promise<void> {
    for (const kind of ['code', 'device-grant'] as const) {
      for await (const [id, { body }] of all(kind)) {
        const { source } = body as unknown as { source?: GrantSource }
        const { login } = source ?? {}
        if (login?.connectorId !== connectorId || login.identity.userId !== userId) continue
        await driver.commit([{ do: 'delete', kind, id }])
      }
    }
  }

  /**
   * Addresses have no index, which every login would pay for: all sessions and refresh tokens are looked through. Only an
   * upstream that was authenticated can ask for that, and seldom does.
   */
  async function peopleByEmail(connectorId: string, email: string): Promise<Set<string>> {
    const wanted = email.toLowerCase()
    const found = new Set<string>()
    const look = ({ connectorId: at, identity }: Login) => {
      if (at === connectorId && identity.email?.toLowerCase() === wanted) found.add(identity.userId)
    }
    for await (const [, { body }] of all('session')) look((body as unknown as Session).login)
    for await (const [, { body }] of all('refresh-family')) look((body as unknown as Family).source.login)
    return found
  }
}
