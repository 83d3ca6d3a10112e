/** Token and userinfo endpoint of the Okta stand-in. */
import { type Grant, type OktaOrg, random, s256, signed } from './okta-org.ts'
import { apiError, credentials, type OktaCall, oauthError, type Reply } from './okta-wire.ts'

const groupsInClaim = 100

async function issue(org: OktaOrg, grant: Grant, withNonce: boolean): Promise<Reply> {
  const { sub, name, preferred_username, email, groups } = org.user
  const has = (scope: string) => grant.scope.includes(scope)
  const sendsGroups = has('groups') || grant.server !== ''
  if (sendsGroups && groups.length > groupsInClaim) {
    return oauthError(400, 'invalid_request', 'The groups claim cannot be made: more than 100 groups match the filter.')
  }
  const seconds = Math.floor(org.now() / 1000)
  const common = { iss: org.issuerOf(grant.server), iat: seconds, exp: seconds + 3600 }
  const fat = org.thinIdToken
    ? {}
    : {
        ...(has('profile') && { name, preferred_username }),
        ...(sendsGroups && groups.length > 0 && { groups }),
      }
  const idToken = await signed(org.key, {
    ...common,
    sub,
    ver: 1,
    aud: org.clientId,
    jti: `ID.${random()}`,
    amr: ['pwd', 'mfa'],
    idp: '00o1EXAMPLE',
    auth_time: seconds - 5,
    ...(withNonce && grant.nonce !== undefined && { nonce: grant.nonce }),
    ...(has('email') && { email }),
    ...fat,
  })
  const accessToken =
    grant.server === ''
      ? random()
      : await signed(org.key, {
          ...common,
          aud: 'api://default',
          cid: org.clientId,
          uid: sub,
          sub: email,
          scp: grant.scope,
          jti: `AT.${random()}`,
        })
  org.accessTokens.set(accessToken, { ...grant, expires: org.now() + 3_600_000 })
  const refreshToken = has('offline_access') ? random() : undefined
  if (refreshToken !== undefined) org.refreshTokens.set(refreshToken, { ...grant, expires: org.now() + 604_800_000 })
  return {
    status: 200,
    body: {
      token_type: 'Bearer',
      expires_in: 3600,
      access_token: accessToken,
      scope: grant.scope.join(' '),
      id_token: idToken,
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    },
  }
}

async function redeemCode(org: OktaOrg, server: string, form: URLSearchParams): Promise<Reply> {
  const presented = form.get('code') ?? ''
  const grant = org.codes.get(presented)
  org.codes.delete(presented)
  if (
    !grant ||
    grant.server !== server ||
    grant.expires < org.now() ||
    grant.redirectUri !== form.get('redirect_uri')
  ) {
    return oauthError(400, 'invalid_grant', 'The authorization code is invalid or has expired.')
  }
  if (grant.challenge !== undefined && grant.challenge !== s256(form.get('code_verifier') ?? '')) {
    return oauthError(400, 'invalid_grant', 'PKCE verification failed.')
  }
  return issue(org, grant, true)
}

async function redeemRefreshToken(org: OktaOrg, server: string, form: URLSearchParams): Promise<Reply> {
  const invalid = oauthError(400, 'invalid_grant', 'The refresh token is invalid or expired.')
  const grant = org.refreshTokens.get(form.get('refresh_token') ?? '')
  if (!grant || grant.server !== server || grant.chain.ended || grant.expires < org.now()) return invalid
  if (org.status !== 'active') return invalid
  if (grant.used !== undefined && org.now() - grant.used > org.leeway) {
    grant.chain.ended = true // an old token that comes back late was stolen
    return invalid
  }
  grant.used ??= org.now()
  const { used: _, ...fresh } = grant
  return issue(org, fresh, false)
}

export async function token(org: OktaOrg, server: string, call: OktaCall): Promise<Reply> {
  if (call.method !== 'POST') return apiError(405, 'E0000022', 'The endpoint does not support the provided HTTP method')
  const [id, secret] = credentials(call)
  if (id !== org.clientId || secret !== org.clientSecret) {
    return oauthError(401, 'invalid_client', 'The client secret supplied for a confidential client is invalid.')
  }
  const grantType = call.form.get('grant_type')
  if (grantType === 'authorization_code') return redeemCode(org, server, call.form)
  if (grantType === 'refresh_token') return redeemRefreshToken(org, server, call.form)
  return oauthError(
    400,
    'unsupported_grant_type',
    'The authorization grant type is not supported by the authorization server.',
  )
}

export function userinfo(org: OktaOrg, server: string, { authorization }: OktaCall): Reply {
  const grant = org.accessTokens.get(/^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '')
  if (!grant || grant.server !== server || grant.expires < org.now()) {
    const challenge =
      'Bearer authorization_uri="http://okta/oauth2/v1/authorize", realm="http://okta", scope="openid", error="invalid_token", error_description="The access token is invalid."'
    return { status: 401, headers: { 'www-authenticate': challenge } }
  }
  const { sub, name, preferred_username, email, email_verified, groups } = org.user
  const has = (scope: string) => grant.scope.includes(scope)
  return {
    status: 200,
    body: {
      sub,
      ...(has('profile') && { name, preferred_username }),
      ...(has('email') && { email, email_verified }),
      ...(org.thinIdToken && has('groups') && { groups }),
    },
  }
}
