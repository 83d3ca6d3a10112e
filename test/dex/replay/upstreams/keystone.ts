/** An OpenStack Keystone, Identity API v3: tokens for a name and a password, users and their groups. */
import type { ServerResponse } from 'node:http'
import type { Json } from '../../../../src/lib/json.ts'
import { type Exchange, type FixedAnswer, random, standIn } from './stand-in.ts'

const ANN = {
  id: 'a1b2c3',
  name: 'ann',
  password: 'ann-secret',
  email: 'ann@example.com',
  groups: ['devops', 'staff'],
}
const ADMIN = { id: 'ffff00', name: 'admin', password: 'admin-secret' }
const DOMAIN = { id: 'default', name: 'Default' }

/** What scenarios may arrange. */
interface KeystoneState {
  user: typeof ANN
  /** Where the persons are. */
  domain: typeof DOMAIN
  /** ANN is not there any more. */
  gone?: boolean
  /** A person may not read the own entry. */
  unreadable?: boolean
  /** For every answer. */
  api?: FixedAnswer
}

interface Login {
  methods: string[]
  password: { user: { [key: string]: Json; domain: { id?: string; name?: string } } }
}

export const startKeystone = () =>
  standIn<KeystoneState>({ user: ANN, domain: DOMAIN }, (state) => {
    /** User ids by token. */
    const tokens = new Map<unknown, string>()
    return (exchange) => {
      const { request, url, json, text, log } = exchange
      log.calls.push(`${request.method} ${url.pathname}`)
      if (state.api) return text(state.api.status, state.api.text)
      if (request.method === 'POST' && /^\/v3\/auth\/tokens\/?$/.test(url.pathname)) {
        return logIn(exchange, state, tokens)
      }
      const who = tokens.get(request.headers['x-auth-token'])
      if (!who) return json(401, failed(401, 'Unauthorized'))
      const { groups, password, ...user } = state.user
      const [, id, list] = url.pathname.match(/^\/v3\/users\/([^/]+)(\/groups)?$/) ?? []
      if (who !== ADMIN.id && (who !== id || state.unreadable)) return json(403, failed(403, 'Forbidden'))
      if (id !== user.id || state.gone) return json(404, failed(404, 'Not Found'))
      const domain = { domain_id: state.domain.id }
      if (!list) return json(200, { user: { ...user, ...domain, enabled: true } })
      return json(200, { groups: groups.map((name) => ({ id: `id-of-${name}`, name, ...domain })) })
    }
  })

function logIn({ body, json, log }: Exchange, state: KeystoneState, tokens: Map<unknown, string>): ServerResponse {
  const { methods, password } = (JSON.parse(body) as { auth: { identity: Login } }).auth.identity
  const { password: typed, ...person } = password.user
  log.login = { methods, ...person } as NonNullable<typeof log.login>
  const { domain, user, gone } = state
  const known = (gone ? [ADMIN] : [user, ADMIN]).find((one) => one.name === person.name && one.password === typed)
  const asked = person.domain as Login['password']['user']['domain'] | undefined
  const isHere = asked?.id ? asked.id === domain.id : asked?.name === domain.name
  if (!known || !isHere || !methods.includes('password')) return json(401, failed(401, 'Unauthorized'))
  const token = random()
  tokens.set(token, known.id)
  const holder = { id: known.id, name: known.name, domain, password_expires_at: null }
  return json(201, { token: { methods, user: holder, audit_ids: [random()] } }, { 'x-subject-token': token })
}

const failed = (code: number, title: string) => ({ error: { code, title, message: 'the request was refused' } })
