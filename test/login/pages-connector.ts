/** An upstream that does what a test wants to see a page of. */
import { type Static, Type } from 'typebox'
import { type ConnectorType, defineConnector, failure } from '../../connectors/contract.ts'

const schema = Type.Object({
  /** `post` leaves by a form for `address`; `broken` and `locked` fail; `groups` lets nobody in. */
  how: Type.Enum(['post', 'broken', 'locked', 'groups']),
  address: Type.String(),
})

export default defineConnector({
  schema,
  open({ how, address }: Static<typeof schema>) {
    if (how === 'locked') {
      return {
        style: 'password',
        prompt: 'Username',
        login: async () => {
          throw failure('account_locked', 'locked after ten wrong passwords')
        },
      }
    }
    return {
      style: 'browser',
      async start({ callbackUrl, state }) {
        if (how === 'broken') throw failure('misconfigured', 'the certificate cannot be read')
        if (how === 'post') return { via: 'post', action: new URL(address), fields: { RelayState: state } }
        const url = new URL(callbackUrl)
        url.searchParams.set('state', state)
        return { via: 'redirect', url }
      },
      async finish() {
        throw failure('not_in_required_groups', 'kilgore is in none of: admins')
      },
    }
  },
}) as ConnectorType
