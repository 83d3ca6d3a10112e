/** One name and one password from the configuration: for trying out and for tests. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Type } from 'typebox'
import { defineConnector } from './contract.ts'

const schema = Type.Object(
  {
    username: Type.String({ minLength: 1, description: 'The name that is let in.' }),
    password: Type.String({ minLength: 1, description: 'Its password, in clear.' }),
  },
  { additionalProperties: false },
)

export const mockPassword = defineConnector({
  schema,

  open(config) {
    return {
      style: 'password',
      prompt: 'Username',
      async login(username, password) {
        const nameMatches = equal(username, config.username)
        const passwordMatches = equal(password, config.password)
        if (!nameMatches || !passwordMatches) return undefined
        return {
          userId: '0-385-28089-0',
          username: 'Kilgore Trout',
          email: 'kilgore@kilgore.trout',
          emailVerified: true,
          connectorData: { test: 'true' },
        }
      },
      refresh: async (identity) => identity,
    }
  },
})

/** Takes the same time whatever differs, the lengths included. */
const equal = (given: string, wanted: string): boolean => timingSafeEqual(digest(given), digest(wanted))
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
