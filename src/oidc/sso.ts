/** Whether a session answers an authorization request, so that the person is not asked to log in. */
import type { Scopes } from '../../connectors/contract.ts'
import type { Session } from '../login/sessions.ts'
import type { AcceptedRequest } from './authorization-request.ts'
import { unmetClaims } from './claims-request.ts'
import type { ClientOptions } from './options.ts'
import { encodeSubject } from './subject.ts'

export interface SignOnContext {
  /** The connector that the request would go to. */
  connectorId: string
  /** What it would be asked for. */
  wanted: Scopes
  clients: { get(id: string): Pick<ClientOptions, 'ssoSharedWith'> | undefined }
  /** For clients that say nothing about sharing. */
  shareByDefault: boolean
  /** Unix seconds. */
  now: number
}

type Request = Pick<AcceptedRequest, 'client' | 'prompts' | 'maxAge' | 'hintedSubject' | 'wanted'>

/** OpenID Connect Core, 3.1.2.1 and 3.1.2.3; sharing between clients as in Dex. */
export function maySignOn(session: Session, request: Request, context: SignOnContext): boolean {
  const { login, asked } = session
  const { prompts, maxAge, hintedSubject } = request
  const { connectorId, wanted, now } = context
  if (prompts.has('login') || prompts.has('select_account')) return false
  if (login.connectorId !== connectorId) return false
  if (hintedSubject !== undefined && hintedSubject !== encodeSubject(login.identity.userId, connectorId)) return false
  // Another person, or a stronger login, is asked for.
  if (unmetClaims(request.wanted, login)) return false
  if (maxAge !== undefined && (maxAge === 0 || now - login.authTime > maxAge)) return false
  if ((wanted.groups && !asked.groups) || (wanted.offlineAccess && !asked.offlineAccess)) return false
  return knows(session, request.client, context)
}

/** The person logged in for the client, or for one that shares with it. Who was let in by sharing passes nothing on. */
function knows(
  { clients: known }: Session,
  client: ClientOptions,
  { clients, shareByDefault }: SignOnContext,
): boolean {
  if (known[client.id]) return true
  return Object.entries(known).some(([id, { direct }]) => {
    if (!direct) return false
    const shared = clients.get(id)?.ssoSharedWith
    return shared === undefined ? clients.get(id) !== undefined && shareByDefault : sharesWith(shared, client.id)
  })
}

const sharesWith = (shared: readonly string[], id: string): boolean => shared.includes('*') || shared.includes(id)
