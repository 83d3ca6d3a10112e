/** The person's side of the device grant (RFC 8628, 3.3): finding what a code stands for, and deciding. */
import { randomBytes } from 'node:crypto'
import type { Json } from '../lib/json.ts'
import type { Login } from '../login/identity.ts'
import type { Unit } from '../storage/unit.ts'
import type { GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** What a device asked for and nobody has decided. */
export interface DeviceRequest {
  clientId: string
  scopes: string[]
  /** Unix seconds. */
  exp: number
  /** Seconds between two polls. */
  interval: number
  /** Milliseconds since the epoch. */
  polledAt?: number
  challenge?: { value: string; method: 'S256' | 'plain' } | undefined
  /** Resources that were asked for (RFC 8707). */
  resource?: string | string[] | undefined
}

/** What a person decided. */
export interface DeviceGrant {
  clientId: string
  exp: number
  challenge?: DeviceRequest['challenge']
  source?: GrantSource
  error?: 'access_denied'
  /** Fields of the engine's own record. */
  engine: {
    accountId?: string
    grantId?: string
    scope?: string
    authTime?: number
    resource?: string | string[] | undefined
  }
}

export interface WaitingDevice {
  /** Names the request in the store. */
  id: string
  clientId: string
  scopes: string[]
}

/** As typed: case, dashes and blanks do not count. */
const normalize = (userCode: string): string => userCode.toUpperCase().replace(/[^A-Z]/g, '')

/** The request that a user code stands for, while it can be decided. */
export async function findDevice(unit: Unit, userCode: string, now: Date): Promise<WaitingDevice | undefined> {
  const wanted = normalize(userCode)
  if (wanted.length !== 8) return undefined
  for await (const [id, record] of unit.find('device-request', { userCode: wanted })) {
    const { clientId, scopes, exp } = record.body as unknown as DeviceRequest
    if (exp > now.getTime() / 1000) return { id, clientId, scopes }
  }
  return undefined
}

/** @returns whether the request was still waiting; the commit of the unit decides between several */
export async function decideDevice(
  unit: Unit,
  id: string,
  decision: { login: Login; sid?: string | undefined } | undefined,
  now: Date,
): Promise<boolean> {
  const stored = await unit.get('device-request', id)
  if (!stored) return false
  const { clientId, scopes, exp, challenge, resource } = stored.body as unknown as DeviceRequest
  if (exp <= now.getTime() / 1000) return false
  const { login, sid } = decision ?? {}
  const grant: DeviceGrant = login
    ? {
        clientId,
        exp,
        challenge,
        source: { kind: 'device', login, scopes, origin: { device: true }, ...(sid !== undefined && { sid }) },
        engine: {
          accountId: encodeSubject(login.identity.userId, login.connectorId),
          grantId: randomBytes(16).toString('base64url'),
          scope: scopes.join(' '),
          authTime: login.authTime,
          resource,
        },
      }
    : { clientId, exp, error: 'access_denied', engine: {} }
  const { grantId } = grant.engine
  unit.delete('device-request', id, stored.version)
  unit.create('device-grant', id, {
    expiresAt: exp,
    index: grantId === undefined ? {} : { grant: grantId },
    body: JSON.parse(JSON.stringify(grant)) as Json,
  })
  return true
}
