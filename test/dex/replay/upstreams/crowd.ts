/** An Atlassian Crowd, REST resource usermanagement/1: sessions for a name and a password, users and their nested groups. */
import type { ServerResponse } from 'node:http'
import type { Json } from '../../../../src/lib/json.ts'
import { CLIENT, credentials, type Exchange, type FixedAnswer, random, standIn } from './stand-in.ts'

interface User {
  name: string
  password: string
  active: boolean
  groups: string[]
  [key: string]: Json
}

/** What scenarios may arrange. */
interface CrowdState {
  user: User
  /** Further persons. */
  others?: User[]
  /** Nobody is there any more. */
  gone?: boolean
  /** Passwords are. */
  expired?: boolean
  /** For every answer. */
  api?: FixedAnswer
}

const ANN: User = {
  key: '32769:f7a1',
  name: 'ann',
  password: 'ann-secret',
  active: true,
  email: 'ann@example.com',
  'display-name': 'Ann Example',
  groups: ['devops', 'staff'],
}
const ROOT = '/rest/usermanagement/1'

export const startCrowd = () =>
  standIn<CrowdState>({ user: ANN }, (state) => (exchange) => {
    const { request, url, query, json, text, log } = exchange
    log.calls.push(`${request.method} ${url.pathname}${url.search}`)
    if (state.api) return text(state.api.status, state.api.text, state.api.type)
    const app = credentials(request, {}, (part) => part)
    if (app.id !== CLIENT.id || app.secret !== CLIENT.secret) {
      return text(401, 'Application failed to authenticate', 'text/plain')
    }
    const isJson = /\bapplication\/json\b/.test(request.headers.accept ?? '')
    if (!isJson) return text(200, '<error/>', 'application/xml') // its default
    const asked = `${request.method} ${url.pathname.replace(ROOT, '')}`
    if (asked === 'POST /session') return logIn(exchange, state)
    const user = find(state, query.username)
    if (!user) return json(404, { reason: 'USER_NOT_FOUND', message: 'no such user' })
    const { password, groups, ...person } = user
    if (asked === 'GET /user') return json(200, { expand: 'attributes', ...person })
    if (asked === 'GET /user/group/nested') {
      return json(200, { expand: 'group', groups: groups.map((name) => ({ name })) })
    }
    return json(404, {})
  })

const find = ({ user, others = [], gone }: CrowdState, name: unknown): User | undefined =>
  (gone ? [] : [user, ...others]).find((one) => one.name === name)

function logIn({ query, body, json, log }: Exchange, state: CrowdState): ServerResponse {
  const { password: typed, ...person } = JSON.parse(body) as Record<string, Json>
  const isChecked = query['validate-password'] !== 'false'
  log.login = { ...person, 'validate-password': isChecked }
  const no = (reason: string) => json(400, { reason, message: 'the person may not log in' })
  const user = find(state, person.username)
  if (!user) return no('INVALID_USER_AUTHENTICATION')
  if (!user.active) return no('INACTIVE_ACCOUNT')
  if (isChecked && typed !== user.password) return no('INVALID_USER_AUTHENTICATION')
  if (state.expired) return no('EXPIRED_CREDENTIAL')
  const now = Date.now()
  return json(201, {
    token: random(),
    user: { name: user.name },
    'created-date': now,
    'expiry-date': now + 3_600_000,
  })
}
