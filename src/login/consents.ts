/** What people have approved, so that they are asked once for each client and scope. Kept only with sessions, as in Dex. */
import { hash } from 'node:crypto'
import type { Unit } from '../storage/unit.ts'
import type { Login } from './identity.ts'
import { sessionIndex } from './sessions.ts'

const idOf = ({ connectorId, identity }: Login, clientId: string): string =>
  hash('sha256', JSON.stringify([connectorId, identity.userId, clientId]), 'base64url')

/** Whether the person has approved all of these scopes; `openid` needs no approval. */
export async function isApproved(
  unit: Unit,
  login: Login,
  clientId: string,
  scopes: readonly string[],
): Promise<boolean> {
  const wanted = scopes.filter((scope) => scope !== 'openid')
  if (wanted.length === 0) return true
  const approved = await read(unit, login, clientId)
  return wanted.every((scope) => approved.includes(scope))
}

/** Stages what was approved now, in the place of what was approved before, as in Dex. */
export async function rememberApproval(
  unit: Unit,
  login: Login,
  clientId: string,
  scopes: readonly string[],
): Promise<void> {
  const id = idOf(login, clientId)
  const before = await unit.get('consent', id)
  const record = { index: { person: sessionIndex.person(login) }, body: { clientId, scopes: [...scopes] } }
  if (before) unit.replace('consent', id, record)
  else unit.create('consent', id, record)
}

async function read(unit: Unit, login: Login, clientId: string): Promise<readonly string[]> {
  const stored = await unit.get('consent', idOf(login, clientId))
  return (stored?.body as { scopes?: string[] } | undefined)?.scopes ?? []
}
