/** The people of the connector `local`: `enablePasswordDB`, `staticPasswords`. */
import { nearest } from '../../lib/nearest.ts'
import type { ConnectorOptions } from '../../login/options.ts'
import type { Part, Reading, Understood } from '../reading.ts'
import { child } from '../report.ts'

/** One person, as the connector `local` takes them. */
export interface LocalUser {
  email: string
  /** bcrypt text. */
  hash: string
  username: string
  name?: string
  preferredUsername?: string
  emailVerified: boolean
  userID: string
  groups: string[]
}

const LOWEST_COST = 10
const HIGHEST_COST = 16

/** The connector that `enablePasswordDB` adds, or none. */
export const readPasswords = (understood: Understood, reading: Reading): ConnectorOptions | undefined => {
  const { report } = reading
  const entries = understood.staticPasswords ?? []
  const users = new Map<string, LocalUser>()
  for (const [index, entry] of entries.entries()) {
    const pointer = child('/staticPasswords', index)
    const user = readUser(entry, pointer, reading)
    if (!user) continue
    const name = user.email.toLowerCase()
    if (users.has(name)) report.warn(child(pointer, 'email'), `"${user.email}" stands twice; this last entry counts`)
    users.set(name, user)
  }
  if (entries.length > 0 && !understood.enablePasswordDB && !report.broken('/enablePasswordDB')) {
    report.fault('/staticPasswords', 'have no effect without "enablePasswordDB: true"')
  }
  if (!understood.enablePasswordDB) return undefined
  return { id: 'local', name: 'Email', type: 'local', config: { users: [...users.values()] }, grantTypes: [] }
}

const readUser = (entry: Part<'staticPasswords'>[number], pointer: string, reading: Reading): LocalUser | undefined => {
  const { report } = reading
  const hash = readHash(entry, pointer, reading)
  if (!entry.email && !report.broken(child(pointer, 'email')))
    report.warn(child(pointer, 'email'), 'is missing: nobody can log in with this entry')
  if (!entry.userID && !report.broken(child(pointer, 'userID'))) {
    report.warn(
      child(pointer, 'userID'),
      'is missing: all such people share one "sub", so clients take them for one person',
    )
  }
  if (hash === undefined) return undefined
  return {
    email: entry.email ?? '',
    hash,
    username: entry.username ?? '',
    ...(entry.name && { name: entry.name }),
    ...(entry.preferredUsername && { preferredUsername: entry.preferredUsername }),
    emailVerified: entry.emailVerified ?? true,
    userID: entry.userID ?? '',
    groups: entry.groups ?? [],
  }
}

const readHash = (
  entry: Part<'staticPasswords'>[number],
  pointer: string,
  { report, env }: Reading,
): string | undefined => {
  const at = child(pointer, entry.hash ? 'hash' : 'hashFromEnv')
  if (report.broken(at)) return undefined
  const variable = entry.hashFromEnv ?? ''
  const written = entry.hash || env[variable]
  if (!written) {
    if (variable === '') report.fault(child(pointer, 'hash'), 'is missing: give a bcrypt hash, or hashFromEnv')
    else if (env[variable] === '') report.fault(at, `names the environment variable ${variable}, which is empty`)
    else
      report.fault(at, `names the environment variable ${variable}, which is not set`, {
        nearest: nearest(variable, Object.keys(env)),
      })
    return undefined
  }
  const hash = bcryptText(written) ?? bcryptText(Buffer.from(written, 'base64').toString('latin1'))
  if (hash === undefined) {
    report.fault(
      at,
      'is no bcrypt hash, nor base64 of one: make one with "htpasswd -bnBC 10 x PASSWORD" and take what follows the colon',
    )
    return undefined
  }
  const cost = Number(/^\$2.?\$(\d\d)\$/.exec(hash)![1])
  if (cost < LOWEST_COST || cost > HIGHEST_COST) {
    report.warn(
      at,
      `has the cost ${cost}; with less than ${LOWEST_COST} or more than ${HIGHEST_COST} every login of this person fails`,
    )
  }
  return hash
}

/** The text when it is a bcrypt hash by its form: version, cost, 22 letters of salt, 31 of digest. */
const bcryptText = (text: string): string | undefined => {
  const cost = /^\$2[a-z]?\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text.trim())?.[1]
  return cost !== undefined && Number(cost) >= 4 && Number(cost) <= 31 ? text.trim() : undefined
}
