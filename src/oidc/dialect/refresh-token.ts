/**
 * Refresh tokens as families: one record for a token and its successors, one successor for each token whoever asks and how
 * often (within `reuseInterval`), one commit a refresh. The engine makes a row a token and revokes everything when an answer
 * was lost and its client asks again.
 */
import { type RefreshToken as EngineToken, errors, type Provider } from 'oidc-provider'
import { openTurns } from '../../lib/turns.ts'
import type { Audit } from '../../telemetry/audit.ts'
import { revoke } from '../adapter.ts'
import {
  accountOf,
  expiryOf,
  type Family,
  familyRecord,
  hashOf,
  newFamilyId,
  newSecret,
  parseToken,
  rotated,
  standingOf,
  tokenOf,
} from '../family.ts'
import type { RefreshTokenOptions } from '../options.ts'
import { currentContext, currentState, type GrantSource } from '../state.ts'
import { presentedHandle } from './context.ts'
import { checkResource, rememberGrantOf } from './grant.ts'

/** A refresh token as this server's own code sees it. */
export interface FoundToken extends EngineToken {
  family: Family
  /** The answer that was given to the first use of this token; the upstream is not asked again. */
  repeated?: string
}

/** Milliseconds in which a spent token is a client repeating itself, not a thief: it is refused and nothing is revoked. */
const grace = 10_000

export interface RefreshTokenContext {
  options: RefreshTokenOptions
  /** Whether it ended with its session, see `SessionEnder`. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
  audit: Audit
}

export function refreshTokenOf(provider: Provider, { options, hasEnded, audit }: RefreshTokenContext) {
  const Base = provider.RefreshToken
  const turns = openTurns()

  class RefreshToken extends Base {
    declare family: Family
    declare secret: string
    declare repeated?: string

    static expiresIn(): undefined {
      return undefined
    }

    /** The first of a family, or the successor of the token that the engine has just rotated. */
    override async save(): Promise<string> {
      const { unit, source } = currentState()
      const now = Date.now()
      const before = currentContext().oidc.entities.RotatedRefreshToken as RefreshToken | undefined
      if (before?.repeated !== undefined) return before.repeated
      if (!source) throw new Error('a refresh token is made without a login')
      const next = newSecret()
      if (before) {
        this.jti = before.jti
        const given = { id: before.jti, secret: before.secret, next, keepSuccessor: options.reuseInterval > 0, now }
        const family = rotated({ ...before.family, source: kept(source) }, given)
        unit.replace('refresh-family', this.jti, familyRecord(family, options))
        return tokenOf(this.jti, next)
      }
      this.jti = newFamilyId()
      this.family = {
        clientId: this.clientId!,
        accountId: accountOf(source),
        grantId: this.grantId!,
        source: kept(source),
        ...engineFields(this),
        current: hashOf(next),
        spent: [],
        issuedAt: now,
        usedAt: now,
      }
      unit.create('refresh-family', this.jti, familyRecord(this.family, options))
      return tokenOf(this.jti, next)
    }

    /** The commit of the rotation is what uses the token up. */
    override async consume(): Promise<void> {}

    static override async find<T>(this: { new (...args: never[]): T }, value: string): Promise<T | undefined> {
      const state = currentState()
      const shown = value === presentedHandle
      const parsed = parseToken(shown ? (state.presented ?? '') : value)
      if (!parsed) return undefined
      const { id, secret } = parsed
      // One refresh of a family at a time: the next one reads what this one has stored.
      if (!shown) state.release.push(await turns.take(id))
      const stored = await state.unit.get('refresh-family', id)
      if (!stored) return undefined
      const family = stored.body as unknown as Family
      if (await hasEnded(family.clientId, family.source.sid)) {
        state.unit.delete('refresh-family', id)
        return undefined
      }
      const standing = standingOf(family, secret, options.reuseInterval, Date.now())
      if (shown && standing.is !== 'current') return undefined
      if (standing.is === 'unknown') return undefined
      if (standing.is === 'spent') return refuse(id, family, standing.since)
      const token = new RefreshToken(fieldsOf(id, family, options) as never)
      token.family = family
      token.secret = secret
      if (standing.is === 'repeated') token.repeated = standing.token
      rememberGrantOf(token)
      checkResource(token)
      if (!shown) state.source = { ...family.source, kind: 'refresh' }
      return token as T
    }

    override async destroy(): Promise<void> {
      currentState().unit.delete('refresh-family', this.jti)
    }

    static override async revokeByGrantId(grantId: string): Promise<void> {
      await revoke(currentState().unit, 'refresh-family', grantId)
    }
  }

  /** RFC 9700, 4.14.2: a token that was used before and comes again takes its successors with it. */
  async function refuse(id: string, family: Family, since: number): Promise<never> {
    const { client } = currentContext().oidc
    if (since > grace && client?.clientId === family.clientId) {
      currentState().unit.delete('refresh-family', id)
      audit({ type: 'token_revoked', client_id: family.clientId, by: 'reuse', sub: family.accountId })
    }
    throw new errors.InvalidGrant('refresh token already used')
  }
  return RefreshToken as unknown as typeof EngineToken
}

/** Without rotation: notes the use, and what the upstream said now. */
export function touch(token: FoundToken, source: GrantSource, options: RefreshTokenOptions): void {
  const family = { ...token.family, source: kept(source), usedAt: Date.now() }
  currentState().unit.replace('refresh-family', token.jti, familyRecord(family, options))
}

/** `auth_time` and such are of the login, so a stored source says that it is a refresh's. */
const kept = (source: GrantSource): GrantSource => ({ ...source, kind: 'refresh' })

function fieldsOf(id: string, family: Family, options: RefreshTokenOptions): Record<string, unknown> {
  const { clientId, accountId, grantId, source, engine, issuedAt } = family
  const issued = Math.floor(issuedAt / 1000)
  const exp = expiryOf(family, options)
  return {
    jti: id,
    clientId,
    accountId,
    grantId,
    scope: source.scopes.join(' '),
    iat: issued,
    iiat: issued,
    gty: 'refresh_token',
    ...(exp !== undefined && { exp }),
    ...(source.nonce !== undefined && { nonce: source.nonce }),
    ...engine,
  }
}

/** Of a token that the engine has just made: the key that it is bound to, the resources that were granted. */
function engineFields(token: object): Pick<Family, 'engine'> {
  const names = ['jkt', 'x5t#S256', 'resource'] as const
  const found = names.flatMap((name) => {
    const value = (token as NonNullable<Family['engine']>)[name]
    return value === undefined ? [] : [[name, value]]
  })
  return found.length === 0 ? {} : { engine: Object.fromEntries(found) as NonNullable<Family['engine']> }
}
