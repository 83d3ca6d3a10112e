/**
 * Refresh tokens as families: one record for a token and its successors, one successor for each token whoever asks and how
 * often (within `reuseInterval`), one commit a refresh. The engine makes a row a token and revokes everything when an answer
 * was lost and its client asks again.
 */
import { type RefreshToken as EngineToken, errors, type Provider } from 'oidc-provider'
import type { Audit } from '../../telemetry/audit.ts'
import { revoke } from '../adapter.ts'
import type { Clients } from '../clients.ts'
import {
  accountOf,
  expiryOf,
  type Family,
  familyRecord,
  hashOf,
  newFamilyId,
  newSecret,
  ownersOf,
  parseToken,
  rotated,
  standingOf,
  tokenOf,
} from '../family.ts'
import type { Flight, Flights } from '../flights.ts'
import { type PolicyContext, refusalOf } from '../judge.ts'
import type { Lifetimes } from '../lifetimes.ts'
import type { RefreshTokenOptions } from '../options.ts'
import { currentContext, currentState, type GrantSource } from '../state.ts'
import { presentedHandle } from './context.ts'
import { checkResource, rememberGrantOf } from './grant.ts'

/** A refresh token as this server's own code sees it. */
export interface FoundToken extends EngineToken {
  family: Family
  /** Its turn, which ends when the answer is on its way. */
  flight: Flight
  /** The answer that was given to the first use of this token; the upstream is not asked again. */
  repeated?: string
}

export interface RefreshTokenContext {
  lifetimes: Pick<Lifetimes, 'refreshTokens'>
  flights: Flights
  /** Whether it ended with its session, see `SessionEnder`. */
  hasEnded(clientId: string, sid: string | undefined): Promise<boolean>
  audit: Audit
  clients: Pick<Clients, 'load'>
  policy: PolicyContext
}

/**
 * Where `reuseInterval: 0` gives no answer to a client that repeats itself: milliseconds in which a spent token is refused
 * and nothing is revoked, since of two tabs that refresh at once one comes second. An interval says by itself who is late.
 */
const grace = 10_000

export function refreshTokenOf(provider: Provider, context: RefreshTokenContext) {
  const { lifetimes, flights, hasEnded, audit, clients, policy } = context
  const Base = provider.RefreshToken

  class RefreshToken extends Base {
    declare family: Family
    declare secret: string
    declare flight: Flight
    declare repeated?: string

    static expiresIn(): undefined {
      return undefined
    }

    /** The first of a family, or the successor of the token that the engine has just rotated. */
    override async save(): Promise<string> {
      const { unit, source } = currentState()
      const now = Date.now()
      const rules = lifetimes.refreshTokens(this.clientId)
      const before = currentContext().oidc.entities.RotatedRefreshToken as RefreshToken | undefined
      if (before?.repeated !== undefined) return before.repeated
      if (!source) throw new Error('a refresh token is made without a login')
      const next = newSecret()
      if (before) {
        this.jti = before.jti
        const given = { id: before.jti, secret: before.secret, next, keepSuccessor: rules.reuseInterval > 0, now }
        const family = rotated({ ...before.family, source: kept(source) }, given)
        unit.replace('refresh-family', this.jti, familyRecord(family, rules))
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
      if (rules.maxPerUserAndClient) await makeRoom(this.family, rules.maxPerUserAndClient)
      unit.create('refresh-family', this.jti, familyRecord(this.family, rules))
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
      // However long it waits: who came before the token was used up is no thief.
      const came = Date.now()
      // One refresh of a family at a time: the next one reads what this one has stored.
      const flight = shown ? undefined : await flights.take(`refresh-family ${id}`)
      if (flight) state.release.push(flight.end)
      const stored = await state.unit.get('refresh-family', id)
      if (!stored) return undefined
      const family = stored.body as unknown as Family
      if (await hasEnded(family.clientId, family.source.sid)) {
        state.unit.delete('refresh-family', id)
        return undefined
      }
      const rules = lifetimes.refreshTokens(family.clientId)
      const standing = standingOf(family, secret, rules, came)
      if (shown && (standing.is !== 'current' || !(await mayBeRead(family)))) return undefined
      if (standing.is === 'unknown') return undefined
      if (standing.is === 'spent') return refuse(id, family, standing.since, rules)
      const token = new RefreshToken(fieldsOf(id, family, rules) as never)
      token.family = family
      token.secret = secret
      if (flight) token.flight = flight
      if (standing.is === 'repeated') token.repeated = standing.token
      else if (standing.again) token.repeated = value
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

  /** What must not be used any more is not shown as active; it can be revoked all the same. */
  async function mayBeRead({ clientId, source }: Family): Promise<boolean> {
    if (currentContext().oidc.route !== 'introspection') return true
    const { login, sid } = source
    const subject = {
      client: await clients.load(clientId),
      connectorId: login.connectorId,
      person: login.identity,
      sid,
    }
    return (await refusalOf('refresh_introspection', subject, policy)) === undefined
  }

  /** RFC 9700, 4.14.2: a token that was used before and comes again takes its successors with it. */
  async function refuse(
    id: string,
    family: Family,
    since: number,
    { reuseInterval }: RefreshTokenOptions,
  ): Promise<never> {
    const { client } = currentContext().oidc
    if (since > (reuseInterval > 0 ? reuseInterval * 1000 : grace) && client?.clientId === family.clientId) {
      currentState().unit.delete('refresh-family', id)
      audit({ type: 'token_revoked', client_id: family.clientId, by: 'reuse', sub: family.accountId })
    }
    throw new errors.InvalidGrant('refresh token already used')
  }

  /** Of the refresh tokens that a person has with a client the longest unused go, until one more has its place. */
  async function makeRoom({ accountId, clientId }: Family, most: number): Promise<void> {
    const { unit, release } = currentState()
    const { person, client } = ownersOf({ accountId, clientId })
    const flight = await flights.take(`refresh-families ${person} ${client}`)
    release.push(flight.end)
    const families: [id: string, usedAt: number][] = []
    for await (const [id, { body }] of unit.find('refresh-family', { person, client })) {
      families.push([id, (body as unknown as Family).usedAt])
    }
    const surplus = families.toSorted(([, a], [, b]) => a - b).slice(0, Math.max(0, families.length - most + 1))
    for (const [id] of surplus) {
      unit.delete('refresh-family', id)
      audit({ type: 'token_revoked', client_id: clientId, by: 'limit', sub: accountId })
    }
  }
  return RefreshToken as unknown as typeof EngineToken
}

/** The refresh was refused after the upstream was asked: what it gave for the next time (rotated tokens) is not lost. */
export function keepSource(token: FoundToken, source: GrantSource, options: RefreshTokenOptions): void {
  const family = { ...token.family, source: kept(source) }
  currentState().unit.replace('refresh-family', token.jti, familyRecord(family, options))
}

/** Without rotation: notes the use, and what the upstream said now. */
export function touch(token: FoundToken, source: GrantSource, options: RefreshTokenOptions): void {
  const { family: before } = token
  // Later than it was made, even by a clock that stands still: that tells whether it was ever used.
  const family = { ...before, source: kept(source), usedAt: Math.max(Date.now(), before.issuedAt + 1) }
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
