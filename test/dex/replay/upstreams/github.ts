/** A GitHub Enterprise Server over TLS. */
import { CLIENT, credentials, random, standInOverTls } from './stand-in.ts'

interface Team {
  name: string
  slug: string
}

const OCTO = {
  id: 583231,
  login: 'octo',
  name: 'Octo Cat',
  email: null,
  emails: [
    { email: 'spare@corp.example', primary: false, verified: true },
    { email: 'octo@example.com', primary: true, verified: true },
  ],
  /** Teams by organisation. */
  orgs: {
    acme: [
      { name: 'Core Team', slug: 'core-team' },
      { name: 'ops', slug: 'ops' },
    ],
    other: [],
  } as Record<string, Team[]>,
}

/** What scenarios may arrange. */
interface GitHubState {
  user: typeof OCTO
  deny?: boolean
  /** The API answers 401. */
  revoked?: boolean
}

const teamsOf = ([login, teams]: [string, Team[]]) =>
  teams.map((team, i) => ({ id: i + 1, ...team, organization: { login } }))

export const startGitHub = () =>
  standInOverTls<GitHubState>({ user: OCTO }, (state) => {
    const codes = new Set<string | undefined>()
    return ({ request, url, query, form, json, redirect, log }) => {
      if (url.pathname === '/login/oauth/authorize') {
        log.authorize = query
        if (state.deny) return redirect({ error: 'access_denied' })
        const code = random()
        codes.add(code)
        return redirect({ code })
      }
      const where = url.pathname.replace(/^\/api\/v3/, '')
      log.calls.push(`${request.method} ${where}`)
      if (where === '/login/oauth/access_token') {
        const { auth, id, secret } = credentials(request, form)
        log.token = { auth, ...form }
        if (id !== CLIENT.id || secret !== CLIENT.secret) return json(200, { error: 'incorrect_client_credentials' })
        if (!codes.delete(form.code)) return json(200, { error: 'bad_verification_code' })
        return json(200, { access_token: random(), token_type: 'bearer', scope: 'user:email' })
      }
      if (state.revoked || !/^(Bearer|token) ./i.test(request.headers.authorization ?? '')) {
        return json(401, { message: 'Bad credentials' })
      }
      const { emails, orgs, ...profile } = state.user
      if (where === '/user') return json(200, profile)
      if (where === '/user/emails') return json(200, emails)
      if (where === '/user/orgs')
        return json(
          200,
          Object.keys(orgs).map((login, i) => ({ id: i + 1, login })),
        )
      if (where === '/user/teams') return json(200, Object.entries(orgs).flatMap(teamsOf))
      const [, org, member] = where.match(/^\/orgs\/([^/]+)\/members\/([^/]+)$/) ?? []
      if (org) return json(member === profile.login && orgs[org] ? 204 : 404)
      return json(404, { message: 'Not Found' })
    }
  })
