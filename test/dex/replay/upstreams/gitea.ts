/** A Gitea (or Forgejo) server: OAuth, the person and the person's teams, page by page. */
import { called, type GrantState, Grants } from './grants.ts'
import { type Parameters, standIn } from './stand-in.ts'

const ANN = {
  id: 42,
  login: 'ann',
  full_name: 'Ann Example',
  email: 'ann@example.com',
  /** By organisation. */
  teams: { acme: ['Owners', 'Core Team'], other: ['readers'] } as Record<string, string[]>,
}

interface GiteaState extends GrantState {
  user: typeof ANN
}

export const startGitea = () =>
  standIn<GiteaState>({ user: ANN }, (state) => {
    const grants = new Grants(state)
    return (exchange) => {
      const { request, url, query, json, text, log } = exchange
      if (url.pathname === '/login/oauth/authorize') return grants.authorize(exchange)
      log.calls.push(called(exchange))
      if (url.pathname === '/login/oauth/access_token') return grants.token(exchange)
      if (state.api) return text(state.api.status, state.api.text)
      if (!grants.scopesOf(request)) return json(401, { message: 'token is required' })
      const { teams, ...user } = state.user
      if (url.pathname === '/api/v1/user') return json(200, { ...user, is_admin: false, active: true })
      if (url.pathname === '/api/v1/user/orgs') return json(200, page(Object.keys(teams).map(organization), query))
      if (url.pathname === '/api/v1/user/teams') return json(200, page(Object.entries(teams).flatMap(teamsOf), query))
      return json(404, { message: 'not found' })
    }
  })

const organization = (username: string, i: number) => ({
  id: i + 1,
  name: username,
  username,
  full_name: '',
  visibility: 'private',
})
const teamsOf = ([org, names]: [string, string[]], i: number) =>
  names.map((name, k) => ({ id: 10 * i + k + 1, name, organization: organization(org, i) }))

/** Pages count from 1 and hold at most 50. */
function page<T>(items: T[], { page: number = '1', limit = '30' }: Parameters): T[] {
  const size = Math.min(Number(limit), 50)
  return items.slice((Number(number) - 1) * size, Number(number) * size)
}
