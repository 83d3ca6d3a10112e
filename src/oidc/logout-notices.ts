/**
 * Tells clients that a session has ended (OpenID Connect Back-Channel Logout 1.0). What has to be told is stored together
 * with the end of the session and sent in the background, several times if a client does not answer; a restart loses none.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '../lib/logger.ts'
import type { Session } from '../login/sessions.ts'
import type { Change, StorageDriver, StoredRecord } from '../storage/contract.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { SigningKeys } from './keys.ts'
import type { ClientOptions } from './options.ts'
import { encodeSubject } from './subject.ts'

export interface LogoutNotices {
  /** Creates a record for each client of the session that wants to be told; to be committed with its end. */
  changesFor(session: Session): Change[]
  /** Sends what is due, in the background. */
  send(): void
  close(): Promise<void>
}

export interface LogoutNoticesContext {
  driver: StorageDriver
  keys: Pick<SigningKeys, 'sign'>
  issuer: string
  clients: { get(id: string): Pick<ClientOptions, 'backchannelLogoutURI' | 'signingAlgorithm'> | undefined }
  fetch: typeof fetch
  metrics: Pick<Metrics, 'logoutNotice'>
  log: Logger
  now(): Date
}

interface Notice {
  clientId: string
  sub: string
  sid: string
  /** How often it was sent. */
  tries: number
  /** Unix seconds. */
  dueAt: number
}

/** Seconds before each further try; then it is given up. */
const pauses = [5, 30, 120, 600] as const
/** Seconds for which who sends a notice has it for themselves. */
const lease = 30
/** Seconds that a logout token is good for. */
const tokenLifetime = 120
/** Seconds after which a notice is of no use to anybody. */
const noticeLifetime = 3600
/** How many are on their way at once. */
const parallel = 20

const event = 'http://schemas.openid.net/event/backchannel-logout'

export function openLogoutNotices(context: LogoutNoticesContext): LogoutNotices {
  const { driver, keys, issuer, clients, fetch, metrics, log, now } = context
  const seconds = () => Math.floor(now().getTime() / 1000)
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> = Promise.resolve()
  let wanted = false

  const recordOf = (notice: Notice) => ({
    expiresAt: seconds() + noticeLifetime,
    index: {},
    body: { ...notice },
  })

  /** @returns the HTTP status of the client, or why there is none */
  const post = async (uri: string, { clientId, sub, sid }: Notice): Promise<number | Error> => {
    const iat = seconds()
    const claims = {
      iss: issuer,
      sub,
      aud: clientId,
      iat,
      exp: iat + tokenLifetime,
      jti: randomUUID(),
      sid,
      events: { [event]: {} },
    }
    try {
      const algorithm = clients.get(clientId)?.signingAlgorithm
      const body = new URLSearchParams({ logout_token: await keys.sign(claims, { typ: 'logout+jwt', algorithm }) })
      const answer = await fetch(uri, { method: 'POST', body, headers: { 'cache-control': 'no-store' } })
      return answer.status
    } catch (error) {
      return error as Error
    }
  }

  /** Sends one notice, unless another replica has taken it. */
  const deliver = async (id: string, { version, body }: StoredRecord): Promise<void> => {
    const notice = body as unknown as Notice
    const uri = clients.get(notice.clientId)?.backchannelLogoutURI
    if (uri === undefined) return remove(id)
    const tries = notice.tries + 1
    const taken: Notice = { ...notice, tries, dueAt: seconds() + Math.max(lease, pauses[notice.tries] ?? 0) }
    const leased = await driver.commit([{ do: 'replace', kind: 'logout-notice', id, version, record: recordOf(taken) }])
    if (!leased.ok) return
    const outcome = await post(uri, notice)
    const about = { client_id: notice.clientId, sid: notice.sid, tries }
    if (typeof outcome === 'number' && outcome >= 200 && outcome < 300) {
      metrics.logoutNotice('delivered')
      log.info('client was told of a logout', about)
      return remove(id)
    }
    const err = typeof outcome === 'number' ? undefined : outcome
    const status = typeof outcome === 'number' ? outcome : undefined
    // What the client refuses now it refuses later as well.
    const refused = status !== undefined && status < 500 && status !== 429
    if (refused || notice.tries >= pauses.length) {
      metrics.logoutNotice(refused ? 'refused' : 'failed')
      log.error('client could not be told of a logout', { ...about, status, err })
      return remove(id)
    }
    metrics.logoutNotice('retried')
    log.warn('client could not be told of a logout yet', { ...about, status, err })
    const [retry] = [pauses[notice.tries] ?? lease]
    await reschedule(id, { ...taken, dueAt: seconds() + retry })
  }

  const remove = async (id: string): Promise<void> => {
    await driver.commit([{ do: 'delete', kind: 'logout-notice', id }])
  }

  const reschedule = async (id: string, notice: Notice): Promise<void> => {
    const stored = await driver.get('logout-notice', id)
    if (!stored) return
    const { version } = stored
    await driver.commit([{ do: 'replace', kind: 'logout-notice', id, version, record: recordOf(notice) }])
  }

  const work = async (): Promise<void> => {
    let next = Number.POSITIVE_INFINITY
    try {
      do {
        wanted = false
        next = Number.POSITIVE_INFINITY
        const due: [string, StoredRecord][] = []
        for await (const entry of driver.find('logout-notice', {})) {
          const { dueAt } = entry[1].body as unknown as Notice
          if (dueAt <= seconds() && due.length < parallel) due.push(entry)
          else next = Math.min(next, dueAt)
        }
        await Promise.all(due.map(([id, record]) => deliver(id, record)))
        // Who failed comes again later, and so does what did not fit.
        if (due.length > 0) wanted = true
      } while (wanted && !closed)
    } catch (error) {
      log.error('notices of logouts could not be sent', { err: error })
      next = seconds() + lease
    }
    plan(next)
  }

  const plan = (at: number): void => {
    clearTimeout(timer)
    if (closed || at === Number.POSITIVE_INFINITY) return
    timer = setTimeout(send, Math.max(1, at - seconds()) * 1000)
    timer.unref()
  }

  let busy = false
  const send = (): void => {
    wanted = true
    if (busy || closed) return
    busy = true
    working = work().finally(() => {
      busy = false
    })
  }

  // What a former process left behind.
  send()
  return {
    changesFor({ id: sid, login, clients: told }) {
      const sub = encodeSubject(login.identity.userId, login.connectorId)
      return Object.keys(told)
        .filter((clientId) => clients.get(clientId)?.backchannelLogoutURI !== undefined)
        .map((clientId) => {
          const notice: Notice = { clientId, sub, sid, tries: 0, dueAt: seconds() }
          return { do: 'create', kind: 'logout-notice', id: randomUUID(), record: recordOf(notice) }
        })
    },
    send,
    async close() {
      closed = true
      clearTimeout(timer)
      await working
    },
  }
}
