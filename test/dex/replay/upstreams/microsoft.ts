/** Microsoft Entra and Graph at one address: OAuth 2.0 of a tenant, the person, the ids of the person's groups, and their names. */
import type { ServerResponse } from 'node:http'
import { called, type GrantState, Grants } from './grants.ts'
import { type Exchange, standIn } from './stand-in.ts'

const ANN: Record<string, string> = {
  id: '6a1f0c2e-0000-4000-8000-000000000001',
  displayName: 'Ann Example',
  userPrincipalName: 'Ann.Example@Contoso.Example',
  mailNickname: 'ann.example',
  onPremisesSamAccountName: 'aexample',
  mail: 'ann@contoso.example',
}
const GROUPS: Record<string, { id: string; security: boolean }> = {
  devops: { id: 'g-0001', security: true },
  'All Staff': { id: 'g-0002', security: false },
  admins: { id: 'g-0003', security: true },
}
const BY_DEFAULT = ['id', 'displayName', 'userPrincipalName', 'mail']
const MOST_IDS = 1000

/** What scenarios may arrange besides. */
interface MicrosoftState extends GrantState {
  user: typeof ANN
  /** All groups of the person by name. */
  directory: { groups: typeof GROUPS }
  /** Of the group ids. */
  pageSize?: number
}

export const startMicrosoft = () =>
  standIn<MicrosoftState>({ user: ANN, directory: { groups: GROUPS } }, (state) => {
    const grants = new Grants(state, {
      shape: ({ scope }) => ({ scope, ext_expires_in: 7200 }),
      refreshable: ({ scope = '' }) => scope.split(' ').includes('offline_access'),
    })
    return (exchange) => {
      const { request, url, json, text, log } = exchange
      const [, , what] = url.pathname.match(/^\/([\w.-]+)\/oauth2\/v2\.0\/(authorize|token)$/) ?? []
      if (what === 'authorize') return grants.authorize(exchange)
      log.calls.push(called(exchange))
      if (what === 'token') return grants.token(exchange)
      if (state.api) return text(state.api.status, state.api.text)
      const scopes = grants.scopesOf(request)
      if (!scopes) return json(401, failed('InvalidAuthenticationToken'))
      const needs = url.pathname === '/v1.0/me' ? 'user.read' : 'directory.read.all'
      const isAllowed = scopes.some((scope) => scope.toLowerCase() === needs)
      return isAllowed ? graph(exchange, state) : json(403, failed('Authorization_RequestDenied'))
    }
  })

const failed = (code: string) => ({ error: { code, message: 'the request was refused' } })

function graph(exchange: Exchange, { user, directory, pageSize = 100 }: MicrosoftState): ServerResponse {
  const { request, url, query, body, json, origin } = exchange
  const asked = `${request.method} ${url.pathname}`
  if (asked === 'GET /v1.0/me') {
    const names = query.$select?.split(',') ?? BY_DEFAULT
    return json(200, Object.fromEntries(names.map((name) => [name, user[name] ?? null])))
  }
  const groups = Object.entries(directory.groups).map(([displayName, group]) => ({ displayName, ...group }))
  if (asked === 'POST /v1.0/me/getMemberGroups') {
    const { securityEnabledOnly } = JSON.parse(body) as { securityEnabledOnly?: boolean }
    const ids = groups.filter(({ security }) => security || !securityEnabledOnly).map(({ id }) => id)
    const from = Number(query.$skiptoken ?? 0)
    const to = from + pageSize
    const next = to < ids.length ? { '@odata.nextLink': `${origin}${url.pathname}?$skiptoken=${to}` } : {}
    return json(200, { ...next, value: ids.slice(from, to) })
  }
  if (asked === 'POST /v1.0/directoryObjects/getByIds') {
    const { ids, types } = JSON.parse(body) as { ids: string[]; types?: string[] }
    if (ids.length > MOST_IDS) return json(400, failed('Request_BadRequest'))
    const found = groups.filter(({ id }) => ids.includes(id) && (!types || types.includes('group')))
    const row = (id: string, displayName: string) => ({ '@odata.type': '#microsoft.graph.group', id, displayName })
    return json(200, { value: found.map(({ id, displayName }) => row(id, displayName)) })
  }
  return json(404, failed('ResourceNotFound'))
}
