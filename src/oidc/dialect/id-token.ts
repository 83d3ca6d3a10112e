/**
 * ID tokens with Dex's claims, several audiences and `at_hash` in every flow (OpenID Connect Core, 3.1.3.6), signed by keys
 * that rotate while the server runs; the engine's take their keys at its start and one audience.
 */
import type { IdToken as EngineToken, Provider } from 'oidc-provider'
import { isIdToken, tellsAuthTime, tokenClaims, tokenIdOf } from '../claims.ts'
import { requireJudged } from '../judge.ts'
import { currentState } from '../state.ts'
import type { TokenContext } from './access-token.ts'

export function idTokenOf(provider: Provider, { keys, issuer, clients, lifetimes }: TokenContext) {
  const Base = provider.IdToken
  class IdToken extends Base {
    declare scope: string

    override async issue(options: Parameters<EngineToken['issue']>[0]): Promise<string> {
      if (options.use !== 'idtoken') return super.issue(options)
      const { source, accessToken, newCode, code: spent } = currentState()
      if (!source) throw new Error('an ID token is made without a login')
      requireJudged()
      const claims = tokenClaims({
        issuer,
        clientId: this.client.clientId,
        clients,
        login: source.login,
        scopes: new Set(source.kind === 'implicit' ? source.scopes : this.scope.split(' ')),
        nonce: source.nonce,
        sid: source.sid,
        wanted: source.wanted?.idToken,
        acrAsked: source.wanted?.acr,
        withAuthTime: tellsAuthTime(source),
        lifetime: lifetimes.idTokens(this.client.clientId),
        notAfter: source.notAfter,
        now: Math.floor(Date.now() / 1000),
        jti: spent && tokenIdOf(spent, 'id'),
      })
      await keys.ready()
      const algorithm = clients.get(this.client.clientId)?.signingAlgorithm
      if (accessToken !== undefined) claims.at_hash = keys.halfHash(accessToken, algorithm)
      const { code, device_code: deviceCode } = this.ctx.oidc.params ?? {}
      const bound = newCode ?? code ?? deviceCode
      if (typeof bound === 'string') claims.c_hash = keys.halfHash(bound, algorithm)
      return keys.sign(claims, { algorithm })
    }

    /** For `id_token_hint`, which may have expired. */
    static override async validate(token: string): ReturnType<typeof Base.validate> {
      const payload = await keys.verify(token)
      if (!payload || !isIdToken(payload, issuer)) throw new Error('not a token of this issuer')
      return { header: {}, payload }
    }
  }
  return IdToken as unknown as typeof EngineToken
}
