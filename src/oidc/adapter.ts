/**
 * The engine's storage, made from the unit of work of the request: reads go through it once, writes gather in it and become
 * one commit before the answer leaves. Codes and device codes are found by their hash, so that the store holds none.
 */
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Json } from '../lib/json.ts'
import type { NewRecord } from '../storage/contract.ts'
import type { Unit } from '../storage/unit.ts'
import { registrationTokens } from './dynamic/registered.ts'
import { idOf } from './ids.ts'
import { pushedKind, wasUsed } from './pushed.ts'
import { currentState } from './state.ts'

const now = () => Math.floor(Date.now() / 1000)

type Payload = Record<string, Json>

/** Kinds of the engine that are kept; a kind that is not here is not in use, and storing it is a defect. */
const adapters: Readonly<Record<string, () => Adapter>> = {
  AuthorizationCode: codes,
  RegistrationAccessToken: () => ({ ...nothing('RegistrationAccessToken'), ...registrationTokens() }),
  PushedAuthorizationRequest: pushedRequests,
  // Where the engine would wait for a person we go on by ourselves, see resolve.ts.
  Interaction: () => ({ ...nothing('Interaction'), upsert: async () => {} }),
}

/** Seconds that a code is remembered at least, so that a login which is finished twice gives no second one. */
const rememberedFor = 600

/** For the engine's `adapter` option. */
export const adapterOf = (name: string): Adapter => adapters[name]?.() ?? nothing(name)

function codes(): Adapter {
  return {
    ...nothing('AuthorizationCode'),
    async upsert(id, payload, expiresIn) {
      const { jti: _, ...body } = payload as Payload
      const record: NewRecord = {
        expiresAt: now() + Math.max(expiresIn!, rememberedFor),
        index: { grant: String(payload.grantId) },
        body,
      }
      // Taken already means that this login was finished before: it gives no second code. Later than a code lives only an
      // upstream that takes its own code twice would let somebody finish it again, in the browser that did so before.
      currentState().unit.create('code', idOf(id), record)
    },
    async find(id) {
      const stored = await currentState().unit.get('code', idOf(id))
      return stored && ({ ...(stored.body as Payload), jti: id } as AdapterPayload)
    },
    async consume(id) {
      const { unit } = currentState()
      const stored = await unit.get('code', idOf(id))
      if (!stored) throw new errors.InvalidGrant('authorization code not found')
      const { clientId, grantId, exp } = stored.body as Payload
      // What is left only has to tell that it was used.
      const body = { clientId: clientId!, grantId: grantId!, exp: exp!, consumed: now() }
      unit.replace('code', idOf(id), { ...stored, body })
    },
    revokeByGrantId: (grantId) => revoke(currentState().unit, 'code', grantId),
  }
}

function pushedRequests(): Adapter {
  return {
    ...nothing('PushedAuthorizationRequest'),
    async upsert(id, payload, expiresIn) {
      const { jti: _, ...body } = payload as Payload
      currentState().unit.create(pushedKind, idOf(id), { expiresAt: now() + expiresIn!, index: {}, body })
    },
    async find(id) {
      const { unit } = currentState()
      const stored = await unit.get(pushedKind, idOf(id))
      if (!stored || (await wasUsed(unit, idOf(id)))) return undefined
      return { ...(stored.body as Payload), jti: id } as AdapterPayload
    },
  }
}

/** Removes all records of a kind that belong to a grant. */
export async function revoke(
  unit: Unit,
  kind: 'code' | 'refresh-family' | 'device-grant',
  grant: string,
): Promise<void> {
  for await (const [id] of unit.find(kind, { grant })) unit.delete(kind, id)
}

/**
 * Refuses a token of ours from now on, although it is valid by itself, until it expires (`exp`, Unix seconds). `false` when
 * it was refused already.
 */
export async function revokeToken(unit: Unit, jti: string, exp: number): Promise<boolean> {
  const id = idOf(jti)
  if (await unit.get('revoked', id)) return false
  unit.create('revoked', id, { expiresAt: exp, index: {}, body: {} })
  return true
}

function nothing(name: string): Adapter {
  const refuse = async (): Promise<never> => {
    throw new Error(`the engine stores a ${name}, which nothing here expects`)
  }
  return {
    upsert: refuse,
    find: async () => undefined,
    findByUserCode: async () => undefined,
    findByUid: async () => undefined,
    consume: refuse,
    destroy: async () => {},
    revokeByGrantId: async () => {},
  }
}
