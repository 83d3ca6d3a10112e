/**
 * The ticket office: a made-up login service of a made-up company, as an example of a connector of your own.
 * docs/writing-a-connector.md builds it step by step; upstream.ts plays the service.
 */
import { type ConnectorContext, defineConnector, failure, type Identity, Type } from 'countersign/connector'

const schema = Type.Object(
  {
    url: Type.String({ format: 'uri', description: 'Address of the ticket office.' }),
    team: Type.Optional(Type.String({ description: 'Only members of this team may log in.' })),
  },
  { additionalProperties: false },
)

export default defineConnector({
  schema,

  open({ url, team }, context) {
    const ask = askTicketOffice(url, context)
    const admit = (identity: Identity): Identity => {
      if (!team || identity.groups?.includes(team)) return identity
      throw failure('not_in_required_groups', `${identity.userId} is not in the team ${team}`)
    }

    return {
      style: 'browser',

      async start({ callbackUrl, state }) {
        const back = new URL(callbackUrl)
        back.searchParams.set('state', state)
        const login = new URL('/login', url)
        login.searchParams.set('return', back.href)
        return { via: 'redirect', url: login }
      },

      async finish({ params }) {
        const ticket = params.get('ticket')
        if (!ticket) throw failure('login_refused', 'the ticket office gave no ticket')
        const person = await ask(`/tickets/${encodeURIComponent(ticket)}`)
        if (!person) throw failure('login_refused', 'the ticket office does not know its ticket')
        return admit(person)
      },

      async refresh({ userId }) {
        const person = await ask(`/people/${encodeURIComponent(userId)}`)
        if (!person) throw failure('identity_gone', `${userId} has left`)
        return admit(person)
      },
    }
  },

  advise({ url }) {
    if (!url.startsWith('http:')) return []
    return [{ path: '/url', message: 'is not encrypted: anybody on the way can pose as the ticket office' }]
  },
})

/** Asks who somebody is; `undefined` when the ticket office knows nobody there. */
function askTicketOffice(url: string, context: ConnectorContext) {
  // Already limited in time and size, through the proxy, and measured; fails with `upstream_unavailable` by itself.
  const fetch = context.http()

  return async (path: string): Promise<Identity | undefined> => {
    const answer = await fetch(new URL(path, url))
    if (answer.status === 404) return undefined
    if (answer.status >= 500) throw failure('upstream_unavailable', `the ticket office answered ${answer.status}`)
    const person: unknown = await answer.json().catch(() => undefined)
    return read(person)
  }
}

/** Nothing is believed of an upstream's answer that was not looked at. */
function read(person: unknown): Identity {
  const { id, name, mail, teams } = (typeof person === 'object' && person !== null ? person : {}) as Record<
    string,
    unknown
  >
  if (typeof id !== 'string' || id === '') throw failure('upstream_invalid_response', 'the ticket office named nobody')
  return {
    userId: id,
    ...(typeof name === 'string' && { username: name }),
    ...(typeof mail === 'string' && { email: mail, emailVerified: true }),
    ...(Array.isArray(teams) && { groups: teams.filter((team) => typeof team === 'string') }),
  }
}
