/** Puts this server's differences in the place of the engine's models; README.md in this folder says what and why. */
import type { Provider } from 'oidc-provider'
import type { Audit } from '../../telemetry/audit.ts'
import type { Clients } from '../clients.ts'
import { layoutAliases } from '../discovery.ts'
import type { Flights } from '../flights.ts'
import { lifetimesOf, longestTokenLife } from '../lifetimes.ts'
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

export interface DialectContext extends Omit<TokenContext, 'issuer' | 'lifetimes' | 'clients'> {
  options: OidcOptions
  clients: Clients
  driver: ReplayStore
  hasEnded: RefreshTokenContext['hasEnded']
  audit: Audit
  flights: Flights
}

export function applyDialect(provider: Provider, context: DialectContext): void {
  const { options, clients, driver, keys, issued, hasEnded, audit, flights, policy } = context
  const { issuer, grantTypes, responseTypes, pkce, introspectionQuery, dynamicClients } = options
  const aliases = layoutAliases(options)
  const algorithm = () => keys.algorithm
  const lifetimes = lifetimesOf(options, clients)
  const tokens: TokenContext = { keys, issued, issuer, clients, policy, lifetimes }
  const models = {
    OIDCContext: contextOf(provider, { clients, grantTypes, introspectionQuery, aliases, algorithm }),
    Client: clientOf(provider, {
      clients,
      dynamicClients,
      grantTypes,
      responseTypes: engineResponseTypes(responseTypes),
    }),
    Session: sessionOf(provider),
    Grant: grantOf(provider),
    AuthorizationCode: authorizationCodeOf(provider, { audit, tokenLifetime: longestTokenLife(options), clients }),
    RefreshToken: refreshTokenOf(provider, { lifetimes, flights, hasEnded, audit, clients, policy }),
    DeviceCode: deviceCodeOf(provider, { clients, lifetime: options.lifetimes.deviceRequests, methods: pkce.methods }),
    AccessToken: accessTokenOf(provider, tokens),
    IdToken: idTokenOf(provider, tokens),
    InitialAccessToken: initialAccessTokenOf(provider, dynamicClients?.registration?.initialAccessTokens ?? []),
    ReplayDetection: replayDetectionOf(provider, driver),
    PushedAuthorizationRequest: pushedRequestOf(provider),
  }
  // The engine reads its models through the provider's getters, so that a property of the instance is what it finds.
  for (const [name, value] of Object.entries(models)) Object.defineProperty(provider, name, { value })
}
