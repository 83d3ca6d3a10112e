/** Who somebody is, as it travels from a login to the tokens: in the sealed cookie, the code and the refresh token. */
import type { Identity } from '../../connectors/contract.ts'
import type { DoneFactor } from './factors/chain.ts'

export interface Login {
  connectorId: string
  /** What the connector said; without its `connectorData`, which is kept apart. */
  identity: Identity
  /** Connector data, sealed for this connector and person; absent when there is none or it belongs to the person. */
  sealedData?: string
  /** Instead of `sealedData`: the record that holds it, where several refresh tokens of one session share it. */
  dataId?: string
  /** When the person logged in, Unix seconds: claim `auth_time` (OpenID Connect Core, 2). */
  authTime: number
  /** Second factors that this person has shown. */
  factors?: DoneFactor[]
}

/** Attributes of Dex's line `login successful`, and of audit events. */
export function personOf({ connectorId, identity }: Pick<Login, 'connectorId' | 'identity'>) {
  const { userId, username, preferredUsername, email, emailVerified } = identity
  return {
    connector_id: connectorId,
    user_id: userId,
    username: username ?? userId,
    preferred_username: preferredUsername ?? '',
    email: email === undefined ? '' : emailVerified ? email : `${email} (unverified)`,
  }
}
