/**
 * Clients that registered themselves (RFC 7591): one record each, with the hash of its secret and of the token that it is
 * managed with (RFC 7592). A registration that nobody uses ends by itself.
 */
import { randomBytes } from 'node:crypto'
import { type Adapter, errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import type { Json } from '../../lib/json.ts'
import type { Logger } from '../../lib/logger.ts'
import type { NewRecord, StorageDriver } from '../../storage/contract.ts'
import type { Audit } from '../../telemetry/audit.ts'
import type { ClientSource } from '../clients.ts'
import { hashSecret } from '../dialect/context.ts'
import { idOf } from '../ids.ts'
import { currentState, stateOf } from '../state.ts'
import { judgeMetadata, optionsOf, type RegisteredMetadata } from './metadata.ts'
import type { DynamicClientOptions } from './options.ts'

type Registration = NonNullable<DynamicClientOptions['registration']>

/** No token has this hash. */
const noToken = ''

const now = () => Math.floor(Date.now() / 1000)
const expiryOf = ({ unusedFor }: Registration) => (unusedFor === undefined ? {} : { expiresAt: now() + unusedFor })

export function registeredClients(options: DynamicClientOptions): ClientSource {
  return {
    async find(id) {
      const stored = await currentState().unit.get('client', id)
      return stored && optionsOf(id, stored.body as RegisteredMetadata, 'registration', options)
    },
  }
}

/** In the place of the engine's adapter for clients; the rest of their life is read through `registeredClients`. */
export function clientAdapter(options: DynamicClientOptions): Pick<Adapter, 'find' | 'upsert' | 'destroy'> {
  return {
    find: async () => undefined,

    async upsert(id, payload) {
      const { unit, newSecret } = currentState()
      const metadata = { ...payload } as RegisteredMetadata
      judgeMetadata(metadata, options)
      if (newSecret !== undefined && metadata.client_secret === newSecret)
        metadata.client_secret = hashSecret(newSecret)
      const stored = await unit.get('client', id)
      const record: NewRecord = {
        ...expiryOf(options.registration!),
        index: { token: stored?.index.token ?? noToken },
        body: metadata as Json,
      }
      if (stored) unit.replace('client', id, record)
      else unit.create('client', id, record)
    },

    async destroy(id) {
      const { unit } = currentState()
      const stored = await unit.get('client', id)
      if (stored) unit.delete('client', id, stored.version)
    },
  }
}

/** Registration access tokens (RFC 7592, 2): the hash of one stands in its client's record. */
export function registrationTokens(): Pick<Adapter, 'find' | 'upsert' | 'destroy'> {
  const recordOf = async (token: string) => {
    for await (const found of currentState().unit.find('client', { token: idOf(token) })) return found
    return undefined
  }
  return {
    async find(token) {
      const [id] = (await recordOf(token)) ?? []
      return id === undefined ? undefined : { kind: 'RegistrationAccessToken', jti: token, clientId: id }
    },
    async upsert(token, { clientId }) {
      const { unit } = currentState()
      const stored = await unit.get('client', String(clientId))
      if (!stored) throw new Error('a token is made for a client that is not stored')
      unit.replace('client', String(clientId), { ...stored, index: { token: idOf(token) } })
    },
    async destroy(token) {
      const [id, record] = (await recordOf(token)) ?? []
      if (id !== undefined) currentState().unit.replace('client', id, { ...record!, index: { token: noToken } })
    },
  }
}

/** The engine's settings. */
export function registrationSettings(registration: Registration | undefined) {
  return {
    registration: {
      enabled: registration !== undefined,
      // The dialect compares with the operator's; nothing is stored.
      initialAccessToken: registration !== undefined && registration.initialAccessTokens.length > 0,
      issueRegistrationAccessToken: true,
      idFactory: () => randomBytes(16).toString('base64url'),
      secretFactory(ctx: KoaContextWithOIDC) {
        const secret = randomBytes(32).toString('base64url')
        stateOf(ctx).newSecret = secret
        return secret
      },
    },
    registrationManagement: { enabled: registration !== undefined, rotateRegistrationAccessToken: false },
  }
}

export interface RegistrationContext {
  registration: Registration
  driver: Pick<StorageDriver, 'get' | 'commit'>
  audit: Audit
  log: Logger
}

/** Audits what becomes of registrations, explains refusals, and keeps those that are used. */
export function watchRegistrations(provider: Provider, context: RegistrationContext): void {
  const { audit, log } = context
  const done = { create: 'client_registered', update: 'client_changed', delete: 'client_removed' } as const
  for (const [what, type] of Object.entries(done)) {
    provider.on(`registration_${what as 'create'}.success`, (_ctx, client) => {
      audit({ type, client_id: client.clientId, name: client.clientName ?? '' })
    })
  }
  for (const what of ['create', 'read', 'update', 'delete']) {
    provider.on(`registration_${what as 'create'}.error`, (ctx, error) => {
      // A fault that our own reading of the request found.
      const misread = error.error === 'invalid_request' && error.cause instanceof errors.OIDCProviderError
      const told = misread ? (error.cause as errors.OIDCProviderError) : error
      ctx.status = told.statusCode
      ctx.body = { error: told.error, error_description: told.error_detail ?? told.error_description }
      log.info('registration refused', { error: told.error, reason: told.error_detail ?? told.error_description })
    })
  }
  provider.on('grant.success', (ctx) => {
    const client = stateOf(ctx).clients?.get(ctx.oidc.client?.clientId ?? '')
    if (client?.origin !== 'registration') return
    keep(client.id, context).catch((error: unknown) => log.warn('a registration was not renewed', { err: error }))
  })
}

const day = 86_400

/** Prolongs a registration that is used, once a day; whoever loses against another replica need not do it too. */
async function keep(id: string, { registration, driver }: RegistrationContext): Promise<void> {
  const { unusedFor } = registration
  if (unusedFor === undefined) return
  const stored = await driver.get('client', id)
  if (stored?.expiresAt === undefined || stored.expiresAt > now() + unusedFor - Math.min(day, unusedFor / 2)) return
  const record = { ...stored, ...expiryOf(registration) }
  await driver.commit([{ do: 'replace', kind: 'client', id, version: stored.version, record }])
}
