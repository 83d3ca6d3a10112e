/** A GitLab server: OAuth, /oauth/userinfo, and of the REST API the person, the groups and a membership. */
import type { ServerResponse } from 'node:http'
import { called, type GrantState, Grants } from './grants.ts'
import { type Exchange, standIn } from './stand-in.ts'

type Levels = Record<string, number>

const ANN = {
  id: 4711,
  name: 'Ann Example',
  username: 'ann',
  state: 'active',
  email: 'ann@example.com',
  /** Access levels by full path: 10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner. */
  groups: { platform: 50, 'platform/api': 30, platforms: 40, docs: 20 } as Levels,
  inherited: { 'platform/api/tools': 30, 'docs/style': 20 } as Levels,
}
type User = typeof ANN

interface GitLabState extends GrantState {
  user: User
}

const CLAIMED = { owner: 50, maintainer: 40, developer: 30 }

/** `/mint?scope=` gives a token without a login. */
export const startGitLab = () =>
  standIn<GitLabState>({ user: ANN }, (state) => {
    const shape = ({ scope }: { scope?: string }) => ({ scope, created_at: Math.floor(Date.now() / 1000) })
    const grants = new Grants(state, { shape })
    return (exchange) => {
      const { request, url, query, json, text, log } = exchange
      if (url.pathname === '/oauth/authorize') return grants.authorize(exchange)
      if (url.pathname === '/mint') return json(200, grants.tokens({ scope: query.scope ?? '' }))
      log.calls.push(called(exchange))
      if (url.pathname === '/oauth/token') return grants.token(exchange)
      if (state.api) return text(state.api.status, state.api.text)
      const scopes = grants.scopesOf(request)
      if (!scopes) return json(401, { message: '401 Unauthorized' })
      const needs = neededScopes(url.pathname)
      if (!needs.some((scope) => scopes.includes(scope))) {
        return json(403, { error: 'insufficient_scope', scope: needs.join(' ') })
      }
      return answer(exchange, state.user)
    }
  })

function neededScopes(path: string): string[] {
  if (path === '/oauth/userinfo') return ['openid']
  return path === '/api/v4/user' ? ['read_user', 'read_api'] : ['read_api']
}

function answer({ url, query, json }: Exchange, whole: User): ServerResponse {
  const { groups, inherited, ...user } = whole
  if (url.pathname === '/api/v4/user') return json(200, { ...user, is_admin: false })
  if (url.pathname === '/oauth/userinfo') return json(200, userinfo(whole))
  const all = Object.entries({ ...groups, ...inherited }).map(([path, level], i) => ({ id: i + 1, path, level }))
  if (url.pathname === '/api/v4/groups') {
    const size = Number(query.per_page ?? 20)
    const from = (Number(query.page ?? 1) - 1) * size
    return json(200, all.slice(from, from + size).map(row))
  }
  const [, group, member] = url.pathname.match(/^\/api\/v4\/groups\/(\d+)\/members\/all\/(\d+)$/) ?? []
  const found = all.find(({ id }) => id === Number(group))
  if (!found || Number(member) !== user.id) return json(404, { message: '404 Not found' })
  return json(200, { id: user.id, username: user.username, state: 'active', access_level: found.level })
}

const row = ({ id, path }: { id: number; path: string }) => ({
  id,
  name: path,
  path: path.split('/').pop(),
  full_path: path,
  visibility: 'private',
})

/** GitLab names a direct group in one of the three lists by the level there. */
function userinfo({ id, name, username, email, groups }: User): Record<string, unknown> {
  const out: Record<string, unknown> = {
    sub: String(id),
    name,
    nickname: username,
    email,
    groups: Object.keys(groups),
  }
  for (const [role, level] of Object.entries(CLAIMED)) {
    const paths = Object.keys(groups).filter((path) => groups[path] === level)
    if (paths.length > 0) out[`https://gitlab.org/claims/groups/${role}`] = paths
  }
  return out
}
