/** Single sign-on: `sessions`. */
import type { SessionOptions } from '../../login/options.ts'
import { readSwitch } from '../environment.ts'
import type { Part, Reading } from '../reading.ts'
import { readDuration } from './duration.ts'

const DAY = 86_400

interface Understood {
  sessions?: Part<'sessions'>
  staticClients?: Part<'staticClients'>
}

/** `undefined` without the block, unless Dex's `DEX_SESSIONS_ENABLED` asks for sessions with the defaults. */
export const readSessions = (
  { sessions, staticClients: clients = [] }: Understood,
  reading: Reading,
): SessionOptions | undefined => {
  const { report, env } = reading
  if (!sessions && !readSwitch('DEX_SESSIONS_ENABLED', env).on) {
    for (const [index, { refreshTokenLifetime }] of clients.entries()) {
      const at = `/staticClients/${index}/refreshTokenLifetime`
      if (refreshTokenLifetime === 'session') report.warn(at, 'has no effect without a sessions block')
    }
    return undefined
  }
  const given = sessions ?? {}
  const life = (key: 'absoluteLifetime' | 'validIfNotUsedFor', standard: number): number => {
    const text = given[key]
    if (!text) return standard
    const at = `/sessions/${key}`
    const seconds = readDuration(at, text, reading)
    if (seconds <= 0 && !report.broken(at)) report.fault(at, 'must be positive')
    return seconds
  }
  const absoluteLifetime = life('absoluteLifetime', DAY)
  const validIfNotUsedFor = life('validIfNotUsedFor', Math.min(3600, absoluteLifetime))
  if (validIfNotUsedFor > absoluteLifetime) {
    report.fault('/sessions/validIfNotUsedFor', 'must not be longer than absoluteLifetime')
  }
  if (given.cookieName && !/^[\w!#$%&'*+.^`|~-]+$/.test(given.cookieName)) {
    report.fault('/sessions/cookieName', 'holds letters that the name of a cookie cannot have (RFC 6265, 4.1.1)')
  }
  return {
    ...(given.cookieName && { cookieName: given.cookieName }),
    absoluteLifetime,
    validIfNotUsedFor,
    rememberByDefault: given.rememberMeCheckedByDefault ?? true,
    cookieKeys: cookieKeys(given, reading),
    shareByDefault: given.ssoSharedWithDefault === 'all',
  }
}

const cookieKeys = (given: Part<'sessions'>, { report }: Reading): string[] => {
  const current = given.cookieEncryptionKey
  const former = given.formerCookieEncryptionKeys ?? []
  if (!current && former.length > 0) {
    report.fault('/sessions/formerCookieEncryptionKeys', 'needs a cookieEncryptionKey that took their place')
  }
  if (current) checkLength('/sessions/cookieEncryptionKey', current)
  for (const [index, key] of former.entries()) checkLength(`/sessions/formerCookieEncryptionKeys/${index}`, key)
  return current ? [current, ...former] : []

  function checkLength(pointer: string, key: string): void {
    const { length } = Buffer.from(key)
    if (![16, 24, 32].includes(length)) report.fault(pointer, `must have 16, 24 or 32 bytes, not ${length}`)
  }
}
