/** Puts this server's differences in the place of the engine's models; README.md in this folder says what and why. */
import type { Provider } from 'oidc-provider'
import type { Audit } from '../../telemetry/audit.ts'
import type { Clients } from '../clients.ts'
import type { OidcOptions } from '../options.ts'
import { engineResponseTypes } from '../response-types.ts'
import { accessTokenOf, type TokenContext } from './access-token.ts'
import { clientOf } from './client.ts'
import { authorizationCodeOf } from './code.ts'
import { contextOf } from './context.ts'
import { deviceCodeOf } from './device-code.ts'
import { grantOf } from './grant.ts'
import { idTokenOf } from './id-token.ts'
import { initialAccessTokenOf } from './initial-access-token.ts'
import { pushedRequestOf } from './pushed-request.ts'
import { type RefreshTokenContext, refreshTokenOf } from './refresh-token.ts'
import { type ReplayStore, replayDetectionOf } from './replay.ts'
import { sessionOf } from './session.ts'

export interface DialectContext extends Omit<TokenContext, 'issuer' | 'lifetime' | 'clients'> {
  options: OidcOptions
  clients: Clients
  driver: ReplayStore
  hasEnded: RefreshTokenContext['hasEnded']
  audit: Audit
}

export function applyDialect(
  provider: Provider,
  { options, clients, driver, keys, issued, hasEnded, audit }: DialectContext,
): void {
  const { issuer, lifetimes, grantTypes, responseTypes, refreshTokens, pkce, dynamicClients } = options
  const tokens: TokenContext = { keys, issued, issuer, clients, lifetime: lifetimes.tokens }
  const served = { grantTypes, responseTypes: engineResponseTypes(responseTypes) }
  const models = {
    OIDCContext: contextOf(provider, { clients, grantTypes, algorithm: () => keys.algorithm }),
    Client: clientOf(provider, { clients, ...served, dynamicClients }),
    Session: sessionOf(provider),
    Grant: grantOf(provider),
    AuthorizationCode: authorizationCodeOf(provider, { audit, tokenLifetime: lifetimes.tokens, clients }),
    RefreshToken: refreshTokenOf(provider, { options: refreshTokens, hasEnded, audit }),
    DeviceCode: deviceCodeOf(provider, { clients, lifetime: lifetimes.deviceRequests, methods: pkce.methods }),
    AccessToken: accessTokenOf(provider, tokens),
    IdToken: idTokenOf(provider, tokens),
    InitialAccessToken: initialAccessTokenOf(provider, dynamicClients?.registration?.initialAccessTokens ?? []),
    ReplayDetection: replayDetectionOf(provider, driver),
    PushedAuthorizationRequest: pushedRequestOf(provider),
  }
  // The engine reads its models through the provider's getters, so that a property of the instance is what it finds.
  for (const [name, value] of Object.entries(models)) Object.defineProperty(provider, name, { value })
}
