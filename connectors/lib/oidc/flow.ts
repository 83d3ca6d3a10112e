/** Login, refresh, token exchange and logout with an OpenID provider, for every connector type that is one underneath. */
import * as client from 'openid-client'
import {
  type Arrival,
  type BrowserConnector,
  type ConnectorContext,
  failure,
  type Identity,
  type Json,
  type Scopes,
} from '../../contract.ts'
import { type Claims, identityReader } from './claims.ts'
import { authorizationFailure, type Call, callFailure, ownFailure } from './failures.ts'
import { isUsableHint, logoutRequest, refusalOf } from './logout.ts'
import { receiveLogoutToken } from './logout-token.ts'
import { authenticationRequest, readMemo, requestedScopes } from './request.ts'
import type { OidcSettings } from './settings.ts'
import { foreignIdToken, redeemCode, redeemRefreshToken, type Tokens } from './tokens.ts'
import { lazyUpstream, type Upstream } from './upstream.ts'
import { userinfo } from './userinfo.ts'

type LogoutRequest = Parameters<NonNullable<BrowserConnector['logout']>>[0]

const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/** @throws ConnectorFailure `misconfigured`; an upstream that is down does not matter here */
export function oidcFlow(settings: OidcSettings, context: ConnectorContext): BrowserConnector {
  const upstream = lazyUpstream(settings, context)
  const configuredScopes = new Set(
    settings.scopes && settings.scopes.length > 0 ? settings.scopes : ['profile', 'email'],
  )
  const read = identityReader(settings, configuredScopes)
  const keepsIdToken = context.sessions === true && settings.logout !== false
  const kept = (tokens: Pick<Tokens, 'refreshToken' | 'idToken'>, claims: Claims): Json =>
    connectorData(tokens, claims, keepsIdToken)
  const during = async <T>(call: Call, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw callFailure(error, call, settings, context.now())
    }
  }

  /** The claims of the ID token with those of userinfo over them, where that is wanted. */
  async function complete(found: Upstream, tokens: Tokens & { claims: Claims }, scopes: Scopes): Promise<Claims> {
    const requested = new Set(requestedScopes(settings, found.metadata, scopes))
    const thin = found.metadata.userinfo_endpoint !== undefined && settings.isThin?.(tokens.claims, requested)
    if (!settings.getUserInfo && !thin) return tokens.claims
    const subject = String(tokens.claims.sub)
    const more = await during('userinfo', () => userinfo(found, tokens.accessToken, subject))
    return settings.getUserInfo ? { ...tokens.claims, ...more } : { ...more, ...tokens.claims }
  }

  return {
    style: 'browser',

    async start(request) {
      checkRedirectUri(settings, context, request.callbackUrl)
      const { metadata } = await upstream.get()
      const { url, memo } = authenticationRequest(settings, metadata, request)
      return { via: 'redirect', url, memo: { ...memo } }
    },

    async finish(arrival) {
      checkRedirectUri(settings, context, arrival.callbackUrl)
      const memo = readMemo(arrival.memo)
      const found = await upstream.get()
      const tokens = await redeemed(
        settings,
        () => redeemCode(settings, found, arrival, memo),
        context,
        memo.addedOfflineAccess,
      )
      const claims = await complete(found, tokens, arrival.scopes)
      return { ...read(claims, true), connectorData: kept(tokens, claims) }
    },

    async refresh(identity, scopes) {
      const { refreshToken, sub, idToken } = readConnectorData(identity.connectorData)
      if (refreshToken === undefined) {
        throw failure(
          'identity_gone',
          'the upstream gave no refresh token; offline_access may be missing in its scopes',
          { notAsked: true },
        )
      }
      const found = await upstream.get()
      const held = idToken === undefined ? {} : { idToken }
      let given: string | undefined
      try {
        const tokens = await during('refresh', () =>
          redeemRefreshToken(settings, found, refreshToken, sub, (token) => {
            given = token
          }),
        )
        const { claims } = tokens
        const subject = typeof claims?.sub === 'string' ? claims.sub : sub
        const current = claims
          ? await complete(found, { ...tokens, claims }, scopes)
          : await during('userinfo', () => userinfo(found, tokens.accessToken, subject))
        const next = { refreshToken, ...held, ...tokens }
        return { ...read(current, claims !== undefined, identity.groups), connectorData: kept(next, current) }
      } catch (error) {
        const known = ownFailure(error)
        if (!known || given === undefined) throw error
        const { code, message, details } = known
        throw failure(code, message, {
          ...details,
          connectorData: kept({ refreshToken: given, ...held }, { ...(sub !== undefined && { sub }) }),
        })
      }
    },

    async exchange({ type, value }) {
      const found = await upstream.get()
      if (type === idTokenType) return read(await foreignIdToken(found, value, context.now()), true)
      if (type !== accessTokenType)
        throw failure('login_refused', `unknown token type for token exchange: ${type.slice(0, 100)}`)
      if (!settings.getUserInfo) throw failure('misconfigured', 'getUserInfo is required for access token exchange')
      return read(await during('userinfo', () => userinfo(found, value, undefined)), true)
    },

    ...(settings.logout !== false && {
      async logout({ identity, returnTo, state }: LogoutRequest) {
        const { metadata } = await upstream.get()
        const { idToken } = readConnectorData(identity.connectorData)
        return logoutRequest(settings, metadata, { idToken, returnTo, state })
      },
      async finishLogout({ params }: Arrival) {
        const refused = refusalOf(params)
        if (refused) throw refused
      },
    }),

    receive: (request) => receiveLogoutToken(request, settings, upstream, context),
  }
}

/** The upstream returns to one address of ours; a login that would end elsewhere is stopped before it starts. */
function checkRedirectUri({ redirectURI }: OidcSettings, { issuer }: ConnectorContext, callbackUrl: URL): void {
  if (!redirectURI) return
  const expected = `${issuer.replace(/\/$/, '')}/callback`
  if (redirectURI === expected || redirectURI === callbackUrl.href) return
  throw failure('misconfigured', `redirectURI is "${redirectURI}", but the upstream must return to "${expected}"`)
}

/** Runs the code grant; an error in the callback itself becomes a refusal, anything else what the token endpoint meant. */
async function redeemed<T>(
  settings: OidcSettings,
  work: () => Promise<T>,
  context: ConnectorContext,
  addedOfflineAccess: boolean | undefined,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof client.AuthorizationResponseError) {
      throw authorizationFailure(
        { code: error.error, description: error.error_description ?? '' },
        settings,
        addedOfflineAccess,
      )
    }
    throw callFailure(error, 'code', settings, context.now())
  }
}

/**
 * What the next refresh needs, and the ID token for a logout. `sub` is kept apart since `userIDKey` may name another claim.
 */
function connectorData(
  { refreshToken, idToken }: Pick<Tokens, 'refreshToken' | 'idToken'>,
  { sub }: Claims,
  keepIdToken: boolean,
): Json {
  return {
    ...(refreshToken !== undefined && { refreshToken }),
    ...(typeof sub === 'string' && { sub }),
    ...(keepIdToken && isUsableHint(idToken) && { idToken }),
  }
}

function readConnectorData(data: Identity['connectorData']): { refreshToken?: string; sub?: string; idToken?: string } {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return {}
  const { refreshToken, sub, idToken } = data
  return {
    ...(typeof refreshToken === 'string' && refreshToken !== '' && { refreshToken }),
    ...(typeof sub === 'string' && { sub }),
    ...(typeof idToken === 'string' && { idToken }),
  }
}
