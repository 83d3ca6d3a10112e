/**
 * Access tokens are JWTs with the claims of the ID token, as Dex's: applications take them as bearer, and userinfo needs no
 * record. The engine's own are opaque rows; its JWT format is for resource servers and is refused at userinfo.
 */

import { type AccessToken as EngineToken, errors, type Provider } from 'oidc-provider'
import { revokeToken } from '../adapter.ts'
import { thumbprintOf } from '../certificates.ts'
import { forResource, tellsAuthTime, tokenClaims, tokenIdOf } from '../claims.ts'
import type { Clients } from '../clients.ts'
import { clientOf, type IssuedTokens } from '../issued.ts'
import { type PolicyContext, readable, requireJudged } from '../judge.ts'
import type { SigningKeys } from '../keys.ts'
import type { Lifetimes } from '../lifetimes.ts'
import { mustProve } from '../profile.ts'
import { currentContext, currentState } from '../state.ts'
import { presentedHandle } from './context.ts'
import { rememberGrantOf } from './grant.ts'

export interface TokenContext {
  keys: SigningKeys
  issued: IssuedTokens
  issuer: string
  clients: Clients
  lifetimes: Lifetimes
  policy: PolicyContext
}

export function accessTokenOf(provider: Provider, context: TokenContext) {
  const { keys, issued, issuer, clients, lifetimes } = context
  const policy = { ...context.policy, clients }
  const Base = provider.AccessToken
  class AccessToken extends Base {
    declare accountId: string
    declare aud: string | string[]
    declare extra: Record<string, unknown>
    declare scope?: string
    declare jkt?: string
    declare 'x5t#S256'?: string

    static expiresIn(_ctx: unknown, { clientId }: { clientId?: string }): number {
      return lifetimes.accessTokens(clientId)
    }

    // @ts-expect-error The types declare a field; the engine has a getter.
    override get expiration(): number {
      return lifetimes.accessTokens(this.clientId)
    }

    override async save(): Promise<string> {
      const state = currentState()
      const { source } = state
      if (!source) throw new Error('an access token is made without a login')
      requireJudged()
      const client = clients.get(this.clientId!)
      const bound = this.#confirmation()
      // Whichever grant it is: nobody gets a token that anybody can use where the client asked for bound ones.
      if (client && mustProve(client) && !this.jkt) throw new errors.InvalidGrant('DPoP proof JWT not provided')
      const claims = tokenClaims({
        issuer,
        clientId: this.clientId!,
        clients,
        login: source.login,
        scopes: source.kind === 'implicit' ? new Set(source.scopes) : this.scopes,
        nonce: source.nonce,
        sid: source.sid,
        wanted: source.wanted?.userinfo,
        acrAsked: source.wanted?.acr,
        withAuthTime: tellsAuthTime(source),
        lifetime: lifetimes.accessTokens(this.clientId),
        notAfter: source.notAfter,
        now: Math.floor(Date.now() / 1000),
        jti: state.code && tokenIdOf(state.code, 'access'),
      })
      Object.assign(this, { jti: claims.jti, iat: claims.iat, exp: claims.exp })
      const { accessToken, signingAlgorithm: algorithm } = client ?? {}
      if (bound) claims.cnf = bound
      const audience = [this.aud ?? accessToken?.audience ?? []].flat()
      state.accessToken =
        audience.length > 0
          ? await keys.sign(forResource(claims, audience, this.clientId!, this.scopes), { typ: 'at+jwt', algorithm })
          : await keys.sign(claims, { algorithm })
      // The engine would tell the client `openid` alone; what was asked for need not be told (RFC 6749, 4.2.2).
      if (source.kind === 'implicit') delete this.scope
      this.emit('issued')
      return state.accessToken
    }

    /** To what the token is bound (RFC 7800, 3.1); whichever grant it comes from. */
    #confirmation(): Record<string, string> | undefined {
      const { jkt, client } = this as { jkt?: string; client?: { tlsClientCertificateBoundAccessTokens?: boolean } }
      if (jkt !== undefined) return { jkt }
      if (!client?.tlsClientCertificateBoundAccessTokens) return undefined
      const { certificate } = currentState().certificate?.() ?? {}
      if (!certificate) throw new errors.InvalidGrant('mutual TLS client certificate not provided')
      return { 'x5t#S256': thumbprintOf(certificate) }
    }

    /** Introspection and revocation show a token of ours, whichever of the two kinds of JWT it is. */
    static override async find<T>(this: { new (...args: never[]): T }, value: string): Promise<T | undefined> {
      const state = currentState()
      // The engine compares the token itself with the proof that came with it.
      const atUserinfo = currentContext().oidc.route === 'userinfo'
      const presented = atUserinfo ? value : state.presented
      if ((!atUserinfo && value !== presentedHandle) || presented === undefined) return undefined
      const claims = await issued.read(presented)
      if (!claims) return undefined
      // What must not be read any more can be revoked all the same.
      if (currentContext().oidc.route === 'introspection' && !(await readable('introspection', claims, policy)))
        return undefined
      const { sub, aud, jti, iat, exp, cnf } = claims
      const clientId = clientOf(claims)
      const token = new AccessToken({} as never)
      Object.assign(token, { jti, iat, exp, clientId, accountId: sub, grantId: `token ${jti}`, extra: claims })
      // The engine's field takes one audience only. At userinfo ours are good for any, as in Dex.
      if (atUserinfo) Object.assign(token, { scope: 'openid' })
      else Object.assign(token, { aud, ...(typeof claims.scope === 'string' && { scope: claims.scope }) })
      Object.assign(token, cnf)
      rememberGrantOf(token as never)
      return token as T
    }

    /** Revocation (RFC 7009): the token is refused from now on, although it is valid by itself. */
    override async destroy(): Promise<void> {
      if (this.exp === undefined) return
      await revokeToken(currentState().unit, this.jti, this.exp)
    }

    static override async revokeByGrantId(): Promise<void> {}
  }
  return AccessToken as unknown as typeof EngineToken
}
