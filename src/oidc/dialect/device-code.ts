/**
 * Device codes (RFC 8628). A request that nobody approved yet is volatile, since anybody can start one; what a person
 * decided is durable. Adds what the engine lacks: `slow_down`, PKCE as Dex has it, and a default scope.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { type DeviceCode as EngineCode, errors, type Provider } from 'oidc-provider'
import { revoke } from '../adapter.ts'
import type { DeviceGrant, DeviceRequest } from '../device.ts'
import { idOf } from '../ids.ts'
import type { ClientOptions } from '../options.ts'
import { scopeFaults, splitScopes } from '../scopes.ts'
import { currentContext, currentState } from '../state.ts'
import { checkResource, rememberGrantOf } from './grant.ts'

export interface DeviceContext {
  clients: { get(id: string): Pick<ClientOptions, 'trustedPeers' | 'defaultScopes'> | undefined }
  /** Seconds that a device code lives. */
  lifetime: number
  methods: readonly string[]
}

/** Seconds that a device waits between two polls (RFC 8628, 3.2 and 3.5). */
export const pollInterval = 5
/** Seconds for which a code that has run out is told so instead of being unknown. */
const afterlife = 300

export function deviceCodeOf(provider: Provider, { clients, lifetime, methods }: DeviceContext) {
  const Base = provider.DeviceCode
  class DeviceCode extends Base {
    declare version?: string
    declare challenge?: DeviceRequest['challenge']
    declare userCode: string

    static expiresIn(): number {
      return lifetime
    }

    override async save(): Promise<string> {
      const { oidc } = currentContext()
      const fields = oidc.body ?? {}
      if (fields.request !== undefined) throw new errors.RequestNotSupported()
      const scopes = splitScopes(
        textOf(fields.scope) ?? clients.get(this.clientId!)?.defaultScopes?.join(' ') ?? 'openid',
      )
      const { unknown, untrusted } = scopeFaults(scopes, this.clientId!, clients)
      const fault = [...unknown, ...untrusted]
      if (fault.length > 0) throw new errors.InvalidScope('unknown scope, or not for this client', fault.join(' '))
      if (!scopes.includes('openid')) throw new errors.InvalidScope('missing required scope "openid"', 'openid')
      const challenge = challengeOf(fields, methods)
      // @ts-expect-error The engine makes ids by this function, which its types leave out.
      this.jti ??= this.generateTokenId() as string
      const exp = Math.floor(Date.now() / 1000) + lifetime
      const { resource } = oidc.params as { resource?: string | string[] }
      const body = {
        clientId: this.clientId!,
        scopes,
        exp,
        interval: pollInterval,
        ...(challenge && { challenge }),
        ...(resource !== undefined && { resource }),
      }
      currentState().unit.create('device-request', idOf(this.jti), {
        expiresAt: exp + afterlife,
        index: { userCode: this.userCode },
        body,
      })
      return this.jti
    }

    static override async find<T>(this: { new (...args: never[]): T }, value: string): Promise<T | undefined> {
      const state = currentState()
      const id = idOf(value)
      const decided = await state.unit.get('device-grant', id)
      if (!decided) return pending(value) as Promise<T | undefined>
      const grant = decided.body as unknown as DeviceGrant
      const { clientId, source, error, challenge, exp } = grant
      const code = new DeviceCode({ jti: value, clientId, exp, ...grant.engine } as never)
      code.version = decided.version
      if (challenge) code.challenge = challenge
      if (error) Object.assign(code, { error, errorDescription: 'the person refused access' })
      rememberGrantOf(code)
      checkResource(code)
      if (source && clientId === currentContext().oidc.client?.clientId) state.source = source
      return code as T
    }

    /** The commit of the removal decides who of several is answered. */
    override async consume(): Promise<void> {
      checkVerifier(this.challenge, textOf(currentContext().oidc.body?.code_verifier))
      currentState().unit.delete('device-grant', idOf(this.jti), this.version)
    }

    static override async revokeByGrantId(grantId: string): Promise<void> {
      await revoke(currentState().unit, 'device-grant', grantId)
    }
  }

  /** Not decided yet: tells the engine so, and a client that asks too often to slow down (RFC 8628, 3.5). */
  async function pending(value: string): Promise<DeviceCode | undefined> {
    const { unit } = currentState()
    const id = idOf(value)
    const stored = await unit.get('device-request', id)
    if (!stored) return undefined
    const request = stored.body as unknown as DeviceRequest
    const code = new DeviceCode({ jti: value, clientId: request.clientId, exp: request.exp } as never)
    if (request.clientId !== currentContext().oidc.client?.clientId || code.isExpired) return code
    const now = Date.now()
    const early = request.polledAt !== undefined && now - request.polledAt < request.interval * 1000
    const interval = early ? request.interval + pollInterval : request.interval
    unit.replace('device-request', id, { ...stored, body: { ...request, polledAt: now, interval } as never })
    if (early) throw new errors.SlowDown()
    return code
  }
  return DeviceCode as unknown as typeof EngineCode
}

/** Of parameters that the engine does not know, and so does not look at. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) throw new errors.InvalidRequest('parameters must not be sent twice')
  return typeof value === 'string' && value !== '' ? value : undefined
}

function challengeOf(fields: Record<string, unknown>, methods: readonly string[]): DeviceRequest['challenge'] {
  const value = textOf(fields.code_challenge)
  const method = textOf(fields.code_challenge_method) ?? (value === undefined ? undefined : 'plain')
  if (method !== undefined && !methods.includes(method)) {
    throw new errors.InvalidRequest(`code_challenge_method must be ${methods.join(' or ')}`)
  }
  return value === undefined ? undefined : { value, method: method as 'S256' | 'plain' }
}

/** RFC 7636, 4.6. */
function checkVerifier(challenge: DeviceRequest['challenge'], verifier: string | undefined): void {
  if (!challenge && verifier === undefined) return
  const sent = verifier ?? ''
  const given = challenge?.method === 'S256' ? hash('sha256', sent, 'base64url') : sent
  const wanted = challenge?.value ?? ''
  const matches =
    wanted !== '' && given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted))
  if (!matches) throw new errors.InvalidGrant('code_verifier does not match')
}
