/** What grant types of our own have in common: reading scopes, and an answer of tokens as the engine's grant types give it. */

import { randomBytes } from 'node:crypto'
import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider'
import { scopeFaults, splitScopes, type TrustingClients } from './scopes.ts'
import { currentState, type GrantSource } from './state.ts'
import { encodeSubject } from './subject.ts'

/** @throws errors.InvalidScope naming what is unknown, or an audience that does not trust this client */
export function readScopes(scope: string | undefined, client: string, clients: TrustingClients): string[] {
  const scopes = splitScopes(scope)
  const { unknown, untrusted } = scopeFaults(scopes, client, clients)
  const fault = [...unknown, ...untrusted]
  if (fault.length > 0) throw new errors.InvalidScope('unknown scope, or not for this client', fault.join(' '))
  return scopes
}

export interface TokensWanted {
  idToken: boolean
  /** Asked when the source of the tokens is set. */
  refreshToken: () => boolean | Promise<boolean>
}

/** Answers with tokens made from `source` (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3). */
export async function answerTokens(
  provider: Provider,
  ctx: TokenEndpointGrantContext<object>,
  source: GrantSource,
  wanted: TokensWanted,
): Promise<void> {
  const { login, scopes } = source
  const scope = scopes.join(' ')
  currentState().source = source
  const fields = {
    client: ctx.oidc.client,
    accountId: encodeSubject(login.identity.userId, login.connectorId),
    grantId: randomBytes(16).toString('base64url'),
    gty: source.kind,
  }
  const accessToken = Object.assign(new provider.AccessToken(fields as never), { scope })
  // The ID token covers the access token by its hash, so that comes first.
  const access_token = await accessToken.save()
  const id_token = wanted.idToken
    ? await Object.assign(new provider.IdToken({}, { ctx: ctx as never }), { scope }).issue({ use: 'idtoken' })
    : undefined
  const refresh_token = (await wanted.refreshToken())
    ? await Object.assign(new provider.RefreshToken(fields as never), { scope }).save()
    : undefined
  ctx.body = {
    access_token,
    token_type: 'Bearer',
    expires_in: accessToken.expiration,
    ...(refresh_token !== undefined && { refresh_token }),
    ...(id_token !== undefined && { id_token }),
    ...(scope !== '' && { scope }),
  }
}
