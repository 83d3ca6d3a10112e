/** People who stand in the configuration itself, with bcrypt hashes of their passwords. */
import { verify } from '@node-rs/bcrypt'
import { type Static, Type } from 'typebox'
import { defineConnector, failure, type Identity } from './contract.ts'

const user = Type.Object(
  {
    email: Type.String({ description: 'Name to log in with, in any case, and claim `email`.' }),
    hash: Type.String({ description: 'bcrypt text of the password; its cost must be from 10 to 16.' }),
    username: Type.Optional(Type.String({ description: 'Claim `name` where `name` is absent.' })),
    name: Type.Optional(Type.String({ description: 'Claim `name`.' })),
    preferredUsername: Type.Optional(Type.String({ description: 'Claim `preferred_username`.' })),
    emailVerified: Type.Optional(Type.Boolean({ description: 'Claim `email_verified`. Default: true.' })),
    userID: Type.Optional(Type.String({ description: 'Names the person for ever; becomes part of `sub`.' })),
    groups: Type.Optional(Type.Array(Type.String(), { description: 'Claim `groups`.' })),
  },
  { additionalProperties: false },
)

const schema = Type.Object(
  { users: Type.Array(user, { description: 'The people. Where an address stands twice, the last entry counts.' }) },
  { additionalProperties: false },
)

type User = Static<typeof user>

const lowestCost = 10
const highestCost = 16

/** The end of a bcrypt text that belongs to no password anybody knows: 22 letters of salt, 31 of digest. */
const nobody = '26cU.LEMbPy4sqaE6ebteeObx/Ivcd2eSOCr.ohwpsG0SV.s0vxgi'

export const local = defineConnector({
  schema,

  open({ users }) {
    // Nobody can log in with an entry that has no address.
    const known = new Map(users.filter(({ email }) => email !== '').map((entry) => [canonical(entry.email), entry]))
    const decoy = `$2b$${usualCost([...known.values()])}$${nobody}`

    return {
      style: 'password',
      prompt: 'Email Address',

      async login(email, password) {
        const found = known.get(canonical(email))
        if (!found) {
          // As long as for somebody who is known, so that the time does not tell who is.
          await verify(password, decoy)
          return undefined
        }
        checkCost(found)
        return (await verify(password, standard(found.hash))) ? identityOf(found) : undefined
      },

      async refresh(identity) {
        const found = known.get(canonical(identity.email ?? ''))
        if (!found || (found.userID ?? '') !== identity.userId) {
          throw failure('identity_gone', 'user not found: no entry has this e-mail address and user id any more')
        }
        // The address names the entry, so it stays as it was told first.
        return { ...identityOf(found), ...(identity.email !== undefined && { email: identity.email }) }
      },
    }
  },
})

function identityOf({ userID = '', username, name, preferredUsername, email, emailVerified, groups }: User): Identity {
  const displayName = name || username
  return {
    userId: userID,
    ...(displayName && { username: displayName }),
    ...(preferredUsername && { preferredUsername }),
    email,
    emailVerified: emailVerified ?? true,
    groups: [...(groups ?? [])],
  }
}

/** One person however the address was typed: upper case, or accents in one letter or two. */
const canonical = (email: string): string => email.normalize('NFC').toLowerCase()

const costOf = (hash: string): number => Number(/^\$2.?\$(\d\d)\$/.exec(hash)?.[1] ?? 0)

const isAllowed = (cost: number): boolean => cost >= lowestCost && cost <= highestCost

/** Dex looks at the cost when somebody logs in: such a file starts, and only this person is kept out. */
function checkCost({ hash }: User): void {
  const cost = costOf(hash)
  if (isAllowed(cost)) return
  throw failure(
    'misconfigured',
    `the password hash has the cost ${cost}; it must be from ${lowestCost} to ${highestCost}`,
  )
}

/** The cost of most people's hashes, as two digits. */
function usualCost(users: User[]): string {
  const counts = new Map<number, number>()
  for (const cost of users.map(({ hash }) => costOf(hash)).filter(isAllowed))
    counts.set(cost, (counts.get(cost) ?? 0) + 1)
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a)
  return String(most?.[0] ?? lowestCost)
}

/** The letter of the version means nothing for what is computed today, but not every library knows every letter. */
const standard = (hash: string): string => hash.replace(/^\$2.?\$/, '$2b$')
