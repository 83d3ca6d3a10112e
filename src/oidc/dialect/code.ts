/**
 * Authorization codes carry the login that they stand for. A code is made from the seed of its login, so a login that is
 * finished twice makes the same code twice, and the store takes an id only once.
 */
import { hash } from 'node:crypto'
import { type AuthorizationCode as EngineCode, errors, type Provider } from 'oidc-provider'
import type { Audit } from '../../telemetry/audit.ts'
import { revoke, revokeToken } from '../adapter.ts'
import { tokenIdOf } from '../claims.ts'
import type { ClientOptions } from '../options.ts'
import { fapiCodeLifetime, isFapi } from '../profile.ts'
import { currentContext, currentState, type GrantSource } from '../state.ts'
import { checkResource, rememberGrantOf } from './grant.ts'

/** Seconds that an authorization code lives; RFC 6749, 4.1.2 recommends at most ten minutes. */
export const codeLifetime = 600
/** Seconds in which a code that comes again is a client repeating itself, not a thief: nothing is revoked. */
const grace = 10

interface CodeClients {
  get(id: string): Pick<ClientOptions, 'profile'> | undefined
}

export function authorizationCodeOf(
  provider: Provider,
  { audit, tokenLifetime, clients }: { audit: Audit; tokenLifetime: number; clients: CodeClients },
) {
  const Base = provider.AuthorizationCode
  class AuthorizationCode extends Base {
    declare source?: GrantSource
    declare consumed?: number
    declare grantId?: string
    declare scope?: string
    declare nonce?: string

    static override get IN_PAYLOAD(): string[] {
      return [...Base.IN_PAYLOAD, 'source']
    }

    static expiresIn(_ctx: unknown, _code: unknown, client: { clientId: string } | undefined): number {
      return isFapi(client && clients.get(client.clientId)) ? fapiCodeLifetime : codeLifetime
    }

    generateTokenId(): string {
      const { finished } = currentState()
      if (!finished) throw new Error('a code is made without a login')
      return hash('sha256', `code ${finished.seed}`, 'base64url')
    }

    override async save(): Promise<string> {
      const state = currentState()
      const { finished } = state
      if (!finished) throw new Error('a code is made before the person is known')
      const { login, scopes, sid, agent, wanted } = finished
      this.scope = scopes.join(' ')
      this.source = {
        kind: 'code',
        login,
        scopes,
        ...(this.nonce !== undefined && { nonce: this.nonce }),
        ...(sid !== undefined && { sid }),
        ...(wanted && { wanted }),
        ...(agent !== undefined && { origin: { agent } }),
        ...(state.source && { hybrid: true }),
      }
      state.newCode = await super.save()
      return state.newCode
    }

    static override async find<T>(this: { new (...args: never[]): T }, value: string, options?: object) {
      const code = (await Base.find.call(AuthorizationCode as never, value, options as never)) as
        | AuthorizationCode
        | undefined
      if (!code) return undefined
      const { client } = currentContext().oidc
      const state = currentState()
      if (code.consumed !== undefined) await refuse(code, client?.clientId)
      rememberGrantOf(code)
      checkResource(code)
      if (code.clientId === client?.clientId && code.source) Object.assign(state, { source: code.source, code: value })
      return code as T
    }
  }

  /** RFC 6749, 4.1.2: a code that is used again takes its tokens with it, if it is not just a repetition. */
  async function refuse(code: AuthorizationCode, clientId: string | undefined): Promise<never> {
    const { unit } = currentState()
    const { consumed = 0 } = code
    // A client of FAPI is sure of what it sends.
    const patience = clientId !== undefined && isFapi(clients.get(clientId)) ? -1 : grace
    const late = Math.floor(Date.now() / 1000) - consumed > patience
    if (late && clientId !== undefined && code.clientId === clientId && code.grantId) {
      await revoke(unit, 'refresh-family', code.grantId)
      // They are made a moment after the code is used up.
      const until = consumed + tokenLifetime + grace
      await revokeToken(unit, tokenIdOf(code.jti, 'id'), until)
      // The code itself stays, used: were it gone, its login could be finished once more and would make it anew.
      const first = await revokeToken(unit, tokenIdOf(code.jti, 'access'), until)
      if (first) audit({ type: 'token_revoked', client_id: clientId, by: 'reuse' })
    }
    throw new errors.InvalidGrant('code already used')
  }
  return AuthorizationCode as unknown as typeof EngineCode
}
