/** An upstream that asks nothing and always vouches for the same person: for trying out and for tests. */
import { Type } from 'typebox'
import { defineConnector, type Identity } from './contract.ts'

const schema = Type.Object(
  {},
  { additionalProperties: true, description: 'Has no options; what stands here is ignored.' },
)

/** A new one each time, so that no caller can change what the next one gets. */
const kilgoreTrout = (): Identity => ({
  userId: '0-385-28089-0',
  username: 'Kilgore Trout',
  email: 'kilgore@kilgore.trout',
  emailVerified: true,
  groups: ['authors'],
  connectorData: 'foobar',
})

export const mockCallback = defineConnector({
  schema,

  open() {
    return {
      style: 'browser',
      async start({ callbackUrl, state }) {
        const url = new URL(callbackUrl)
        url.searchParams.set('state', state)
        return { via: 'redirect', url }
      },
      finish: async () => kilgoreTrout(),
      refresh: async () => kilgoreTrout(),
      exchange: async () => kilgoreTrout(),
    }
  },
})
